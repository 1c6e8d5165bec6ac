# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes a real daemon: what it stores, what it alerts on, what a dashboard shows.

All that happens is one story, told once (fixture `story`); Prometheus remembers it, so that each
test may ask about any moment of it.
"""
import http.client
import json
import os
import re
import signal
import subprocess
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from conftest import finish
from harness import FINAL, IS_SANITIZED, SLOW, TOP, Daemon, spec_of, start_slow, wait_until
from prometheus import Prometheus, config_of, free_port, scrape_job

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="the same scrapes go through the parsers in all other tests")

CONF = TOP / "conf" / "prometheus"
RULES = CONF / "zooparallel.rules.yml"
DASHBOARD = json.loads((TOP / "conf" / "grafana" / "zooparallel.json").read_text())
MANUAL = TOP / "daemon" / "man" / "zooparalleld.8"
SLOW_ROWS = SLOW.count(b"\n") - 1
METRIC = re.compile(r"\b((?:zooparallel|process)_\w+)")


class Relay:
    """Passes scrapes on without saying which formats the client would like: it gets the plain one."""

    def __init__(self, port):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                try:
                    connection.request("GET", self.path)
                    reply = connection.getresponse()
                    body = reply.read()
                except OSError:
                    self.send_error(502)
                    return
                finally:
                    connection.close()
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Story:
    """The daemon, its Prometheus, and the moments that the tests ask about (Unix times)."""

    def __init__(self, daemon, prometheus):
        self.daemon, self.prometheus = daemon, prometheus
        self.began = time.time()
        self.middle = []  # scrapes while the slow job runs
        self.broken = self.rest = None


def impatient_rules(folder):
    """A copy of the shipped rules that does not wait before it alerts."""
    copy = folder / "rules.yml"
    text, n_waits = re.subn(r"(?m)^( +for:) .*$", r"\1 500ms", RULES.read_text())
    assert n_waits >= 10
    copy.write_text(text)
    return copy


def run_small_jobs(daemon, prometheus):
    """Completed, with many rejects, failed, aborted, refused."""
    daemon.write("good.csv", "a,b\n" + "1,2\n" * 3000)
    daemon.write("bad.csv", "a,b\n" + ("1,2\n" * 9 + "1\n") * 200 + "1,\"2\"x\n")
    for _ in range(2):
        assert daemon.run(spec_of("good.csv", "good.out"), "good")["state"] == "completed"
        assert daemon.run(spec_of("bad.csv", "bad.out"), "rejecting")["error_count"] == 201
        prometheus.wait_scraped()  # an increase needs a value from before
    assert daemon.run(spec_of("none.csv", "none.out"), "failing")["reason"] == "input_missing"
    daemon.drop("{}", "refused")
    assert daemon.invalid("refused")
    prometheus.wait_scraped()


def wait_rows(daemon, job_id, n_rows):
    def look():
        job = daemon.job(job_id)
        assert job["state"] not in FINAL, "too fast to be caught"
        return job["accepted_processed"] >= n_rows
    wait_until(look, f"{n_rows} rows")


def cancel_one(daemon):
    daemon.drop(spec_of("slow.csv", "never.out", name="cancelled"), "cancelled")
    job_id = daemon.id_of("cancelled")
    assert daemon.request("POST", f"/api/v1/jobs/{job_id}/cancel", unix=True).status in (200, 202)
    assert daemon.wait_job(job_id)["state"] == "aborted"


def run_slow_job(story):
    """Workers are killed one after the other, then the daemon; it starts again and all is done."""
    daemon, prometheus = story.daemon, story.prometheus
    daemon.drop(spec_of("slow.csv", "slow.out", workers=3), "slow")
    job_id = daemon.id_of("slow")
    prometheus.wait_scraped()  # all counters are known before the first death
    for step in range(1, 6):
        wait_rows(daemon, job_id, step * 8000)
        os.kill(daemon.worker_pids()[0], signal.SIGKILL)
        wait_until(lambda: daemon.job(job_id)["worker_exits"].get("signal", 0) >= step, "its death to be seen")
    with daemon.stopped_workers(job_id):
        story.middle.append(prometheus.wait_scraped())
        cancel_one(daemon)
    daemon.kill()
    wait_until(lambda: "ZooParallelDown" in prometheus.firing(), "the alert")
    daemon.start()
    wait_rows(daemon, job_id, 60000)
    story.middle.append(prometheus.wait_scraped())
    job = daemon.wait_job(job_id, timeout=120)
    assert job["state"] == "completed" and job["total_processed"] == SLOW_ROWS


def break_configuration(story):
    """A reload that fails is told, and so is that the next one does not."""
    daemon, prometheus = story.daemon, story.prometheus
    config = daemon.tree / "conf" / "zooparalleld.conf"
    config.write_text("nonsense = 1\n")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: "ZooParallelReloadFailed" in prometheus.firing(), "the alert")
    story.broken = prometheus.wait_scraped()
    config.write_text("")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: "ZooParallelReloadFailed" not in prometheus.firing(), "the end of the alert")


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    daemons = []

    def start(**settings):
        daemons.append(Daemon(folder / "tree", **settings))
        return daemons[-1].start()
    try:
        daemon = start_slow(start, listen=f"127.0.0.1:{free_port()}")
        relay = Relay(daemon.port)
        try:
            prometheus = Prometheus(folder, config_of([scrape_job(daemon.port), scrape_job(relay.port, "plain")],
                                                      [impatient_rules(folder)]))
            try:
                story = Story(daemon, prometheus)
                run_small_jobs(daemon, prometheus)
                run_slow_job(story)
                break_configuration(story)
                wait_until(lambda: daemon.get("/api/v1/status").json["workers"]["running"] == 0, "rest")
                story.rest = max(prometheus.wait_scraped(), prometheus.wait_scraped("plain"))
                yield story
            finally:
                prometheus.stop()
        finally:
            relay.stop()
    finally:
        finish(daemons)


# --- what is stored ---------------------------------------------------------------------------------


def test_prometheus_asks_for_openmetrics_and_gets_it(story):
    """Units come with OpenMetrics alone, and there counters have no suffix in their family's name."""
    metadata = story.prometheus.api("targets/metadata", match_target='{job="zooparallel"}')
    units = {entry["metric"]: entry["unit"] for entry in metadata}
    assert units["zooparallel_rows_processed"] == ""
    assert units["zooparallel_input_bytes"] == units["zooparallel_workers_peak_memory_bytes"] == "bytes"
    assert units["zooparallel_job_duration_seconds"] == units["process_cpu_seconds"] == "seconds"
    assert units["zooparallel_job_progress_ratio"] == "ratio"
    plain = story.prometheus.api("targets/metadata", match_target='{job="plain"}')
    assert "zooparallel_rows_processed_total" in {entry["metric"] for entry in plain}
    assert all(entry["help"] and entry["type"] != "unknown" for entry in metadata + plain)


