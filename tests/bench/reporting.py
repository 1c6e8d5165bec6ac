# SPDX-License-Identifier: MIT
"""The part "reporting": telling of every row the ways that our stats replace, in Python.

Our own price of watching is in the part "watching".
"""
import os
import shutil
import statistics
import tempfile

import datasets
from measure import run_process
from report import table
from settings import BENCH, DATA, RUNS, scaled

SLICE_MB = 20
MODES = {
    "none": "nothing is told",
    "queue": "a multiprocessing.Queue.put() for each row",
    "prometheus": "a prometheus_client multiprocess counter's inc() for each row",
}


def run_mode(mode, dataset):
    """Rows a second of one run; the rows that arrived are checked."""
    output = DATA / "reporting.jsonl"
    folder = tempfile.mkdtemp(prefix="zooparallel-bench-")
    try:
        with open(DATA / "reporting.said", "w+") as said:
            command = ["/usr/bin/python3", BENCH / "peers/report_rows.py", mode, dataset.path, output]
            run_process(command, output, dataset, stdout=said, env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder})
            said.seek(0)
            words = dict(word.split("=") for word in said.read().split())
    finally:
        shutil.rmtree(folder)
        output.unlink(missing_ok=True)
    assert int(words["rows"]) == dataset.rows
    assert int(words["told"]) == (0 if mode == "none" else dataset.rows), words
    return dataset.rows / float(words["seconds"])


def measure_reporting(report, scanners):
    dataset = datasets.make("plain", scaled(SLICE_MB))
    rates = {mode: [] for mode in MODES}
    for n in range(RUNS + 1):
        for mode in MODES:
            rate = run_mode(mode, dataset)
            if n > 0:
                rates[mode].append(rate)
    base = statistics.median(rates["none"])
    rows = [[words, f"{max(rates[mode]):,.0f}", f"{statistics.median(rates[mode]):,.0f}",
             f"{statistics.median(rates[mode]) / base:.2f}"] for mode, words in MODES.items()]
    head = ["how", "best rows/s", "median rows/s", "of telling nothing"]
    report.add("Telling of every row, in Python", table(head, rows)
               + "\nOne child converts CSV to JSON Lines with csv and json, its parent learns of every row.\n")
