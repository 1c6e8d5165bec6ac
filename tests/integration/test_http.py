# SPDX-License-Identifier: MIT
"""The API as curl sees it: methods, hosts, formats, caching, long polls and many bad clients."""
import base64
import gzip
import hashlib
import json
import re
import resource
import socket
import time

import pytest

from harness import OPENMETRICS, UnixConnection, spec_of, start_slow, wait_until
from test_watching import check_right, drop_slow

GOOD = b"a,b\n1,2\nbad\n3,4\n"
ROUTES = ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/api/v1/jobs"]


@pytest.fixture
def job(shared, place):
    shared.write(place("in.csv"), GOOD)
    return shared.run(spec_of(place("in.csv"), place("o")))


def check_problem(reply, status):
    assert reply.status == status, reply.text
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert reply.json["status"] == status and reply.json["title"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_get_and_head(shared, path, unix):
    get = shared.get(path, unix=unix)
    assert get.status == 200 and get.body
    head = shared.request("HEAD", path, unix=unix)
    assert head.status == 200 and not head.body
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("suffix", ["", "/workers", "/errors"])
def test_the_routes_of_a_job(shared, job, suffix):
    reply = shared.get(f"/api/v1/jobs/{job['id']}{suffix}")
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("application/json")
    assert isinstance(reply.json, dict)


def test_a_job_is_a_flat_object(shared, job):
    for key in ("id name state reason total_processed success_count error_count filtered ram_bytes "
                "items_per_second progress eta_seconds duration_seconds workers").split():
        assert not isinstance(job[key], (dict, list)), key
    assert (job["total_processed"], job["success_count"], job["error_count"]) == (3, 2, 1)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ROUTES)
def test_tcp_is_read_only(shared, method, path):
    reply = shared.request(method, path)
    check_problem(reply, 405)
    assert {"GET", "HEAD"} <= {name.strip() for name in reply.headers["Allow"].split(",")}


def test_changing_routes_are_not_on_tcp(shared, job):
    for method, path in (("POST", "/api/v1/jobs"), ("POST", "/api/v1/validate"), ("DELETE", f"/api/v1/jobs/{job['id']}"),
                         ("POST", f"/api/v1/jobs/{job['id']}/cancel")):
        assert shared.request(method, path, body="{}").status in (404, 405)
    assert shared.job(job["id"])["state"] == "completed"


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/jobs/20000101T000000000Z", "/api/v1/jobs/../status/x",
                                  "/api/v1/jobs/nonsense", "/api/v2/status", "/metrics/"])
def test_what_is_not_there(shared, path):
    check_problem(shared.get(path), 404)


