# SPDX-License-Identifier: MIT
"""What a spec's limits do to real workers, and how soon an end shows."""
import os
import random
import re
import signal
import time

import pytest

import oracle
from harness import FINAL, IS_SANITIZED, SLOW, spec_of, start_slow, wait_until

SLOW_ROWS = SLOW.count(b"\n") - 1
SLOW_OUTPUT = oracle.to_json(["a", "b"], ["1234567", "abcdefg"]).encode() * SLOW_ROWS
STALL = 1.0  # seconds, the least
MEMORY = 32 << 20  # bytes, the least
# Beyond what is promised: a machine that is busy with other tests.
SLACK = 10.0 if IS_SANITIZED else 2.0


def drop_slow(daemon, **keys):
    daemon.drop(spec_of("slow.csv", "o.jsonl", **keys), "slow")
    return daemon.id_of("slow")


def workers_of(daemon, job_id):
    return daemon.get(f"/api/v1/jobs/{job_id}/workers").json["workers"]


def working(daemon, job_id, count):
    """The workers of the running job, once there are so many and all have read some."""
    def look():
        assert daemon.job(job_id)["state"] not in FINAL, "too fast to be caught"
        workers = workers_of(daemon, job_id)
        return workers if len(workers) == count and all(worker["bytes_read"] for worker in workers) else None
    return wait_until(look, "the workers")


def n_exits(daemon, job_id, cause):
    return daemon.job(job_id)["worker_exits"].get(cause, 0)


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    return time.monotonic()


def check_right(daemon, job):
    assert job["state"] == "completed", job
    assert daemon.read("o.jsonl") == SLOW_OUTPUT
    assert job["total_processed"] == SLOW_ROWS


def wait_stalled(daemon, job_id, count):
    wait_until(lambda: n_exits(daemon, job_id, "stalled") >= count, "the stopped worker to be found")
    return time.monotonic()


def test_a_stopped_worker_is_found_and_costs_no_row(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=3, limits={"stall": "1s"})
    pids = [worker["pid"] for worker in working(daemon, job_id, 3)]
    stopped_at = stop(pids[0])
    took = wait_stalled(daemon, job_id, 1) - stopped_at
    print(f"found after {took:.3f} s, promised {STALL + 1} s")
    assert took >= STALL - 0.1
    assert took < STALL + 1 + SLACK
    job = daemon.wait_job(job_id)
    check_right(daemon, job)
    # All that waited for it lived on; one more has prepared the job.
    assert job["worker_exits"] == {"ok": 4, "stalled": 1}
    assert job["worker_restarts"] == 1
    assert daemon.metric("zooparallel_worker_exits_total", cause="stalled") == 1


def test_a_worker_that_is_stopped_while_it_waits_is_found_too(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=3, limits={"stall": "1s"})
    first = working(daemon, job_id, 3)[0]["pid"]
    stop(first)

    # The ring is full by then: the others wait for the first one, and nothing else.
    def look():
        waiting = [worker["pid"] for worker in workers_of(daemon, job_id)
                   if worker["pid"] != first and worker["phase"] == "waiting"]
        return waiting if len(waiting) == 2 else None

    second = wait_until(look, "the others to wait")[0]
    stopped_at = stop(second)
    took = wait_stalled(daemon, job_id, 2) - stopped_at
    print(f"found after {took:.3f} s, promised {STALL + 1} s")
    assert took < STALL + 1 + SLACK
    job = daemon.wait_job(job_id)
    check_right(daemon, job)
    assert job["worker_exits"] == {"ok": 4, "stalled": 2}


def test_a_daemon_that_stood_still_blames_no_worker(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=2, limits={"stall": "1s"})
    working(daemon, job_id, 2)
    pids = daemon.worker_pids()
    os.kill(daemon.pid, signal.SIGSTOP)
    for pid in pids:
        stop(pid)
    time.sleep(2 * STALL)  # the test is about time that passes
    os.kill(daemon.pid, signal.SIGCONT)
    daemon.job(job_id)  # its loop turns again, and finds the workers standing
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    job = daemon.wait_job(job_id)
    check_right(daemon, job)
    assert job["worker_exits"] == {"ok": 3}