def test_both_formats_give_the_same_series(story):
    modern = story.prometheus.samples(story.rest, job="zooparallel")
    plain = story.prometheus.samples(story.rest, job="plain")
    assert modern.keys() == plain.keys() and len(modern) > 100
    lasting = [key for key in modern if key[0].startswith("zooparallel_") and "bytes" not in key[0]]
    assert {key: modern[key] for key in lasting} == {key: plain[key] for key in lasting}


def test_what_is_sent_is_only_what_is_needed(story):
    """No time of our own, so Prometheus' own counts; no exemplar; no series that says when a counter began."""
    text = story.daemon.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}).text
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z_]+(\{[^}]*\})? \S+", line), line
    assert not re.search(r"_created\b", text)
    # A scrape may come too late on a busy machine, but none is refused.
    wait_until(lambda: [(target["health"], target["lastError"]) for target in story.prometheus.targets()] == [("up", "")] * 2,
               "both targets to be up")


def test_what_has_ended_is_gone_at_once(story):
    """A series that is left out of a scrape is stale, not kept for five minutes."""
    progress = 'zooparallel_job_progress_ratio{job="zooparallel", pipe="slow"}'
    assert all(0 < story.prometheus.value(progress, moment) < 1 for moment in story.middle)
    assert story.prometheus.value(progress, story.rest) is None
    assert story.prometheus.value('zooparallel_workers{job="zooparallel", state="running"}', story.middle[0]) == 3
    assert story.prometheus.value("sum(zooparallel_workers)", story.rest) == 0


