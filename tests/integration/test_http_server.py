# SPDX-License-Identifier: MIT
"""The HTTP server by itself, on made-up jobs with nasty names (tests/support/http_demo.c)."""
import gzip
import http.client
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import BUILD, IS_SANITIZED, OPENMETRICS, SANITIZER_REPORT, Reply, UnixConnection, check_metrics, wait_until

DEMO = BUILD / "tests" / "support" / "http_demo"
RUNNING = "20261122T000002000Z"
ENDED = "20261122T000001999Z"

pytestmark = pytest.mark.skipif(not DEMO.exists(), reason="http_demo is not built")


class Demo:
    def __init__(self, folder, jobs=20, workers=5):
        self.socket_path = folder / "control.sock"
        self.log = open(folder / "log", "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen([DEMO, self.socket_path, str(jobs), str(workers)],
                                        stdout=subprocess.PIPE, stderr=self.log)
        self.port = int(self.process.stdout.readline())

    def request(self, method, path, unix=False, body=None, headers=(), timeout=30):
        connection = UnixConnection(self.socket_path, timeout) if unix else http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **keys):
        return self.request("GET", path, **keys)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, data, half_close=True):
        """Everything that comes back for these bytes."""
        with self.connect() as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            chunks = []
            while chunk := connection.recv(65536):
                chunks.append(chunk)
            return b"".join(chunks)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.log.seek(0)
        text = self.log.read()
        self.log.close()
        assert code == 0, text
        assert not SANITIZER_REPORT.search(text), text


@pytest.fixture
def demo(tmp_path):
    server = Demo(tmp_path)
    yield server
    server.stop()


def check_problem(reply, status):
    assert reply.status == status, reply.text
    assert reply.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    problem = reply.json
    assert problem["type"] == "about:blank" and problem["status"] == status and problem["title"] and problem["detail"]
    return problem


def no_number_but_json(text):
    raise AssertionError(f"no JSON: {text}")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/status", "/api/v1/jobs", f"/api/v1/jobs/{RUNNING}",
                                  f"/api/v1/jobs/{RUNNING}/workers", f"/api/v1/jobs/{ENDED}/errors"])
def test_json_is_strict_and_pretty_says_the_same(demo, path):
    plain, pretty = demo.get(path), demo.get(path + "?pretty")
    assert plain.status == 200 and plain.headers["X-Content-Type-Options"] == "nosniff"
    document = json.loads(plain.body, parse_constant=no_number_but_json)
    if path not in ("/healthz", "/api/v1/status"):  # their clocks go on
        assert pretty.json == document
    assert plain.text.count("\n") == 1 and pretty.text.count("\n") > 2


def test_names_come_through_unharmed(demo):
    names = [job["name"] for job in demo.get("/api/v1/jobs").json["jobs"]]
    assert names[:8] == ["plain", 'quote"quote', "back\\slash", "new\nline", "<b>html&amp;</b>", "\u00e4\u20ac",
                         "tab\tctl\x01", "{}=,"]
    labels = {dict(labels).get("pipe") for name, labels in check_metrics(demo.get("/metrics").text, False)
              if name == "zooparallel_rows_processed_total"}
    assert set(names) == labels


@pytest.mark.parametrize("jobs,workers", [(1, 0), (20, 5), (2000, 1000)])
def test_every_scrape_is_clean(tmp_path, jobs, workers):
    demo = Demo(tmp_path, jobs, workers)
    text = demo.get("/metrics")
    openmetrics = demo.get("/metrics", headers={"Accept": OPENMETRICS})
    assert text.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert openmetrics.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert check_metrics(text.text, False).keys() == check_metrics(openmetrics.text, True).keys()
    assert openmetrics.text.endswith("# EOF\n") and "# EOF" not in text.text
    assert len(demo.get(f"/api/v1/jobs/{RUNNING}/workers").json["workers"]) == workers
    demo.stop()


