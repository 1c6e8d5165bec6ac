# SPDX-License-Identifier: MIT
"""Kernels, and sandboxes around the daemon, that know no Landlock or no filters: all goes on without.

And those that have them and fail to carry them out: a worker that cannot lock itself in does no work.
"""
import pytest

import strace
import world
from harness import IS_SANITIZED

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="the leak sanitizer cannot work under strace")

MODES = ("storage", "prepare", "convert")


@pytest.fixture
def bench(tmp_path, short_data):
    strace.require_strace(tmp_path)
    bench = strace.Trees(tmp_path, short_data)
    yield bench
    bench.destroy()


def start(bench, modes, *faults):
    """A daemon whose processes of these modes meet the faults, (call, error, when), each time."""
    stand_in, daemon = bench.tree()
    options = ["-e", "trace=" + ",".join(call for call, _, _ in faults)]
    for call, error, when in faults:
        options += ["-e", f"inject={call}:error={error}:when={when}"]
    for mode in modes:
        stand_in.arm(mode, options, is_once=False)
    return stand_in, world.Case(daemon.start(), bench.dataset)


@pytest.mark.parametrize("faults", [
    [("landlock_create_ruleset", "ENOSYS", "1+")], [("landlock_create_ruleset", "EOPNOTSUPP", "1+")],
    [("landlock_create_ruleset", "EPERM", "1+")], [("seccomp", "EINVAL", "1+")], [("seccomp", "EPERM", "1+")],
    [("landlock_create_ruleset", "ENOSYS", "1+"), ("seccomp", "EINVAL", "1+")],
], ids=lambda faults: "-".join(f"{call}-{error}" for call, error, _ in faults))
def test_without_it_jobs_run_as_before(bench, faults):
    stand_in, case = start(bench, MODES, *faults)
    case.check_completed(case.wait(case.drop()))
    for mode in MODES:
        assert strace.was_hit(stand_in.traces(mode)), mode
    assert not (left := world.stop_and_search(case.daemon)), left


@pytest.mark.parametrize("call, error, when, reason", [
    ("landlock_create_ruleset", "EINVAL", "1+", "internal"), ("landlock_create_ruleset", "ENOMEM", "2+", "io_error"),
    ("landlock_add_rule", "EBADFD", "1+", "internal"), ("landlock_restrict_self", "EPERM", "1+", "internal"),
    ("seccomp", "EINVAL", "2+", "internal")])
@pytest.mark.parametrize("mode", ["prepare", "convert"])
def test_a_worker_that_cannot_lock_itself_in_does_no_work(bench, mode, call, error, when, reason):
    stand_in, case = start(bench, [mode], (call, error, when))
    job = case.wait(case.drop())
    if not strace.was_hit(stand_in.traces(mode)):
        pytest.skip(f"there is no {call} on this kernel or in this build")
    assert (job["state"], job["reason"], job["total_processed"]) == ("failed", reason, 0), job
    assert "cannot restrict itself, and refuses to work" in job["message"], job["message"]
    assert not (faults := case.faults_of(job)), faults
    assert not (left := world.stop_and_search(case.daemon)), left


@pytest.mark.parametrize("mode", ["prepare", "convert"])
def test_a_lack_of_memory_for_it_may_pass(bench, mode):
    stand_in, daemon = bench.tree()
    stand_in.arm(mode, strace.inject("landlock_create_ruleset", "error=ENOMEM", "2"))
    case = world.Case(daemon.start(), bench.dataset)
    case.check_completed(case.wait(case.drop()))
    assert not (left := world.stop_and_search(daemon)), left
