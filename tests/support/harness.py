# SPDX-License-Identifier: MIT
"""The real zooparalleld on a private tree, and what every test wants to ask of it.

Daemon starts it, waits until it is ready, drops specs as users do, and at its end proves that
nothing is left. Every scrape goes through three parsers. Nothing sleeps where it can poll.
"""
import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("ZP_BUILD", "build")
CPU_FLAGS = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text()))
# The scanners that this processor can run, by the newest flag that each needs.
SCANNERS = [name for name, flag in (("portable", None), ("avx2", "avx2"), ("avx512", "avx512_vbmi2"))
            if flag is None or flag in CPU_FLAGS]
DAEMON = BUILD / "zooparalleld"
WORKER = BUILD / "zooparallel-worker"
CLIENT = BUILD / "zooparallel"

IS_SANITIZED = "asan" in BUILD.name
PATIENCE = 60 if IS_SANITIZED else 30  # seconds until a wait has failed
FINAL = ("completed", "failed", "aborted")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
MARK = "ZOOPARALLEL_TEST_TREE"
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error:")


def wait_until(condition, what, timeout=PATIENCE):
    """Poll until condition() is true and return its value; the polls are short, the deadline long."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(0.005)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        if self.headers.get("Content-Encoding") == "gzip":
            self.body = gzip.decompress(self.body)

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


def check_metrics(text, openmetrics):
    """What a scrape must be: readable by both reference parsers, clean for promtool, no series twice."""
    parser = parse_openmetrics if openmetrics else parse_prometheus
    samples = {}
    for family in parser(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"series twice: {key}"
            samples[key] = sample.value
    if not openmetrics:
        lint = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert lint.returncode == 0 and not lint.stdout, lint.stdout
    return samples


def is_alive(stat):
    """By the fields of /proc/PID/stat behind the name; a zombie holds nothing any more."""
    return stat[0] != "Z"


def stat_of(pid):
    """The fields of /proc/PID/stat behind the name; OSError if it is gone."""
    return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()


def processes_of(tree):
    """Pids of all that was started on this tree: the mark passes to the workers too, by its name."""
    mark = f"{MARK}={tree}".encode()
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path("/proc", entry, "environ").read_bytes()
            stat = stat_of(entry)
        except OSError:
            continue
        if mark in environment.split(b"\0") and is_alive(stat):
            found.append(int(entry))
    return found


def session_of(pid):
    """Pids of a session that are still there, also those that have no environment any more and still hold files."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = stat_of(entry)
        except OSError:
            continue
        if stat[3] == str(pid) and is_alive(stat):
            found.append(int(entry))
    return found


