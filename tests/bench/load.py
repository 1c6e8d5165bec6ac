# SPDX-License-Identifier: MIT
"""The part "load": what requests cost a running job, and how many of them the daemon answers.

Scrapes at a fixed pace come over one kept connection, as Prometheus does it; as many as can be come
from wrk. Both clients run on this machine, so what they cost is in the figures too.
"""
import http.client
import re
import statistics
import subprocess
import threading
import time

from engine import Engine
from measure import interleave, settle
from report import table
from settings import RUNS, SECONDS, scaled
from throughput import prepare

PACES = [0, 1, 10, 100]  # scrapes a second
PATHS = ["/metrics", "/api/v1/status"]
N_CONNECTIONS = 16
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Scraper:
    """Scrapes /metrics at a pace from enter to exit; the first scrape of all falls anywhere in its period."""

    def __init__(self, port, per_second):
        self.port = port
        self.period = 1 / per_second
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.scrape)

    def scrape(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        # The phase goes on from one job to the next, so that a pace below one a job is met on the average.
        while not self.is_over.wait(self.period - time.monotonic() % self.period):
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            assert response.status == 200 and response.read(), response.status
        connection.close()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


class Scraped(Engine):
    """An engine that is scraped while it converts."""

    def __init__(self, per_second, scanner):
        super().__init__(2, scanner)
        self.per_second = per_second
        self.name = f"{per_second} scrapes a second" if per_second else "no scrape"

    def run_once(self, dataset, is_warm_up):
        if not self.per_second:
            return super().run_once(dataset, is_warm_up)
        with Scraper(self.daemon.port, self.per_second):
            return super().run_once(dataset, is_warm_up)


def measure_paces(report, dataset, scanner):
    contestants = [Scraped(pace, scanner) for pace in PACES]
    try:
        copy, *found = interleave(dataset, contestants, 4 * RUNS)
    finally:
        for contestant in contestants:
            contestant.close()
    report.add_series(f"Scraped while converting ({scanner}, 2 workers)", [copy, *found])
    calm = found[0]
    for series in found[1:]:
        mean = statistics.mean(b.wall_s / a.wall_s for a, b in zip(calm.samples, series.samples))
        report.add_seen(f"wall with {series.name} / with none",
                        f"{series.best() / calm.best():.3f} best, {series.median() / calm.median():.3f} medians, "
                        f"{mean:.3f} mean of pairs")


def wrk(port, path):
    """(requests a second, median ms, 99th percentile ms) of all that N_CONNECTIONS can ask for."""
    done = subprocess.run(["wrk", "-t1", f"-c{N_CONNECTIONS}", f"-d{max(int(SECONDS), 1)}s", "--latency",
                           f"http://127.0.0.1:{port}{path}"], text=True, capture_output=True, check=True)
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])
    latency = {percent: float(value) * UNITS[unit]
               for percent, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)\b", done.stdout)}
    return rate, latency["50"], latency["99"]


class Busy:
    """One job after the other from enter to exit; walls are theirs."""

    def __init__(self, engine, dataset):
        self.engine = engine
        self.dataset = dataset
        self.walls = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.is_over.is_set():
            self.walls.append(self.engine.run(self.dataset).wall_s)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def measure_flood(report, dataset, scanner):
    engine = Engine(2, scanner)
    rows = []
    try:
        settle(dataset)
        calm = statistics.median(engine.run(dataset).wall_s for _ in range(RUNS + 1))
        for path in PATHS:
            idle = wrk(engine.daemon.port, path)
            settle(dataset)
            with Busy(engine, dataset) as busy:
                beside = wrk(engine.daemon.port, path)
            rows.append([f"`{path}`", *(f"{value:,.{digits}f}" for value, digits in zip(idle + beside, (0, 2, 2) * 2)),
                         f"{statistics.median(busy.walls) / calm:.2f}"])
    finally:
        engine.close()
    head = ["asked for", "requests/s, idle", "median ms", "99 % ms", "requests/s beside a job", "median ms", "99 % ms",
            "wall of the job / alone"]
    report.add("As many requests as can be", table(head, rows) + f"\nwrk, one thread, {N_CONNECTIONS} kept "
               f"connections, {SECONDS:g} s each, on the processors that the job has; the job is a conversion of two "
               "workers, again and again.\n")


def measure_load(report, scanners):
    """Scrapes at a pace, then a flood of requests, beside a job."""
    # Below the size of output from which the kernel holds writers up.
    dataset = prepare("plain", scaled(500))
    measure_paces(report, dataset, scanners[-1])
    measure_flood(report, dataset, scanners[-1])
