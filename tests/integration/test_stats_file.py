# SPDX-License-Identifier: MIT
"""Whatever a stats file becomes, the daemon lives, a scrape is whole, and the job's rows are right."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from corruptions import CORRUPTIONS
from harness import CLIENT, TOP, start_slow, wait_until
from test_watching import check_right, drop_slow

READER = TOP / "tests" / "support" / "read_stats.py"


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_broken_stats_file_breaks_nothing_else(start, kind):
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=2)
    with daemon.stopped_workers(job_id):
        path = daemon.run_dir / "jobs" / job_id / "worker-1.stats"
        CORRUPTIONS[kind](path)
        for _ in range(3):
            daemon.metrics()
            assert daemon.job(job_id)["state"] == "running"
            workers = daemon.get(f"/api/v1/jobs/{job_id}/workers").json["workers"]
            assert [worker["slot"] for worker in workers] == [0, 1]
        if kind in ("truncated_under_the_mapping", "random_bytes"):
            invalid = wait_until(lambda: daemon.get(f"/api/v1/jobs/{job_id}/workers").json["workers"], "the workers")
            assert invalid[1]["is_stats_valid"] is False, invalid
            assert daemon.metric("zooparallel_stats_files_invalid_total") >= 1
    check_right(daemon, daemon.wait_job(job_id))


def test_three_readers_agree(start):
    """The daemon, the command line and a Python reader that knows only the manual's table."""
    daemon = start_slow(start)
    job_id = drop_slow(daemon, workers=1)
    with daemon.stopped_workers(job_id):
        path = daemon.run_dir / "jobs" / job_id / "worker-0.stats"
        client = json.loads(subprocess.run([CLIENT, "stats", "--json", path], capture_output=True, check=True).stdout)
        python = subprocess.run([sys.executable, READER, path], capture_output=True, text=True, check=True).stdout
        # The worker stands still, so the daemon's next look finds what the others have read.
        wait_until(lambda: daemon.get(f"/api/v1/jobs/{job_id}/workers").json["workers"][0]["bytes_read"]
                   == client["bytes_read"], "the daemon's next look")
        shown = daemon.get(f"/api/v1/jobs/{job_id}/workers").json["workers"][0]
        for name in ("pid", "slot", "bytes_read", "bytes_written", "total_processed", "success_count", "generation"):
            assert shown[name] == client[name], name
            assert re.search(rf"{name}\W+{client[name]}\b", python), python
    check_right(daemon, daemon.wait_job(job_id))


@pytest.mark.parametrize("data", [b"", b"x" * 40, os.urandom(256), b"\0" * 256], ids=["empty", "short", "random", "zeros"])
def test_the_command_line_refuses_what_is_no_stats_file(tmp_path, data):
    path = tmp_path / "worker-0.stats"
    path.write_bytes(data)
    done = subprocess.run([CLIENT, "stats", path], capture_output=True, text=True)
    assert done.returncode != 0 and str(Path(path).name) in done.stderr
