# SPDX-License-Identifier: MIT
"""A job seen while it runs, and what is left of it when something dies."""
import os
import re
import signal

import pytest

import oracle
from harness import FINAL, IS_SANITIZED, SLOW, processes_of, spec_of, start_slow, wait_until

# The oracle's word on slow.csv, without its walk: the rows are all alike.
SLOW_ROWS = SLOW.count(b"\n") - 1
SLOW_OUTPUT = oracle.to_json(["a", "b"], ["1234567", "abcdefg"]).encode() * SLOW_ROWS


def drop_slow(daemon, **keys):
    daemon.drop(spec_of("slow.csv", "o.jsonl", **keys), "slow")
    return daemon.id_of("slow")


def check_right(daemon, job):
    assert job["state"] == "completed", job
    assert daemon.read("o.jsonl") == SLOW_OUTPUT
    assert job["total_processed"] == job["success_count"] == SLOW_ROWS
    assert daemon.metric("zooparallel_rows_processed_total", pipe="slow") == SLOW_ROWS


def test_the_numbers_of_a_running_job_only_grow(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=3)
    seen, counters, n_live = 0, 0, 0
    while (job := daemon.job(job_id))["state"] not in FINAL:
        assert job["total_processed"] == job["success_count"] + job["error_count"] + job["filtered"]
        assert seen <= job["total_processed"] <= SLOW_ROWS
        seen = job["total_processed"]
        assert job["progress"] is None or 0 <= job["progress"] <= 1
        counter = daemon.metric("zooparallel_rows_processed_total", pipe="slow") or 0
        assert counters <= counter <= SLOW_ROWS
        counters = counter
        n_live += job["state"] == "running" and 0 < seen < SLOW_ROWS
    assert n_live, "never seen in its middle"
    check_right(daemon, daemon.job(job_id))


def test_no_stats_file_is_missed_before_there_is_a_worker(start):
    daemon = start(max_workers=8, chunk_size=64)
    daemon.write("in.csv", b"a,b\n" + b"1,2\n" * 20000)
    assert daemon.run(spec_of("in.csv", "o", workers=8), "eight")["state"] == "completed"
    assert "stats file" not in daemon.log
    assert not daemon.metric("zooparallel_stats_files_invalid_total")


def test_every_worker_is_shown(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=3)
    with daemon.stopped_workers(job_id) as pids:
        workers = wait_until(lambda: [worker for worker in daemon.get(f"/api/v1/jobs/{job_id}/workers").json["workers"]
                                      if worker["pid"] in pids], "the workers to be shown")
        assert {worker["slot"] for worker in workers} <= {0, 1, 2}
        assert {worker["pid"] for worker in workers} <= set(pids)
        status = daemon.get("/api/v1/status").json
        assert status["ram_bytes"] > 0, status
        assert len(list((daemon.run_dir / "jobs" / job_id).glob("worker-*.stats"))) == 3
        assert sum(daemon.metrics()["zooparallel_workers"].values()) >= 3
    check_right(daemon, daemon.wait_job(job_id))


@pytest.mark.parametrize("kills", [1, 20])
def test_a_killed_worker_costs_no_row(start, kills):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=4)
    n_killed, seen = 0, 0
    while n_killed < kills and (job := daemon.job(job_id))["state"] not in FINAL:
        # A chunk that several workers die of is given up; these deaths shall not look like that.
        if job["accepted_processed"] == seen:
            continue
        seen = job["accepted_processed"]
        for pid in daemon.worker_pids()[:1]:
            os.kill(pid, signal.SIGKILL)
            n_killed += 1
            wait_until(lambda: pid not in daemon.worker_pids(), "its end")
    assert n_killed
    check_right(daemon, daemon.wait_job(job_id))
    assert sum(daemon.metrics()["zooparallel_worker_restarts_total"].values()) >= 1


def test_a_killed_daemon_runs_the_job_again_under_its_id(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon)
    wait_until(lambda: daemon.job(job_id)["total_processed"] > 0, "the first rows")
    daemon.kill()
    assert not (daemon.data / "o.jsonl").exists()
    daemon.start()
    check_right(daemon, daemon.wait_job(job_id))
    assert len(daemon.get("/api/v1/jobs").json["jobs"]) == 1


