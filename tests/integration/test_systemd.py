# SPDX-License-Identifier: MIT
"""The shipped units under a real systemd: what it is told, what it does, and that no row is lost by it.

The machine is booted once; each test starts from a service as just installed. All jobs run inside the
shipped sandbox.
"""
import http.client
import re
import threading
from contextlib import contextmanager

import pytest

from harness import BUILD, IS_SANITIZED, spec_of, wait_until
from machine_service import CONFIG, SOCKET_UNIT, UNIT, Service
from systemd_machine import Machine, obstacle

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="a machine is booted once, with the build that ships")
JOURNAL_UNIT = "systemd-journald.service"
MAX_EXPOSURE = 13  # tenths: 15 is what is promised, this is what the manual says
N_RESTARTS = 50


@pytest.fixture(scope="module")
def machine():
    reason = obstacle()
    if reason:
        pytest.skip(reason)
    with Machine() as booted:
        booted.install(BUILD)
        yield booted


@pytest.fixture(scope="module")
def installed(machine):
    return Service(machine)


@pytest.fixture
def service(installed):
    installed.reset()
    yield installed
    installed.machine.systemctl("stop", SOCKET_UNIT, UNIT)


def test_the_units_are_sound(machine, installed):
    done = machine.run(["systemd-analyze", "verify", "--man=no", UNIT, SOCKET_UNIT], check=False)
    assert done.returncode == 0 and not done.stdout + done.stderr


def test_what_ships_is_patient_where_the_tests_are_not(service):
    service.start()
    assert (service.show("WatchdogUSec"), service.show("RestartUSec")) == ("30s", "5s")
    assert (service.show("Restart"), service.show("OOMPolicy")) == ("on-failure", "continue")


