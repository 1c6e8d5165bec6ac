# SPDX-License-Identifier: MIT
"""Death at every system call of claim, checkpoint and commit.

Three ways to die there. The storage process alone, as it enters the call: the supervisor has to
find out how far it came. All at once, right after the call: the storage stops itself and the
supervisor is killed, so that what is on the disk is just what the calls up to this one have made.
The supervisor alone, as it enters a call of its own. Each time a daemon without any harm is
started on what is left, and has to come to the right end.
"""
import time
from dataclasses import dataclass

import pytest

import scale
import strace
import world
from harness import IS_SANITIZED, wait_until

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="the leak sanitizer cannot work under strace")

TRACE_ALL = ["-e", "trace=all"]


@dataclass(frozen=True)
class Point:
    phase: str  # "claim": the storage of spool and state; "job": the storage of the job; "daemon"
    name: str
    number: int


class Bench(strace.Trees):
    """Trees on which one point after the other is tried."""

    def storage_points(self):
        """Every call of the two storage processes of one job, as an undisturbed run makes them."""
        stand_in, daemon = self.tree()
        stand_in.arm("storage", TRACE_ALL)
        case = world.Case(daemon.start(), self.dataset)
        stand_in.arm("storage", TRACE_ALL)
        case.check_completed(case.wait(case.drop()))
        daemon.stop()
        counts = [strace.counts_of(trace) for trace in stand_in.traces("storage")]
        assert len(counts) == 2
        # The one that claims has begun before the job, and lists the spool more often.
        counts.sort(key=lambda count: count["renameat2"] - count["getdents64"])
        return [Point(phase, name, number) for phase, count in zip(("claim", "job"), counts)
                for name, number in strace.points_of(count)]

    def daemon_points(self):
        """Every call of the supervisor from its readiness to the job's end."""
        trace = self.folder / "daemon.trace"
        _, daemon = self.tree(["strace", "-D", "-q", "-o", str(trace)])
        case = world.Case(daemon.start(), self.dataset)
        before = strace.counts_of(trace.read_text())
        case.check_completed(case.wait(case.drop()))
        after = strace.counts_of(trace.read_text())
        daemon.stop()
        return [Point("daemon", name, number) for name, number in strace.points_of(after, before)]


@pytest.fixture
def bench(tmp_path, short_data):
    strace.require_strace(tmp_path)
    bench = Bench(tmp_path, short_data)
    yield bench
    bench.destroy()


def arm_storage(stand_in, daemon, case, point, what):
    """Lets the right one of the two storage processes meet its end, and hands in a job."""
    options = strace.inject(point.name, what, point.number)
    if point.phase == "claim":
        stand_in.arm("storage", options)
        daemon.spawn()
    else:
        daemon.start()
        stand_in.arm("storage", options)
    case.drop(wait=False)


def come_to_the_end(daemon, case, figures, may_fail):
    """A daemon that nobody harms: what is wrong with where it arrives."""
    if daemon.process.poll() is not None:
        daemon.start()
    wait_until(daemon.is_ready, "the daemon to be ready")
    job = case.wait(case.id())
    faults = case.faults_of(job, figures)
    if job["state"] != "completed" and not may_fail:
        faults.append(f"it was {job['state']}: {job['reason']}")
    world.wait_receipts(daemon, 1)
    return faults + world.stop_and_search(daemon, figures)


def storage_dies(bench, point, figures):
    stand_in, daemon = bench.tree()
    case = world.Case(daemon, bench.dataset)
    arm_storage(stand_in, daemon, case, point, "signal=KILL")
    # An fsync of which no one knows what became may fail the job, by its name.
    faults = come_to_the_end(daemon, case, figures, may_fail=point.phase == "job")
    return strace.was_hit(stand_in.traces("storage")), faults


def all_die(bench, point, figures):
    stand_in, daemon = bench.tree()
    case = world.Case(daemon, bench.dataset)
    arm_storage(stand_in, daemon, case, point, "signal=STOP")

    def is_over():
        # A storage that stands still holds up what waits for it, and nothing else.
        done = [*(daemon.spool / "done").glob("*"), *(daemon.spool / "failed").glob("*")]
        return strace.was_hit(stand_in.traces("storage")) or done
    deadline = time.monotonic() + 10
    while not is_over() and time.monotonic() < deadline:
        time.sleep(0.002)
    is_hit = strace.was_hit(stand_in.traces("storage"))
    daemon.kill()
    stand_in.disarm()
    return is_hit, come_to_the_end(daemon, case, figures, may_fail=False)


def supervisor_dies(bench, point, figures):
    trace = bench.folder / f"supervisor-{point.name}-{point.number}.trace"
    wrapper = ["strace", "-D", "-q", "-o", str(trace), *strace.inject(point.name, "signal=KILL", point.number)]
    _, daemon = bench.tree(wrapper)
    case = world.Case(daemon, bench.dataset)
    daemon.spawn()
    wait_until(lambda: daemon.process.poll() is not None or daemon.is_ready(), "its start or its end")
    case.drop(wait=False)
    deadline = time.monotonic() + 10
    while daemon.process.poll() is None and time.monotonic() < deadline:
        if list((daemon.spool / "done").glob("*")):
            break
        time.sleep(0.005)
    is_hit = daemon.process.poll() is not None
    if is_hit:
        wait_until(lambda: not daemon.processes(), "its workers to follow")
    else:
        daemon.stop()
    daemon.wrapper = []
    return is_hit, come_to_the_end(daemon, case, figures, may_fail=False)


def try_sample(harm, points, one, bench, report, rng):
    strace.try_each(harm, scale.sample(harm, points, rng), one, bench, report)


def test_storage_may_die_at_every_call(bench, report, rng):
    try_sample("storage dies at a syscall", bench.storage_points(), storage_dies, bench, report, rng)


def test_all_may_die_after_every_call_of_the_storage(bench, report, rng):
    try_sample("all die after a syscall of the storage", bench.storage_points(), all_die, bench, report, rng)


def test_the_supervisor_may_die_at_every_call_of_its_own(bench, report, rng):
    try_sample("supervisor dies at a syscall", bench.daemon_points(), supervisor_dies, bench, report, rng)