class Daemon:
    """One zooparalleld. settings are configuration keys; wrapper is put before its command line.

    environment is what it gets besides ours; program another copy of it.
    """

    def __init__(self, tree, wrapper=(), program=DAEMON, environment=None, **settings):
        self.tree = Path(tree)
        self.data = self.tree / "data"
        self.spool = self.tree / "spool"
        self.state = self.tree / "state"
        self.run_dir = self.tree / "run"
        self.log_path = self.tree / "log"
        self.wrapper = list(wrapper)
        self.program = program  # the worker is the one beside it
        self.environment = environment or {}
        self.settings = {"data_roots": self.data, "spool_dir": self.spool, "state_dir": self.state,
                         "run_dir": self.run_dir, "listen": "127.0.0.1:0", "max_workers": 4, **settings}
        self.process = None
        self.owner = None  # uid that the specs shall belong to, for a daemon of another user
        for folder in (self.data, self.spool, self.state, self.run_dir):
            folder.mkdir(parents=True, exist_ok=True)


    def command(self):
        config = self.tree / "conf" / "zooparalleld.conf"
        config.parent.mkdir(exist_ok=True)
        config.write_text("")
        # A test run that is killed takes its daemons along.
        command = ["setpriv", "--pdeathsig", "TERM", *self.wrapper, str(self.program), "--config", str(config)]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        return command

    def spawn(self):
        (self.run_dir / "http.port").unlink(missing_ok=True)
        environment = {**os.environ, **self.environment, MARK: str(self.tree)}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, start_new_session=True)
        return self

    def start(self):
        self.spawn()
        wait_until(self.is_ready, f"the daemon to be ready; its log:\n{self.log[-3000:]}")
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}:\n{self.log[-3000:]}"
        try:
            return self.get("/readyz").status == 200
        except (OSError, ValueError, http.client.HTTPException):
            return False

    @property
    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def port(self):
        return int((self.run_dir / "http.port").read_text())

    @property
    def pid(self):
        """Of the daemon itself: the wrappers exec it."""
        return self.process.pid

    def worker_pids(self, mode="convert"):
        """Workers that have reached their own main, by mode."""
        found = []
        for pid in processes_of(self.tree):
            try:
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"zooparallel-worker" in arguments[0] and mode.encode() in arguments[1:2]:
                found.append(pid)
        return found

    def processes(self):
        """Pids of all that it started and that may still hold a file of it."""
        return {*processes_of(self.tree), *session_of(self.pid)}

    def kill(self):
        """SIGKILL, as a crash would have it; its workers must follow by themselves."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        wait_until(lambda: not self.processes(), "the workers to die with their supervisor")

    def stop(self):
        """SIGTERM; returns the exit code once nothing of it is left running."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        os.kill(self.pid, signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.destroy()
            raise AssertionError(f"SIGTERM did not stop it; its log:\n{self.log[-3000:]}")
        # A helper that was still busy dies with its supervisor, which the kernel does a moment later.
        wait_until(lambda: not self.processes(), "the helpers to end", timeout=2)
        return code

    def destroy(self):
        """End whatever this tree still runs, and only that."""
        for pid in processes_of(self.tree):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.wait(PATIENCE)

    def check_clean(self):
        """No temporary output anywhere, nothing about jobs in the runtime directory, no sanitizer's word.

        Jobs that the next start would go on with keep theirs.
        """
        live = [path.parent.name for path in (self.state / "jobs").glob("*/spec.json")
                if not (path.parent / "result.json").exists()]
        found = [*self.tree.rglob("*.part"), *(self.run_dir / "jobs").rglob("*")]
        left = [str(path) for path in found if not any(job in str(path) for job in live)]
        assert not left, left
        self.check_log()

    def check_log(self):
        assert not SANITIZER_REPORT.search(self.log), self.log[-20000:]


    def request(self, method, path, body=None, headers=None, unix=False, timeout=PATIENCE):
        connection = (UnixConnection(self.run_dir / "control.sock", timeout) if unix
                      else http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout))
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **arguments):
        return self.request("GET", path, **arguments)

    def metrics(self):
        """Both formats of a scrape, checked; returns {name: {labels: value}} of the plain one."""
        plain = self.get("/metrics")
        assert plain.status == 200 and plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        modern = self.get("/metrics", headers={"Accept": OPENMETRICS})
        assert modern.headers["Content-Type"].startswith("application/openmetrics-text")
        check_metrics(modern.text, openmetrics=True)
        samples = {}
        for (name, labels), value in check_metrics(plain.text, openmetrics=False).items():
            samples.setdefault(name, {})[labels] = value
        return samples

    def metric(self, name, **labels):
        """The sum of a metric's series that carry these labels; None if there is none."""
        wanted = set(labels.items())
        values = [value for key, value in self.metrics().get(name, {}).items() if wanted <= set(key)]
        return sum(values) if values else None

    def write(self, name, data):
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def read(self, name):
        return (self.data / name).read_bytes()

    def drop(self, spec, name):
        """Submit as a user does: write elsewhere in the file system, rename into incoming/."""
        text = spec if isinstance(spec, (str, bytes)) else json.dumps(spec)
        outside = self.tree / f"{name}.json"
        outside.write_bytes(text.encode() if isinstance(text, str) else text)
        if self.owner is not None:
            os.chown(outside, self.owner, self.owner)
        outside.rename(self.spool / "incoming" / f"{name}.json")

    def find(self, name, older=()):
        """The newest job of a name that is not one of the older ones, or None."""
        jobs = [job for job in self.get(f"/api/v1/jobs?name={name}").json["jobs"] if job["id"] not in older]
        return jobs[0] if jobs else None

    def id_of(self, name, older=()):
        return wait_until(lambda: self.find(name, older), f"the job {name} to be taken")["id"]

    def job(self, job_id, wait=None):
        reply = self.get(f"/api/v1/jobs/{job_id}" + (f"?wait={wait}" if wait else ""))
        assert reply.status == 200, reply.text
        return reply.json

    def wait_job(self, job_id, timeout=PATIENCE):
        """Long polls until the job has ended."""
        deadline = time.monotonic() + timeout
        while (job := self.job(job_id, wait="5s"))["state"] not in FINAL:
            assert time.monotonic() < deadline, f"still {job['state']}: {job}\n{self.log[-3000:]}"
        return job

    def run(self, spec, name=None, timeout=PATIENCE):
        """Drop a spec and wait for its end."""
        name = name or f"job-{uuid.uuid4().hex[:12]}"
        job_name = spec.get("name", name)
        older = [job["id"] for job in self.get(f"/api/v1/jobs?name={job_name}").json["jobs"]]
        self.drop(spec, name)
        return self.wait_job(self.id_of(job_name, older), timeout)

    def result(self, job_id):
        return json.loads((self.state / "jobs" / job_id / "result.json").read_text())

    def errors(self, job_id, **arguments):
        return self.get(f"/api/v1/jobs/{job_id}/errors", **arguments).json

    @contextmanager
    def stopped_workers(self, job_id):
        """All converting workers of the only running job stand still inside, once all have read some."""
        def all_there():
            assert self.job(job_id)["state"] not in FINAL, "too fast to be caught"
            workers = self.get(f"/api/v1/jobs/{job_id}/workers").json["workers"]
            has_begun = workers and all(worker["bytes_read"] > 0 for worker in workers)
            return self.worker_pids() if has_begun else None
        pids = wait_until(all_there, "the workers")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield pids
        finally:
            for pid in self.worker_pids():
                os.kill(pid, signal.SIGCONT)

    def invalid(self, name):
        """What the spool says of a refused spec."""
        def look():
            found = list((self.spool / "invalid").glob(f"*.{name}.json.error.json"))
            return json.loads(found[0].read_text()) if found else None
        return wait_until(look, f"{name} to be refused")


SLOW = b"a,b\n" + b"1234567,abcdefg\n" * (1 << 19)


def start_slow(start, **settings):
    """A daemon with an input slow.csv that takes long enough to be caught: the chunks are tiny."""
    daemon = start(**{"chunk_size": 24, **settings})
    daemon.write("slow.csv", SLOW)
    return daemon


def spec_of(input_path, output_path, *, input=None, output=None, errors=None, **keys):
    """A spec of one pipe."""
    spec = {"version": 1, "input": {"path": input_path, **(input or {})},
            "output": {"path": output_path, **(output or {})}, **keys}
    if errors is not None:
        spec["errors"] = errors
    return spec


def without_message(lines):
    """Error rows for comparing with the oracle: their prose is only checked to be there."""
    rejects = [json.loads(line) for line in lines.splitlines()]
    for reject in rejects:
        assert reject.pop("message")
    return rejects
