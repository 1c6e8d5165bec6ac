# SPDX-License-Identifier: MIT
"""The daemon behind a real nginx with the configuration that is shipped: TLS, passwords, reading only."""
import base64
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from threading import Thread

import pytest

from conftest import finish
from harness import IS_SANITIZED, OPENMETRICS, PATIENCE, TOP, Daemon, Reply, check_metrics, spec_of, start_slow, wait_until
from prometheus import Prometheus, config_of, free_port, scrape_job

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="nginx and Prometheus are no program of ours")

SHIPPED = (TOP / "conf" / "nginx" / "zooparallel.conf").read_text()
NAME = "etl.example.com"
PASSWORD = "correct horse"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def replaced(text, *pairs):
    """The text with what a test must have otherwise; each of them must be in it."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1",
                    "-keyout", folder / "key", "-out", folder / "crt"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_passwords(folder):
    """By the very command of the file's head, but that it is not asked for the password."""
    assert "openssl passwd -6)" in SHIPPED
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, text=True, stdout=subprocess.PIPE).stdout
    (folder / "htpasswd").write_text(f"prometheus:{hashed}")
    (folder / "password").write_text(PASSWORD)


class Proxy:
    """nginx in one process, as whoever runs the test, with nothing of the machine's configuration.

    What that may have set, the shipped file must set otherwise where it matters: gzip.
    """

    def __init__(self, folder, daemon_port):
        self.folder, self.port = folder, free_port()
        make_certificate(folder)
        make_passwords(folder)
        site = replaced(SHIPPED, ("listen 443 ", f"listen 127.0.0.1:{self.port} "), ("listen [::]:443 ssl http2;", ""),
                        ("127.0.0.1:9917", f"127.0.0.1:{daemon_port}"), ("/etc/nginx/zooparallel.crt", f"{folder}/crt"),
                        ("/etc/nginx/zooparallel.key", f"{folder}/key"), ("auth_basic_user_file /etc/nginx/zooparallel.",
                                                                          f"auth_basic_user_file {folder}/"))
        (folder / "site.conf").write_text(site)
        paths = "\n".join(f"{kind}_temp_path {folder}/temp;" for kind in "client_body proxy fastcgi uwsgi scgi".split())
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
            f"http {{ access_log off; gzip on; gzip_types *; {paths}\ninclude {folder}/site.conf; }}\n")
        command = ["setpriv", "--pdeathsig", "TERM", NGINX, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
        check = subprocess.run([*command, "-t"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert check.returncode == 0 and "warn" not in check.stdout, check.stdout
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(self.is_there, "nginx")

    def is_there(self):
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        self.process.wait(PATIENCE)

    def context(self):
        return ssl.create_default_context(cafile=self.folder / "crt")

    def request(self, method, path, password=PASSWORD, host=NAME, headers=(), body=None):
        """Over TLS, to this name, whose certificate is checked."""
        sock = self.context().wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE),
                                          server_hostname=NAME)
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = sock
        headers = {"Host": host, **dict(headers)}
        if password is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode()
        try:
            connection.request(method, path, headers=headers, body=body)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **keys):
        return self.request("GET", path, **keys)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(daemon, proxy) with a job done and one that waits to be let run."""
    folder = tmp_path_factory.mktemp("proxy")
    daemons = []

    def start(**settings):
        daemons.append(Daemon(folder / "tree", **settings))
        return daemons[-1].start()
    try:
        daemon = start_slow(start, allowed_hosts=NAME)
        daemon.write("in.csv", "a,b\n1,2\nbad\n3,4\n")
        assert daemon.run(spec_of("in.csv", "out"), "small")["error_count"] == 1
        proxy = Proxy(folder, daemon.port)
        try:
            yield daemon, proxy
            assert not re.search(r"\[(error|crit|alert|emerg)\](?!.*(password mismatch|access forbidden|client closed))",
                                 (folder / "error.log").read_text())
        finally:
            proxy.stop()
    finally:
        finish(daemons)


def routes(daemon):
    job_id = daemon.find("small")["id"]
    return ["/readyz", "/api/v1/jobs", "/api/v1/jobs?pretty&limit=1", f"/api/v1/jobs/{job_id}",
            f"/api/v1/jobs/{job_id}/workers", f"/api/v1/jobs/{job_id}/errors", "/nothing", "/api/v1/jobs?limit=x"]


@pytest.mark.parametrize("password", [None, "", "wrong", PASSWORD + "x"])
def test_without_the_password_there_is_nothing(world, password):
    daemon, proxy = world
    for path in ["/", "/metrics", *routes(daemon)]:
        for method in ("GET", "HEAD"):
            reply = proxy.request(method, path, password=password)
            assert reply.status == 401 and reply.headers["WWW-Authenticate"] == 'Basic realm="ZooParallel"'
            assert "zooparallel_" not in reply.text and "small" not in reply.text


def test_with_it_there_are_the_same_bytes(world):
    daemon, proxy = world
    for path in routes(daemon):
        direct, behind = daemon.get(path), proxy.get(path)
        assert (behind.status, behind.body) == (direct.status, direct.body), path
        for header in ("Content-Type", "Content-Length", "ETag", "Cache-Control", "X-Content-Type-Options",
                       "Content-Security-Policy", "Vary"):
            assert behind.headers[header] == direct.headers[header], (path, header)
        head = proxy.request("HEAD", path)
        assert (head.status, head.body) == (direct.status, b"")
    assert proxy.get("/").status == proxy.get("/healthz").status == proxy.get("/api/v1/status").status == 200


def test_metrics_come_through_in_both_formats(world):
    daemon, proxy = world
    for accept in ("text/plain", OPENMETRICS):
        direct, behind = (ask("/metrics", headers={"Accept": accept}) for ask in (daemon.get, proxy.get))
        assert behind.headers["Content-Type"] == direct.headers["Content-Type"]
        is_modern = accept == OPENMETRICS
        assert check_metrics(behind.text, is_modern).keys() == check_metrics(direct.text, is_modern).keys()


def test_what_has_not_changed_and_what_is_compressed_stays_so(world):
    daemon, proxy = world
    path = routes(daemon)[3]
    tag = proxy.get(path).headers["ETag"]
    same = proxy.get(path, headers={"If-None-Match": tag})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
    n_packed = 0
    for path in routes(daemon):
        direct, behind = (ask(path, headers={"Accept-Encoding": "gzip"}) for ask in (daemon.get, proxy.get))
        for header in ("Content-Encoding", "ETag", "Content-Length"):
            assert behind.headers[header] == direct.headers[header], (path, header)
        assert behind.body == direct.body
        n_packed += direct.headers["Content-Encoding"] == "gzip"
    assert n_packed


def test_it_is_encrypted(world):
    _, proxy = world
    with socket.create_connection(("127.0.0.1", proxy.port)) as plain:
        with proxy.context().wrap_socket(plain, server_hostname=NAME) as connection:
            assert connection.version() == "TLSv1.3" and connection.getpeercert()["subject"][0][0][1] == NAME
    with socket.create_connection(("127.0.0.1", proxy.port)) as plain:
        plain.sendall(f"GET /api/v1/jobs HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        assert plain.makefile("rb").readline().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("version,accepted", [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(world, version, accepted):
    _, proxy = world
    context = proxy.context()
    context.set_ciphers("ALL:@SECLEVEL=0")  # the client itself would not speak them
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with socket.create_connection(("127.0.0.1", proxy.port)) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=NAME) as connection:
                assert accepted, connection.version()
        except (ssl.SSLError, ConnectionError) as error:
            assert not accepted and "ALERT_PROTOCOL_VERSION" in str(error), error


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(world, method):
    daemon, proxy = world
    job_id = daemon.find("small")["id"]
    for path in ("/api/v1/jobs", f"/api/v1/jobs/{job_id}", f"/api/v1/jobs/{job_id}/cancel", "/metrics"):
        assert proxy.request(method, path, body='{"version": 1}' if method == "POST" else None).status == 403
    assert daemon.job(job_id)["state"] == "completed"


def test_the_daemon_still_guards_its_names(world):
    _, proxy = world
    for host in (NAME, f"{NAME}:443", "127.0.0.1", f"127.0.0.1:{proxy.port}"):
        assert proxy.get("/readyz", host=host).status == 200, host
    refused = proxy.get("/readyz", host="evil.example")
    assert refused.status == 421 and refused.headers["Content-Type"].startswith("application/problem+json")


def test_the_password_ends_at_the_proxy(world, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        proxy = Proxy(tmp_path, upstream.getsockname()[1])
        try:
            client = Thread(target=proxy.get, args=("/readyz",))
            client.start()
            with upstream.accept()[0] as connection:
                request = connection.recv(65536).decode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                client.join()
        finally:
            proxy.stop()
    assert request.startswith("GET /readyz HTTP/1.1\r\n") and f"\r\nHost: {NAME}\r\n" in request
    assert "authorization" not in request.lower()


def seconds_of(path, pattern):
    return int(re.search(pattern, (TOP / path).read_text())[1])


def test_its_times_fit_the_daemons():
    shipped = "conf/nginx/zooparallel.conf"
    longest_wait = seconds_of("daemon/http/handle.h", r"HANDLE_MAX_WAIT_SECONDS = (\d+),")
    assert seconds_of(shipped, r"proxy_read_timeout (\d+)s;") > longest_wait
    idle = seconds_of("daemon/http/connection.h", r"CONNECTION_IDLE_NS\s+INT64_C\((\d+)000000000\)")
    assert 0 < seconds_of(shipped, r"\skeepalive_timeout (\d+)s;") < idle


def test_a_long_poll_waits_behind_it_too(world):
    daemon, proxy = world
    daemon.drop(spec_of("slow.csv", "slow.out"), "slow")
    job_id = daemon.id_of("slow")
    answers = []
    with daemon.stopped_workers(job_id):
        client = Thread(target=lambda: answers.append(proxy.get(f"/api/v1/jobs/{job_id}?wait=60s").json))
        client.start()
        client.join(1)
        assert client.is_alive(), answers
    client.join(PATIENCE)
    assert answers[0]["state"] == "completed"
    assert answers[0] == daemon.job(job_id)


def shipped_scrape_config(proxy):
    """The part of the example that is commented out, instead of the one that is not."""
    head, other = re.split(r"(?m)^  # Elsewhere.*\n", (TOP / "conf" / "prometheus" / "scrape.yml").read_text())
    other, rules = other.split("rule_files:")
    other = re.sub(r"(?m)^  # ?", "  ", other)
    text = "scrape_configs:\n" + other + "rule_files:" + rules
    return replaced(text, ("['etl.example.com']", f"['127.0.0.1:{proxy.port}']"), ("15s", "500ms"),
                    ("/etc/prometheus/zooparallel.password", f"{proxy.folder}/password"),
                    ("/etc/prometheus/zooparallel.crt", f"{proxy.folder}/crt"),
                    ("/usr/share/zooparallel/prometheus", str(TOP / "conf" / "prometheus")))


def test_prometheus_scrapes_through_it(world, tmp_path):
    daemon, proxy = world
    prometheus = Prometheus(tmp_path, shipped_scrape_config(proxy))
    try:
        prometheus.wait_scraped()
        assert prometheus.value('zooparallel_rows_error_total{pipe="small"}') == 1
        assert prometheus.value('zooparallel_build_info') == 1
    finally:
        prometheus.stop()


def test_prometheus_says_what_is_wrong_with_its_password(world, tmp_path):
    _, proxy = world
    jobs = [scrape_job(proxy.port, scheme="https", tls_config={"ca_file": f"{proxy.folder}/crt"},
                       basic_auth={"username": "prometheus", "password": "wrong"})]
    prometheus = Prometheus(tmp_path, config_of(jobs))
    try:
        wait_until(lambda: [target["health"] for target in prometheus.targets()] == ["down"], "the target to be down")
        assert "401" in prometheus.targets()[0]["lastError"]
        assert prometheus.value("count(zooparallel_build_info)") is None
    finally:
        prometheus.stop()
