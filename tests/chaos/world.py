# SPDX-License-Identifier: MIT
"""What every kind of harm is done to, and how its outcome is judged.

Every row carries an id that no other row of any data set has, so that a row that is lost, doubled
or in another's place can be named. The verdict compares three things: what the harmed job wrote,
what an undisturbed one wrote, and what Python's csv and json make of the same bytes.
"""
import csv
import http.client
import io
import json
import os
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import oracle
from harness import FINAL, Daemon, wait_until

# Tiny chunks: the proof has to hold at every border, and a job of a few megabytes lasts.
SETTINGS = {"chunk_size": 96, "checkpoint_interval": "100ms", "max_workers": 4}
OLD = b"the old file\n"
REASONS = {"rejects_exceeded", "input_missing", "input_unreadable", "input_changed", "output_exists",
           "output_unwritable", "path_denied", "io_error", "no_space", "worker_crash", "memory_limit",
           "timeout", "stalled", "cancelled", "internal"}

COLUMNS = ["id", "note", "city"]
CITIES = ["Wien", "Zürich", "São Paulo", "Łódź", "東京", "New York", "Reykjavík"]
# The last one makes the quotes before a chunk odd outside of a quoted field: each guess from them is wrong.
NOTES = ["", "plain", '"two\nlines"', '"said ""call first"""', '"a, b"', '"\n\n"', "x" * 60, '5" wide']
# A field too many, text behind a closing quote, a carriage return alone: (code, rest of the row).
BAD = [("ragged", "more,than,three"), ("bad_quote", '"shut" late,Wien'), ("bare_cr", "cut\rshort,Wien")]
BAD_EVERY = 1009
OUTPUT_ID = re.compile(rb'^\{"id":"([^"]*)"', re.M)


@dataclass
class Verdict:
    lost: int = 0
    doubled: int = 0
    misplaced: int = 0  # rows that are there once, but not in their order
    is_identical: bool = True

    @property
    def is_right(self):
        return self.is_identical and not (self.lost or self.doubled or self.misplaced)


def judge(ids, expected_ids, is_identical):
    """Multiset and order of the ids that were found against those that should be."""
    found, expected = Counter(ids), Counter(expected_ids)
    lost = sum((expected - found).values())
    doubled = sum((found - expected).values())
    misplaced = 0
    if not lost and not doubled:
        misplaced = sum(one != other for one, other in zip(ids, expected_ids))
    return Verdict(lost, doubled, misplaced, is_identical)


