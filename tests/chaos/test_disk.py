# SPDX-License-Identifier: MIT
"""A small file system that is full, and later has room again: below the data, the state and the runtime directory."""
import subprocess
import time
from contextlib import contextmanager

import pytest

import world
from harness import wait_until

SIZE_MIB = 24


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    return None if done.returncode == 0 else done.stdout


def mount_tmpfs(folder, image):
    return run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "chaos", str(folder))


def mount_ext4(folder, image):
    with open(image, "wb") as file:
        file.truncate(SIZE_MIB << 20)
    return run("mkfs.ext4", "-q", "-m", "0", str(image)) or run("mount", "-o", "loop", str(image), str(folder))


KINDS = {"tmpfs": mount_tmpfs, "ext4": mount_ext4}


@contextmanager
def small_disk(kind, folder, image):
    folder.mkdir(parents=True, exist_ok=True)
    if complaint := KINDS[kind](folder, image):
        pytest.skip(f"cannot mount a {kind} here: {complaint.strip()[:200]}")
    try:
        yield folder
    finally:
        if run("umount", str(folder)):
            run("umount", "-l", str(folder))


def fill(folder, leave=0):
    """A file that takes all there is, but for some bytes."""
    path = folder / ".ballast"
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
        file.truncate(max(0, file.seek(0, 2) - leave))
    return path


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_a_full_data_directory_fails_by_name_and_the_next_job_is_right(make, long_data, kind, tmp_path, report):
    daemon = make()
    with report.measure(f"full data directory ({kind})") as figures, \
            small_disk(kind, daemon.data, tmp_path / "image"):
        try:
            case = world.Case(daemon.start(), long_data)
            with world.TargetReader(case):
                for leave in (0, 1 << 20):
                    figures.n += 1
                    job_id = case.drop(wait=False)
                    ballast = fill(daemon.data, leave)
                    job_id = case.id()
                    job = world.wait_ended(daemon, job_id, 5)
                    if job:  # or it waits for room, to try again
                        assert job["state"] == "failed" and job["reason"] == "no_space", job
                        assert not (faults := case.faults_of(job)), faults
                    ballast.unlink()
                    job = case.wait(job_id)
                    assert not (faults := case.faults_of(job, figures)), faults
                    case.check_completed(case.wait(case.drop()), figures)
        finally:
            left = world.stop_and_search(daemon, figures)
        assert not left, left


@pytest.mark.parametrize("place", ["state", "run_dir"])
def test_a_full_own_directory_ends_nothing_but_what_needs_it(make, short_data, kind, place, tmp_path, report):
    """The job waits, fails by name or completes; when there is room again, all goes on."""
    daemon = make()
    folder = getattr(daemon, place)
    with report.measure(f"full {place.removesuffix('_dir')} directory ({kind})") as figures, \
            small_disk(kind, folder, tmp_path / "image"):
        try:
            case = world.Case(daemon.start(), short_data)
            figures.n += 1
            ballast = fill(folder)
            case.drop(wait=False)
            time.sleep(1)
            assert daemon.get("/metrics").status == 200
            ballast.unlink()
            job_id = case.id()
            job = case.wait(job_id, timeout=60)
            assert not (faults := case.faults_of(job, figures)), faults
            last = world.Case(daemon, short_data, "next")
            last.older = case.older
            last.check_completed(last.wait(last.drop(), timeout=60), figures)
            wait_until(lambda: not list((daemon.spool / "active").iterdir()), "the receipts")
        finally:
            left = world.stop_and_search(daemon, figures)
        assert not left, left
