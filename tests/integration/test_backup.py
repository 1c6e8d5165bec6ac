# SPDX-License-Identifier: MIT
"""What zooparalleld(8) says under "Back up": a copy made while the daemon works is enough to start from."""
import shutil

import oracle
from harness import SLOW, spec_of, start_slow, wait_until

SLOW_ROWS = SLOW.count(b"\n") - 1
SLOW_OUTPUT = oracle.to_json(["a", "b"], ["1234567", "abcdefg"]).encode() * SLOW_ROWS


def copy(source, target):
    """As `cp -a` does it: what goes while it copies is left out."""
    def unless_gone(source, target):
        try:
            shutil.copy2(source, target)
        except FileNotFoundError:
            pass
    shutil.copytree(source, target, copy_function=unless_gone, ignore=shutil.ignore_patterns("*.part"))


def test_a_copy_of_a_working_daemon_is_restored_elsewhere(start, tmp_path):
    daemon = start_slow(start, checkpoint_interval="100ms")
    daemon.write("in.csv", "x,y\n1,2\n3\n")
    ended = daemon.run(spec_of("in.csv", "out.jsonl"), "ended")
    rejects = daemon.errors(ended["id"])
    daemon.drop(spec_of("slow.csv", "slow.jsonl", workers=2), "slow")
    slow_id = daemon.id_of("slow")
    wait_until((daemon.state / "jobs" / slow_id / "checkpoint-0").exists, "a checkpoint")
    for name in ("spool", "state", "data"):
        copy(daemon.tree / name, tmp_path / "copy" / name)
    assert daemon.job(slow_id)["state"] == "running", "too fast to be caught"
    daemon.kill()

    restored = start("copy")
    assert restored.job(ended["id"]) == ended
    assert restored.errors(ended["id"]) == rejects
    job = restored.wait_job(slow_id)
    assert job["state"] == "completed" and job["total_processed"] == SLOW_ROWS, job
    assert restored.read("slow.jsonl") == SLOW_OUTPUT
    assert restored.metric("zooparallel_jobs_finished_total", outcome="completed") == 2