@pytest.mark.parametrize("accept,wanted", [
    (None, "text/plain"), ("*/*", "text/plain"), ("text/plain", "text/plain"), ("text/html", "text/plain"),
    ("application/openmetrics-text", "application/openmetrics-text"),
    ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/openmetrics-text"),
    ("application/openmetrics-text;version=0.0.1", "text/plain"),
    ("application/openmetrics-text;q=0.2,text/plain;q=0.3", "text/plain"),
    ("application/openmetrics-text;q=0", "text/plain")])
def test_the_format_is_the_one_that_the_scraper_prefers(demo, accept, wanted):
    reply = demo.get("/metrics", headers={"Accept": accept} if accept else {})
    assert reply.headers["Content-Type"].startswith(wanted)
    assert "Accept" in reply.headers["Vary"]


def test_head_is_get_without_its_body(demo):
    for path in ("/", "/api/v1/jobs", "/metrics"):
        head = demo.request("HEAD", path)
        assert head.status == 200 and head.body == b"" and int(head.headers["Content-Length"]) > 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_tcp_is_read_only(demo, method):
    for path in ("/", "/api/v1/jobs", "/nothing", f"/api/v1/jobs/{RUNNING}"):
        reply = demo.request(method, path)
        check_problem(reply, 405)
        assert reply.headers["Allow"] == "GET, HEAD"
    assert demo.get(f"/api/v1/jobs/{RUNNING}").json["state"] == "running"


@pytest.mark.parametrize("method,path,allow", [
    ("PUT", "/api/v1/jobs", "GET, HEAD, POST"), ("POST", f"/api/v1/jobs/{ENDED}", "GET, HEAD, DELETE"),
    ("GET", "/api/v1/validate", "POST"), ("DELETE", f"/api/v1/jobs/{ENDED}/cancel", "POST"), ("POST", "/", "GET, HEAD")])
def test_the_unix_socket_names_what_it_allows(demo, method, path, allow):
    reply = demo.request(method, path, unix=True)
    check_problem(reply, 405)
    assert reply.headers["Allow"] == allow


@pytest.mark.parametrize("path,status", [
    ("/nothing", 404), ("/metrics/", 404), ("//metrics", 404), ("/api/v1/jobs/", 404), ("/api/v1/jobs/20200101T0Z", 404),
    ("/api/v1/jobs/..%2f..%2fetc", 404), ("/api/v1/jobs/" + "9" * 100, 404), (f"/api/v1/jobs/{ENDED}/", 404),
    ("/api/v1/validate", 404), ("/metrics%00", 400), ("/%zz", 400), ("/%ff", 400), ("/metrics?x=1", 400),
    ("/api/v1/jobs?limit=2&limit=3", 400), ("/api/v1/jobs?limit=0", 400), ("/api/v1/jobs?limit=1001", 400),
    ("/api/v1/jobs?state=happy", 400), (f"/api/v1/jobs/{RUNNING}?wait=soon", 400), (f"/api/v1/jobs/{RUNNING}?wait=-1s", 400),
    ("/healthz?" + "&".join(f"p{n}" for n in range(17)), 414), ("/" + "x" * 5000, 414)])
def test_what_cannot_be_answered_is_a_problem(demo, path, status):
    check_problem(demo.get(path), status)


def test_an_unknown_parameter_is_told_the_known_ones(demo):
    assert "state, name, limit, after, pretty" in check_problem(demo.get("/api/v1/jobs?stat=x"), 400)["detail"]


@pytest.mark.parametrize("host,status", [
    ("localhost", 200), ("LOCALHOST:1", 200), ("127.0.0.1", 200), ("10.1.2.3:9917", 200), ("[::1]:9917", 200), ("[::1]", 200),
    (socket.gethostname(), 200), ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost:x", 421),
    ("[::1", 421), ("[::1]evil", 421), ("", 421), ("etl.example", 421), ("x" * 300, 421)])
def test_the_host_must_be_ours(demo, host, status):
    assert demo.get("/healthz", headers={"Host": host}).status == status
    assert demo.get("/healthz", headers={"Host": host}, unix=True).status == 200


