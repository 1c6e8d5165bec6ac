# SPDX-License-Identifier: MIT
"""The benchmark runs through, checks bytes and writes its report. No time is judged here."""
import csv
import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from harness import BUILD, IS_SANITIZED, TOP

# What is tested here is the scripts: they are the same for every build of the programs.
pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="takes long, and shows nothing new about the programs")

BENCH = TOP / "tests/bench"

TINY = {"ZP_BENCH_SCALE": "0.001", "ZP_BENCH_RUNS": "1", "ZP_BENCH_SCANNERS": "portable", "ZP_BENCH_PEERS": "python",
        "ZP_BENCH_LIVE": "4", "ZP_BENCH_SECONDS": "0.2"}


def bench(folder, parts, **environment):
    places = {"ZP_BENCH_DATA": str(folder / "data"), "ZP_BENCH_REPORT": str(folder / "report")}
    return subprocess.run([BENCH / "run"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                          env={**os.environ, **TINY, **places, "ZP_BENCH_PARTS": parts, **environment})


@pytest.mark.parametrize("parts,shown", [
    ("quoted wide", ["| copy loop |", "portable, 1 worker |", "portable, 2 workers |", "## In short"]),
    ("peers reporting", ["| Python csv + json, one process |", "| zooparallel run, portable", "multiprocessing.Queue"]),
    ("watching many memory", ["| polled at 100 Hz |", "| wake-ups of an idle daemon", "| 4 |", "| 10,000 columns |"]),
    ("sizes workers", ["| 1 MB |", "| plain |", "(size.svg)", "(workers.svg)"]),
])
def test_every_part_ends_in_the_report(tmp_path, parts, shown):
    done = bench(tmp_path, parts)
    assert done.returncode == 0, done.stdout
    report = (tmp_path / "report/report.md").read_text()
    assert [words for words in shown if words not in report] == [], report
    for figure in (tmp_path / "report").glob("*.svg"):
        assert ElementTree.parse(figure).getroot().tag.endswith("svg")
    names = [path.name for path in (tmp_path / "data").iterdir()]
    assert [name for name in names if name.startswith((".zp-", "run", "copy.out"))] == []


def test_runs_are_kept_and_data_is_used_again(tmp_path):
    assert bench(tmp_path, "plain").returncode == 0
    [source] = (tmp_path / "data").glob("plain-*[0-9].csv")
    made = source.stat().st_mtime_ns
    assert bench(tmp_path, "plain", ZP_BENCH_RUNS="2").returncode == 0
    assert source.stat().st_mtime_ns == made
    [table] = json.loads((tmp_path / "report/runs.json").read_text()).values()
    runs = table["zooparallel, portable, 2 workers"]
    assert len(runs) == 2 and all(run["wall_s"] > 0 for run in runs)


@pytest.mark.parametrize("place,complaint", [
    (0, "rows are not what Python makes of them"),
    (-20, "run.jsonl: not the bytes that"),  # behind what Python looks at: only the runs can show it
])
def test_wrong_bytes_are_noticed(tmp_path, place, complaint):
    scale = {"ZP_BENCH_SCALE": "0.005"}
    assert bench(tmp_path, "plain", **scale).returncode == 0
    [expected] = (tmp_path / "data").glob("plain-*.expected.jsonl")
    text = bytearray(expected.read_bytes())
    at = text.index(b'"', len(text) + place if place < 0 else place)
    text[at:at + 1] = b"'"
    expected.write_bytes(text)
    done = bench(tmp_path, "plain", **scale)
    assert done.returncode != 0 and complaint in done.stdout, done.stdout


def test_the_generator_makes_what_it_says(tmp_path):
    columns = {"plain": 10, "quoted": 6, "wide": 100, "long": 6}
    for kind, n_columns in columns.items():
        said = []
        for name in ("a", "b"):
            done = subprocess.run([BUILD / "tests/bench/make_data", kind, "300000", "7", tmp_path / name], text=True,
                                  capture_output=True, check=True)
            said.append(dict(word.split("=") for word in done.stdout.split()))
        data = (tmp_path / "a").read_bytes()
        assert data == (tmp_path / "b").read_bytes() and len(data) == int(said[0]["bytes"]) >= 300000
        with open(tmp_path / "a", newline="") as file:
            _, *rows = csv.reader(file)
        assert len(rows) == int(said[0]["rows"]) and {len(row) for row in rows} == {n_columns}
        if kind == "quoted":
            with_newline = sum(any("\n" in field for field in row) for row in rows) / len(rows)
            with_utf8 = sum(not "".join(row).isascii() for row in rows) / len(rows)
            assert 0.03 < with_newline < 0.07 and 0.03 < with_utf8 < 0.07
        if kind == "long":
            assert 640 < len(data) / len(rows) < 700


def test_an_unknown_part_is_refused(tmp_path):
    done = bench(tmp_path, "plain fast")
    assert done.returncode == 1 and "no such part: fast" in done.stdout