@pytest.mark.parametrize("host,status", [
    ("localhost", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("localhost:1234", 200), (socket.gethostname(), 200),
    ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost.evil.example", 421)])
def test_the_host_must_be_ours(shared, host, status):
    assert shared.get("/healthz", headers={"Host": host}).status == status
    assert shared.get("/healthz", headers={"Host": host}, unix=True).status == 200


def test_an_allowed_host(start):
    daemon = start(allowed_hosts="etl.example")
    assert daemon.get("/healthz", headers={"Host": "etl.example"}).status == 200


def test_etag_and_not_modified(shared, job):
    path = f"/api/v1/jobs/{job['id']}"
    first = shared.get(path)
    assert first.headers["ETag"]
    again = shared.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and not again.body
    assert shared.get(path, headers={"If-None-Match": '"other"'}).status == 200


def test_gzip_only_for_who_asks(shared):
    plain = shared.get("/metrics")
    assert "Content-Encoding" not in plain.headers
    connection = UnixConnection(shared.run_dir / "control.sock", 10)
    connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    assert reply.headers["Content-Encoding"] == "gzip" and b"zooparallel_build_info" in gzip.decompress(body)
    assert "Content-Encoding" not in shared.get("/metrics", headers={"Accept-Encoding": "gzip;q=0"}).headers


def test_the_pages_policy_names_what_is_in_it(shared):
    page = shared.get("/")
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    for element, directive in (("style", "style-src"), ('script type="module"', "script-src")):
        [text] = re.findall(f"<{element}>(.*?)</{element.split()[0]}>", page.text, flags=re.S)
        assert policy[directive] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    # Of nothing else a browser may make a page that does anything.
    assert shared.get("/metrics").headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_the_page_is_kept_compressed_and_fresh(shared):
    plain, packed = shared.get("/"), shared.get("/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.body == plain.body
    assert int(packed.headers["Content-Length"]) < len(plain.body) / 2
    again = shared.get("/", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert again.status == 304 and not again.body
    assert again.headers["Content-Security-Policy"] == plain.headers["Content-Security-Policy"]


def test_pretty(shared, job):
    path = f"/api/v1/jobs/{job['id']}"
    assert "\n" in shared.get(path + "?pretty").text.strip()
    assert shared.get(path + "?pretty").json.keys() == shared.get(path).json.keys()


def test_lists_are_filtered_and_paged(start):
    daemon = start()
    daemon.write("in.csv", GOOD)
    for n in range(5):
        daemon.run(spec_of("in.csv", "o"), f"even{n % 2}")
    jobs = daemon.get("/api/v1/jobs").json
    assert len(jobs["jobs"]) == 5 and jobs["next"] is None
    assert len(daemon.get("/api/v1/jobs?name=even0").json["jobs"]) == 3
    assert daemon.get("/api/v1/jobs?state=failed").json["jobs"] == []
    seen, after = [], ""
    while after is not None:
        page = daemon.get("/api/v1/jobs?limit=2" + (f"&after={after}" if after else "")).json
        assert len(page["jobs"]) <= 2
        seen += [job["id"] for job in page["jobs"]]
        after = page["next"]
    assert seen == [job["id"] for job in jobs["jobs"]] and len(set(seen)) == 5


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "state=nonsense", "after=zzz"])
def test_a_wrong_query_is_named(shared, query):
    check_problem(shared.get(f"/api/v1/jobs?{query}"), 400)


def test_rejected_rows_are_shown_only_where_they_may_be(start, tmp_path):
    daemon = start()
    daemon.write("in.csv", "a,b\n1,2\nsecret\n3,4\n")
    job = daemon.run(spec_of("in.csv", "o"))
    assert "secret" not in json.dumps(daemon.errors(job["id"]))
    assert daemon.errors(job["id"])["errors"][0]["code"] == "ragged"
    assert daemon.errors(job["id"], unix=True)["errors"][0]["row"] == "secret"
    open_daemon = start("open", expose_rows="true")
    open_daemon.write("in.csv", "a,b\n1,2\nsecret\n3,4\n")
    assert open_daemon.errors(open_daemon.run(spec_of("in.csv", "o"))["id"])["errors"][0]["row"] == "secret"


def test_a_long_poll_answers_when_the_job_ends(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon)
    with daemon.stopped_workers(job_id):
        started = time.monotonic()
        assert daemon.job(job_id, wait="300ms")["state"] == "running"
        assert 0.25 < time.monotonic() - started < 5
    assert daemon.job(job_id, wait="60s")["state"] == "completed"
    check_right(daemon, daemon.job(job_id))


def test_submit_validate_and_forget(start):
    daemon = start()
    daemon.write("in.csv", GOOD)
    text = json.dumps(spec_of("in.csv", "o", name="by-http"))
    assert daemon.request("POST", "/api/v1/validate", body=text, unix=True).status == 200
    refused = daemon.request("POST", "/api/v1/validate", body='{"version":1,"inptu":{}}', unix=True)
    check_problem(refused, 422)
    assert "input" in refused.text
    reply = daemon.request("POST", "/api/v1/jobs", body=text, unix=True, headers={"Idempotency-Key": "once"})
    assert reply.status == 202, reply.text
    location = reply.headers["Location"]
    job_id = location.rsplit("/", 1)[1]
    again = daemon.request("POST", "/api/v1/jobs", body=text, unix=True, headers={"Idempotency-Key": "once"})
    assert again.headers["Location"] == location
    assert daemon.wait_job(job_id)["state"] == "completed"
    assert len(daemon.get("/api/v1/jobs").json["jobs"]) == 1
    check_problem(daemon.request("POST", f"/api/v1/jobs/{job_id}/cancel", unix=True), 409)
    before = daemon.metric("zooparallel_rows_processed_total", pipe="by-http")
    assert daemon.request("DELETE", f"/api/v1/jobs/{job_id}", unix=True).json["id"] == job_id
    check_problem(daemon.get(f"/api/v1/jobs/{job_id}"), 404)
    wait_until(lambda: not (daemon.state / "jobs" / job_id).exists(), "its files to be removed")
    assert daemon.metric("zooparallel_rows_processed_total", pipe="by-http") == before == 3


def test_a_spec_that_is_too_large_by_http(shared):
    body = " " * (2 << 20)
    try:
        assert shared.request("POST", "/api/v1/jobs", body=body, unix=True).status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # it may hang up before all is sent
    assert shared.get("/readyz").status == 200


def test_metrics_have_both_formats_and_every_promised_name(shared, job):
    samples = shared.metrics()
    assert shared.get("/metrics", headers={"Accept": OPENMETRICS}).text.endswith("# EOF\n")
    for name in ("zooparallel_build_info zooparallel_rows_processed_total zooparallel_rows_success_total "
                 "zooparallel_rows_error_total zooparallel_rows_filtered_total zooparallel_input_bytes_total "
                 "zooparallel_output_bytes_total zooparallel_errors_total zooparallel_jobs "
                 "zooparallel_jobs_finished_total zooparallel_job_duration_seconds_bucket "
                 "zooparallel_job_last_success_timestamp_seconds zooparallel_job_last_rows_processed "
                 "zooparallel_job_last_duration_seconds zooparallel_workers zooparallel_worker_exits_total "
                 "zooparallel_worker_restarts_total zooparallel_stats_files_invalid_total zooparallel_spool_files "
                 "zooparallel_filesystem_avail_bytes zooparallel_config_last_reload_successful "
                 "process_cpu_seconds_total process_open_fds process_resident_memory_bytes "
                 "process_start_time_seconds").split():
        assert samples.get(name), name


@pytest.mark.parametrize("request_bytes", [
    b"", b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n", b"POST /api/v1/jobs HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", b"GET /%00%ff?a=%zz&& HTTP/1.1\r\nHost: localhost\r\n\r\n",
], ids=lambda value: repr(value[:24]))
def test_nonsense_harms_nobody(shared, request_bytes):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=1) as connection:
        try:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:
            pass
    assert shared.get("/readyz").status == 200


@pytest.fixture
def many_fds():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("not enough descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("opening", [b"", b"GET /metrics HTTP/1.1\r\nHost: local",
                                     b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["silent", "slow", "idle"])
def test_1200_clients_do_not_delay_a_scrape(start, many_fds, opening):
    daemon = start_slow(start)
    job_id = drop_slow(daemon)
    connections = []
    try:
        for n in range(1200):
            connection = socket.create_connection(("127.0.0.1", daemon.port), timeout=10)
            connections.append(connection)
            try:
                connection.sendall(opening)
            except ConnectionError:
                pass  # evicted already: that is how the others are served
            if n % 100 == 0:
                check_scrape_time(daemon)
        for _ in range(5):
            for connection in connections[::10]:
                try:
                    connection.sendall(b"x")
                except OSError:
                    pass
            check_scrape_time(daemon)
    finally:
        for connection in connections:
            connection.close()
    check_right(daemon, daemon.wait_job(job_id))
    wait_until(lambda: daemon.get("/readyz").status == 200, "the daemon to be ready")


def check_scrape_time(daemon):
    started = time.monotonic()
    assert daemon.get("/metrics").status == 200
    assert time.monotonic() - started < 1