def test_a_chunk_whose_workers_are_stopped_again_and_again_fails_the_job(start):
    daemon = start_slow(start, chunk_size=1 << 20)
    # One worker and one chunk that has a long way to go.
    daemon.write("long.csv", b"a\n" + b'"x""y"\n' * (1 << 22))
    daemon.settings["chunk_size"] = 64 << 20
    daemon.stop()
    daemon.start()
    daemon.drop(spec_of("long.csv", "o", workers=1, limits={"stall": "1s"}), "long")
    job_id = daemon.id_of("long")
    stopped = set()
    while daemon.job(job_id)["state"] not in FINAL:
        for pid in set(daemon.worker_pids()) - stopped:
            stop(pid)
            stopped.add(pid)
    job = daemon.wait_job(job_id)
    assert (job["state"], job["reason"]) == ("failed", "stalled"), job
    assert "limits.stall (1.0 s)" in job["message"]
    # Three that held the chunk, or three that had not come so far, or some of both.
    assert set(job["worker_exits"]) == {"ok", "stalled"} and 3 <= job["worker_exits"]["stalled"] <= 5, job
    assert not (daemon.data / "o").exists()


def pss_of(pid):
    try:
        text = open(f"/proc/{pid}/smaps_rollup").read()
    except OSError:
        return 0
    found = re.search(r"^Pss: +(\d+) kB", text, re.M)
    return int(found.group(1)) * 1024 if found else 0