def test_hosts_are_one_and_only_old_clients_have_none(demo):
    assert b" 200 " in demo.raw(b"GET /healthz HTTP/1.0\r\n\r\n").split(b"\r\n")[0]
    assert b" 400 " in demo.raw(b"GET /healthz HTTP/1.1\r\n\r\n").split(b"\r\n")[0]
    assert b" 400 " in demo.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n").split(b"\r\n")[0]
    assert b" 200 " in demo.raw(b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").split(b"\r\n")[0]
    assert b" 421 " in demo.raw(b"GET http://evil/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").split(b"\r\n")[0]


def test_new_options_hold_at_once(demo):
    assert demo.get("/healthz", headers={"Host": "etl.example"}).status == 421
    assert "row" not in demo.get(f"/api/v1/jobs/{ENDED}/errors").json["errors"][0]
    demo.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: demo.get("/healthz", headers={"Host": "etl.example"}).status == 200, "the new options")
    assert demo.get(f"/api/v1/jobs/{ENDED}/errors").json["errors"][0]["row"] == "secret\0"


def test_etags_are_of_the_bytes(demo):
    path = f"/api/v1/jobs/{ENDED}"
    first = demo.get(path)
    tag = first.headers["ETag"]
    assert re.fullmatch(r'"[^"]+"', tag) and first.headers["Cache-Control"] == "no-cache"
    for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        reply = demo.get(path, headers={"If-None-Match": header})
        assert reply.status == 304 and reply.body == b"" and reply.headers["ETag"] == tag
    assert demo.get(path, headers={"If-None-Match": '"x"'}).status == 200
    assert demo.get(path + "?pretty").headers["ETag"] != tag
    assert "ETag" not in demo.get("/metrics").headers
    running = f"/api/v1/jobs/{RUNNING}"
    before = demo.get(running).headers["ETag"]
    demo.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: demo.get(running, headers={"If-None-Match": before}).status == 200, "the change")


