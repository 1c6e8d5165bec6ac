# SPDX-License-Identifier: MIT
"""What a worker can still do that someone has taken over.

The worker is the real one with a mind of its own (tests/support/curious_worker.c): at a marked row it
tries what it must not be able to do, from inside the process that has just converted the rows before.
"""
import ctypes
import os
import re
import shutil
from pathlib import Path

import pytest

import conftest
from harness import BUILD, DAEMON, IS_SANITIZED, SLOW, Daemon, spec_of, wait_until

LANDLOCK_CREATE_RULESET = 444
MARK = "mandrake"
ROWS = "a,b\n" + "".join(f"{n},x{n}\n" for n in range(200)) + f"200,{MARK}\n201,last\n"
OUTPUT = "".join(f'{{"a":"{n}","b":"{text}"}}\n' for n, text in
                 [*((n, f"x{n}") for n in range(200)), (200, MARK), (201, "last")]).encode()


def landlock_version():
    """0: the kernel has none."""
    return max(0, ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1))


HAS_FILTERS = (BUILD / "daemon/worker/filter_programs.h").exists()
needs_landlock = pytest.mark.skipif(landlock_version() < 2, reason="this kernel has no Landlock that can move files")
needs_filters = pytest.mark.skipif(not HAS_FILTERS, reason="this build has no filters of system calls")


@pytest.fixture
def start(tmp_path):
    """start(**environment): a daemon with curious workers."""
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(DAEMON, programs / "zooparalleld")
    shutil.copy(BUILD / "tests/support/curious_worker", programs / "zooparallel-worker")
    daemons = []

    def start_one(mode, paths=(), **environment):
        daemons.append(Daemon(tmp_path / "tree", program=programs / "zooparalleld", environment={
            "ZOOPARALLEL_TEST_MARK": MARK, "ZOOPARALLEL_TEST_MODE": mode,
            "ZOOPARALLEL_TEST_PATHS": "\n".join(paths), **environment}, chunk_size=512))
        return daemons[-1].start()

    yield start_one
    conftest.finish(daemons)


def tried(daemon):
    """{(flag, path): error} of what was tried, from the log."""
    return {(flag, path): error for flag, path, error in re.findall(r"curious: (\w) (\S+): (\w+)$", daemon.log, re.M)}


def status(pid):
    return dict(re.findall(r"^(\w+):\t(\S+)$", Path(f"/proc/{pid}/status").read_text(), re.M))


def workers_of(daemon, job_id):
    return daemon.get(f"/api/v1/jobs/{job_id}/workers").json["workers"]


def check_right(daemon, job):
    assert (job["state"], job["success_count"], job["error_count"]) == ("completed", 202, 0), (job, daemon.log[-3000:])
    assert daemon.read("out.jsonl") == OUTPUT
    assert daemon.metric("zooparallel_worker_restarts_total") == 0


def test_every_worker_is_locked_in(tmp_path):
    daemon = Daemon(tmp_path / "tree", chunk_size=24)
    try:
        daemon.start().write("slow.csv", SLOW)
        daemon.drop(spec_of("slow.csv", "o", workers=2), "slow")
        job_id = daemon.id_of("slow")
        # A worker that is locked in still reads what it takes, now and then between two chunks.
        wait_until(lambda: [worker["ram_bytes"] > 0 for worker in workers_of(daemon, job_id)] == [True, True],
                   "what both take")
        with daemon.stopped_workers(job_id) as pids:
            assert len(pids) == 2
            helpers = daemon.worker_pids("storage")
            assert helpers
            for pid in [*pids, *helpers]:
                found = status(pid)
                assert found["NoNewPrivs"] == "1", pid
                assert found["Seccomp"] == ("2" if HAS_FILTERS else "0"), pid
            # The supervisor, which looks at all of them, can still do so.
            wait_until(lambda: daemon.metric("zooparallel_workers_proportional_memory_bytes"), "their memory")
        assert status(daemon.pid)["Seccomp"] == "0"
    finally:
        daemon.destroy()


