# SPDX-License-Identifier: MIT
"""Workers, storage and prepare die or stand still at random times; the rows stay what they are."""
import os
import re
import signal
import time

import pytest

import exit_hold
import scale
import world
from harness import FINAL, wait_until

VISIBLE_MS = 100
# What is promised for 99 deaths of 100. Only the long form, on a machine of its own, holds the daemon to it.
LATE_SHARE = {"short": 1.0, "long": 0.01}[scale.SCALE]


def deaths_shown(daemon):
    found = re.search(r'^zooparallel_worker_exits_total\{cause="signal"\} (\d+)', daemon.get("/metrics").text, re.M)
    return int(found[1])


def calm_deaths(daemon):
    """The deaths that are shown once no earlier one is still on its way."""
    shown = deaths_shown(daemon)
    while True:
        time.sleep(0.03)
        again = deaths_shown(daemon)
        if again == shown:
            return shown
        shown = again


def is_gone(daemon, job_id, pid):
    reply = daemon.get(f"/api/v1/jobs/{job_id}/workers")
    return all(worker["pid"] != pid or worker["state"] != "running" for worker in reply.json.get("workers") or [])


def kill_and_see(daemon, job_id, pid, figures):
    """Kills one worker and notes how long metrics and API still show it alive."""
    shown = calm_deaths(daemon)
    killed_at = time.monotonic()
    if not world.kill(pid, signal.SIGKILL):
        return False
    missing = {"metrics", "api"}
    while missing:
        if "metrics" in missing and deaths_shown(daemon) > shown:
            missing.remove("metrics")
        if "api" in missing and is_gone(daemon, job_id, pid):
            missing.remove("api")
        now = time.monotonic()
        if missing and daemon.job(job_id)["state"] in FINAL:
            return True  # it was about to end by itself
        assert now - killed_at < 10, f"{missing} never told of the death of {pid}"
    figures.visible_ms.append((now - killed_at) * 1000)
    return True


def converting(daemon):
    return [pid for pid, mode in world.children_of(daemon.pid) if mode == "convert"]


def test_random_kills_of_workers_cost_no_row(start, long_data, report, rng):
    harm = "SIGKILL of workers"
    with report.measure(harm) as figures:
        daemon = start()
        case = world.Case(daemon, long_data)
        with world.TargetReader(case), world.CounterReader(daemon):
            while figures.n < scale.number(harm):
                job_id = case.drop()
                while (job := daemon.job(job_id))["state"] not in FINAL:
                    time.sleep(rng.uniform(0, 0.02))
                    pids = converting(daemon)
                    if not pids or figures.n >= scale.number(harm):
                        continue
                    figures.n += world.kill(rng.choice(pids), signal.SIGKILL)
                case.check_completed(job, figures)
        world.wait_receipts(daemon, case.n_dropped)
        assert not (left := world.stop_and_search(daemon, figures)), left


def test_a_death_is_visible_soon(start, long_data, report, rng):
    """With a worker for each of two processors, and nobody else who asks."""
    harm = "deaths that are seen"
    with report.measure(harm) as figures:
        daemon = start()
        case = world.Case(daemon, long_data, workers=2)
        while figures.n < scale.number(harm):
            job_id = case.drop()
            while (job := daemon.job(job_id))["state"] not in FINAL:
                time.sleep(rng.uniform(0, 0.02))
                pids = converting(daemon)
                if pids and figures.n < scale.number(harm):
                    figures.n += kill_and_see(daemon, job_id, rng.choice(pids), figures)
            case.check_completed(job, figures)
        late = [ms for ms in figures.visible_ms if ms > VISIBLE_MS]
        assert figures.visible_ms and len(late) <= LATE_SHARE * len(figures.visible_ms), late
        assert not (left := world.stop_and_search(daemon, figures)), left


def test_random_kills_of_all_helpers_never_end_in_a_wrong_success(start, short_data, report, rng):
    """Storage and prepare too: what became of an fsync that was cut off no one knows, so a job may fail by name."""
    harm = "SIGKILL of any helper"
    with report.measure(harm) as figures:
        daemon = start()
        case = world.Case(daemon, short_data)
        n_failed = 0
        with world.TargetReader(case):
            while figures.n < scale.number(harm):
                job_id = case.drop()
                time.sleep(rng.uniform(0, 0.4))
                for pid, _ in rng.sample(children := world.children_of(daemon.pid), min(2, len(children))):
                    figures.n += world.kill(pid, signal.SIGKILL)
                job = case.wait(job_id)
                n_failed += job["state"] != "completed"
                assert not (faults := case.faults_of(job, figures)), faults
        figures.notes.append(f"{n_failed} failed by name")
        world.wait_receipts(daemon, case.n_dropped)
        assert not (left := world.stop_and_search(daemon, figures)), left


def test_random_stops_of_all_processes_cost_no_row(start, long_data, report, rng):
    harm = "SIGSTOP of any process"
    with report.measure(harm) as figures:
        daemon = start()
        case = world.Case(daemon, long_data)
        with world.TargetReader(case):
            while figures.n < scale.number(harm):
                job_id = case.drop()
                while (job := daemon.job(job_id))["state"] not in FINAL:
                    time.sleep(rng.uniform(0, 0.05))
                    pids = [daemon.pid, *(pid for pid, _ in world.children_of(daemon.pid))]
                    if figures.n >= scale.number(harm):
                        continue
                    pid = rng.choice(pids)
                    figures.n += world.kill(pid, signal.SIGSTOP)
                    time.sleep(rng.uniform(0.01, 0.3))
                    world.kill(pid, signal.SIGCONT)
                case.check_completed(job, figures)
        wait_until(lambda: not converting(daemon), "the workers to end")
        assert not (left := world.stop_and_search(daemon, figures)), left


def test_nothing_is_given_on_while_its_owner_may_still_write(start, short_data):
    """A worker that stands still is killed; its chunk stays its own until it is dead and reaped."""
    daemon = start(chunk_size=24)
    case = world.Case(daemon, short_data, workers=2)
    case.spec["limits"] = {"stall": "1s"}
    job_id = case.drop()
    wait_until(lambda: len(converting(daemon)) == 2 and daemon.job(job_id)["total_processed"] > 0, "the workers")
    victim = converting(daemon)[0]
    try:
        hold = exit_hold.held_at_its_exit(victim)
        has_come = hold.__enter__()
    except PermissionError as error:
        pytest.skip(f"ptrace is not permitted: {error}")
    try:
        os.kill(victim, signal.SIGSTOP)
        wait_until(has_come, "the daemon to kill what stands still")
        # Whatever the other one could still do it has done by then: it waits for the victim's chunk.
        time.sleep(0.3)
        before = daemon.job(job_id)
        time.sleep(0.5)
        after = daemon.job(job_id)
        assert after["state"] not in FINAL, "the job ended while one of its writers was still there"
        assert after["total_processed"] == before["total_processed"] < short_data.n_rows
    finally:
        hold.__exit__(None, None, None)
    case.check_completed(case.wait(job_id))
    assert not (left := world.stop_and_search(daemon)), left
