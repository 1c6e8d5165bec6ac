# SPDX-License-Identifier: MIT
"""Rows that kill their workers: each is rejected as `crash`, with its line and offset, and all others
are delivered, whatever else dies meanwhile. The worker is the real one but for a fault: it dies of
every row with a word in it (tests/support/poison_worker.c)."""
import csv
import io
import json
import os
import random
import shutil
import signal
import time

import pytest

import conftest
from harness import BUILD, DAEMON, FINAL, IS_SANITIZED, PATIENCE, Daemon, spec_of, without_message, wait_until

POISON = "arsenic"
SEED = int(os.environ.get("ZP_SEED") or random.randrange(1 << 32))
COLUMNS = ["id", "text", "note"]
HEADER = b"id,text,note\n"
# A worker has to come to a chunk at times, and the sanitizers let it start ten times as slowly.
KILLS_PER_SECOND = 5 if IS_SANITIZED else 50


@pytest.fixture
def start(tmp_path, monkeypatch):
    """start(**settings): a daemon whose workers die of poison."""
    print(f"ZP_SEED={SEED}")
    monkeypatch.setenv("ZOOPARALLEL_TEST_POISON", POISON)
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(DAEMON, programs / "zooparalleld")
    shutil.copy(BUILD / "tests/support/poison_worker", programs / "zooparallel-worker")
    daemons = []

    def start_one(**settings):
        daemons.append(Daemon(tmp_path / f"tree-{len(daemons)}", **settings))
        daemons[-1].program = programs / "zooparalleld"
        return daemons[-1].start()

    yield start_one
    conftest.finish(daemons)


class Table:
    """Rows one after the other, with what must become of each: by construction, not by a parser."""

    def __init__(self, path="in.csv"):
        self.path = path
        self.data = bytearray(HEADER)
        self.good = []
        self.rejects = []

    def add(self, row, code=None):
        if code:
            text = row.removesuffix("\n").removesuffix("\r")
            self.rejects.append({"input": self.path, "line": self.data.count(b"\n") + 1, "offset": len(self.data),
                                 "stage": "parse", "code": code, "field": None, "row": text})
        else:
            self.good.append(row)
        self.data += row.encode()

    def add_good(self, n, rng):
        for _ in range(n):
            text = rng.choice(["plain", '"quoted, comma"', '"two\nlines"', '"a ""b"" c"', "Zürich 東京", ""])
            self.add(f"{rng.randrange(10**6)},{text},{rng.choice(['x', '', 'tail' * 9])}" + rng.choice(["\n", "\n", "\r\n"]))

    def output(self):
        """What Python's csv and json make of the good rows."""
        rows = csv.reader(io.StringIO("".join(self.good), newline=""))
        return "".join(json.dumps(dict(zip(COLUMNS, row)), ensure_ascii=False, separators=(",", ":")) + "\n"
                       for row in rows).encode()


def poisoned_table(n_poison, n_between, rng, **options):
    """A table with poison rows of every shape among good ones; the last row is one, without a newline."""
    table = Table(**options)
    shapes = [f"1,{POISON},x\n", f'2,"first\n{POISON}, ""second""",y\n', f"{POISON},,\r\n", f'3,"{"long " * 500}",{POISON}\n']
    for n in range(n_poison - 1):
        table.add_good(n_between, rng)
        table.add(shapes[n % len(shapes)], "crash")
    table.add_good(n_between, rng)
    table.add(f"9,{POISON},end", "crash")
    return table


def spec(**options):
    return spec_of("in.csv", "out.jsonl", errors={"path": "errors.jsonl", "max_ratio": 1}, workers=2, **options)


def check(daemon, job, tables, n_deaths=None):
    """Everything that there is to see of a job: files, account, metrics."""
    good, rejects = sum(len(table.good) for table in tables), [row for table in tables for row in table.rejects]
    assert job["state"] == "completed", (job, daemon.log[-3000:])
    assert daemon.read("out.jsonl") == b"".join(table.output() for table in tables)
    found = without_message(daemon.read("errors.jsonl"))
    for row in found:
        assert row.pop("job") == job["name"]
        row.pop("row_truncated", None)
    for row in rejects:
        row["row"] = row["row"][:4096]
    assert found == rejects
    for view in (job, daemon.result(job["id"])):
        assert (view["success_count"], view["error_count"], view["filtered"]) == (good, len(rejects), 0)
        assert view["total_processed"] == good + len(rejects)
    n_crashes = sum(row["code"] == "crash" for row in rejects)
    assert daemon.metric("zooparallel_errors_total", reason="crash") == n_crashes
    n_deaths = 3 * n_crashes if n_deaths is None else n_deaths
    assert daemon.metric("zooparallel_worker_exits_total", cause="signal") >= n_deaths


@pytest.mark.parametrize("chunk_size", [64, 4096, 1 << 20])
def test_poison_rows_are_rejected_where_they_stand(start, chunk_size):
    daemon = start(chunk_size=chunk_size)
    table = poisoned_table(6, 80, random.Random(SEED))
    daemon.write("in.csv", bytes(table.data))
    check(daemon, daemon.run(spec()), [table])


