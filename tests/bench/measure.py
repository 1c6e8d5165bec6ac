# SPDX-License-Identifier: MIT
"""Contestants in turn, and what their runs come to.

Absolute times swing on shared machines, so every run of a contestant has a run of the copy loop
right before it, and ratios are taken within such a pair as well as between the best of each.
"""
import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field

import machine
from process import pss_bytes
from settings import COPY_LOOP, DATA, RUNS, WARM


@dataclass
class Sample:
    """One run. wall_s ends with the last write, sync_s is what makes it durable, whole_s is all of it."""
    in_bytes: int = 0
    out_bytes: int = 0
    rows: int = 0
    wall_s: float = 0.0
    sync_s: float = 0.0
    whole_s: float = 0.0
    cpu_s: float = 0.0
    pss_bytes: int = 0
    daemon_pss_bytes: int = 0


@dataclass
class Series:
    """The runs of one contestant, each with the copy made right before it."""
    name: str
    samples: list = field(default_factory=list)
    copies: list = field(default_factory=list)
    warm_up: Sample = None
    best_copy_s: float = 0.0
    note: str = ""

    def best(self, what="wall_s"):
        return min(getattr(sample, what) for sample in self.samples)

    def median(self, what="wall_s"):
        return statistics.median(getattr(sample, what) for sample in self.samples)

    def per_second(self, what):
        """By the best run."""
        return getattr(self.samples[0], what) / self.best()

    def best_ratio(self):
        """Best wall against the best copy of all, whichever pair it was in."""
        return self.best() / self.best_copy_s

    def pair_ratio(self):
        """Median of wall against the copy of the same pair."""
        return statistics.median(sample.wall_s / copy.wall_s for sample, copy in zip(self.samples, self.copies))

    def durable_ratio(self):
        """Median of wall and commit against the copy and its fsync; None of what does not sync."""
        if not self.best("sync_s"):
            return None
        return statistics.median((sample.wall_s + sample.sync_s) / (copy.wall_s + copy.sync_s)
                                 for sample, copy in zip(self.samples, self.copies))


def wait_and_watch(pid):
    """wait4 with the peak of the PSS; what rusage calls the peak begins with the parent's size at the fork."""
    peak = 0
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage, peak
        peak = max(peak, pss_bytes(pid))
        time.sleep(0.01)


def run_process(command, output, dataset, is_watched=False, **options):
    """Runs a program whole; its own times come from the kernel when it has ended."""
    begin = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), **options)
    if is_watched:
        status, usage, peak = wait_and_watch(process.pid)
    else:
        (_, status, usage), peak = os.wait4(process.pid, 0), 0
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.monotonic() - begin
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Sample(in_bytes=dataset.size, out_bytes=output.stat().st_size, rows=dataset.rows, wall_s=wall_s,
                  whole_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, pss_bytes=peak)


class Copy:
    """The reference: the copy loop over the bytes that the contestants have to write."""
    name = "copy loop"

    def run(self, dataset, is_warm_up=False):
        output = DATA / "copy.out"
        output.unlink(missing_ok=True)
        with open(DATA / "copy.said", "w+") as said:
            sample = run_process([COPY_LOOP, "-s", dataset.expected, output], output, dataset, is_warm_up, stdout=said)
            said.seek(0)
            words = dict(word.split("=") for word in said.read().split())
        sample.wall_s = int(words["wall_ns"]) / 1e9
        sample.sync_s = int(words["sync_ns"]) / 1e9
        assert sample.out_bytes == dataset.out_size
        output.unlink()
        return sample


class Cat:
    """For information: Debian's cat uses copy_file_range(2) where it can."""
    name = "cat (for information)"

    def run(self, dataset, is_warm_up=False):
        output = DATA / "cat.out"
        output.unlink(missing_ok=True)
        with open(output, "wb") as file:
            sample = run_process(["cat", dataset.expected], output, dataset, is_warm_up, stdout=file)
        output.unlink()
        return sample


def settle(dataset):
    """The same start for every run: nothing left to write, the files in the cache, memory at hand."""
    subprocess.run(["sync", "-f", DATA], check=True)
    subprocess.run([WARM, str(dataset.out_size), dataset.path, dataset.expected], check=True)


def interleave(dataset, contestants, runs=RUNS):
    """Series of the copy loop and of every contestant, all taking turns after a warm-up."""
    machine.defragment()
    copy = Copy()
    reference = Series(copy.name)
    found = [Series(contestant.name) for contestant in contestants]
    reference.warm_up = copy.run(dataset, is_warm_up=True)
    for contestant, series in zip(contestants, found):
        series.warm_up = contestant.run(dataset, is_warm_up=True)
    for _ in range(runs):
        for contestant, series in zip(contestants, found):
            settle(dataset)
            series.copies.append(copy.run(dataset))
            settle(dataset)
            series.samples.append(contestant.run(dataset))
        reference.samples += [series.copies[-1] for series in found]
    reference.copies = reference.samples
    for series in (reference, *found):
        series.best_copy_s = reference.best()
    return [reference, *found]
