# SPDX-License-Identifier: MIT
"""The inputs, made once and kept, and the bytes that each must become.

The expected output of a file is what the portable scanner with one worker made of it. That is not
believed before its beginning equals what Python's csv and json make of the first rows, and before
it has as many lines as the input has rows.
"""
import csv
import hashlib
import io
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from settings import BENCH, DATA, MAKE_DATA

SEED = 1
SAMPLE_BYTES = 4_000_000


@dataclass
class Dataset:
    kind: str
    path: Path
    rows: int
    size: int
    expected: Path = None
    out_size: int = 0
    sha256: str = ""


def hash_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of_maker():
    """Another generator makes other data."""
    return hash_of(BENCH / "make_data.c")[:16]


def make(kind, n_bytes):
    """The dataset of a kind with about n_bytes, from the cache where it is there already."""
    DATA.mkdir(parents=True, exist_ok=True)
    path = DATA / f"{kind}-{n_bytes}.csv"
    note = path.with_suffix(".json")
    wanted = {"kind": kind, "wanted_bytes": n_bytes, "seed": SEED, "maker": key_of_maker()}
    if note.exists() and path.exists():
        made = json.loads(note.read_text())
        if made.items() >= wanted.items() and made["bytes"] == path.stat().st_size:
            return Dataset(kind, path, made["rows"], made["bytes"])
    note.unlink(missing_ok=True)
    said = subprocess.run([MAKE_DATA, kind, str(n_bytes), str(SEED), path], check=True, text=True,
                          capture_output=True).stdout
    made = {key: int(value) for key, value in (word.split("=") for word in said.split())}
    note.write_text(json.dumps({**wanted, **made}) + "\n")
    return Dataset(kind, path, made["rows"], made["bytes"])


def beginning_by_python(dataset):
    """The output of the first rows by Python, and how many rows these are."""
    with open(dataset.path, "rb") as file:
        head = file.read(SAMPLE_BYTES)
    is_whole = len(head) == dataset.size
    # A cut somewhere leaves a last row that is not whole; with its quote open it may even be several lines.
    rows = list(csv.reader(io.StringIO(head.decode(errors="ignore"), newline="")))
    columns, *rows = rows if is_whole else rows[:-1]
    lines = [json.dumps(dict(zip(columns, row)), ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows]
    return "".join(lines).encode(), len(rows)


def count_lines(path):
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def prove(dataset):
    """Fails unless the expected output is what it should be, as far as Python and counting can tell."""
    beginning, n_rows = beginning_by_python(dataset)
    assert n_rows > 0
    with open(dataset.expected, "rb") as file:
        if file.read(len(beginning)) != beginning:
            raise AssertionError(f"{dataset.path.name}: the first {n_rows} rows are not what Python makes of them")
    n_lines = count_lines(dataset.expected)
    if n_lines != dataset.rows:
        raise AssertionError(f"{dataset.path.name}: {n_lines} lines of output for {dataset.rows} rows")


def expect(dataset, convert):
    """Sets what the dataset must become; convert(input, output) is called where the cache lacks it."""
    dataset.expected = dataset.path.with_suffix(".expected.jsonl")
    if not dataset.expected.exists() or dataset.expected.stat().st_mtime < dataset.path.stat().st_mtime:
        convert(dataset.path, dataset.expected)
    prove(dataset)
    dataset.out_size = dataset.expected.stat().st_size
    dataset.sha256 = hash_of(dataset.expected)
    return dataset


def check(dataset, output):
    """Every measured run comes here: the bytes are the expected ones."""
    if hash_of(output) != dataset.sha256:
        raise AssertionError(f"{output}: not the bytes that {dataset.expected} has")