def test_offsets_and_lines_are_those_of_the_row_s_own_file(start):
    rng = random.Random(SEED)
    daemon = start(chunk_size=2048)
    tables = [poisoned_table(2, 60, rng, path=f"in-{n}.csv") for n in range(3)]
    for table in tables[:-1]:
        table.data += b"\n"
    for table in tables:
        daemon.write(table.path, bytes(table.data))
    check(daemon, daemon.run({**spec(), "input": {"path": "in-*.csv"}}), tables)


def test_other_rejects_stay_as_they_are(start):
    rng = random.Random(SEED)
    daemon, table = start(chunk_size=1 << 20), Table()
    for _ in range(3):
        table.add_good(20, rng)
        table.add("too,few\n", "ragged")
        table.add(f"1,2,{POISON}\n", "crash")
        table.add("one,too,many,\n", "ragged")
    daemon.write("in.csv", bytes(table.data))
    check(daemon, daemon.run(spec()), [table])


def test_a_chunk_whose_rows_outgrow_the_memory_for_them_is_streamed_and_redone(start):
    """The poison is met when megabytes of the chunk's rows are in the file already."""
    daemon, table = start(chunk_size=16 << 20), Table()
    for n in range(12000):
        table.add(f"{n},{'wide ' * 100},{n}\n")
    table.add(f"0,{POISON},\n", "crash")
    table.add_good(100, random.Random(SEED))
    daemon.write("in.csv", bytes(table.data))
    check(daemon, daemon.run(spec()), [table])


def test_eight_poison_rows_of_one_chunk_are_borne(start):
    daemon = start(chunk_size=1 << 20)
    table = poisoned_table(8, 10, random.Random(SEED))
    daemon.write("in.csv", bytes(table.data))
    check(daemon, daemon.run(spec()), [table])


def test_a_ninth_poison_row_of_one_chunk_fails_the_job_by_name(start):
    daemon = start(chunk_size=1 << 20)
    table = poisoned_table(9, 10, random.Random(SEED))
    daemon.write("in.csv", bytes(table.data))
    job = daemon.run(spec())
    assert (job["state"], job["reason"]) == ("failed", "worker_crash")
    assert f"in.csv: the row at byte {table.rejects[8]['offset']} has killed 3 workers" in job["message"], job["message"]
    assert "signal 6" in job["message"]
    assert not (daemon.data / "out.jsonl").exists()


@pytest.mark.parametrize("limit", [30, 31, 32, 62, 1000])
def test_limit_counts_poison_rows(start, limit):
    """Row 31 and the last, 62, are poison: those behind the limit are not met."""
    daemon = start(chunk_size=512)
    table = poisoned_table(2, 30, random.Random(SEED))
    daemon.write("in.csv", bytes(table.data))
    job = daemon.run({**spec(), "input": {"path": "in.csv", "limit": limit}})
    n_rejects = sum(number <= limit for number in (31, 62))
    table.rejects, table.good = table.rejects[:n_rejects], table.good[:min(limit, 62) - n_rejects]
    check(daemon, job, [table])


def test_max_rows_counts_poison_rows(start):
    daemon = start(chunk_size=512)
    table = poisoned_table(3, 30, random.Random(SEED))
    daemon.write("in.csv", bytes(table.data))
    job = daemon.run({**spec(), "errors": {"path": "errors.jsonl", "max_rows": 1}})
    assert (job["state"], job["reason"]) == ("failed", "rejects_exceeded")
    assert [row["offset"] for row in without_message(daemon.read("errors.jsonl"))] == [row["offset"] for row in table.rejects[:2]]


def test_random_kills_meanwhile_reject_no_good_row(start):
    """SIGKILLs of whatever worker is there, until the job is done."""
    rng = random.Random(SEED)
    daemon = start(chunk_size=32)
    table = poisoned_table(12, 10000, rng)
    daemon.write("in.csv", bytes(table.data))
    daemon.drop(spec(), "job")
    job_id = daemon.id_of("job")
    n_kills, next_kill = 0, 0.0

    def kill_one():
        nonlocal n_kills, next_kill
        workers = daemon.get(f"/api/v1/jobs/{job_id}/workers").json["workers"]
        pids = [worker["pid"] for worker in workers if worker["pid"]]
        if pids and time.monotonic() > next_kill:
            next_kill = time.monotonic() + rng.expovariate(KILLS_PER_SECOND)
            try:
                os.kill(rng.choice(pids), signal.SIGKILL)
                n_kills += 1
            except ProcessLookupError:
                pass
        return daemon.job(job_id)["state"] in FINAL

    wait_until(kill_one, "the job's end", timeout=4 * PATIENCE)
    print(f"{n_kills} kills")
    assert n_kills >= 10
    check(daemon, daemon.job(job_id), [table])


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_row_may_cost_the_spec_s_attempts_and_its_chunk_the_same_before(start, attempts):
    daemon = start(chunk_size=1 << 20)
    table = poisoned_table(1, 30, random.Random(SEED))
    daemon.write("in.csv", bytes(table.data))
    job = daemon.run({**spec(retry={"attempts": attempts}), "workers": 1})
    check(daemon, job, [table], n_deaths=2 * attempts)
    assert daemon.metric("zooparallel_worker_exits_total", cause="signal") == 2 * attempts
