# SPDX-License-Identifier: MIT
"""Harm at one system call of one kind of process.

The daemon itself is started under strace(1). For its workers a copy of it lies beside a stand-in
(stand_in.c) that becomes the true worker, under strace if the test asks for it. strace counts a
call's invocations in each process, so "the third fsync of the job's storage" is a place that a
test can name, try and find again.
"""
import re
import shutil
import subprocess
from collections import Counter

import pytest

import world
from harness import BUILD, DAEMON, WORKER, Daemon

STAND_IN = BUILD / "tests/chaos/stand_in"
# Calls at which nothing can be tried: they belong to the start of a program or end it.
UNTRIED = {"execve", "execveat", "exit_group", "rt_sigreturn", "restart_syscall", "arch_prctl"}
CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.M)


def require_strace(tmp_path):
    """Tracing may be forbidden where the tests run."""
    probe = subprocess.run(["strace", "-D", "-o", tmp_path / "probe", "true"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"strace cannot trace here: {probe.stderr.decode()[:200]}")


def counts_of(trace):
    """How often each call was made, in one process's trace."""
    return Counter(name for name in CALL.findall(trace) if name not in UNTRIED)


def points_of(counts, earlier=Counter()):
    """Every (call, its number) that lies behind the earlier ones."""
    return [(name, k) for name in sorted(counts) for k in range(earlier[name] + 1, counts[name] + 1)]


def inject(name, what, when):
    return ["-e", f"trace={name}", "-e", f"inject={name}:{what}:when={when}"]


class StandIn:
    """The copy of the daemon with its stand-in, for one test."""

    def __init__(self, folder):
        self.folder = folder
        self.options = folder / "options"
        self.options.mkdir(parents=True)
        self.program = folder / "zooparalleld"
        shutil.copy2(DAEMON, self.program)
        shutil.copy2(STAND_IN, folder / "zooparallel-worker")

    def daemon(self, tree, wrapper=(), **settings):
        return Daemon(tree, wrapper=wrapper, program=self.program,
                      environment={"ZOOPARALLEL_CHAOS_WORKER": str(WORKER), "ZOOPARALLEL_CHAOS_DIR": str(self.options)},
                      **settings)

    def arm(self, mode, options, is_once=True):
        """strace's options for the next process of a mode, or for every one from now on."""
        path = self.options / (f"{mode}.once" if is_once else mode)
        hidden = self.options / f".{path.name}"
        hidden.write_text("\n".join(options) + "\n")
        hidden.rename(path)

    def disarm(self):
        for path in self.options.glob("*"):
            path.unlink()

    def traces(self, mode):
        return [path.read_text(errors="replace") for path in sorted(self.options.glob(f"{mode}.*.trace"))]


class Trees:
    """One tree with its daemon after the other, each with a stand-in of its own."""

    def __init__(self, folder, dataset):
        self.folder = folder
        self.dataset = dataset
        self.n_trees = 0
        self.daemons = []

    def tree(self, wrapper=()):
        self.n_trees += 1
        folder = self.folder / str(self.n_trees)
        stand_in = StandIn(folder / "bin")
        self.daemons.append(stand_in.daemon(folder / "tree", wrapper, **world.SETTINGS))
        return stand_in, self.daemons[-1]

    def destroy(self):
        for daemon in self.daemons:
            daemon.destroy()
        self.daemons.clear()


def was_hit(traces):
    return any("(INJECTED)" in trace or "+++ killed by" in trace or "--- SIGSTOP" in trace for trace in traces)


def try_each(harm, points, one, trees, report):
    """one(trees, point, figures) -> (whether it was reached, what went wrong), for each; all that is wrong is told."""
    with report.measure(harm) as figures:
        wrong, n_missed = {}, 0
        for point in points:
            try:
                is_hit, faults = one(trees, point, figures)
            except AssertionError as error:
                is_hit, faults = True, [str(error)]
            figures.n += is_hit
            n_missed += not is_hit
            if faults:
                wrong[point] = faults
            trees.destroy()
        figures.notes.append(f"{len(points)} points, {n_missed} of them not reached")
        assert not wrong, "\n".join(f"{point}: {faults}" for point, faults in wrong.items())
        assert figures.n, "no point was reached"
