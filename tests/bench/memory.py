# SPDX-License-Identifier: MIT
"""The part "memory": the largest worker and the daemon, whatever the input is like.

Ten gigabytes are ten names of one file, so only the output needs the space.
"""
import os

from engine import Engine
from measure import Sample
from report import table
from settings import DATA, MB, scaled
from throughput import prepare

MIB = 1 << 20
N_LINKS = 10
LONG_ROW = 1_000_000  # below the default max_row_bytes
N_COLUMNS = 10_000


def write_long_rows(path, n_bytes):
    with open(path, "wb") as file:
        file.write(b"id,text\n")
        for number in range(max(n_bytes // LONG_ROW, 3)):
            file.write(b"%d,%s\n" % (number, b"word " * (LONG_ROW // 5 - 3)))


def write_many_columns(path, n_bytes):
    row = ",".join(str(column % 1000) for column in range(N_COLUMNS)).encode() + b"\n"
    with open(path, "wb") as file:
        file.write(",".join(f"c{column}" for column in range(N_COLUMNS)).encode() + b"\n")
        for _ in range(max(n_bytes // len(row), 3)):
            file.write(row)


def run_watched(engine, pattern, size):
    """Peaks of (a worker, the daemon) in bytes, and the rows."""
    engine.output.unlink(missing_ok=True)
    sample = Sample()
    job_id = engine.submit(pattern, engine.output)
    engine.watch_memory(job_id, engine.pages_of(job_id, size), sample)
    result = engine.wait(job_id)
    engine.output.unlink()
    assert result["error_count"] == 0, result
    return sample.pss_bytes, sample.daemon_pss_bytes, result["success_count"]


def measure_memory(report, scanners):
    big = prepare("plain", scaled(1000))
    links = [DATA / f"memory-{n}.csv" for n in range(N_LINKS)]
    long_rows, columns = DATA / "long-rows.csv", DATA / "columns.csv"
    write_long_rows(long_rows, scaled(100))
    write_many_columns(columns, scaled(100))
    cases = [  # (what, glob, its bytes, workers)
        (f"plain, {big.size / MB:,.0f} MB", big.path, big.size, 2),
        (f"plain, {N_LINKS} times {big.size / MB:,.0f} MB", DATA / "memory-*.csv", N_LINKS * big.size, 2),
        (f"plain, {big.size / MB:,.0f} MB", big.path, big.size, 8),
        (f"rows of {LONG_ROW:,} bytes", long_rows, long_rows.stat().st_size, 2),
        (f"{N_COLUMNS:,} columns", columns, columns.stat().st_size, 2),
    ]
    rows = []
    try:
        for link in links:
            link.unlink(missing_ok=True)
            os.link(big.path, link)
        for what, pattern, size, workers in cases:
            engine = Engine(workers, scanners[-1])
            try:
                worker_bytes, daemon_bytes, n_rows = run_watched(engine, pattern, size)
            finally:
                engine.close()
            rows.append([what, f"{n_rows:,}", workers, f"{worker_bytes / MIB:.1f}", f"{daemon_bytes / MIB:.1f}"])
    finally:
        for path in (*links, long_rows, columns):
            path.unlink(missing_ok=True)
    head = ["input", "rows", "workers", "largest worker, PSS MiB", "daemon, PSS MiB"]
    report.add("Memory", table(head, rows) + "\nPeaks of `smaps_rollup`, read every 10 ms.\n")
    report.add_seen("PSS of a worker, largest of all inputs", f"{max(float(row[3]) for row in rows):.1f} MiB")