class Dataset:
    """A CSV of n rows, some of them bad, and what must become of it."""

    def __init__(self, n_rows, salt):
        self.salt = salt
        rows, good, self.bad = [], [], []
        offset, line = len(",".join(COLUMNS)) + 1, 2
        for n in range(n_rows):
            row_id = f"{salt}-{n:07d}"
            if n % BAD_EVERY == BAD_EVERY // 2:
                code, rest = BAD[n // BAD_EVERY % len(BAD)]
                row = f"{row_id},{rest}\n"
                self.bad.append({"id": row_id, "code": code, "offset": offset, "line": line})
            else:
                row = f"{row_id},{NOTES[n % len(NOTES)]},{CITIES[n % 5 + n % 3]}\n"
                good.append(row)
            rows.append(row)
            offset += len(row.encode())
            line += row.count("\n")
        self.n_rows = n_rows
        self.data = (",".join(COLUMNS) + "\n" + "".join(rows)).encode()
        values = csv.reader(io.StringIO("".join(good), newline=""))
        self.output = "".join(oracle.to_json(COLUMNS, row) for row in values).encode()
        self.ids = OUTPUT_ID.findall(self.output)
        self.errors = None  # known once a quiet daemon has written them
        assert len(self.ids) == len(good)

    def checked_by(self, tree):
        """The same job on a daemon that nobody disturbs, with one worker and large chunks."""
        daemon = Daemon(tree, chunk_size="512KiB", max_workers=1)
        try:
            case = Case(daemon.start(), self)
            assert case.wait(case.drop())["state"] == "completed"
            assert daemon.read("out.jsonl") == self.output, "an undisturbed run and Python disagree"
            self.errors = daemon.read("errors.jsonl")
            assert self.found_errors(self.errors) == self.bad, "the rejects are not the bad rows"
            daemon.stop()
        finally:
            daemon.destroy()
        return self

    @staticmethod
    def found_errors(errors):
        found = [json.loads(line) for line in errors.splitlines()]
        return [{"id": reject["row"].split(",", 1)[0], "code": reject["code"], "offset": reject["offset"],
                 "line": reject["line"]} for reject in found]

    def judge_output(self, output):
        return judge(OUTPUT_ID.findall(output), self.ids, output == self.output)

    def judge_errors(self, errors):
        ids = [found["id"] for found in self.found_errors(errors)]
        return judge(ids, [bad["id"] for bad in self.bad], errors == self.errors)


class Case:
    """Jobs over one data set on one daemon, all under one name, each over an old target."""

    def __init__(self, daemon, dataset, name="chaos", workers=4):
        self.daemon = daemon
        self.dataset = dataset
        self.name = name
        self.spec = {"version": 1, "name": "chaos", "workers": workers, "input": {"path": "in.csv"},
                     "output": {"path": "out.jsonl"}, "errors": {"path": "errors.jsonl"}}
        if not (daemon.data / "in.csv").exists():
            daemon.write("in.csv", dataset.data)
            self.lay_old_targets()
        self.older = []
        self.n_dropped = 0

    def lay_old_targets(self):
        for target in ("out.jsonl", "errors.jsonl"):
            # Whoever reads meanwhile must not see half of the old file either.
            hidden = self.daemon.data / f".{target}"
            hidden.write_bytes(OLD)
            hidden.rename(self.daemon.data / target)

    def drop(self, wait=True):
        """Hands in the next job; returns its id, or at once without one."""
        self.lay_old_targets()
        (self.daemon.spool / "incoming").mkdir(exist_ok=True)  # the daemon may die before it makes it
        self.n_dropped += 1
        self.daemon.drop(self.spec, f"{self.name}-{self.n_dropped}")
        return self.id() if wait else None

    def id(self):
        job_id = self.daemon.id_of("chaos", self.older)
        self.older.append(job_id)
        return job_id

    def wait(self, job_id, timeout=30):
        return self.daemon.wait_job(job_id, timeout)

    def has_old_target(self):
        return all(self.daemon.read(target) == OLD for target in ("out.jsonl", "errors.jsonl"))

    def judge(self, figures=None):
        """Of a job that has completed. The rejects are rows too."""
        verdicts = [self.dataset.judge_output(self.daemon.read("out.jsonl")),
                    self.dataset.judge_errors(self.daemon.read("errors.jsonl"))]
        if figures is not None:
            figures.jobs += 1
            figures.lost += sum(verdict.lost for verdict in verdicts)
            figures.doubled += sum(verdict.doubled for verdict in verdicts)
        return verdicts

    def faults_of(self, job, figures=None):
        """What is wrong with how a job has ended; a failure that is named is no fault."""
        if job["state"] not in FINAL:
            return [f"never ended: {job['state']}"]
        if job["total_processed"] != job["success_count"] + job["error_count"] + job["filtered"]:
            return [f"the rows do not add up: {job}"]
        if job["state"] == "completed":
            faults = [f"{verdict}" for verdict in self.judge(figures) if not verdict.is_right]
            if job["total_processed"] != self.dataset.n_rows:
                faults.append(f"{job['total_processed']} rows of {self.dataset.n_rows} counted")
            return faults
        if figures is not None:
            figures.jobs += 1
        faults = [] if self.has_old_target() else ["failed, but the old target is gone"]
        if job["reason"] not in REASONS:
            faults.append(f"failed without a reason that we know: {job['reason']}")
        return faults

    def check_completed(self, job, figures=None):
        assert job["state"] == "completed", f"{job}\n{self.daemon.log[-3000:]}"
        assert not (faults := self.faults_of(job, figures)), faults


# --- what is left ---------------------------------------------------------------------------------


def files_left(daemon):
    """Temporary files and what the runtime directory still says of jobs."""
    found = [str(path) for pattern in (".zp-*.part", ".zp-*.tmp") for path in daemon.tree.rglob(pattern)]
    jobs = daemon.run_dir / "jobs"
    found += [str(path) for path in jobs.rglob("*")] if jobs.exists() else []
    return found + [str(path) for path in (daemon.spool / "active").iterdir()]


def stop_and_search(daemon, figures=None):
    """Ends a daemon whose jobs have all ended; returns what it leaves behind."""
    code = daemon.stop()
    found = [] if code == 0 else [f"exit code {code}"]
    try:
        wait_until(lambda: not daemon.processes(), "the last of them to be reaped", timeout=2)
    except AssertionError:
        found += [f"process {pid}" for pid in daemon.processes()]
    found += files_left(daemon)
    daemon.check_log()
    if figures is not None:
        figures.leftovers += len(found)
    return found


# --- who watches meanwhile ------------------------------------------------------------------------


class Watcher(threading.Thread):
    """Looks again and again until it is left; what it found wrong fails the test then."""

    period = 0.01

    def __init__(self):
        super().__init__(daemon=True)
        self.is_over = threading.Event()
        self.faults = []
        self.n_looks = 0

    def run(self):
        while not self.is_over.is_set() and len(self.faults) < 10:
            try:
                self.look()
            except Exception as error:  # a watcher that dies sees nothing: that is a fault too
                self.faults.append(f"{type(self).__name__}: {error!r}")
            self.n_looks += 1
            self.is_over.wait(self.period)

    def look(self):
        raise NotImplementedError

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.is_over.set()
        self.join(30)
        if kind is None:
            assert not self.is_alive(), f"{type(self).__name__} hangs"
            assert not self.faults, self.faults
            assert self.n_looks, f"{type(self).__name__} never looked"


class TargetReader(Watcher):
    """A user who opens the target all the time: it is the old file or the whole new one."""

    period = 0.02

    def __init__(self, case):
        super().__init__()
        self.path = case.daemon.data / "out.jsonl"
        self.new = case.dataset.output

    def look(self):
        data = self.path.read_bytes()
        if data not in (OLD, self.new):
            self.faults.append(f"the target held {len(data)} bytes that are neither file")


COUNTER = re.compile(r"^(zooparallel_\w+_(?:total|count|bucket)(?:\{[^}]*\})?) ([\d.e+]+)$", re.M)
# Of accepted rows and ended jobs; what is told of processes begins anew with a job that was cut off.
LASTING = re.compile(r"^zooparallel_(rows|errors|input_bytes|output_bytes|jobs_finished|job_duration)_")


class CounterReader(Watcher):
    """Scrapes all the time: no counter goes back, while one daemon lives or from one to the next."""

    def __init__(self, daemon, is_strict=True):
        super().__init__()
        self.daemon = daemon
        self.is_strict = is_strict  # the daemon is not ended meanwhile: every scrape must succeed
        self.seen = {}
        self.process = daemon.process

    def scrape(self):
        return self.daemon.get("/metrics", timeout=10)

    def look(self):
        process = self.daemon.process
        try:
            reply = self.scrape()
        except (OSError, ValueError, http.client.HTTPException) as error:
            if self.is_strict:
                self.faults.append(f"a scrape failed: {error!r}")
            return
        if process is not self.daemon.process:
            return  # no telling whose answer it is
        if process is not self.process:
            self.seen = {name: value for name, value in self.seen.items() if LASTING.match(name)}
            self.process = process
        self.take(reply)

    def take(self, reply):
        if reply.status != 200:
            self.faults.append(f"a scrape was answered with {reply.status}")
            return
        for name, value in COUNTER.findall(reply.text):
            if float(value) < self.seen.get(name, 0):
                self.faults.append(f"{name} went back from {self.seen[name]} to {value}")
            self.seen[name] = float(value)


# --- processes ------------------------------------------------------------------------------------


def children_of(pid):
    """(pid, mode) of the live children; the mode is None until they have become a worker."""
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    found = []
    for child in map(int, pids):
        try:
            arguments = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        is_worker = b"zooparallel-worker" in arguments[0] and len(arguments) > 1
        found.append((child, arguments[1].decode() if is_worker else None))
    return found


def kill(pid, number):
    """Whether there still was such a process."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def wait_ended(daemon, job_id, timeout):
    """The job once it has ended, or None; also None if the daemon ends or does not answer."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and daemon.process.poll() is None:
        try:
            job = daemon.job(job_id)
        except (OSError, ValueError, http.client.HTTPException, AssertionError):
            job = None
        if job and job["state"] in FINAL:
            return job
        time.sleep(0.01)
    return None


def wait_receipts(daemon, n):
    """Each job that was handed in has left one receipt."""
    def count():
        return sum(len(list((daemon.spool / area).iterdir())) for area in ("done", "failed"))
    wait_until(lambda: count() >= n, f"{n} receipts")
    assert count() == n, "more receipts than jobs"