def test_gzip_only_where_it_is_wanted_and_worth_it(demo):
    plain = demo.get("/api/v1/jobs")
    packed = demo.get("/api/v1/jobs", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.body == plain.body
    assert int(packed.headers["Content-Length"]) < len(plain.body) / 3
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = demo.get("/api/v1/jobs", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert again.status == 304
    for refused in ("gzip;q=0", "identity", "*;q=0", "br"):
        assert "Content-Encoding" not in demo.get("/api/v1/jobs", headers={"Accept-Encoding": refused}).headers
    assert "Content-Encoding" not in demo.get("/healthz", headers={"Accept-Encoding": "gzip"}).headers


def test_lists_are_filtered_and_paged(tmp_path):
    demo = Demo(tmp_path, 250, 1)
    every = demo.get("/api/v1/jobs?limit=1000").json
    assert len(every["jobs"]) == 250 and every["next"] is None
    assert len(demo.get("/api/v1/jobs").json["jobs"]) == 100
    failed = demo.get("/api/v1/jobs?state=failed").json["jobs"]
    assert len(failed) == 50 and {job["state"] for job in failed} == {"failed"}
    assert [job["name"] for job in demo.get("/api/v1/jobs?name=back%5Cslash").json["jobs"]] == ["back\\slash"]
    seen, target = [], "/api/v1/jobs?limit=49"
    while target:
        page = demo.get(target).json
        seen += [job["id"] for job in page["jobs"]]
        target = page["next"] and f"/api/v1/jobs?limit=49&after={page['next']}"
    assert seen == [job["id"] for job in every["jobs"]]
    demo.stop()


def test_rejected_rows_without_their_text_over_tcp(demo):
    reply = demo.get(f"/api/v1/jobs/{ENDED}/errors")
    assert "secret" not in reply.text and "c2VjcmV0" not in reply.text
    first, second = reply.json["errors"]  # not the line that is no JSON, nor the one half written
    assert (first["code"], first["line"], first["offset"]) == ("ragged", 3, 17)
    assert second["row_truncated"] is True and reply.json["more"] is False
    unix = demo.get(f"/api/v1/jobs/{ENDED}/errors", unix=True).json["errors"]
    assert unix[0]["row"] == "secret\0" and unix[1]["row_base64"] == "c2VjcmV0"
    one = demo.get(f"/api/v1/jobs/{ENDED}/errors?limit=1").json
    assert len(one["errors"]) == 1 and one["more"] is True
    assert demo.get(f"/api/v1/jobs/{RUNNING}/errors").json == {"job_id": RUNNING, "errors": [], "more": False}
    check_problem(demo.get("/api/v1/jobs/20200101T000000000Z/errors"), 404)


def test_submit_answers_once_the_job_is_there(demo):
    reply = demo.request("POST", "/api/v1/jobs?name=x", unix=True, body="{}")
    assert reply.status == 202 and reply.headers["Location"] == f"/api/v1/jobs/{reply.json['id']}"
    assert demo.request("POST", f"/api/v1/jobs?name={'x' * 200}", unix=True, body="{}").status == 202
    check_problem(demo.request("POST", f"/api/v1/jobs?name={'x' * 201}", unix=True, body="{}"), 400)
    problem = check_problem(demo.request("POST", "/api/v1/jobs", unix=True, body="bad"), 422)
    assert (problem["line"], problem["column"]) == (3, 7)
    valid = demo.request("POST", "/api/v1/validate", unix=True, body="{}")
    assert valid.status == 200 and valid.json["valid"] is True
    check_problem(demo.request("POST", "/api/v1/validate", unix=True, body="bad"), 422)
    check_problem(demo.request("POST", "/api/v1/validate", unix=True), 422)


def test_a_key_makes_one_job(demo):
    def submit(key, body="{}", name="x"):
        return demo.request("POST", f"/api/v1/jobs?name={name}", unix=True, body=body, headers={"Idempotency-Key": key})

    first = submit("k")
    assert first.status == 202
    again = submit("k")
    assert (again.status, again.body, again.headers["Location"]) == (202, first.body, first.headers["Location"])
    check_problem(submit("k", "{ }"), 422)
    check_problem(submit("k", name="y"), 422)
    assert submit("k2").json["id"] != first.json["id"]
    check_problem(submit("bad", "bad"), 422)
    check_problem(submit("bad", "bad"), 422)
    for key in ("", "x" * 256, "\xe9"):
        check_problem(submit(key), 400)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(submit, ["twice", "twice"]))
    assert sorted(reply.status for reply in both) in ([202, 202], [202, 409])


def test_cancel_and_forget(demo):
    check_problem(demo.request("POST", "/api/v1/jobs/20200101T000000000Z/cancel", unix=True), 404)
    assert demo.request("POST", f"/api/v1/jobs/{RUNNING}/cancel", unix=True).json["id"] == RUNNING
    check_problem(demo.request("POST", f"/api/v1/jobs/{RUNNING}/cancel", unix=True), 409)
    gone = demo.request("DELETE", f"/api/v1/jobs/{ENDED}", unix=True)
    assert gone.status == 204 and gone.body == b""


def test_another_user_may_look_but_not_touch(demo):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.chmod(demo.socket_path, 0o666)
    folder = demo.socket_path.parent
    while str(folder) != "/" and not folder.stat().st_mode & 1:
        folder.chmod(folder.stat().st_mode | 0o111)
        folder = folder.parent
    script = ("import sys; sys.path.insert(0, sys.argv[2]); from harness import UnixConnection\n"
              "for method in ('GET', 'POST'):\n"
              "    c = UnixConnection(sys.argv[1], 10); c.request(method, '/api/v1/jobs', body='{}')\n"
              "    print(c.getresponse().status); c.close()\n")
    out = subprocess.run(["/usr/bin/python3", "-c", script, str(demo.socket_path), os.path.dirname(__file__) + "/../support"],
                         user=65534, group=65534, extra_groups=[], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert out.split() == ["200", "403"]


def test_a_body_of_more_than_a_mebibyte_is_refused(demo):
    limit = 1 << 20
    assert demo.request("POST", "/api/v1/jobs", unix=True, body=" " * limit).status == 202
    try:
        check_problem(demo.request("POST", "/api/v1/jobs", unix=True, body=" " * (limit + 1)), 413)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it hangs up before all is sent
    chunks = (b" " * 65536 for _ in range(17))
    check_problem(demo.request("POST", "/api/v1/jobs", unix=True, body=chunks), 413)
    assert demo.get("/healthz").status == 200


def test_ready_says_why_not(demo):
    assert demo.get("/readyz").json == {"status": "ready"}
    demo.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: demo.get("/readyz").status == 503, "the daemon to be unready")
    assert check_problem(demo.get("/readyz"), 503)["reasons"] == ['The spool is "read only".', "The state directory is full."]


def wait_request(wait, job=RUNNING):
    return f"GET /api/v1/jobs/{job}?wait={wait} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def answer_of(connection):
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Reply(response)


def test_a_long_poll_ends_with_its_time(demo):
    started = time.monotonic()
    assert demo.get(f"/api/v1/jobs/{RUNNING}?wait=300ms").json["state"] == "running"
    assert 0.3 <= time.monotonic() - started < 3
    for path in (f"/api/v1/jobs/{RUNNING}?wait=0s", f"/api/v1/jobs/{ENDED}?wait=60s"):
        started = time.monotonic()
        assert demo.get(path).status == 200
        assert time.monotonic() - started < 3
    check_problem(demo.get("/api/v1/jobs/20200101T000000000Z?wait=60s"), 404)


def test_long_polls_end_with_the_job_and_have_a_cap(demo):
    polls = [demo.connect() for _ in range(64)]
    try:
        for poll in polls:
            poll.sendall(wait_request("60s"))
        wait_until(lambda: demo.get(f"/api/v1/jobs/{RUNNING}?wait=1ms").status == 503, "the cap to be reached")
        refused = demo.get(f"/api/v1/jobs/{RUNNING}?wait=60s")
        check_problem(refused, 503)
        assert int(refused.headers["Retry-After"]) >= 1
        assert demo.get(f"/api/v1/jobs/{RUNNING}").status == 200
        assert not select.select(polls, [], [], 0)[0]
        demo.process.send_signal(signal.SIGUSR1)
        assert {answer_of(poll).json["state"] for poll in polls} == {"completed"}
    finally:
        for poll in polls:
            poll.close()


def test_a_poll_whose_client_left_frees_its_place(demo):
    polls = [demo.connect() for _ in range(64)]
    for poll in polls:
        poll.sendall(wait_request("60s"))
    wait_until(lambda: demo.get(f"/api/v1/jobs/{RUNNING}?wait=1ms").status == 503, "the cap to be reached")
    for poll in polls:
        poll.close()
    wait_until(lambda: demo.get(f"/api/v1/jobs/{RUNNING}?wait=1ms").status == 200, "free places", timeout=10)


def test_stopping_answers_all_who_wait(tmp_path):
    demo = Demo(tmp_path)
    polls = [demo.connect() for _ in range(20)]
    for poll in polls:
        poll.sendall(wait_request("60s"))
    slow = UnixConnection(demo.socket_path, 30)
    slow.request("POST", "/api/v1/jobs", body="slow", headers={"Idempotency-Key": "k"})
    idle = [demo.connect() for _ in range(20)]
    busy = wait_until(lambda: demo.request("POST", "/api/v1/jobs", unix=True, body="slow",
                                           headers={"Idempotency-Key": "k"}), "the first to be under way")
    check_problem(busy, 409)
    demo.get("/healthz")
    demo.stop()
    assert {answer_of(poll).json["state"] for poll in polls} == {"running"}
    check_problem(Reply(slow.getresponse()), 503)
    for connection in [*polls, *idle, slow]:
        connection.close()


@pytest.mark.parametrize("data", [
    b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A" * 50000, b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET  HTTP/1.1\r\n\r\n", b"\r\n" * 1000, b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50], ids=lambda data: repr(data[:24]))
def test_nonsense_harms_nobody(demo, data):
    with demo.connect() as connection:
        try:
            connection.sendall(data)
            if select.select([connection], [], [], 0.2)[0]:
                connection.recv(65536)
        except ConnectionError:
            pass
        assert demo.get("/healthz").status == 200


def test_a_client_that_closed_its_side_is_answered_and_left(demo):
    started = time.monotonic()
    assert b" 200 " in demo.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert time.monotonic() - started < 5


def test_pipelined_requests_are_answered_in_order(demo):
    asked = b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for path in (
        b"/healthz", b"/nothing", b"/api/v1/jobs/%s?wait=100ms" % RUNNING.encode()))
    answered = demo.raw(asked + wait_request("0s"), half_close=False)
    assert re.findall(rb"HTTP/1.1 (\d+)", answered) == [b"200", b"404", b"200", b"200"]