# --- the same numbers as the API ---------------------------------------------------------------------


def seconds(value, n=1):
    """A sum of n durations, which the JSON gives in milliseconds."""
    return pytest.approx(value, rel=1e-9, abs=0.0006 * n)


def of_names(jobs):
    """What the metrics must say of each name, from the API's jobs, oldest first."""
    expected = {}

    def put(metric, value, **labels):
        expected[f"zooparallel_{metric}", frozenset(labels.items())] = value
    for name in {job["name"] for job in jobs}:
        mine = [job for job in jobs if job["name"] == name]
        for metric, key in (("rows_processed_total", "total_processed"), ("rows_success_total", "success_count"),
                            ("rows_error_total", "error_count"), ("rows_filtered_total", "filtered"),
                            ("input_bytes_total", "input_bytes_done"), ("output_bytes_total", "output_bytes")):
            put(metric, sum(job[key] for job in mine), pipe=name)
        for outcome in FINAL:
            put("jobs_finished_total", sum(job["state"] == outcome for job in mine), pipe=name, outcome=outcome)
        put("job_last_rows_processed", mine[-1]["total_processed"], pipe=name)
        put("job_last_duration_seconds", seconds(mine[-1]["duration_seconds"]), pipe=name)
        put("job_queue_wait_seconds", seconds(mine[-1]["queue_seconds"]), pipe=name)
        for outcome, metric in (("completed", "success"), ("failed", "failure")):
            ends = [job["finished_at_seconds"] for job in mine if job["state"] == outcome]
            if ends:
                put(f"job_last_{metric}_timestamp_seconds", pytest.approx(ends[-1], abs=0.001), pipe=name)
        for reason in REJECTS:
            put("errors_total", sum(job["rejects"].get(reason, 0) for job in mine), pipe=name, reason=reason)
    return expected


REJECTS = "ragged stray_quote bad_quote bare_cr invalid_utf8 nul_byte row_too_long unclosed_quote crash".split()
CAUSES = "ok error signal oom memory_limit stalled".split()


def of_all(jobs, status):
    """The same for what has no name."""
    expected = {}

    def put(metric, value, **labels):
        expected[f"zooparallel_{metric}", frozenset(labels.items())] = value
    put("build_info", 1, version=status["version"])
    for state, count in status["jobs"].items():
        put("jobs", count, state=state)
        assert count == sum(job["state"] == state for job in jobs)
    for state, count in status["workers"].items():
        put("workers", count, state=state)
    for cause in CAUSES:
        put("worker_exits_total", sum(job["worker_exits"].get(cause, 0) for job in jobs), cause=cause)
    put("worker_restarts_total", status["worker_restarts"])
    assert status["worker_restarts"] == sum(job["worker_restarts"] for job in jobs)
    put("stats_files_invalid_total", status["stats_files_invalid"])
    put("queue_age_seconds", status["queue_age_seconds"])
    put("worker_heartbeat_age_seconds", status["worker_heartbeat_age_seconds"])
    put("workers_resident_memory_bytes", status["ram_bytes"])
    put("workers_proportional_memory_bytes", status["pss_bytes"])
    put("workers_peak_memory_bytes", status["peak_ram_bytes"])
    put("config_last_reload_successful", status["config_last_reload_successful"])
    durations = [job["duration_seconds"] for job in jobs]
    put("job_duration_seconds_count", len(durations))
    put("job_duration_seconds_sum", seconds(sum(durations), len(jobs)))
    for bound in (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 10800, 43200, 86400, float("inf")):
        le = "+Inf" if bound == float("inf") else f"{bound:.1f}"
        put("job_duration_seconds_bucket", sum(duration <= bound for duration in durations), le=le)
    for area in status["areas"]:
        for key, metric in (("files", "spool_files"), ("avail_bytes", "filesystem_avail_bytes"),
                            ("size_bytes", "filesystem_size_bytes")):
            if area[key] is not None:
                put(metric, pytest.approx(area[key], rel=0.2), area=area["name"])
    return expected


