#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What it costs Python to tell another process of every row: report_rows.py none|queue|prometheus INPUT OUTPUT.

A child converts CSV to JSON Lines; the parent wants to know how far it is.

    none        it is not told
    queue       one put to a multiprocessing.Queue for each row, which the parent adds up
    prometheus  one counter's inc() for each row in prometheus_client's multiprocess mode, whose files
                (in PROMETHEUS_MULTIPROC_DIR) any process may add up

Prints rows= and seconds= of the whole conversion, and told=, the rows that the parent knows of.
"""
import csv
import json
import multiprocessing
import sys
import time

DONE = None


def convert(source_path, target_path, tell):
    with open(source_path, newline="", encoding="utf-8") as source, open(target_path, "w", encoding="utf-8") as target:
        rows = csv.reader(source)
        columns = next(rows)
        for row in rows:
            target.write(json.dumps(dict(zip(columns, row)), ensure_ascii=False, separators=(",", ":")) + "\n")
            tell()


def convert_silently(paths, queue):
    convert(*paths, lambda: None)
    queue.put(DONE)


def convert_with_queue(paths, queue):
    convert(*paths, lambda: queue.put(1))
    queue.put(DONE)


def convert_with_prometheus(paths, queue):
    from prometheus_client import Counter
    convert(*paths, Counter("rows_processed", "Rows processed").inc)
    queue.put(DONE)


def told_by_prometheus():
    from prometheus_client import CollectorRegistry, multiprocess
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return int(registry.get_sample_value("rows_processed_total") or 0)


MODES = {"none": convert_silently, "queue": convert_with_queue, "prometheus": convert_with_prometheus}


def main():
    mode, *paths = sys.argv[1:]
    queue = multiprocessing.Queue()
    child = multiprocessing.Process(target=MODES[mode], args=(paths, queue))
    begin = time.monotonic()
    child.start()
    told = sum(iter(queue.get, DONE))
    child.join()
    seconds = time.monotonic() - begin
    if mode == "prometheus":
        told = told_by_prometheus()
    with open(paths[1], "rb") as target:
        n_rows = sum(1 for _ in target)
    print(f"rows={n_rows} seconds={seconds:.6f} told={told}")
    return child.exitcode


if __name__ == "__main__":
    sys.exit(main())