@pytest.mark.parametrize("round", range(6))
def test_a_daemon_killed_at_any_time_recovers(start, round):
    """From the claim to the commit: a small job, the kill a little later each time."""
    daemon = start()
    data = b"a,b\n" + b"1,2\n" * 20000
    daemon.write("in.csv", data)
    daemon.drop(spec_of("in.csv", "o.jsonl"), "small")
    places = [lambda: not (daemon.spool / "incoming" / "small.json").exists(),
              lambda: any((daemon.state / "jobs").glob("*/spec.json")),
              lambda: any((daemon.run_dir / "jobs").glob("*")), lambda: any(daemon.data.glob(".zp-*.part")),
              lambda: any((daemon.state / "jobs").glob("*/commit.json")), lambda: (daemon.data / "o.jsonl").exists()]
    ended = list((daemon.state / "jobs").glob("*/result.json"))
    wait_until(lambda: places[round]() or any((daemon.state / "jobs").glob("*/result.json")), "the moment")
    daemon.kill()
    assert not ended
    daemon.start()
    job = daemon.wait_job(daemon.id_of("small"))
    assert job["state"] == "completed", job
    assert daemon.read("o.jsonl") == oracle.convert([("in.csv", data)]).output
    wait_until(lambda: len(list((daemon.spool / "done").iterdir())) == 1, "one receipt")
    assert not list((daemon.spool / "active").iterdir())
    assert daemon.metric("zooparallel_rows_processed_total", pipe="small") == 20000


def test_sigterm_stops_all_and_the_job_goes_on_at_the_next_start(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon)
    wait_until(lambda: daemon.job(job_id)["total_processed"] > 0, "the first rows")
    assert daemon.stop() == 0
    assert not processes_of(daemon.tree)
    assert not (daemon.data / "o.jsonl").exists()
    daemon.start()
    check_right(daemon, daemon.wait_job(job_id))


def test_counters_and_results_survive_a_restart(start):
    daemon = start()
    daemon.write("in.csv", "a,b\n1,2\nbad\n3,4\n")
    job = daemon.run(spec_of("in.csv", "o"), "kept")
    before = daemon.metrics()
    daemon.stop()
    daemon.start()
    assert daemon.job(job["id"])["total_processed"] == 3
    after = daemon.metrics()
    for name in ("zooparallel_rows_processed_total", "zooparallel_rows_error_total", "zooparallel_errors_total",
                 "zooparallel_jobs_finished_total", "zooparallel_job_duration_seconds_count"):
        assert after[name] == before[name], name


def test_cancel_leaves_nothing(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon)
    with daemon.stopped_workers(job_id):
        assert daemon.request("POST", f"/api/v1/jobs/{job_id}/cancel", unix=True).status in (200, 202)
    job = daemon.wait_job(job_id)
    assert (job["state"], job["reason"]) == ("aborted", "cancelled")
    wait_until(lambda: not daemon.worker_pids(), "the workers to end")
    assert not (daemon.data / "o.jsonl").exists()


def test_jobs_share_the_slots_by_priority_then_age(start):
    daemon = start_slow(start, max_workers=2, max_jobs=1)
    first = drop_slow(daemon)
    daemon.write("in.csv", "a\n1\n")
    ids = {}
    with daemon.stopped_workers(first):
        for name, priority in (("low", -1), ("old", 0), ("young", 0), ("high", 5)):
            daemon.drop(spec_of("in.csv", f"{name}.out", priority=priority), name)
            ids[name] = daemon.id_of(name)
            assert daemon.job(ids[name])["state"] == "pending"
        assert len(daemon.worker_pids()) <= 2
    for job_id in [first, *ids.values()]:
        assert daemon.wait_job(job_id)["state"] == "completed"
    order = sorted(ids, key=lambda name: daemon.result(ids[name])["finish_sequence"])
    assert order == ["high", "old", "young", "low"]


def test_an_idle_daemon_holds_no_more_after_many_jobs(start):
    daemon = start()
    daemon.write("in.csv", "a,b\n1,2\n")

    def fds_after(jobs):
        for _ in range(jobs):
            assert daemon.run(spec_of("in.csv", "o"))["state"] == "completed"
        wait_until(lambda: len(processes_of(daemon.tree)) <= 3, "the jobs' processes to end")
        return len(os.listdir(f"/proc/{daemon.pid}/fd"))

    first = fds_after(5)
    assert fds_after(30) <= first + 1


@pytest.mark.skipif(IS_SANITIZED, reason="the leak sanitizer cannot work under strace")
def test_the_loop_turns_between_two_forks(start, tmp_path):
    """A pool of many workers must not keep the daemon from everything else while it starts."""
    trace = tmp_path / "trace"
    # -D: the daemon stays the process that was started, so that it gets the signals.
    daemon = start_slow(start, chunk_size=512, wrapper=("strace", "-D", "-o", str(trace), "-e",
                                                        "trace=clone,clone3,fork,vfork,epoll_wait,epoll_pwait"))
    check_right(daemon, daemon.wait_job(drop_slow(daemon, workers=4)))
    daemon.stop()
    calls = re.findall(r"^(epoll|clone|v?fork)", trace.read_text(), flags=re.M)
    forks = [n for n, call in enumerate(calls) if call != "epoll"]
    assert len(forks) >= 4
    assert all(later - earlier > 1 for earlier, later in zip(forks, forks[1:])), "two forks in one turn"