def test_at_rest_every_number_is_the_apis(story):
    """Each series is worked out from the JSON, by other rules than the daemon's, and none is left over."""
    jobs = story.daemon.get("/api/v1/jobs?limit=1000").json["jobs"][::-1]
    assert {job["name"] for job in jobs} == {"good", "rejecting", "failing", "slow", "cancelled"}
    status = story.daemon.get("/api/v1/status").json
    expected = {**of_names(jobs), **of_all(jobs, status)}
    found = {key: value for key, value in story.prometheus.samples(story.rest, job="zooparallel").items()
             if key[0].startswith("zooparallel_")}
    assert found.keys() == expected.keys()
    assert {key: (found[key], value) for key, value in expected.items() if not found[key] == value} == {}
    # What is not 0 must be there, or the comparison says little.
    assert found["zooparallel_errors_total", frozenset({"pipe": "rejecting", "reason": "ragged"}.items())] == 400
    assert found["zooparallel_worker_exits_total", frozenset({"cause": "signal"}.items())] >= 5


def test_of_the_process_itself(story):
    found = {name: value for (name, _), value in story.prometheus.samples(story.rest, job="zooparallel").items()
             if name.startswith("process_")}
    assert found["process_open_fds"] <= found["process_max_fds"]
    assert 0 < found["process_resident_memory_bytes"] < 1 << 30
    assert 0 < found["process_cpu_seconds_total"] < story.rest - story.began
    started = story.daemon.get("/api/v1/status").json["started_at_seconds"]
    assert found["process_start_time_seconds"] == pytest.approx(started, abs=0.01)
    # It has started twice, and each time is a value of its own that does not waver.
    starts = story.prometheus.query(f'changes(process_start_time_seconds{{job="zooparallel"}}[{age(story)}])')
    assert [value for _, value in starts] == [1]


# --- counters ----------------------------------------------------------------------------------------


def age(story):
    return f"{int(time.time() - story.began) + 2}s"


def test_no_counter_goes_back(story):
    """Over five deaths of workers and one of the daemon, in every scrape that there was."""
    names = {name for name, _ in story.prometheus.samples(story.rest) if re.search(r"_(total|bucket|count)$", name)}
    names -= {"process_cpu_seconds_total"}
    assert len(names) >= 13
    for name in sorted(names):
        resets = story.prometheus.query(f"resets({name}[{age(story)}])")
        assert resets and all(value == 0 for _, value in resets), (name, resets)
    of_slow = 'zooparallel_rows_processed_total{job="zooparallel", pipe="slow"}'
    assert story.prometheus.value(f"changes({of_slow}[{age(story)}])") >= 5
    before, after = (story.prometheus.value(of_slow, moment) for moment in story.middle)
    assert 0 < before < after < SLOW_ROWS == story.prometheus.value(of_slow, story.rest)


# --- alerts ------------------------------------------------------------------------------------------


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], cwd=CONF, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


def alerts_of(text):
    return re.findall(r"(?m)^ *- alert: (\w+)$", text)


def test_promtool_accepts_the_rules_and_their_tests():
    assert f"SUCCESS: {len(alerts_of(RULES.read_text()))} rules" in promtool("check", "rules", RULES.name)
    assert "SUCCESS" in promtool("test", "rules", "zooparallel.rules.test.yml")


def test_promtool_accepts_the_example(tmp_path):
    example = (CONF / "scrape.yml").read_text()
    local = example.replace("/usr/share/zooparallel/prometheus", str(CONF))
    assert local != example
    (tmp_path / "scrape.yml").write_text(local)
    promtool("check", "config", str(tmp_path / "scrape.yml"))


