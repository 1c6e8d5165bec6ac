# SPDX-License-Identifier: MIT
"""A call that fails: the nth one, once or from then on, in any process.

The job completes with the very same bytes or fails with a reason from the list; the old target is
whole; nothing is left; and when the fault is over, the daemon does the next job.
"""
from collections import Counter
from dataclasses import dataclass

import pytest

import oracle
import scale
import strace
import world
from harness import IS_SANITIZED, spec_of, wait_until

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="the leak sanitizer cannot work under strace")

ERRORS = {  # call: the errors that it is given
    **dict.fromkeys(("write", "pwrite64", "ftruncate", "fallocate"), ("ENOSPC", "EIO")),
    **dict.fromkeys(("fsync", "fdatasync"), ("EIO", "ENOSPC")),
    **dict.fromkeys(("rename", "renameat", "renameat2"), ("EIO", "ENOSPC")),
    **dict.fromkeys(("open", "openat", "openat2"), ("EMFILE", "ENOSPC", "EIO", "ENOMEM")),
    **dict.fromkeys(("read", "pread64"), ("EIO",)),
    "mmap": ("ENOMEM",),  # not brk: it says no by the old end, so the C library takes an error for a large address
    **dict.fromkeys(("fork", "vfork", "clone", "clone3"), ("ENOMEM", "EAGAIN")),
    **dict.fromkeys(("mkdir", "mkdirat", "unlinkat"), ("EIO", "ENOSPC")),
    **dict.fromkeys(("pipe2", "dup", "dup2", "socketpair", "memfd_create", "timerfd_create", "pidfd_open"), ("EMFILE",)),
    **dict.fromkeys(("fcntl", "newfstatat", "fstat", "sendmsg", "recvmsg"), ("ENOMEM",)),
}
MODES = ("daemon", "storage", "prepare", "convert")


@dataclass(frozen=True)
class Fault:
    mode: str
    call: str
    number: int
    error: str
    is_once: bool

    def options(self):
        return strace.inject(self.call, f"error={self.error}", self.number if self.is_once else f"{self.number}+")


class Bench(strace.Trees):
    def points(self):
        """(mode, call, number) of every call with errors of its own that one job makes, in any process."""
        trace = self.folder / "daemon.trace"
        names = "trace=" + ",".join(sorted(ERRORS))
        stand_in, daemon = self.tree(["strace", "-D", "-q", "-o", str(trace), "-e", names])
        for mode in MODES[1:]:
            stand_in.arm(mode, ["-e", names], is_once=False)
        case = world.Case(daemon.start(), self.dataset)
        case.check_completed(case.wait(case.drop()))
        daemon.stop()
        found = []
        for mode in MODES:
            traces = [trace.read_text()] if mode == "daemon" else stand_in.traces(mode)
            most = max((strace.counts_of(text) for text in traces), key=lambda count: sum(count.values()))
            # Of thousands of calls that are alike the first ones stand for all.
            found += [(mode, name, number) for name, number in strace.points_of(most) if number <= 40]
        return found


@pytest.fixture
def bench(tmp_path, short_data):
    strace.require_strace(tmp_path)
    bench = Bench(tmp_path, short_data)
    yield bench
    bench.destroy()


def wait_begun(daemon):
    """Until it is ready or has ended, or a while: it may also wait for the fault to go away."""
    def has_begun():
        try:
            return daemon.is_ready()
        except AssertionError:
            return True  # it has ended
    try:
        wait_until(has_begun, "its start or its end", timeout=5)
    except AssertionError:
        pass


def begin(bench, fault):
    """A daemon that meets the fault, as far as it comes."""
    trace = bench.folder / f"{bench.n_trees}.trace"
    is_daemon = fault.mode == "daemon"
    stand_in, daemon = bench.tree(["strace", "-D", "-q", "-o", str(trace), *fault.options()] if is_daemon else ())
    if not is_daemon:
        stand_in.arm(fault.mode, fault.options(), fault.is_once)
    daemon.spawn()
    wait_begun(daemon)
    return stand_in, daemon, trace


def end_fault(stand_in, daemon, fault, is_hit):
    """Nothing fails from now on; what only a new process can be rid of gets one."""
    stand_in.disarm()
    if fault.is_once and (is_hit or fault.mode != "daemon"):
        wait_begun(daemon)  # it may be on its way out
        if daemon.process.poll() is None:
            return
    daemon.wrapper = []
    if daemon.process.poll() is None:
        daemon.kill()
    daemon.start()