@pytest.fixture
def many_fds():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("not enough descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# What each client sends, and how many there are: long answers are work, not only waiting.
CLIENTS = {"silent": (1200, b""), "slow": (1200, b"GET /metrics HTTP/1.1\r\nHost: local"),
           "idle": (1200, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
           "not reading": (200, b"GET /api/v1/jobs?limit=300 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
           "waiting": (1200, wait_request("60s"))}


@pytest.mark.parametrize("n_clients,opening", CLIENTS.values(), ids=CLIENTS.keys())
def test_bad_clients_do_not_delay_a_scrape(many_fds, tmp_path, n_clients, opening):
    demo = Demo(tmp_path, 1000, 1000)
    connections = []
    slowest = 0
    try:
        for n in range(n_clients):
            connection = demo.connect()
            connections.append(connection)
            try:
                connection.sendall(opening)
            except ConnectionError:
                pass  # evicted already: that is how the others are served
            if n % (n_clients // 10) == 0:
                slowest = max(slowest, scrape_seconds(demo))
        for _ in range(5):
            for connection in connections[::10]:
                try:
                    connection.sendall(b"x")
                except OSError:
                    pass
            slowest = max(slowest, scrape_seconds(demo))
    finally:
        for connection in connections:
            connection.close()
    assert slowest < (5 if IS_SANITIZED else 1)
    demo.stop()


def test_answers_that_nobody_takes_have_a_bound(many_fds, tmp_path):
    demo = Demo(tmp_path, 1000, 1)
    size = len(demo.get("/api/v1/jobs?limit=1000").body)
    n_fit = (64 << 20) // size
    connections = []
    for _ in range(n_fit + 40):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", demo.port))
        connection.sendall(b"GET /api/v1/jobs?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connections.append(connection)
    assert demo.get("/healthz").status == 200
    taken = [len(answer_or_less(connection)) > size for connection in connections]
    assert not all(taken) and all(taken[-20:])
    demo.stop()


def answer_or_less(connection):
    with connection:
        connection.shutdown(socket.SHUT_WR)
        chunks = []
        try:
            while chunk := connection.recv(1 << 20):
                chunks.append(chunk)
        except ConnectionError:
            pass
        return b"".join(chunks)


def scrape_seconds(demo):
    started = time.monotonic()
    assert demo.get("/metrics").status == 200
    return time.monotonic() - started


def test_a_byte_a_second_does_not_buy_time(demo):
    """The request's deadline is for all of it."""
    with demo.connect() as connection:
        started = time.monotonic()
        with pytest.raises((ConnectionError, AssertionError)):
            for byte in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n":
                connection.sendall(bytes([byte]))
                if select.select([connection], [], [], 0.5)[0]:
                    assert connection.recv(1)
        assert 8 < time.monotonic() - started < 15
