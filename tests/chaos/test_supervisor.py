# SPDX-License-Identifier: MIT
"""The supervisor dies at random times, also while it starts, and is started again each time."""
import fcntl
import os
import signal
import time

import scale
import world
from harness import wait_until


def kill(daemon, figures):
    """Kills it, and notes how long the last process of it lives on."""
    killed_at = time.monotonic()
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.process.wait(30)
    wait_until(lambda: not daemon.processes(), "its workers to follow")
    figures.visible_ms.append((time.monotonic() - killed_at) * 1000)
    figures.n += 1


def start_again(daemon, figures, rng):
    """Also kills it before it is ready, now and then."""
    while rng.random() < 0.2 and figures.n < scale.number(figures.harm):
        daemon.spawn()
        time.sleep(rng.uniform(0, 0.1))
        kill(daemon, figures)
    daemon.start()


def run_through(case, figures, rng, typical):
    """One job, its daemon killed again and again, until it has ended."""
    daemon = case.daemon
    job_id = case.drop(wait=False)
    while True:
        # Mostly before the job can end, and now and then late enough for it to end however often it began anew.
        deadline = time.monotonic() + rng.uniform(0, typical * rng.choice([0.5, 0.5, 0.5, 1.5]))
        if figures.n >= scale.number(figures.harm):
            deadline += 60
        while time.monotonic() < deadline:
            if job_id is None:
                found = daemon.find("chaos", case.older)
                job_id = found and case.id()
            elif job := world.wait_ended(daemon, job_id, deadline - time.monotonic()):
                return job
        kill(daemon, figures)
        start_again(daemon, figures, rng)


def test_random_kills_of_the_supervisor_cost_no_row(start, long_data, report, rng):
    harm = "SIGKILL of the supervisor"
    with report.measure(harm) as figures:
        daemon = start()
        case = world.Case(daemon, long_data)
        started = time.monotonic()
        case.check_completed(case.wait(case.drop()))
        typical = time.monotonic() - started
        with world.TargetReader(case), world.CounterReader(daemon, is_strict=False):
            while figures.n < scale.number(harm):
                job = run_through(case, figures, rng, typical)
                case.check_completed(job, figures)
        figures.notes.append("visible: until its last process is gone")
        world.wait_receipts(daemon, case.n_dropped)
        assert daemon.metric("zooparallel_rows_processed_total", pipe="chaos") == case.n_dropped * long_data.n_rows
        assert daemon.metric("zooparallel_jobs_finished_total", outcome="completed") == case.n_dropped
        assert not (left := world.stop_and_search(daemon, figures)), left


def test_a_new_daemon_waits_for_the_writers_of_the_old_one(start, short_data):
    """Whoever holds the job's lock may still write: nothing of the job is touched meanwhile."""
    daemon = start(chunk_size=16)
    case = world.Case(daemon, short_data)
    job_id = case.drop()
    wait_until(lambda: daemon.job(job_id)["total_processed"] > 0, "the first rows")
    daemon.kill()
    parts = {path: path.stat().st_ino for path in daemon.data.glob(".zp-*.part")}
    assert parts, "too fast to be caught"
    with open(daemon.state / "jobs" / job_id / "lock", "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        daemon.start()
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            assert {path: path.stat().st_ino for path in daemon.data.glob(".zp-*.part")} == parts
            assert not [pid for pid, mode in world.children_of(daemon.pid) if mode in ("prepare", "convert")]
    case.check_completed(case.wait(job_id))
    assert not (left := world.stop_and_search(daemon)), left
