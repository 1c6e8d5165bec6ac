# SPDX-License-Identifier: MIT
"""The command line as scripts use it: exit codes, JSON on standard output, complaints on the other."""
import json
import os
import pty
import re
import signal
import subprocess

import pytest

import oracle
from harness import CLIENT, DAEMON, PATIENCE, processes_of, spec_of, start_slow, wait_until
from test_watching import check_right, drop_slow

GOOD = b"a,b\n1,2\nbad\n3,4\n"
COMPLETED, FAILED, USAGE, REJECTED, ABORTED, UNREACHABLE, TIMED_OUT = range(7)


def words(value):
    """A readable name of a parameter set."""
    return " ".join(value) if isinstance(value, list) else None


def client(*arguments, code=COMPLETED, cwd=None, tree=""):
    done = subprocess.run([CLIENT, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=PATIENCE * 2,
                          stdin=subprocess.DEVNULL, env={**os.environ, "ZP_TEST_TREE": str(tree)})
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    if code in (USAGE, UNREACHABLE, TIMED_OUT):
        assert done.stderr, "no complaint"
    return done.stdout


def of(daemon, *arguments, **keys):
    return client("--socket", daemon.run_dir / "control.sock", *arguments, **keys)


def spec_file(folder, spec, name="spec.json"):
    path = folder / name
    path.write_text(spec if isinstance(spec, str) else json.dumps(spec))
    return path


@pytest.fixture
def folder(tmp_path):
    """A user's folder; whatever `run` starts there must be gone at the end."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "in.csv").write_bytes(GOOD)
    yield home
    assert not processes_of(home)
    assert not list(home.rglob("*.part"))


def test_run_converts_here_and_now(folder):
    spec = spec_file(folder, spec_of("in.csv", "o.jsonl"))
    said = client("run", spec, cwd=folder, tree=folder)
    assert (folder / "o.jsonl").read_bytes() == oracle.convert([("in.csv", GOOD)]).output
    assert "2" in said or "3" in said
    assert sorted(os.listdir(folder)) == ["in.csv", "o.jsonl", "spec.json"]


def test_run_as_json_says_nothing_else(folder):
    result = json.loads(client("run", "--json", spec_file(folder, spec_of("in.csv", "o")), cwd=folder, tree=folder))
    assert (result["state"], result["total_processed"], result["error_count"]) == ("completed", 3, 1)


@pytest.mark.parametrize("spec,arguments,code", [
    (spec_of("in.csv", "o"), ["--strict"], REJECTED),
    (spec_of("none.csv", "o"), [], FAILED),
    (spec_of("in.csv", "o", errors={"max_rows": 0}), [], FAILED),
    (spec_of("in.csv", "o", version=2), [], USAGE),
    ("{", [], USAGE),
    (spec_of("in.csv", "o"), ["--no-such-option"], USAGE),
    (spec_of("in.csv", "o"), ["--set", "no_such_key=1"], USAGE),
], ids=["strict", "input missing", "too many rejects", "version", "no JSON", "option", "setting"])
def test_run_ends_with_the_code_that_fits(folder, spec, arguments, code):
    client("run", spec_file(folder, spec), *arguments, code=code, cwd=folder, tree=folder)


def test_run_takes_settings_and_another_data_root(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    client("run", spec_file(elsewhere, spec_of("in.csv", "o")), "--data-root", folder, "--set", "chunk_size=1", "--quiet",
           cwd=elsewhere, tree=folder)
    assert (folder / "o").read_bytes() == oracle.convert([("in.csv", GOOD)]).output


def slow_run(folder, *arguments, **keys):
    (folder / "slow.csv").write_bytes(b"a,b\n" + b"1234567,abcdefg\n" * (1 << 19))
    spec = spec_file(folder, spec_of("slow.csv", "o"))
    return subprocess.Popen([CLIENT, "run", str(spec), "--set", "chunk_size=64", *arguments], cwd=folder,
                            env={**os.environ, "ZP_TEST_TREE": str(folder)}, **keys)


def test_ctrl_c_stops_a_run_and_leaves_nothing(folder):
    with slow_run(folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        wait_until(lambda: list(folder.glob(".zp-*.part")), "the job to write")
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=PATIENCE)
        assert run.returncode in (ABORTED, -signal.SIGINT, 130)
    wait_until(lambda: not processes_of(folder), "its daemon to end")
    assert not (folder / "o").exists()


def test_run_times_out(folder):
    with slow_run(folder, "--timeout", "50ms", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        assert run.wait(PATIENCE) == TIMED_OUT
    wait_until(lambda: not processes_of(folder), "its daemon to end")


def test_progress_is_a_bar_on_a_terminal(folder):
    master, slave = pty.openpty()
    with slow_run(folder, stdout=slave, stderr=slave) as run:
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 65536):
                shown += data
        except OSError:
            pass  # the terminal's other end is closed
        assert run.wait(PATIENCE) == COMPLETED
    os.close(master)
    text = shown.decode()
    assert "\r" in text and "%" in text and re.search(r"rows/s", text), text[-2000:]


def test_commands_on_a_living_daemon(start):
    daemon = start()
    daemon.write("in.csv", GOOD)
    spec = spec_file(daemon.tree, spec_of("in.csv", "o", name="by-hand"))
    job_id = of(daemon, "submit", spec).split()[-1]
    assert of(daemon, "wait", job_id) is not None
    of(daemon, "wait", "--strict", job_id, code=REJECTED)
    assert job_id in of(daemon, "ls") and "by-hand" in of(daemon, "ls")
    listed = json.loads(of(daemon, "--json", "ls", "--name", "by-hand"))
    assert job_id in json.dumps(listed)
    assert json.loads(of(daemon, "show", "--json", job_id))["total_processed"] == 3
    assert "completed" in of(daemon, "show", job_id)
    assert "ragged" in of(daemon, "rejects", job_id)
    of(daemon, "show", "20000101T000000000Z", code=FAILED)
    of(daemon, "cancel", job_id, code=FAILED)


def test_submit_and_wait_in_one(start):
    daemon = start()
    daemon.write("in.csv", GOOD)
    of(daemon, "submit", "--wait", spec_file(daemon.tree, spec_of("in.csv", "o")))
    of(daemon, "submit", "--wait", spec_file(daemon.tree, spec_of("none.csv", "o")), code=FAILED)
    of(daemon, "submit", spec_file(daemon.tree, "{}"), code=USAGE)


def test_wait_times_out_and_cancel_aborts(start):
    daemon = start_slow(start)
    job_id = drop_slow(daemon)
    with daemon.stopped_workers(job_id):
        of(daemon, "wait", "--timeout", "50ms", job_id, code=TIMED_OUT)
    check_right(daemon, daemon.wait_job(job_id))
    second = start_slow(lambda **settings: start("second", **settings))
    job_id = drop_slow(second)
    with second.stopped_workers(job_id):
        of(second, "cancel", job_id)
    of(second, "wait", job_id, code=ABORTED)


def test_validate_needs_no_daemon(tmp_path):
    client("validate", spec_file(tmp_path, spec_of("a", "b")))
    done = subprocess.run([CLIENT, "validate", spec_file(tmp_path, '{"version":1,\n "inptu":{}}')], capture_output=True, text=True)
    assert done.returncode == USAGE
    assert "2:" in done.stderr and "input" in done.stderr


@pytest.mark.parametrize("arguments,code", [
    ([], USAGE), (["nonsense"], USAGE), (["ls", "extra"], USAGE), (["show"], USAGE), 
    (["--version"], COMPLETED), (["--help"], COMPLETED), (["help", "run"], COMPLETED),
    (["--socket", "/nonexistent/socket", "ls"], UNREACHABLE), (["stats", "/nonexistent"], FAILED)], ids=words)
def test_usage(arguments, code):
    done = subprocess.run([CLIENT, *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stdout or done.stderr


def test_a_result_that_cannot_be_written_is_a_failure(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run([CLIENT, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == FAILED and done.stderr


@pytest.mark.parametrize("arguments,code", [(["--version"], 0), (["--help"], 0), (["--no-such"], 2), (["extra"], 2)], ids=words)
def test_usage_of_the_daemon(arguments, code):
    done = subprocess.run([DAEMON, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == code, done.stderr
    assert done.stdout or done.stderr