def hold_large_workers(daemon, job_id):
    """Stops every worker in the moment in which it takes too much, until the job has ended."""
    held = set()
    children = open(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
    looked_at = time.monotonic()
    while True:
        children.seek(0)
        for pid in set(map(int, children.read().split())) - held:
            try:
                if pss_of(pid) > MEMORY // 2:
                    stop(pid)
                    if pss_of(pid) > MEMORY + (1 << 20):
                        held.add(pid)
                    else:
                        os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        if time.monotonic() > looked_at + 0.1:
            if daemon.job(job_id)["state"] in FINAL:
                return held
            looked_at = time.monotonic()


def test_a_worker_that_takes_too_much_is_killed_and_in_the_end_the_job(start):
    daemon = start()
    # Long enough to take more than the limit, and not for the kernel to refuse it.
    row = b'"' + b'x""' * (16 * (1 << 20) // 3) + b'"\n'
    daemon.write("in.csv", b"a\n" + row + b"1\n")
    daemon.drop(spec_of("in.csv", "o", workers=1, input={"max_row_bytes": 64 << 20},
                        limits={"memory_per_worker": "32MiB"}), "large")
    job_id = daemon.id_of("large")
    assert hold_large_workers(daemon, job_id), daemon.job(job_id)
    job = daemon.wait_job(job_id)
    assert (job["state"], job["reason"]) == ("failed", "memory_limit"), job
    assert re.search(r"^in\.csv: 3 workers died converting bytes 2 to 524290; the last one took \d+\.\d MiB, "
                     r"more than limits\.memory_per_worker \(32\.0 MiB\)", job["message"]), job["message"]
    assert job["worker_exits"] == {"ok": 1, "memory_limit": 3}
    assert not (daemon.data / "o").exists()


@pytest.mark.skipif(IS_SANITIZED, reason="the sanitizer's own memory is not limited")
def test_a_burst_between_two_measurements_is_refused_by_the_kernel(start):
    daemon = start()
    daemon.write("in.csv", b"a\n" + b"x" * (60 << 20) + b"\n")
    job = daemon.run(spec_of("in.csv", "o", workers=1, input={"max_row_bytes": 64 << 20},
                             limits={"memory_per_worker": "32MiB"}))
    assert (job["state"], job["reason"]) == ("failed", "memory_limit"), job
    assert "limits.memory_per_worker: 32.0 MiB" in job["message"]
    assert "bytes 2 to 524290 of in.csv" in job["message"]
    assert job["worker_exits"]["memory_limit"] >= 1  # it may be measured first, too


@pytest.mark.skipif(IS_SANITIZED, reason="the sanitizer's own memory counts, too")
def test_an_ordinary_input_lives_with_the_least_memory(start):
    daemon = start()
    row = b"y" * ((1 << 20) - 100) + b"\n"
    daemon.write("in.csv", b"a\n" + b"1\n" * 100000 + row * 100)
    job = daemon.run(spec_of("in.csv", "o", workers=4, limits={"memory_per_worker": "32MiB"}))
    assert job["state"] == "completed", job
    assert job["worker_exits"] == {"ok": 5}
    print(f"peak: {job['peak_ram_bytes']} bytes resident in all workers")


def test_a_job_that_runs_too_long_fails(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=2, limits={"wall": "2s"})
    with daemon.stopped_workers(job_id):
        job = daemon.wait_job(job_id)
    assert (job["state"], job["reason"]) == ("failed", "timeout"), job
    assert "limits.wall (2.0 s)" in job["message"]
    assert 2 <= job["duration_seconds"] < 3 + SLACK
    # The daemon's own kills are no crashes.
    assert set(job["worker_exits"]) == {"ok"}
    assert not (daemon.data / "o.jsonl").exists()


def exits_by_signal(daemon):
    text = daemon.get("/metrics").text
    return int(re.search(r'^zooparallel_worker_exits_total\{cause="signal"\} (\d+)$', text, re.M).group(1))


def kill_and_see(daemon, job_id, victim):
    """Seconds until the kill shows in /metrics and in the API; None if the worker was gone already."""
    before = exits_by_signal(daemon)
    try:
        os.kill(victim["pid"], signal.SIGKILL)
    except ProcessLookupError:
        return None
    killed_at = time.monotonic()
    while exits_by_signal(daemon) == before:
        if daemon.job(job_id)["state"] in FINAL:
            return None  # it had left by itself
        assert time.monotonic() < killed_at + SLACK, "a death that does not show in /metrics"
    in_metrics = time.monotonic() - killed_at

    def is_seen():
        workers = workers_of(daemon, job_id)
        return not workers or workers[victim["slot"]]["pid"] != victim["pid"]

    while not is_seen():
        assert time.monotonic() < killed_at + SLACK, "a death that does not show in the API"
    return in_metrics, time.monotonic() - killed_at


def test_a_death_shows_at_once(start):
    seed = int(os.environ.get("ZP_SEED", random.randrange(1 << 32)))
    chance = random.Random(seed)
    daemon = start_slow(start)
    seen = []
    job_id = drop_slow(daemon, workers=4)
    processed = -1
    while len(seen) < 50:
        job = daemon.job(job_id)
        if job["state"] in FINAL:
            check_right(daemon, job)
            ended = [job["id"] for job in daemon.get("/api/v1/jobs?name=slow").json["jobs"]]
            daemon.drop(spec_of("slow.csv", "o.jsonl", workers=4), "slow")
            job_id, processed = daemon.id_of("slow", ended), -1
            continue
        victims = [worker for worker in workers_of(daemon, job_id) if worker["pid"]]
        # A chunk that several workers die of is given up; these deaths shall not look like that.
        if job["accepted_processed"] <= processed + 5000 or not victims:
            continue
        processed = job["accepted_processed"]
        took = kill_and_see(daemon, job_id, chance.choice(victims))
        if took:
            seen.append(took)
    check_right(daemon, daemon.wait_job(job_id))
    for where, times in zip(("/metrics", "the API"), zip(*seen)):
        times = sorted(times)
        p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
        print(f"{len(times)} deaths, seed {seed}: seen in {where} after {times[len(times) // 2] * 1e3:.1f} ms (median), "
              f"{p99 * 1e3:.1f} ms (p99), promised 100 ms")