def try_fault(bench, fault, figures):
    stand_in, daemon, trace = begin(bench, fault)
    case = world.Case(daemon, bench.dataset)
    case.drop(wait=False)
    patience = 10 if fault.is_once else 2
    faults, job = [], None
    try:
        job_id = case.id() if daemon.process.poll() is None else None
    except (AssertionError, OSError, ValueError):
        job_id = None
    if job_id:
        job = world.wait_ended(daemon, job_id, patience)
    if job:
        faults += [f"at first: {text}" for text in case.faults_of(job)]
    traces = [trace.read_text()] if fault.mode == "daemon" and trace.exists() else stand_in.traces(fault.mode)
    is_hit = strace.was_hit(traces)
    end_fault(stand_in, daemon, fault, is_hit)
    wait_until(daemon.is_ready, "the daemon to answer when the fault is over")
    job_id = job_id or case.id()
    after = case.wait(job_id)
    faults += case.faults_of(after, figures)
    if job and job["state"] == "completed" and after["state"] != "completed":
        faults.append(f"was completed, and is {after['state']} at the next start")
    follower = world.Case(daemon, bench.dataset, "next")
    follower.older = case.older
    last = follower.wait(follower.drop())
    if last["state"] != "completed":
        faults.append(f"the next job was {last['state']}: {last['reason']}")
    faults += follower.faults_of(last, figures)
    figures.failed += after["state"] != "completed"
    return is_hit, faults + world.stop_and_search(daemon, figures)


def faults_at(harm, points, rng, is_once):
    """Each kind of call in each process comes once before any comes again, so that a sample has something of all."""
    rng.shuffle(points)
    seen = Counter()

    def turn(point):
        seen[point[:2]] += 1
        return seen[point[:2]]
    points.sort(key=turn)
    n = scale.number(harm)
    return [Fault(mode, call, number, rng.choice(ERRORS[call]), is_once) for mode, call, number in points[:n]]


def test_any_call_may_fail_once(bench, report, rng):
    harm = "a call fails once"
    strace.try_each(harm, faults_at(harm, bench.points(), rng, True), try_fault, bench, report)


def test_what_the_daemon_cannot_ask_for_is_asked_for_later(bench, report, rng):
    """A request that is not sent for want of memory or descriptors, wherever in a job's life, leaves nothing undone."""
    harm = "a request cannot be sent"
    points = [Fault("daemon", call, number, rng.choice(ERRORS[call]), True) for mode, call, number in bench.points()
              if mode == "daemon" and call in ("sendmsg", "memfd_create", "fcntl")]
    strace.try_each(harm, scale.sample(harm, points, rng), try_fault, bench, report)


def test_any_call_may_fail_for_ever(bench, report, rng):
    harm = "a call fails for ever"
    strace.try_each(harm, faults_at(harm, bench.points(), rng, False), try_fault, bench, report)


def test_bytes_that_were_never_written_are_not_published(bench):
    """A write that claims success and did nothing: the account knows how long the output must be."""
    stand_in, daemon = bench.tree()
    daemon.settings["chunk_size"] = "64MiB"  # one chunk: then the end of the file is what is missing
    stand_in.arm("convert", strace.inject("pwrite64", f"retval={len(bench.dataset.output)}", 1))
    case = world.Case(daemon.start(), bench.dataset, workers=1)
    job = case.wait(case.drop())
    assert (job["state"], job["reason"]) == ("failed", "internal"), job
    assert strace.was_hit(stand_in.traces("convert"))
    assert not (faults := case.faults_of(job)), faults
    assert not (left := world.stop_and_search(daemon)), left


def test_space_that_cannot_be_allocated_ahead_costs_nothing(bench):
    """Only what the rows need must be there: the write says when it is not."""
    n_rows = 1 << 20
    stand_in, daemon = bench.tree()
    daemon.settings["chunk_size"] = "512KiB"
    stand_in.arm("convert", strace.inject("fallocate", "error=ENOSPC", "1+"))
    daemon.write("large.csv", b"a,b\n" + b"1234567,abcdefg\n" * n_rows)
    job = daemon.start().run(spec_of("large.csv", "large.jsonl", workers=1))
    assert strace.was_hit(stand_in.traces("convert"))
    assert job["state"] == "completed", job
    assert daemon.read("large.jsonl") == oracle.to_json(["a", "b"], ["1234567", "abcdefg"]).encode() * n_rows
    assert not (left := world.stop_and_search(daemon)), left


def test_a_sync_that_failed_is_not_made_good_by_a_later_one(bench):
    """The rejects that stay in the state are synced before the commit: what then failed is converted again."""
    stand_in, daemon = bench.tree()
    daemon.settings["checkpoint_interval"] = "1h"
    case = world.Case(daemon.start(), bench.dataset)
    case.check_completed(case.wait(case.drop()))  # from here on the next storage process is a job's own
    del case.spec["errors"]
    stand_in.arm("storage", strace.inject("fsync", "error=EIO", 1))
    job = case.wait(case.drop())
    assert strace.was_hit(stand_in.traces("storage"))
    assert "trying again" in daemon.log and "goes on after" not in daemon.log, daemon.log[-3000:]
    assert job["state"] == "completed" and daemon.read("out.jsonl") == bench.dataset.output, job
    assert not (left := world.stop_and_search(daemon)), left
