# SPDX-License-Identifier: MIT
import os
import random
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from harness import SCANNERS, Daemon  # noqa: E402

SEED = int(os.environ.get("ZP_SEED") or random.randrange(1 << 32))
N_BATCHES = int(os.environ.get("ZP_PROPERTY_EXAMPLES") or 90)
# Chunk size in bytes and workers; the first is the plain sequential reading. The sizes around a
# row's length put borders into quotes, line ends and characters alike. The scanners take turns.
SHAPES = [(1 << 19, 1), (1, 8), (4096, 5), (1, 1), (1 << 19, 2), (61, 2), (2, 3), (7, 4)]
cases_run = 0


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"seed {SEED} (ZP_SEED), {N_BATCHES} batches, {cases_run} inputs, "
                                f"each in {len(SHAPES)} shapes, scanners {' '.join(SCANNERS)}")


@pytest.fixture(scope="session")
def memory():
    """A folder in memory if there is one: every job syncs its files, and here only rows count."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="zooparallel-test-", dir=parent) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def daemons(memory):
    """One living daemon for each shape: (workers, daemon)."""
    started = []
    try:
        for n, (chunk_size, workers) in enumerate(SHAPES):
            tree = memory / f"chunk-{chunk_size}-workers-{workers}"
            scanner = ("env", f"ZOOPARALLEL_SCANNER={SCANNERS[n % len(SCANNERS)]}")
            started.append((workers, Daemon(tree, scanner, chunk_size=chunk_size, max_workers=8).start()))
        yield started
        for _, daemon in started:
            daemon.stop()
            daemon.check_clean()
    finally:
        for _, daemon in started:
            daemon.destroy()
