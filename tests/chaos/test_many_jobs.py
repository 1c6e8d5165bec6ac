# SPDX-License-Identifier: MIT
"""Thousands of small jobs, one after the other: descriptors stay flat, and memory after a while too."""
import os
import re
import time
from pathlib import Path

import scale
import world
from harness import spec_of, wait_until

BATCH = 50
MEMORY_GROWTH = 0.05
WARM_UP = {"short": 100, "long": 1000}[scale.SCALE]
ROWS = b"id,name\n" + b"".join(b"m-%d,x\n" % n for n in range(20))
EXPECTED = b"".join(b'{"id":"m-%d","name":"x"}\n' % n for n in range(20))


def resident_bytes(pid):
    return int(re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)[1]) * 1024


def n_finished(daemon):
    series = r'^zooparallel_jobs_finished_total\{.*outcome="(\w+)".*\} (\d+)'
    found = re.findall(series, daemon.get("/metrics").text, re.M)
    counts = {outcome: int(n) for outcome, n in found}
    assert not counts.get("failed") and not counts.get("aborted"), daemon.log[-3000:]
    return counts.get("completed", 0)


def n_kept(daemon):
    return len(list((daemon.state / "jobs").iterdir()))


def settle(daemon):
    """Everything of the ended jobs is over, what is forgotten and what is shown as well."""
    wait_until(lambda: len(world.children_of(daemon.pid)) <= 1, "the jobs' processes to end")
    wait_until(lambda: n_kept(daemon) == 0, "the ended jobs to be forgotten")
    # Of several looks the lowest: a connection of our own may be about to be closed.
    fds = []
    for _ in range(20):
        fds.append(len(os.listdir(f"/proc/{daemon.pid}/fd")))
        time.sleep(0.01)
    return min(fds), resident_bytes(daemon.pid)


def test_many_small_jobs_leave_nothing_behind(start, report):
    harm = "small jobs"
    n = scale.number(harm)
    with report.measure(harm) as figures:
        # Ended jobs are forgotten at once: what is kept for a while would be kept in memory too.
        daemon = start(retention="0s", max_jobs=4, chunk_size="512KiB")
        daemon.write("in.csv", ROWS)
        samples = []
        while figures.n < n:
            for k in range(figures.n, figures.n + BATCH):
                daemon.drop(spec_of("in.csv", f"out-{k % BATCH}.jsonl", name="many", workers=1), f"many-{k}")
            figures.n += BATCH
            wait_until(lambda: n_finished(daemon) >= figures.n, f"{figures.n} jobs to end", timeout=60)
            for k in range(BATCH):
                path = daemon.data / f"out-{k}.jsonl"
                assert path.read_bytes() == EXPECTED
                path.unlink()
            if figures.n % WARM_UP == 0 or figures.n >= n:
                samples.append(settle(daemon))
        figures.jobs = n_finished(daemon)
        assert figures.jobs == figures.n
        assert daemon.metric("zooparallel_rows_processed_total", pipe="many") == 20 * figures.n
        fds, memory = zip(*samples)
        figures.notes.append(f"fds {fds[0]} to {max(fds)}, memory {memory[0] >> 10} to {max(memory) >> 10} KiB")
        assert max(fds) <= fds[0], fds
        assert max(memory) <= memory[0] * (1 + MEMORY_GROWTH), memory
        assert not (left := world.stop_and_search(daemon, figures)), left
