# SPDX-License-Identifier: MIT
"""How much of each harm is done, from which seed, and what came of it.

ZP_CHAOS_SCALE  "short" (for every commit, minutes) or "long" (the promised numbers)
ZP_CHAOS_SEED   the seed of all choices; without it one is drawn, and printed
"""
import math
import os
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness import BUILD

SCALE = os.environ.get("ZP_CHAOS_SCALE", "short")
SEED = int(os.environ.get("ZP_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
REPORT = BUILD / "chaos-report.md"

ALL = None  # every point that there is
NUMBERS = {  # harm: (N of the short form, N of the long one)
    "SIGKILL of workers": (60, 1000),
    "deaths that are seen": (20, 300),
    "SIGKILL of any helper": (20, 300),
    "SIGSTOP of any process": (12, 200),
    "SIGKILL of the supervisor": (10, 200),
    "storage dies at a syscall": (8, ALL),
    "all die after a syscall of the storage": (8, ALL),
    "supervisor dies at a syscall": (8, ALL),
    "a call fails once": (16, ALL),
    "a request cannot be sent": (8, ALL),
    "a call fails for ever": (5, 200),
    "clock jumps": (8, 100),
    "small jobs": (200, 10_000),
    "corruptions of stats files": (20, 600),
}


def number(harm):
    short, long = NUMBERS[harm]
    return {"short": short, "long": long}[SCALE]


def chance(name):
    """A source of choices of its own for each test, so that one run alone makes the same ones."""
    return random.Random(f"{SEED} {name}")


def sample(harm, points, rng):
    """The points of a harm to try: all in the long form if it says so, else a choice of them."""
    n = number(harm)
    return list(points) if n is ALL or n >= len(points) else rng.sample(points, n)


def percentile(values, share):
    """The nearest rank; None of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else None


@dataclass
class Figures:
    """One row of the report."""

    harm: str
    n: int = 0
    jobs: int = 0
    lost: int = 0
    doubled: int = 0
    leftovers: int = 0
    failed: int = 0  # by a name, which some harms may cause
    visible_ms: list = field(default_factory=list)  # from a death to the scrape that shows it
    seconds: float = 0.0
    is_kept: bool = False
    notes: list = field(default_factory=list)

    HEAD = ("harm", "N", "jobs", "lost", "doubled", "leftovers", "failed", "visible after, p99", "worst",
            "seconds", "kept", "notes")

    def cells(self):
        p99, worst = percentile(self.visible_ms, 0.99), percentile(self.visible_ms, 1.0)
        times = ["" if value is None else f"{value:.0f} ms" for value in (p99, worst)]
        return [self.harm, self.n, self.jobs, self.lost, self.doubled, self.leftovers, self.failed, *times,
                f"{self.seconds:.0f}", "yes" if self.is_kept else "NO", "; ".join(self.notes)]


class Report:
    def __init__(self):
        self.rows = []

    @contextmanager
    def measure(self, harm):
        figures = Figures(harm)
        self.rows.append(figures)
        started = time.monotonic()
        try:
            yield figures
            figures.is_kept = True
        finally:
            figures.seconds = time.monotonic() - started

    def text(self):
        lines = [f"# Chaos, {SCALE} form, seed {SEED}", "",
                 "| " + " | ".join(Figures.HEAD) + " |", "|" + "---|" * len(Figures.HEAD)]
        lines += ["| " + " | ".join(map(str, figures.cells())) + " |" for figures in self.rows]
        return "\n".join(lines) + "\n"
