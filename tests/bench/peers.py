# SPDX-License-Identifier: MIT
"""The part "peers": what other tools make of the same CSV, as whole processes. For information.

They don't do the same: none rejects rows, none makes its output durable, Miller turns what looks
like a number into one. What can't be installed is a line of the table that says so.
"""
import json
import os
import shutil
import subprocess

import datasets
from measure import Series, interleave, run_process
from settings import BENCH, CLIENT, DATA, NPM, PEERS, scaled
from throughput import KINDS, prepare

SLICE_MB = 100  # the slowest of them takes some seconds for it
OUTPUT = DATA / "peer.jsonl"


class Peer:
    """A program from start to end, given a command of (input, output)."""
    is_one_process = True

    def __init__(self, name, command, has_own_output=True, environment=None):
        self.name, self.command = name, command
        self.has_own_output = has_own_output
        self.environment = {**os.environ, **(environment or {})}

    def run(self, dataset, is_warm_up=False):
        OUTPUT.unlink(missing_ok=True)
        is_watched = is_warm_up and self.is_one_process
        with open(DATA / "peer.said" if self.has_own_output else OUTPUT, "wb") as stdout:
            sample = run_process(self.command(dataset.path, OUTPUT), OUTPUT, dataset, is_watched, stdout=stdout,
                                 stderr=subprocess.DEVNULL, env=self.environment, cwd=DATA)
        n_lines = datasets.count_lines(OUTPUT)
        assert n_lines == dataset.rows, f"{self.name}: {n_lines} lines for {dataset.rows} rows"
        OUTPUT.unlink()
        return sample


class Ours(Peer):
    """`zooparallel run`: its own daemon, the fsyncs of its commit and all."""
    is_one_process = False

    def __init__(self, scanner):
        super().__init__(f"zooparallel run, {scanner}, 2 workers (durable)", self.run_command,
                         environment={"ZOOPARALLEL_SCANNER": scanner})

    def run_command(self, source, target):
        spec = {"version": 1, "workers": 2, "input": {"path": source.name}, "output": {"path": target.name}}
        (DATA / "peer.spec.json").write_text(json.dumps(spec))
        return [CLIENT, "run", "peer.spec.json", "--json", "--set", "max_workers=2"]


def install_npm():
    """Why the peers from npm are not there, or nothing."""
    NPM.mkdir(exist_ok=True)
    shutil.copy(BENCH / "peers/package.json", NPM)
    if not shutil.which("npm"):
        return "npm is not installed"
    done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"],
                          cwd=NPM, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return f"npm install failed with {done.returncode}" if done.returncode else ""


def version_of(command):
    done = subprocess.run(command, text=True, capture_output=True)
    return done.stdout.split()[-1] if done.returncode == 0 else ""


def npm_peer(name, package, script):
    """A peer, or why there is none."""
    environment = {"NODE_PATH": str(NPM / "node_modules")}
    probe = subprocess.run(["node", "-e", f"require('{package}')"], env={**os.environ, **environment},
                           text=True, capture_output=True)
    if probe.returncode:
        return Series(name, note=f"{package} does not load here")
    version = json.loads((NPM / "node_modules" / package / "package.json").read_text())["version"]
    return Peer(f"{name} {version}", lambda source, target: ["node", BENCH / "peers" / script, source, target],
                environment=environment)


def find_peers():
    """(peers that run, lines for those that don't)."""
    found = []
    if "miller" in PEERS:
        found.append(Peer(f"Miller {version_of(['mlr', '--version'])}",
                          lambda source, target: ["mlr", "--icsv", "--ojsonl", "cat", source], has_own_output=False)
                     if shutil.which("mlr") else Series("Miller", note="not installed"))
    if "python" in PEERS:
        found.append(Peer("Python csv + json, one process",
                          lambda source, target: ["/usr/bin/python3", BENCH / "peers/csv_json.py", source, target]))
    if {"duckdb", "polars"} & set(PEERS):
        fault = install_npm()
        for word, name, package in (("duckdb", "DuckDB", "@duckdb/node-api"), ("polars", "polars", "nodejs-polars")):
            if word in PEERS:
                found.append(Series(name, note=fault) if fault else npm_peer(name, package, f"{word}.js"))
    return ([peer for peer in found if isinstance(peer, Peer)], [peer for peer in found if isinstance(peer, Series)])


def measure_peers(report, scanners):
    peers, missing = find_peers()
    for kind in ("plain", "quoted"):
        dataset = prepare(kind, scaled(SLICE_MB))
        copy, *found = interleave(dataset, [Ours(scanners[-1]), *peers])
        ours = found[0]
        note = "Whole processes, from start to exit; PSS of peers of one process, seen in the warm-up."
        report.add_series(f"Peers, {KINDS[kind].lower()} (a slice of {dataset.size / 1e6:,.0f} MB)",
                          [copy, *found, *missing], note)
        for series in found[1:]:
            report.add_seen(f"{kind}, whole process: {series.name} / zooparallel run",
                            f"{series.median() / ours.median():.1f} medians")
