# SPDX-License-Identifier: MIT
"""What a run of the benchmark may be told, by the environment alone, and where it keeps things.

ZP_BENCH_PARTS      parts to run (all): plain quoted wide long peers reporting watching many load memory sizes workers
ZP_BENCH_RUNS       measured runs of each contestant, after a warm-up (5)
ZP_BENCH_SCALE      factor on every data size (1.0: 1 GB of plain rows)
ZP_BENCH_SCANNERS   instruction sets (portable avx2 avx512); what the machine or the worker lacks is left out
ZP_BENCH_PEERS      peers to compare with (miller python duckdb polars)
ZP_BENCH_LIVE       live workers of the part "many" (1000)
ZP_BENCH_SECONDS    how long idle and polling daemons are looked at (10)
ZP_BENCH_DATA       where inputs and outputs lie, about 25 GB (BUILD/bench-data)
ZP_BENCH_REPORT     where the report goes (BUILD/bench-report)
ZP_BUILD            the build folder to measure (build)
"""
import os
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/support"))
BENCH = TOP / "tests/bench"
BUILD = TOP / os.environ.get("ZP_BUILD", "build")
MAKE_DATA = BUILD / "tests/bench/make_data"
COPY_LOOP = BUILD / "tests/bench/copy_loop"
WARM = BUILD / "tests/bench/warm"
CLIENT = BUILD / "zooparallel"

ALL_PARTS = "plain quoted wide long peers reporting watching many load memory sizes workers"
MB = 1_000_000


def words(name, default):
    return os.environ.get(name, default).split()


PARTS = words("ZP_BENCH_PARTS", ALL_PARTS)
RUNS = int(os.environ.get("ZP_BENCH_RUNS", "5"))
SCALE = float(os.environ.get("ZP_BENCH_SCALE", "1.0"))
SCANNERS = words("ZP_BENCH_SCANNERS", "portable avx2 avx512")
PEERS = words("ZP_BENCH_PEERS", "miller python duckdb polars")
LIVE = int(os.environ.get("ZP_BENCH_LIVE", "1000"))
SECONDS = float(os.environ.get("ZP_BENCH_SECONDS", "10"))
DATA = Path(os.environ.get("ZP_BENCH_DATA", BUILD / "bench-data")).resolve()
REPORT = Path(os.environ.get("ZP_BENCH_REPORT", BUILD / "bench-report")).resolve()
NPM = BUILD / "bench-npm"


def scaled(n_megabytes):
    """Bytes; never so few that there is nothing to measure."""
    return max(int(n_megabytes * MB * SCALE), 10_000)


def check():
    unknown = set(PARTS) - set(ALL_PARTS.split())
    if unknown:
        sys.exit(f"no such part: {' '.join(sorted(unknown))}")
    if RUNS < 1 or SCALE <= 0:
        sys.exit("ZP_BENCH_RUNS is at least 1, ZP_BENCH_SCALE above 0")
