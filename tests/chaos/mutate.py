#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Takes one safeguard away at a time and shows that a test goes red: mutate.py [NAME...]

Works on a clone of the last commit in a temporary folder, where each mutation replaces one text by
another, builds what its test needs and runs that test. First every test has to be green without a
mutation. A text that is not there, or there twice, is an error: the table is to be kept current.
Prints a Markdown table; ends with 1 if a mutation stays unseen.
"""
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = ["zooparalleld", "zooparallel-worker", "zooparallel", "tests/chaos/stand_in", "tests/chaos/jumping_clock.so"]
TEST_SECONDS = 300
SEED = "1"


@dataclass(frozen=True)
class Test:
    name: str
    targets: tuple  # of ninja
    command: tuple  # from the top of the clone


def unit(name):
    program = f"tests/unit/test_{name}"
    # The daemon's programs too: some unit tests start a true worker.
    return Test(f"unit {name}", (program, *PROGRAMS), (f"build/{program}",))


def chaos(module, choice):
    command = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/chaos/{module}.py",
               "-k", choice]
    return Test(f"chaos {module} -k {choice!r}", tuple(PROGRAMS), tuple(command))


ORDER = chaos("test_order", "real")


@dataclass(frozen=True)
class Mutation:
    name: str
    path: str
    old: str
    new: str
    test: Test


MUTATIONS = [
    Mutation("boundary comparison", "daemon/worker/chunk_work.c",
             "return attempt->is_done && is_same_start(tried, truth) &&", "return attempt->is_done &&", ORDER),
    Mutation("fsync of an output", "daemon/worker/storage_ops.c",
             "return ftruncate(fds[0], (off_t)request->size) < 0 || fsync(fds[0]) < 0 ? -errno : 0;",
             "return ftruncate(fds[0], (off_t)request->size) < 0 ? -errno : 0;", ORDER),
    Mutation("fsync of a record", "common/util/atomic_file.c",
             "if (fchmod(fd, mode) < 0 || fsync(fd) < 0) {", "if (fchmod(fd, mode) < 0) {", ORDER),
    Mutation("fsync of a record's directory", "common/util/atomic_file.c",
             "return fsync(dirfd) < 0 ? -errno : 0;", "return 0;", ORDER),
    Mutation("fsync of a target's directory", "daemon/worker/storage_ops.c",
             "int r = storage_sync_dir(fds[1]);\n\treturn r < 0 ? r : storage_sync_dir(fds[0]);", "return 0;", ORDER),
    Mutation("fsync of the jobs' directory at the claim", "daemon/worker/storage_claim.c",
             "return r < 0 ? r : storage_sync_dir(claim->jobs_fd);", "return r;", ORDER),
    Mutation("fsync of active/ at the claim", "daemon/worker/storage_claim.c",
             "int r = is_moved_file(claim) ? storage_sync_dir(claim->active_fd) : -EAGAIN;",
             "int r = is_moved_file(claim) ? 0 : -EAGAIN;", ORDER),
    Mutation("fsync of incoming/ at the claim", "daemon/worker/storage_claim.c",
             "r = storage_sync_dir(claim->incoming_fd);", "r = 0;", ORDER),
    Mutation("fdatasync of the outputs before a checkpoint", "daemon/worker/storage_ops.c",
             "return fdatasync(fds[0]) < 0 ? -errno : 0;", "return 0;", ORDER),
    Mutation("fdatasync of a checkpoint", "daemon/worker/storage_ops.c",
             "return ftruncate(fd, (off_t)data->len) < 0 || fdatasync(fd) < 0 ? -errno : 0;",
             "return ftruncate(fd, (off_t)data->len) < 0 ? -errno : 0;", ORDER),
    Mutation("the plan before the first checkpoint", "daemon/sched/checkpoint.c",
             "r = add_plan(checkpoint);", "r = options->n_output_fds == 99 ? add_plan(checkpoint) : 0;", ORDER),
    Mutation("the attempt cap", "common/model/chunk_deaths.c",
             "} else if (deaths.n_deaths >= trial->attempts) {", "} else if (deaths.n_deaths >= UINT32_MAX) {",
             unit("chunk_deaths")),
    Mutation("the reap before the redo", "daemon/sched/pool.c",
             "\t\tkill(killed->pid, SIGKILL);\n\t}\n}\n",
             "\t\tkill(killed->pid, SIGKILL);\n"
             "\t\tchunk_table_free_slot(pool->options.table, slot, pool->options.folded);\n\t}\n}\n",
             chaos("test_workers", "given_on")),
    Mutation("the job's lock", "daemon/sched/run_steps.c",
             "if (run->lock_fd < 0 || flock(run->lock_fd, LOCK_EX | LOCK_NB) < 0) {", "if (run->lock_fd < 0) {",
             chaos("test_supervisor", "waits")),
    Mutation("a record's checks", "daemon/sched/fold.c",
             "const char *fault = rules_in_order[i](&step);", "const char *fault = i == 99 ? rules_in_order[i](&step) : NULL;",
             unit("fold")),
    Mutation("the input's pin", "daemon/sched/input_check.c",
             "} else if (!plan_identity_equal(&identity, &file->identity)) {", "} else if (false) {",
             unit("scheduler_faults")),
    Mutation("the account against the files", "daemon/sched/run_end.c",
             "if ((uint64_t)st.st_size < accepted_end(run, i)) {", "if (st.st_size < 0) {",
             chaos("test_faults", "never_written")),
    Mutation("COMMITTING's inode", "daemon/sched/commit_recover.c",
             "return S_ISREG(st.st_mode) && st.st_ino == file->inode &&", "return S_ISREG(st.st_mode) &&", unit("commit")),
    Mutation("a waiter gives back", "daemon/worker/chain.c",
             "if (chunk_table_has_free_before(chain->table, chain->lane, own)) {", "if (own == UINT64_MAX) {",
             unit("chain")),
]


def run(command, cwd, seconds):
    """Whether it ended well and in time, and the end of what it said."""
    environment = {**os.environ, "ZP_BUILD": "build", "ZP_CHAOS_SEED": SEED}
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=seconds)
    except subprocess.TimeoutExpired:
        return False, f"no end in {seconds} s"
    return done.returncode == 0, done.stdout[-3000:]


def build(clone, test):
    return run(["ninja", "-C", "build", *test.targets], clone, 600)


def mutate(clone, mutation):
    """What the test makes of it: "red", or what is wrong."""
    path = clone / mutation.path
    text = path.read_text()
    if text.count(mutation.old) != 1:
        return f"ERROR: its text is there {text.count(mutation.old)} times"
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        is_built, said = build(clone, mutation.test)
        if not is_built:
            return f"ERROR: does not build: {said[-300:]}"
        is_green, _ = run(mutation.test.command, clone, TEST_SECONDS)
        return "STILL GREEN" if is_green else "red"
    finally:
        path.write_text(text)


def main():
    wanted = sys.argv[1:]
    chosen = [mutation for mutation in MUTATIONS if not wanted or mutation.name in wanted]
    if unknown := set(wanted) - {mutation.name for mutation in MUTATIONS}:
        sys.exit(f"no such mutation: {', '.join(sorted(unknown))}")
    bad = 0
    with tempfile.TemporaryDirectory(prefix="zp-mutate-") as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "-q", "--shared", str(TOP), str(clone)], check=True)
        subprocess.run(["meson", "setup", "build"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
        for test in dict.fromkeys(mutation.test for mutation in chosen):
            is_built, said = build(clone, test)
            is_green, said = run(test.command, clone, TEST_SECONDS) if is_built else (False, said)
            if not is_green:
                sys.exit(f"{test.name} is red without a mutation:\n{said}")
        print("| taken away | file | test | it is | seconds |\n|---|---|---|---|---|")
        for mutation in chosen:
            started = time.monotonic()
            outcome = mutate(clone, mutation)
            bad += outcome != "red"
            print(f"| {mutation.name} | {mutation.path} | {mutation.test.name} | {outcome} | "
                  f"{time.monotonic() - started:.0f} |", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