def test_every_alert_is_tested_with_its_text():
    tested = re.findall(r"- alertname: (\w+)", (CONF / "zooparallel.rules.test.yml").read_text())
    assert set(tested) == set(alerts_of(RULES.read_text()))


def test_alerts_fire_when_they_should_and_end(story):
    fired = [labels for labels, _ in story.prometheus.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{age(story)}])')]
    for name, label, value in (("ZooParallelPipeFailing", "pipe", "failing"), ("ZooParallelRejectRatioHigh", "pipe", "rejecting"),
                               ("ZooParallelWorkerCrashLoop", "cause", "signal"), ("ZooParallelSpecRefused", "area", "invalid"),
                               ("ZooParallelReloadFailed", "job", "zooparallel"), ("ZooParallelDown", "job", "zooparallel")):
        assert [1 for labels in fired if labels["alertname"] == name and labels[label] == value], (name, fired)
    ended = {"ZooParallelReloadFailed", "ZooParallelDown", "ZooParallelQueueStuck", "ZooParallelPipeOverdue",
             "ZooParallelNoProgress", "ZooParallelTooManyPipes", "ZooParallelRestarting"}
    wait_until(lambda: not story.prometheus.firing() & ended, "what has ended to be told so")
    assert {"ZooParallelPipeFailing", "ZooParallelRejectRatioHigh"} <= story.prometheus.firing()


def test_rules_are_healthy_and_their_texts_whole(story):
    groups = story.prometheus.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert sorted(rule["name"] for rule in rules) == sorted(alerts_of(RULES.read_text()))
    assert [rule for rule in rules if rule["health"] != "ok" or rule.get("lastError")] == []
    for alert in story.prometheus.api("alerts")["alerts"]:
        name, notes = alert["labels"]["alertname"], alert["annotations"]
        assert notes.keys() == {"summary", "description", "runbook"} and notes["runbook"].endswith(f", {name}")
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert not re.search(r"<|%!|error |\{\{", notes["summary"] + notes["description"]), notes


# --- the dashboard -----------------------------------------------------------------------------------

# Nothing of this has happened in the story.
MAY_BE_EMPTY = {}
UNITS = {"none", "short", "percentunit", "rowsps", "bytes", "binBps", "s", "dtdurations"}


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries():
    """(title, target) of everything that the dashboard asks."""
    return [(panel["title"], target) for panel in panels() for target in panel["targets"]] + [
        (note["name"], {"expr": note["expr"], "range": True}) for note in DASHBOARD["annotations"]["list"] if "expr" in note]


def variables():
    return {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}


def substitute(text, story, chosen):
    values = {"__rate_interval": "5s", "__interval": "5s", "__range": age(story), **chosen}
    text = re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda name: values[name[1] or name[2]], text)
    assert "$" not in text
    return text


ALL = {"job": ".*", "instance": ".*", "pipe": ".*"}


@pytest.mark.parametrize("is_all", [True, False], ids=["all", "chosen"])
@pytest.mark.parametrize("title,target", queries(), ids=lambda value: value if isinstance(value, str) else value.get("refId", ""))
def test_every_query_of_the_dashboard_finds_something(story, title, target, is_all):
    chosen = ALL if is_all else {"job": "zooparallel", "instance": f"127.0.0.1:{story.daemon.port}", "pipe": "rejecting|slow|failing"}
    expression = substitute(target["expr"], story, chosen)
    if target.get("instant"):
        found = [series for moment in (*story.middle, story.rest) for series in story.prometheus.query(expression, moment)]
    else:
        found = story.prometheus.query_range(expression, story.began, story.rest)
    assert found or title in MAY_BE_EMPTY, expression
    legend = re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))
    assert all(label in labels for labels, _ in found for label in legend if label != "le"), (legend, found)


def test_every_variable_of_the_dashboard_has_values(story):
    assert list(variables()) == ["datasource", "job", "instance", "pipe"]
    wanted = {"job": {"zooparallel", "plain"}, "pipe": {"good", "rejecting", "failing", "slow", "cancelled"}}
    for name, variable in variables().items():
        if name == "datasource":
            continue
        assert variable["definition"] == variable["query"]["query"]
        match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
        assert match[2] == name
        found = story.prometheus.api(f"label/{name}/values", **{"match[]": substitute(match[1], story, ALL)})
        assert set(found) == wanted.get(name, set(found)) and found


