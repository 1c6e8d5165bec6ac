# SPDX-License-Identifier: MIT
"""Daemons that die while a job runs: the next one goes on, and what was counted stays counted."""
import os
import random
import shutil
import signal
import time

import pytest

import oracle
from harness import FINAL, SLOW, spec_of, start_slow, wait_until

SLOW_ROWS = SLOW.count(b"\n") - 1
SLOW_OUTPUT = oracle.to_json(["a", "b"], ["1234567", "abcdefg"]).encode() * SLOW_ROWS
COUNTERS = ("zooparallel_rows_processed_total", "zooparallel_rows_success_total", "zooparallel_input_bytes_total",
            "zooparallel_output_bytes_total")


def drop_slow(daemon, **keys):
    daemon.drop(spec_of("slow.csv", "o.jsonl", **keys), "slow")
    return daemon.id_of("slow")


def counters(daemon):
    return {name: daemon.metric(name, pipe="slow") or 0 for name in COUNTERS}


def check_right(daemon, job):
    assert job["state"] == "completed", job
    assert daemon.read("o.jsonl") == SLOW_OUTPUT
    assert job["total_processed"] == job["success_count"] == SLOW_ROWS
    assert daemon.metric("zooparallel_rows_processed_total", pipe="slow") == SLOW_ROWS
    assert not {path.name for path in (daemon.state / "jobs" / job["id"]).iterdir()} & {
        "plan.json", "checkpoint-0", "checkpoint-1"}


def wait_for_rows(daemon, job_id, n_rows):
    def look():
        job = daemon.job(job_id)
        return job if job["state"] in FINAL or job["total_processed"] >= n_rows else None
    return wait_until(look, f"{n_rows} rows")


def test_a_killed_daemon_goes_on_from_every_row_it_has_counted(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=2)
    job = wait_for_rows(daemon, job_id, 5000)
    assert job["state"] == "running", "too fast to be caught"
    before = counters(daemon)
    assert before["zooparallel_rows_processed_total"] > 0
    daemon.kill()
    assert list(daemon.data.glob(".zp-*")), "nothing left to go on with"
    daemon.settings["max_jobs"] = 1
    daemon.start()
    after = counters(daemon)
    assert all(after[name] >= before[name] for name in COUNTERS), (before, after)
    assert "goes on after" in wait_until(lambda: "goes on after" in daemon.log and daemon.log, "the job to go on")
    assert daemon.job(job_id)["started_at"] == job["started_at"]
    check_right(daemon, daemon.wait_job(job_id))


def test_counters_never_go_back_over_many_kills(start):
    """Kills at random moments, from the claim to the commit, and a scrape before and after each."""
    seed = int(os.environ.get("ZP_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    daemon = start_slow(start, checkpoint_interval="100ms")
    job_id = drop_slow(daemon, workers=2)
    highest, n_kills = dict.fromkeys(COUNTERS, 0), 0
    for _ in range(12):
        until = time.monotonic() + chance.random() * 0.25
        while time.monotonic() < until:
            seen = counters(daemon)
            assert all(seen[name] >= highest[name] for name in COUNTERS), (highest, seen)
            highest = seen
        if daemon.job(job_id)["state"] in FINAL:
            break
        daemon.kill()
        n_kills += 1
        daemon.start()
    assert n_kills
    check_right(daemon, daemon.wait_job(job_id))


def test_after_a_reboot_the_last_checkpoint_counts(start):
    daemon = start_slow(start, checkpoint_interval="100ms")
    job_id = drop_slow(daemon, workers=2)
    records = [daemon.state / "jobs" / job_id / f"checkpoint-{n}" for n in (0, 1)]
    wait_until(lambda: all(record.exists() for record in records), "two checkpoints")
    assert daemon.job(job_id)["state"] == "running", "too fast to be caught"
    daemon.kill()
    shutil.rmtree(daemon.run_dir / "jobs")  # what a reboot does to /run
    daemon.start()
    assert "from the last checkpoint" in wait_until(
        lambda: "goes on after" in daemon.log and daemon.log, "the job to go on")
    check_right(daemon, daemon.wait_job(job_id))


def test_a_stopped_daemon_goes_on_and_stops_in_time(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=2)
    job = wait_for_rows(daemon, job_id, 5000)
    assert job["state"] == "running", "too fast to be caught"
    assert daemon.stop() == 0
    assert (daemon.state / "jobs" / job_id / "checkpoint-0").exists()
    daemon.start()
    assert (daemon.metric("zooparallel_rows_processed_total", pipe="slow") or 0) > 0
    check_right(daemon, daemon.wait_job(job_id))


@pytest.mark.parametrize("change", ["append", "truncate", "touch", "replace"])
def test_an_input_that_changed_while_the_daemon_was_dead(start, change):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=2)
    job = wait_for_rows(daemon, job_id, 5000)
    assert job["state"] == "running", "too fast to be caught"
    daemon.kill()
    path = daemon.data / "slow.csv"
    if change == "append":
        with open(path, "ab") as file:
            file.write(b"1,2\n")
    elif change == "truncate":
        os.truncate(path, len(SLOW) // 2)
    elif change == "touch":
        os.utime(path)
    else:
        shutil.copy2(path, daemon.data / "new")
        os.replace(daemon.data / "new", path)
    daemon.start()
    job = daemon.wait_job(job_id)
    assert (job["state"], job["reason"]) == ("failed", "input_changed"), job
    assert "slow.csv" in job["message"]
    assert not (daemon.data / "o.jsonl").exists()


def test_workers_that_outlive_their_daemon_are_waited_for(start):
    """A stopped worker cannot die of its daemon's death at once in every kernel; here it does: the lock tells."""
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=2)
    with daemon.stopped_workers(job_id):
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.process.wait()
    daemon.start()
    check_right(daemon, daemon.wait_job(job_id))
