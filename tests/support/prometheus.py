# SPDX-License-Identifier: MIT
"""A real Prometheus on loopback, with a storage of its own, and what tests ask of it.

Its times are those of the machine, so a query for a moment that is over tells what was true then.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from urllib.parse import urlencode

from harness import PATIENCE, wait_until

INTERVAL = 0.5  # seconds between two scrapes, and between two looks at the alerts

CONFIG = """
global: {{scrape_interval: {ms}ms, scrape_timeout: {ms}ms, evaluation_interval: {ms}ms}}
rule_files: [{rules}]
scrape_configs: {jobs}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def scrape_job(port, name="zooparallel", **more):
    return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}], **more}


def config_of(jobs, rules=()):
    """jobs: scrape jobs as the configuration has them; rules: files of rules."""
    return CONFIG.format(ms=int(INTERVAL * 1000), jobs=json.dumps(jobs),
                         rules=", ".join(json.dumps(str(path)) for path in rules))


class Prometheus:
    """config: the text of its configuration, for which its own promtool must have no complaint."""

    def __init__(self, folder, config_text):
        self.folder = folder
        self.port = free_port()
        config = folder / "prometheus.yml"
        config.write_text(config_text)
        check = subprocess.run(["promtool", "check", "config", config], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
        assert check.returncode == 0, check.stdout
        self.log_path = folder / "prometheus.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "prometheus", f"--config.file={config}",
                 f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        try:
            wait_until(self.is_ready, f"Prometheus; its log:\n{self.log}")
        except BaseException:
            self.stop()
            raise

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")[-3000:]

    def is_ready(self):
        assert self.process.poll() is None, self.log
        try:
            return self.request("/-/ready")[0] == 200
        except OSError:
            return False

    def stop(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def request(self, path, **params):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path + ("?" + urlencode(params, doseq=True) if params else ""))
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def api(self, path, **params):
        """The data of an answer, which must be a success."""
        status, body = self.request(f"/api/v1/{path}", **params)
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", (path, params, answer)
        assert not answer.get("warnings"), (path, params, answer)
        return answer["data"]

    def query(self, expression, at=None):
        """The series of an instant query: [(labels, value)]."""
        data = self.api("query", query=expression, time=at or time.time())
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def query_range(self, expression, start, end, step=0.5):
        """The series of a range query: [(labels, [values])]."""
        data = self.api("query_range", query=expression, start=start, end=end, step=step)
        return [(series["metric"], [float(value) for _, value in series["values"]]) for series in data["result"]]

    def value(self, expression, at=None):
        """Of the one series that there is; None if there is none."""
        found = self.query(expression, at)
        assert len(found) <= 1, (expression, found)
        return found[0][1] if found else None

    def samples(self, at=None, **labels):
        """All that was scraped for the targets with these labels, without them: {(name, labels): value}."""
        matchers = ", ".join(f'{name}="{value}"' for name, value in labels.items())
        found = {}
        for metric, value in self.query(f'{{__name__=~"(zooparallel|process)_.*", {matchers}}}', at):
            name = metric.pop("__name__")
            metric.pop("job")
            metric.pop("instance")
            found[name, frozenset(metric.items())] = value
        return found

    def targets(self):
        return self.api("targets", state="active")["activeTargets"]

    def wait_scraped(self, job="zooparallel"):
        """Until a scrape that began after this call is stored; returns its time, for queries."""
        began = time.time()

        def look():
            at = self.value(f'min(timestamp(up{{job="{job}"}}))')
            # Prometheus moves its times by up to 2 ms, to compress them better.
            return at if at and at > began + 0.01 and self.value(f'min(up{{job="{job}"}})', at) == 1 else None
        return wait_until(look, f"a scrape of {job}: {self.targets()}")

    def firing(self):
        """Names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self.api("alerts")["alerts"] if alert["state"] == "firing"}
