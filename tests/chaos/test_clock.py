# SPDX-License-Identifier: MIT
"""Clocks that jump: the daemon's real time at any moment, and monotonic time from one start to the next.

The machine's own clock stays as it is: a preloaded library moves what the daemon takes for real
time (jumping_clock.c), and a time namespace what it takes for monotonic time. Monotonic time that
jumps while a process runs does not exist; workers have true real time throughout.
"""
import struct
import subprocess
import sys
import time

import pytest

import scale
import world
from harness import BUILD, FINAL, IS_SANITIZED

LIBRARY = BUILD / "tests/chaos/jumping_clock.so"
HOUR, DAY = 3600, 86400
JUMPS = [-1, 1, -HOUR, HOUR, -DAY, DAY, -5 * DAY, 5 * DAY, -30 * 365 * DAY, 0]


class Clock:
    def __init__(self, path):
        self.path = path
        self.jump(0)

    def jump(self, seconds):
        """In place: the daemon has mapped it."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))


@pytest.mark.skipif(IS_SANITIZED, reason="the sanitizer wants to be the first preloaded library")
def test_jumps_of_real_time_harm_no_job(make, long_data, tmp_path, report, rng):
    harm = "clock jumps"
    clock = Clock(tmp_path / "clock")
    with report.measure(harm) as figures:
        daemon = make(retention="3650d")
        daemon.environment = {"LD_PRELOAD": str(LIBRARY), "ZP_CHAOS_CLOCK": str(clock.path)}
        daemon.start()
        case = world.Case(daemon, long_data)
        with world.CounterReader(daemon), world.TargetReader(case):
            while figures.n < scale.number(harm):
                job_id = case.drop()
                while (job := daemon.job(job_id))["state"] not in FINAL:
                    if figures.n < scale.number(harm):
                        clock.jump(rng.choice(JUMPS))
                        figures.n += 1
                    time.sleep(rng.uniform(0, 0.3))
                case.check_completed(job, figures)
                assert job["duration_seconds"] >= 0 and (job["items_per_second"] or 0) >= 0, job
        # IDs sort by time, whatever the clock says of it.
        assert case.older == sorted(set(case.older)), case.older
        clock.jump(-DAY)
        daemon.stop()
        daemon.start()
        case.check_completed(case.wait(case.drop()), figures)
        assert case.older == sorted(set(case.older)), case.older
        assert not (left := world.stop_and_search(daemon, figures)), left


def in_time_namespace(seconds):
    return ["unshare", "--time", f"--monotonic={seconds}", f"--boottime={seconds}"]


def check_time_namespaces():
    """An exec enters the namespace only since Linux 6.3; before, only a child does."""
    probe = subprocess.run([*in_time_namespace(1_000_000), sys.executable, "-c", "import time; print(time.monotonic())"],
                           capture_output=True, text=True)
    if probe.returncode != 0 or float(probe.stdout) < time.monotonic() + 500_000:
        pytest.skip(f"no time namespace to be had: {probe.stderr.strip()[:200]}")


def test_monotonic_time_that_begins_anew_harms_no_job(make, long_data, report, rng):
    """As after a reboot, but with all that the runtime directory holds."""
    check_time_namespaces()
    with report.measure("monotonic clock begins anew") as figures:
        daemon = make()
        case = world.Case(daemon, long_data)
        for before, after in ((1_000_000, 10), (10, 1_000_000)):
            daemon.wrapper = in_time_namespace(before)
            daemon.start()
            job_id = case.drop()
            time.sleep(rng.uniform(0.1, 0.5))
            daemon.kill()
            daemon.wrapper = in_time_namespace(after)
            daemon.start()
            case.check_completed(case.wait(job_id), figures)
            figures.n += 1
            assert not (left := world.stop_and_search(daemon, figures)), left