class Places:
    """What lies around a job: (flag, path) of what there is to open."""

    def __init__(self, tree):
        self.tree = Path(tree)
        self.data, self.spool, self.state, self.run = (self.tree / name for name in ("data", "spool", "state", "run"))
        for path in (self.data / "other.csv", self.data / "in.csv", self.data / "out.old", self.tree / "outside"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(ROWS)

    def lay_another_job(self):
        """Once the daemon has started: it sweeps what it does not know."""
        other = self.state / "jobs" / "another"
        other.mkdir(parents=True)
        (other / "spec.json").write_text("{}")
        stats = self.run / "jobs" / "another"
        stats.mkdir(parents=True)
        (stats / "worker-0.stats").write_bytes(bytes(256))

    def of_the_machine(self):
        return [("r", "/etc/passwd"), ("r", str(self.tree / "outside")), ("w", str(self.tree / "outside")),
                ("c", str(self.tree / "new")), ("r", "/proc/1/environ"), ("r", "/proc/SUPERVISOR/environ"),
                ("r", "/proc/SUPERVISOR/mem"), ("w", "/proc/SUPERVISOR/mem"), ("r", "/proc/SUPERVISOR/cmdline")]

    def of_the_daemon(self):
        other = self.state / "jobs/another/spec.json"
        stats = self.run / "jobs/another/worker-0.stats"
        return [("r", str(self.spool)), ("r", str(self.spool / "incoming")), ("c", str(self.spool / "incoming/new.json")),
                ("r", str(self.state)), ("r", str(other)), ("w", str(other)), ("r", str(self.state / "lock")),
                ("w", str(self.state / "lock")), ("r", str(stats)), ("w", str(stats)),
                ("r", str(self.run / "http.port")), ("c", str(self.run / "new"))]

    def of_other_jobs(self):
        return [("r", str(self.data)), ("r", str(self.data / "other.csv")), ("r", str(self.data / "out.old"))]

    def writable(self):
        return [("w", str(self.data / name)) for name in ("in.csv", "other.csv", "out.old")] + [("c", str(self.data / "new"))]


def lines(places):
    return [f"{flag} {path}" for flag, path in places]


def run_curious(start, places, mode, allowed, refused):
    """Runs the job; all that may be refused was, all else was not, and nothing was made."""
    daemon = start(mode, lines([*allowed, *refused]))
    places.lay_another_job()
    job = daemon.run(spec_of("in.csv", "out.jsonl", workers=2))
    assert tried(daemon) == {**{place: "0" for place in allowed}, **{place: "EACCES" for place in refused}}
    check_right(daemon, job)
    made = [path for flag, path in refused if flag == "c" and Path(path).exists()]
    assert not made, made


@needs_landlock
def test_a_converting_worker_opens_its_inputs_only(start, tmp_path):
    places = Places(tmp_path / "tree")
    run_curious(start, places, "convert", allowed=[("r", str(places.data / "in.csv"))],
                refused=places.of_the_machine() + places.of_the_daemon() + places.of_other_jobs() + places.writable())


@needs_landlock
def test_of_many_inputs_the_folders_stay_open(start, tmp_path):
    """A rule for each would cost every worker a part of its start."""
    places = Places(tmp_path / "tree")
    for n in range(300):
        path = places.data / f"many-{n % 2}" / f"{n:03}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"a,b\n{n},{MARK if n == 250 else 'x'}\n")
    aside = places.data / "many-1" / "aside"
    aside.write_text("a,b\n")
    allowed = [("r", str(aside))]
    refused = places.of_the_machine() + places.of_the_daemon() + places.of_other_jobs() + places.writable()
    daemon = start("convert", lines(allowed + refused))
    places.lay_another_job()
    job = daemon.run(spec_of("many-*/*.csv", "out.jsonl", workers=2))
    assert (job["state"], job["success_count"]) == ("completed", 300), (job, daemon.log[-3000:])
    assert tried(daemon) == {**{place: "0" for place in allowed}, **{place: "EACCES" for place in refused}}


@needs_landlock
def test_a_preparing_worker_reads_below_the_data_roots_only(start, tmp_path):
    """The header is marked, not a row: that is where it looks."""
    places = Places(tmp_path / "tree")
    text = ROWS.replace("a,b\n", f"a,{MARK}\n", 1)
    (places.data / "in.csv").write_text(text)
    allowed = [("r", str(places.data / "in.csv")), *places.of_other_jobs()]
    refused = places.of_the_machine() + places.of_the_daemon() + places.writable()
    daemon = start("prepare", lines(allowed + refused))
    places.lay_another_job()
    job = daemon.run(spec_of("in.csv", "out.jsonl", workers=2))
    assert tried(daemon) == {**{place: "0" for place in allowed}, **{place: "EACCES" for place in refused}}
    assert job["state"] == "completed"
    assert daemon.read("out.jsonl") == OUTPUT.replace(b'"b":', f'"{MARK}":'.encode())


@needs_landlock
def test_a_storage_process_stays_below_the_daemon_s_folders(start, tmp_path):
    places = Places(tmp_path / "tree")
    run_curious(start, places, "storage", allowed=[("w", str(places.state / "jobs/another/spec.json")), ("r", str(places.spool))],
                refused=places.of_the_machine())


# In sanitizer builds the leak sanitizer needs some of these calls itself.
CALLS = [call for call in ("execve", "clone", "socket", "connect", "kill", "tgkill", "ptrace", "process_vm_readv", "rt_sigaction",
                           "open", "unlink", "mprotect", "mmap", "io_uring_setup")
         if not (IS_SANITIZED and call in ("clone", "tgkill", "ptrace", "rt_sigaction", "open"))]


@needs_filters
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_no_worker_makes_ends_the_job_by_name(start, tmp_path, call):
    """Not as a row that kills its worker: no row is rejected, nothing is tried again, nothing is published."""
    Places(tmp_path / "tree")
    daemon = start("convert", ZOOPARALLEL_TEST_CALL=call)
    job = daemon.run(spec_of("in.csv", "out.jsonl", errors={"path": "errors.jsonl", "max_ratio": 1}, workers=2))
    assert (job["state"], job["reason"], job["error_count"]) == ("failed", "internal", 0), (job, daemon.log[-3000:])
    assert f"refuses the system call {call} (" in job["message"], job["message"]
    assert f"error: the sandbox refuses the system call {call} (" in daemon.log
    assert f"curious: {call}" not in daemon.log, "the call was made"
    assert not (daemon.data / "out.jsonl").exists() and not (daemon.data / "errors.jsonl").exists()
    assert daemon.metric("zooparallel_worker_restarts_total") == 0
    daemon.write("next.csv", "a,b\n1,2\n")
    assert daemon.run(spec_of("next.csv", "next.jsonl"))["state"] == "completed"


@needs_filters
def test_a_call_of_a_preparing_worker_ends_the_job_too(start, tmp_path):
    places = Places(tmp_path / "tree")
    (places.data / "in.csv").write_text(f"a,{MARK}\n1,2\n")
    daemon = start("prepare", ZOOPARALLEL_TEST_CALL="execve")
    job = daemon.run(spec_of("in.csv", "out.jsonl"))
    assert (job["state"], job["reason"]) == ("failed", "internal"), job
    assert "was ended by its sandbox" in job["message"], job["message"]
    assert daemon.log.count("refuses the system call execve (") == 1


def test_an_input_that_is_replaced_while_it_is_read_was_changed(tmp_path):
    """Landlock knows the file and refuses the other one: that must not be told as a lack of permission."""
    daemon = Daemon(tmp_path / "tree", chunk_size=24)
    try:
        text = SLOW[:1 << 21]
        daemon.start().write("in-1.csv", text)
        daemon.write("in-2.csv", text)
        daemon.drop(spec_of("in-*.csv", "o", workers=1), "slow")
        job_id = daemon.id_of("slow")
        with daemon.stopped_workers(job_id):
            os.replace(daemon.write("new", text), daemon.data / "in-2.csv")
        job = daemon.wait_job(job_id)
        assert (job["state"], job["reason"]) == ("failed", "input_changed"), job
        assert "in-2.csv" in job["message"]
    finally:
        daemon.destroy()
