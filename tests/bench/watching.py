# SPDX-License-Identifier: MIT
"""The parts "watching" and "many": what it costs that the daemon looks, and how fast it answers.

Live workers that stay live are real ones, stopped by SIGSTOP inside a job of tiny chunks.
"""
import os
import signal
import socket
import statistics
import time

import process
from engine import PATIENCE, Engine, StatsPages
from harness import wait_until
from measure import interleave
from report import table
from settings import DATA, LIVE, RUNS, SECONDS, scaled
from throughput import prepare

FAST, SLOW = "10ms", "10s"
N_SCRAPES = 100
FEW_WORKERS = 8
TINY_CHUNK = 64
START_PATIENCE = 120
SETTLE_S = 1
N_WINDOWS = 3


def idle_wake_ups(daemon):
    """How often the daemon and its storage process woke up in each of some windows with nothing to do."""
    wait_until(lambda: len(process.children(daemon.pid)) == 1, "the last job's processes to end")
    time.sleep(SETTLE_S)
    pids = [daemon.pid, *process.children(daemon.pid)]
    counts = []
    for _ in range(N_WINDOWS):
        counts.append(sum(map(process.voluntary_switches, pids)))
        time.sleep(SECONDS)
    counts.append(sum(map(process.voluntary_switches, pids)))
    return [after - before for before, after in zip(counts, counts[1:])]


def measure_watching(report, scanners):
    """The daemon reads the stats 100 times a second, or hardly ever; four times the runs, for so small a
    difference, and an output below the size from which the kernel holds writers up."""
    dataset = prepare("plain", scaled(500))
    fast, slow = (Engine(2, scanners[-1], poll_interval=interval) for interval in (FAST, SLOW))
    fast.name, slow.name = "polled at 100 Hz", "polled at 0.1 Hz"
    try:
        copy, polled, unpolled = interleave(dataset, [fast, slow], 4 * RUNS)
        n_wake_ups = idle_wake_ups(fast.daemon)
    finally:
        fast.close()
        slow.close()
    report.add_series(f"Watching ({scanners[-1]}, 2 workers)", [copy, polled, unpolled])
    pairs = statistics.median(b.wall_s / a.wall_s for a, b in zip(polled.samples, unpolled.samples))
    best = unpolled.best() / polled.best()
    report.add_seen("throughput polled at 100 Hz / at 0.1 Hz", f"{best:.3f} best, {pairs:.3f} median of pairs")
    report.add_seen(f"wake-ups of an idle daemon in {SECONDS:g} s, {N_WINDOWS} times (one may hold the rescan of the "
                    "spool, every 30 s)", ", ".join(map(str, n_wake_ups)))


def scrape(port):
    """(seconds, bytes) of GET /metrics from connect to the last byte, by a client that does nothing else."""
    begin = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        chunks = list(iter(lambda: connection.recv(1 << 16), b""))
    seconds = time.perf_counter() - begin
    answer = b"".join(chunks)
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
    return seconds, len(answer)


def stopped(pid):
    """SIGSTOPs it; whether it is there to be stopped."""
    try:
        os.kill(pid, signal.SIGSTOP)
        return True
    except ProcessLookupError:
        return False


def stop_all(engine, job_id):
    """Stops the workers of a job one by one as they appear, until all are there; their pids.

    Nothing is asked of the daemon meanwhile: those that are not stopped yet would have the processors.
    """
    pages = StatsPages(engine.daemon.run_dir / "jobs" / job_id)
    held = set()
    deadline = time.monotonic() + START_PATIENCE
    while len(held) < engine.workers:
        pages.look()
        held |= {pid for pid in set(pages.pids()) - held if stopped(pid)}
        assert time.monotonic() < deadline, f"only {len(held)} of {engine.workers} workers are alive"
        time.sleep(0.002)
    return held


def look_at_live(engine, source):
    """(CPU share of the daemon, scrape times, bytes of a scrape, PSS of all workers) with all workers alive."""
    job_id = engine.submit(source, engine.output, errors={"max_ratio": 1})
    try:
        held = stop_all(engine, job_id)
        scrape(engine.daemon.port)
        cpu_before, begin = process.cpu_s(engine.daemon.pid), time.monotonic()
        time.sleep(SECONDS)
        share = (process.cpu_s(engine.daemon.pid) - cpu_before) / (time.monotonic() - begin)
        scrapes = [scrape(engine.daemon.port) for _ in range(N_SCRAPES)]
        return share, [seconds for seconds, _ in scrapes], scrapes[-1][1], sum(map(process.pss_bytes, held))
    finally:
        # Stopped processes need no SIGCONT: what ends them is the daemon's SIGKILL.
        engine.daemon.request("POST", f"/api/v1/jobs/{job_id}/cancel", unix=True)
        engine.daemon.wait_job(job_id, PATIENCE)


def measure_many(report, scanners):
    """The daemon's CPU and the time of a scrape with few and with many live workers."""
    source = DATA / "many.csv"
    source.write_bytes(b"a,b\n" + b"1234567,abcdefg\n" * (1 << 20))
    rows = []
    for workers in sorted({min(FEW_WORKERS, LIVE), LIVE}):
        engine = Engine(workers, scanners[-1], chunk_size=TINY_CHUNK, poll_interval=FAST)
        try:
            share, times, n_bytes, pss_bytes = look_at_live(engine, source)
        finally:
            engine.close()
        times.sort()
        rows.append([workers, f"{100 * share:.2f} %", *(f"{1000 * value:.2f}" for value in (
            times[0], statistics.median(times), times[int(len(times) * 0.99)])), f"{n_bytes:,}",
            f"{pss_bytes / workers / 2**20:.2f}"])
        report.add_seen(f"{workers} live workers: daemon's CPU at 100 Hz; scrape",
                        f"{100 * share:.2f} % of a processor; {1000 * statistics.median(times):.2f} ms median")
    source.unlink()
    head = ["live workers", "daemon's CPU at 100 Hz", "scrape ms: best", "median", "99th of 100", "bytes",
            "PSS of a worker, MiB"]
    report.add("Many workers", table(head, rows) + f"\nReal workers, stopped inside a job; {N_SCRAPES} scrapes of "
               "`/metrics` over TCP, one after the other, a connection each, seen by the client.\n")
