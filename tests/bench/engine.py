# SPDX-License-Identifier: MIT
"""ZooParallel as a contestant: a daemon of its own, whose jobs are timed from outside.

The wall is taken from the workers' stats files. Their mappings stay readable after the daemon has
removed them, and the question for the job's end is asked before its workers start, so nothing is
polled and nothing asked while they work, on processors that are theirs: the wall begins at the earliest `started_at`
(the supervisor makes that file right before it starts the worker) and ends at the latest
`heartbeat` (a worker sets it once more when the last write of its chunk has returned).
"""
import json
import mmap
import os
import select
import shutil
import struct
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import datasets
import process
from harness import FINAL, Daemon, UnixConnection
from measure import Sample
from settings import DATA

SCANNER_VARIABLE = "ZOOPARALLEL_SCANNER"
DEFAULT_CHUNK = 512 << 10
PATIENCE = 600
MEMORY = Path("/dev/shm")  # the runtime directory belongs on a tmpfs
MISSED_AT_MOST = 20


class Missed(Exception):
    """The job was over before its stats files were seen."""


class StatsPages:
    """The stats files of a job, mapped as soon as they are there."""

    def __init__(self, folder):
        self.folder = folder
        self.pages = {}

    def look(self):
        for slot in range(len(self.pages), 1024):
            try:
                with open(self.folder / f"worker-{slot}.stats", "rb") as file:
                    self.pages[slot] = mmap.mmap(file.fileno(), 256, prot=mmap.PROT_READ)
            except (OSError, ValueError):
                return len(self.pages)
        return len(self.pages)

    def collect(self, n_wanted, is_over):
        deadline = time.monotonic() + PATIENCE
        while self.look() < n_wanted:
            if is_over() or time.monotonic() > deadline:
                raise Missed
            time.sleep(0.0005)

    def field(self, layout, offset):
        return [struct.unpack_from(layout, page, offset)[0] for page in self.pages.values()]

    def pids(self):
        return [pid for pid in self.field("<i", 80) if pid > 0]

    def wall_s(self):
        """Seconds from the start of the first worker to the last write."""
        realtime_minus_monotonic = time.time_ns() - time.monotonic_ns()
        started_ns = min(self.field("<Q", 96)) - realtime_minus_monotonic
        return (max(self.field("<q", 56)) - started_ns) / 1e9


class Answer:
    """What the daemon says of a job at its end, or after a minute."""

    def __init__(self, daemon, job_id):
        self.connection = UnixConnection(daemon.run_dir / "control.sock", PATIENCE)
        self.connection.request("GET", f"/api/v1/jobs/{job_id}?wait=60s")

    def has_come(self):
        return bool(select.select([self.connection.sock], [], [], 0)[0])

    def get(self):
        with closing(self.connection):
            return json.loads(self.connection.getresponse().read())


class Engine:
    """One configuration of ZooParallel: an instruction set (None: its own choice), workers, settings."""

    def __init__(self, workers, scanner=None, **settings):
        self.workers = workers
        self.name = f"zooparallel, {scanner or 'default'}, {workers} worker{'s'[:workers != 1]}"
        self.chunk_size = settings.get("chunk_size", DEFAULT_CHUNK)
        self.output = DATA / "run.jsonl"
        self.answer = None  # to the question for the end of the last job
        self.tree = Path(tempfile.mkdtemp(prefix="zooparallel-bench-"))
        self.run_dir = Path(tempfile.mkdtemp(prefix="zooparallel-bench-", dir=MEMORY if MEMORY.is_dir() else None))
        self.daemon = Daemon(self.tree, **{"data_roots": DATA, "max_workers": workers, "run_dir": self.run_dir,
                                           **settings})
        self.daemon.run_dir = self.run_dir
        try:
            with scanner_in_environment(scanner):
                self.daemon.start()
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            self.daemon.stop()
        finally:
            self.daemon.destroy()
            for folder in (self.tree, self.run_dir):
                shutil.rmtree(folder, ignore_errors=True)

    def submit(self, path, output, **keys):
        spec = {"version": 1, "name": "bench", "workers": self.workers, "input": {"path": str(path)},
                "output": {"path": str(output)}, **keys}
        reply = self.daemon.request("POST", "/api/v1/jobs", body=json.dumps(spec), unix=True,
                                    headers={"Content-Type": "application/json"})
        assert reply.status == 202, reply.text
        self.answer = Answer(self.daemon, reply.json["id"])
        return reply.json["id"]

    def pages_of(self, job_id, size):
        pages = StatsPages(self.daemon.run_dir / "jobs" / job_id)
        pages.collect(min(self.workers, -(-size // self.chunk_size)), self.answer.has_come)
        return pages

    def wait(self, job_id):
        job = self.answer.get()
        if job["state"] not in FINAL:
            job = self.daemon.wait_job(job_id, PATIENCE)
        assert job["state"] == "completed", job
        return self.daemon.result(job_id)

    def convert(self, path, output):
        """A conversion that is not measured."""
        self.wait(self.submit(path, output))

    def watch_memory(self, job_id, pages, sample):
        """Keeps the peaks until the job is over; only a run whose time does not count is watched."""
        while self.daemon.job(job_id)["state"] not in FINAL:
            sizes = [process.pss_bytes(pid) for pid in pages.pids()]
            sample.pss_bytes = max([sample.pss_bytes, *sizes])
            sample.daemon_pss_bytes = max(sample.daemon_pss_bytes, process.pss_bytes(self.daemon.pid))
            time.sleep(0.01)

    def run_once(self, dataset, is_warm_up):
        self.output.unlink(missing_ok=True)
        cpu_before = process.cpu_with_children_s(self.daemon.pid)
        sample = Sample(in_bytes=dataset.size, out_bytes=dataset.out_size, rows=dataset.rows)
        begin = time.monotonic()
        job_id = self.submit(dataset.path, self.output)
        pages = self.pages_of(job_id, dataset.size)
        if is_warm_up:
            self.watch_memory(job_id, pages, sample)
        result = self.wait(job_id)
        sample.whole_s = time.monotonic() - begin
        sample.wall_s = pages.wall_s()
        sample.sync_s = result["commit_seconds"]
        sample.cpu_s = process.cpu_with_children_s(self.daemon.pid) - cpu_before
        assert result["success_count"] == dataset.rows and result["error_count"] == 0, result
        datasets.check(dataset, self.output)
        self.output.unlink()
        return sample

    def run(self, dataset, is_warm_up=False):
        for _ in range(MISSED_AT_MOST):
            try:
                return self.run_once(dataset, is_warm_up)
            except Missed:
                continue
        raise AssertionError(f"{self.name}: {dataset.path.name} was always over before it was seen")


@contextmanager
def scanner_in_environment(scanner):
    if scanner:
        os.environ[SCANNER_VARIABLE] = scanner
    try:
        yield
    finally:
        os.environ.pop(SCANNER_VARIABLE, None)


@contextmanager
def engines(*configurations):
    """Several at once, idle in turn: [(workers, scanner), ...]."""
    started = []
    try:
        for workers, scanner in configurations:
            started.append(Engine(workers, scanner))
        yield started
    finally:
        for engine in started:
            engine.close()