@pytest.mark.parametrize("offline", [True, False])
def test_the_sandbox_is_tight(machine, service, offline):
    service.start()
    options = ["--offline=true", f"/usr/lib/systemd/system/{UNIT}"] if offline else [UNIT]
    done = machine.run(["systemd-analyze", "security", f"--threshold={MAX_EXPOSURE}", *options], check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Overall exposure level for \S+: \d", done.stdout), done.stdout


def test_no_call_of_a_job_meets_the_filter(service):
    """Whatever the filter refuses is a death here, not an error that somebody may have got over."""
    job_id = service.start_slow("SystemCallErrorNumber=kill")
    service.write("in.csv", 'a,b\n1,"2\n3"\nbad\n4,5\n')
    job = service.run(spec_of("in.csv", "out/o.jsonl", errors={"path": "out/e.jsonl"}))
    assert job["state"] == "failed" and job["reason"] == "output_unwritable", job
    job = service.run(spec_of("in.csv", "o2.jsonl", errors={"path": "e.jsonl"}))
    assert (job["state"], job["success_count"], job["error_count"]) == ("completed", 2, 1), job
    service.expect_slow(job_id)
    assert not service.metric("zooparallel_worker_exits_total", cause="signal")
    assert service.show("NRestarts") == "0"


def test_it_is_ready_once_the_spool_is_scanned_and_the_port_listens(service):
    """Not before, although a job that it goes on with has started meanwhile."""
    service.start_slow()
    service.stop()
    # Its first look into the spool takes long; strace -D stays out of the line of processes.
    service.drop_in("ExecStart=", "ExecStart=strace -D -f -o /dev/null -e trace=getdents64 "
                    "-e inject=getdents64:delay_enter=300ms /usr/sbin/zooparalleld",
                    "SystemCallFilter=", "RestrictNamespaces=no")
    service.machine.systemctl("start", "--no-block", UNIT)
    seen = set()
    while True:
        state = service.show("ActiveState")
        try:
            status = service.get("/readyz").status
        except OSError:
            status = None
        assert state == "activating" or (state, status) == ("active", 200), service.log
        seen.add((state, status))
        if state == "active":
            break
    assert ("activating", 503) in seen, seen
    assert service.curl("/readyz", "--fail").returncode == 0


def test_the_status_line_says_what_it_does(service):
    line = r"{} running, {} pending, ({}) rows/s; {} completed, {} failed"
    job_id = service.start_slow()
    wait_until(lambda: re.fullmatch(line.format(1, 0, r"[\d,]{4,}", 0, 0), service.show("StatusText")), "its rate")
    service.expect_slow(job_id)
    service.run(spec_of("missing.csv", "o2"))
    wait_until(lambda: re.fullmatch(line.format(0, 0, 0, 1, 1), service.show("StatusText")), "its end")


def harm_by_watchdog(service):
    service.signal("SIGSTOP")


def harm_by_kill(service):
    service.signal("SIGKILL")


@pytest.mark.parametrize("harm, result", [(harm_by_watchdog, "watchdog"), (harm_by_kill, "signal")])
def test_a_dead_or_hung_daemon_is_replaced_and_the_job_goes_on(service, harm, result):
    job_id = service.start_slow("WatchdogSec=1s")
    n_rows, pid = service.wait_for_rows(job_id), service.pid
    harm(service)
    service.wait_for_another(pid)
    assert any(f"result '{result}'" in message for message in service.messages()), service.log
    assert service.job(job_id)["accepted_processed"] >= n_rows
    service.expect_slow(job_id)
    assert service.show("NRestarts") == "1"


def test_an_idle_daemon_is_not_taken_for_a_hung_one(service):
    service.drop_in("WatchdogSec=300ms")
    service.start()
    pid = service.pid
    # Time is what this is about: several of these watchdogs.
    wait_until(lambda: float(service.show("WatchdogTimestampMonotonic")) >
               float(service.show("ActiveEnterTimestampMonotonic")) + 1.5e6, "a second and a half")
    assert service.pid == pid and service.show("NRestarts") == "0"


@contextmanager
def watched_rows(service):
    """A scraper that never rests: whenever somebody answers, no less was ever counted than before."""
    seen, is_over = [], threading.Event()

    def watch():
        while not is_over.wait(0.01):
            try:
                seen.append(service.rows())
            except (OSError, http.client.HTTPException):
                pass  # between two daemons

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        is_over.set()
        watcher.join()
    falls = [pair for pair in zip(seen, seen[1:]) if pair[0] > pair[1]]
    assert not falls, f"the counter went back {len(falls)} times in {len(seen)}: {falls[:3]}"


def test_fifty_restarts_under_load_lose_nothing(service):
    """Half of them by systemctl, half by SIGKILL; rows, outputs and counters are exact in the end."""
    n_slow, n_small = 1 << 19, 20000
    job_id = service.start_slow(n_rows=n_slow)
    service.write("in.csv", b"a,b\n" + b"1234567,abcdefg\n" * n_small)
    small = [f"small-{i}" for i in range(N_RESTARTS // 2)]
    with watched_rows(service) as seen:
        for i in range(N_RESTARTS):
            if i % 2:
                service.machine.systemctl("restart", UNIT)
            else:
                pid = service.pid
                service.signal("SIGKILL")
                service.wait_for_another(pid)
                service.drop(spec_of("in.csv", f"{small[i // 2]}.jsonl"), small[i // 2])
    assert len(seen) > N_RESTARTS and max(seen) > 0
    service.expect_slow(job_id, n_slow, timeout=120)
    for name in small:
        assert service.wait_job(service.id_of(name))["state"] == "completed"
        service.expect_rows(f"{name}.jsonl", n_small)
    assert service.rows() == n_slow + n_small * len(small)
    assert not list(service.data.glob(".zp-*.part"))


def test_it_stops_in_order_under_load(service):
    job_id = service.start_slow()
    service.stop()
    assert (service.show("ActiveState"), service.show("Result")) == ("inactive", "success"), service.log
    assert service.show("ExecMainStatus") == "0"
    assert not [message for message in service.messages() if re.search(r"Killing|timed out", message)]
    assert not (service.data / "slow.jsonl").exists()
    service.start()
    service.expect_slow(job_id)


def test_sighup_reloads_and_an_error_keeps_the_old(service):
    service.start()
    pid = service.pid
    service.configure("expose_rows = true")
    service.machine.systemctl("reload", UNIT)
    wait_until(lambda: "the configuration was reloaded" in service.log, "the reload")
    service.configure("expose_rows = perhaps")
    service.machine.systemctl("reload", UNIT)
    wait_until(lambda: "the configuration has an error" in service.show("StatusText"), "the status line")
    assert re.search(rf"{CONFIG}:\d+: .*expose_rows", service.log), service.log
    assert service.metric("zooparallel_config_last_reload_successful") == 0
    service.configure()
    service.machine.systemctl("reload", UNIT)
    wait_until(lambda: "error" not in service.show("StatusText"), "the status line")
    assert (service.pid, service.show("ActiveState")) == (pid, "active")


@pytest.mark.parametrize("text, said", [("max_jobs = 4\nmax_job = 4\n", rf"{CONFIG}:2: .*max_job"), (None, CONFIG)])
def test_a_wrong_configuration_is_told_and_not_tried_again(service, text, said):
    """With a line where there is one; without rights to read it there is none.

    The journal reads of it when the daemon is gone already, and must still know whose word it is.
    """
    service.drop_in()
    if text is None:
        service.machine.path(CONFIG).chmod(0)
    else:
        service.machine.put(text, CONFIG)
    service.machine.systemctl("kill", "--signal=SIGSTOP", JOURNAL_UNIT)
    started = service.machine.systemctl("start", UNIT, check=False)
    service.machine.systemctl("kill", "--signal=SIGCONT", JOURNAL_UNIT)
    assert started.returncode != 0
    assert (service.show("ActiveState"), service.show("ExecMainStatus")) == ("failed", "2"), service.log
    assert service.show("NRestarts") == "0"
    errors = service.messages("PRIORITY=3", "SYSLOG_IDENTIFIER=zooparalleld")
    assert re.search(said, errors[-1]), errors


def test_a_data_root_that_the_sandbox_closes_is_named(service):
    root = "/var/elsewhere"
    service.machine.run(["install", "-d", "-o", "zooparallel", "-m", "0750", root])
    service.machine.put("a\n1\n", f"{root}/in.csv")
    service.configure(f'data_roots = {{"/srv/zooparallel", "{root}"}}')
    service.start()
    reply = service.get("/readyz")
    assert reply.status == 503 and f"ReadWritePaths={root}" in reply.text, reply.text
    assert "/srv/zooparallel" not in reply.text
    assert f"ReadWritePaths={root}" in service.log
    spec = spec_of(f"{root}/in.csv", f"{root}/o.jsonl")
    assert service.run(spec)["reason"] == "output_unwritable"
    service.drop_in(f"ReadWritePaths={root}")
    service.machine.systemctl("restart", UNIT)
    assert service.get("/readyz").status == 200
    assert service.run(spec)["state"] == "completed"


def test_the_journal_has_fields(service):
    job_id = service.start_slow()
    service.kill_worker()
    service.expect_slow(job_id)
    entries = service.journal(f"JOB={job_id}")
    assert {entry["SYSLOG_IDENTIFIER"] for entry in entries} == {"zooparalleld"}
    assert {entry["_SYSTEMD_UNIT"] for entry in entries} == {UNIT}
    deaths = [entry for entry in entries if "WORKER" in entry]
    assert deaths and all(entry["WORKER"].isdigit() for entry in deaths), entries
    assert {entry["PRIORITY"] for entry in deaths} == {"4"}
    assert any("completed" in entry["MESSAGE"] and entry["PRIORITY"] == "5" for entry in entries), entries


def test_a_worker_that_is_killed_for_memory_leaves_the_unit_active(service):
    """One row that needs far more than the unit may have, until the unit may have more."""
    service.drop_in("MemoryMax=40M")
    service.start()
    if not service.show("MemoryCurrent").isdigit():
        pytest.skip("the kernel gives this machine no control over memory")
    pid, row = service.pid, "x" * (24 << 20)
    service.write("in.csv", f"a\n{row}\n")
    service.drop(spec_of("in.csv", "o.jsonl", input={"max_row_bytes": 64 << 20}), "large")
    job_id = service.id_of("large")
    wait_until(lambda: service.metric("zooparallel_worker_exits_total", cause="oom"), "a kill by the kernel")
    assert service.job(job_id)["state"] == "running"
    service.machine.systemctl("set-property", "--runtime", UNIT, "MemoryMax=infinity")
    job = service.wait_job(job_id)
    assert (job["state"], job["success_count"]) == ("completed", 1), job
    assert service.read("o.jsonl") == f'{{"a":"{row}"}}\n'.encode()
    assert (service.pid, service.show("ActiveState"), service.show("NRestarts")) == (pid, "active", "0")


def test_a_socket_unit_starts_the_service_and_outlives_it(service):
    # Somebody else's port: were it asked for, the start would fail.
    service.configure('listen = "127.0.0.1:1"')
    service.drop_in("RestartSec=1s")
    service.machine.systemctl("start", SOCKET_UNIT)
    assert service.show("ActiveState") == "inactive"
    assert '"jobs"' in service.curl("/api/v1/jobs", "--fail").stdout
    assert service.show("ActiveState") == "active"
    assert service.port == 9917
    service.signal("SIGKILL")
    wait_until(lambda: service.show("ActiveState") != "active", "its death")
    assert service.curl("/healthz", "--fail").returncode == 0
    service.machine.systemctl("restart", UNIT)
    assert service.curl("/healthz", "--fail").returncode == 0
    service.machine.systemctl("stop", SOCKET_UNIT, UNIT)
    assert service.curl("/healthz", check=False).returncode == 7  # refused