def test_the_dashboard_fits_any_grafana():
    """No server's own numbers, one source that the reader chooses, and a grid without overlaps."""
    assert DASHBOARD["id"] is None and DASHBOARD["uid"] and DASHBOARD["schemaVersion"] >= 36
    assert not re.search(r'"uid": "(?!\$\{datasource\}|zooparallel"|-- Grafana --)', json.dumps(DASHBOARD))
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels())
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        mine = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not mine & cells and max(x for x, _ in mine) < 24, panel["title"]
        cells |= mine


def test_the_dashboard_explains_itself():
    assert len(panels()) == len({panel["title"] for panel in panels()})
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        units = [defaults.get("unit")] + [entry["value"] for override in panel["fieldConfig"]["overrides"]
                                          for entry in override["properties"] if entry["id"] == "unit"]
        assert {unit for unit in units if unit} <= UNITS, panel["title"]
        assert any(units) or panel["type"] == "heatmap", panel["title"]
        several = panel["type"] in ("timeseries", "bargauge")
        assert not several or all(target["legendFormat"] != "__auto" for target in panel["targets"]), panel["title"]


# --- names -------------------------------------------------------------------------------------------


def families(daemon):
    """{name: type} of the plain format."""
    return dict(re.findall(r"(?m)^# TYPE (\w+) (\w+)$", daemon.get("/metrics").text))


def test_rules_and_dashboard_name_only_what_is_there(shared):
    known = set(families(shared))
    known |= {f"{name}_{part}" for name, kind in families(shared).items() if kind == "histogram"
              for part in ("bucket", "sum", "count")}
    expressions = "\n".join(target["expr"] for _, target in queries()) + RULES.read_text()
    assert set(METRIC.findall(expressions)) - known == set()
    tested = METRIC.findall((CONF / "zooparallel.rules.test.yml").read_text())
    assert set(tested) - known == set()


def section(name):
    """The source of a section of the manual."""
    return re.search(rf"(?ms)^\.Sh {name}$(.*?)(?=^\.Sh )", MANUAL.read_text())[1]


def test_the_manual_has_every_metric_with_type_and_labels(shared):
    described = re.findall(r"(?m)^\.It Li (\w+) No \((\w+)(?:; ([\w, ]+))?\)$", section("METRICS"))
    assert {name: kind for name, kind, _ in described} == families(shared) and len(described) == len(families(shared))
    samples = shared.metrics()
    for name, _, labels in described:
        for series in samples.get(name, {}):
            assert [label for label, _ in series] == sorted(filter(None, labels.split(", "))), name


def test_the_manual_has_every_alert():
    assert re.findall(r"(?m)^\.It Li (\w+)$", section("ALERTS")) == alerts_of(RULES.read_text())


# --- limits ------------------------------------------------------------------------------------------


def test_pipes_beyond_the_cap_are_one(start):
    """Their jobs wait behind one that stands still; names beyond the cap are counted as one."""
    daemon = start_slow(start, max_jobs=1)
    daemon.drop(spec_of("slow.csv", "slow.out"), "slow")
    with daemon.stopped_workers(daemon.id_of("slow")):
        for number in range(250):
            daemon.drop(spec_of("slow.csv", f"{number}.out"), f"pipe-{number}")
        wait_until(lambda: daemon.get("/api/v1/status").json["jobs"]["pending"] == 250, "the jobs to be taken")
        samples = daemon.metrics()
        pipes = {dict(labels)["pipe"] for labels in samples["zooparallel_rows_processed_total"]}
        assert len(pipes) == 200 and {"_other", "slow"} <= pipes
        assert daemon.get("/api/v1/status").json["queue_age_seconds"] > 0
        assert samples["zooparallel_queue_age_seconds"][()] > 0
        assert daemon.stop() == 0
