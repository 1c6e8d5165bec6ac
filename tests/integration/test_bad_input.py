# SPDX-License-Identifier: MIT
"""What users and machines get wrong: a clear word everywhere, nothing left, and the daemon goes on."""
import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import BUILD, CLIENT, DAEMON, Daemon, PATIENCE, spec_of, start_slow, wait_until

GOOD = b"a,b\n1,2\n3,4\n"
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def daemon(shared):
    """The shared daemon, which must still convert after the test."""
    yield shared
    check_goes_on(shared)


def check_goes_on(daemon):
    daemon.write("goes-on.csv", GOOD)
    job = daemon.run(spec_of("goes-on.csv", "goes-on.jsonl"))
    assert job["state"] == "completed", job
    daemon.metrics()


def check_failed(daemon, job, reason, *words):
    """One failure, told in the same words by the API, the result, the log, the spool and the metrics."""
    assert (job["state"], job["reason"]) == ("failed", reason), job
    message = job["message"]
    assert all(word in message for word in words), message
    result = daemon.result(job["id"])
    assert (result["reason"], result["message"]) == (reason, message)
    assert any(job["id"] in line and message in line for line in daemon.log.splitlines()), daemon.log[-2000:]
    wait_until(lambda: list((daemon.spool / "failed").glob(f"{job['id']}.*")), "the receipt")
    assert not list(daemon.data.rglob("*.part"))
    assert daemon.metric("zooparallel_jobs_finished_total", outcome="failed") >= 1


def check_refused(daemon, spec, *words):
    """A spec that no job is made of: the spool says why."""
    name = f"refused-{os.urandom(4).hex()}"
    daemon.drop(spec, name)
    said = json.dumps(daemon.invalid(name))
    assert all(word in said for word in words), said
    assert daemon.find(name) is None
    wait_until(lambda: name in daemon.log, "the log to name it")


def test_no_such_input(daemon, place):
    check_failed(daemon, daemon.run(spec_of(place("none.csv"), place("o"))), "input_missing", "none.csv")


def test_a_glob_without_a_match(daemon, place):
    check_failed(daemon, daemon.run(spec_of(place("*.csv"), place("o"))), "input_missing", "*.csv")


def test_input_is_a_directory(daemon, place):
    (daemon.data / place("in.csv")).mkdir()
    check_failed(daemon, daemon.run(spec_of(place("in.csv"), place("o"))), "input_unreadable", "in.csv")


def test_input_is_a_fifo(daemon, place):
    os.mkfifo(daemon.data / place("in.csv"))
    check_failed(daemon, daemon.run(spec_of(place("in.csv"), place("o"))), "input_unreadable", "in.csv")


def test_the_output_directory_is_missing(daemon, place):
    daemon.write(place("in.csv"), GOOD)
    check_failed(daemon, daemon.run(spec_of(place("in.csv"), place("none/o"))), "output_unwritable", "none")


def test_the_output_is_a_directory(daemon, place):
    daemon.write(place("in.csv"), GOOD)
    (daemon.data / place("o")).mkdir()
    check_failed(daemon, daemon.run(spec_of(place("in.csv"), place("o"))), "output_unwritable", "o")


def test_the_output_exists(daemon, place):
    daemon.write(place("in.csv"), GOOD)
    daemon.write(place("o.jsonl"), "mine")
    job = daemon.run(spec_of(place("in.csv"), place("o.jsonl"), output={"if_exists": "fail"}))
    check_failed(daemon, job, "output_exists", "o.jsonl")
    assert daemon.read(place("o.jsonl")) == b"mine"


def test_columns_that_differ_between_files(daemon, place):
    daemon.write(place("p1.csv"), "a,b\n1,2\n")
    daemon.write(place("p2.csv"), "a,c\n1,2\n")
    job = daemon.run(spec_of(place("p*.csv"), place("o")))
    assert job["state"] == "failed" and "p1.csv" in job["message"] and "p2.csv" in job["message"]


def test_fieldnames_of_another_number_than_the_header(daemon, place):
    daemon.write(place("in.csv"), GOOD)
    job = daemon.run(spec_of(place("in.csv"), place("o"), input={"fieldnames": ["x"]}))
    assert job["state"] == "failed" and job["message"]


def test_a_wrong_delimiter_rejects_every_row(daemon, place):
    daemon.write(place("in.csv"), "1;2;3\n" * 1000)
    spec = spec_of(place("in.csv"), place("o"), errors={"path": place("e")},
                   input={"header": False, "fieldnames": ["a", "b", "c"]})
    check_failed(daemon, daemon.run(spec), "rejects_exceeded")
    assert len(daemon.read(place("e")).splitlines()) == 1000
    assert not (daemon.data / place("o")).exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/../etc/passwd", "../outside.csv", "x/../../outside.csv"])
@pytest.mark.parametrize("side", ["input", "output", "errors"])
def test_a_path_that_leaves_the_roots(daemon, place, path, side):
    daemon.write(place("in.csv"), GOOD)
    (daemon.tree / "outside.csv").write_bytes(GOOD)
    spec = spec_of(place("in.csv"), place("o"), errors={"path": place("e")})
    spec[side]["path"] = path
    name = f"leaves-{os.urandom(4).hex()}"
    daemon.drop(spec, name)
    outcome = wait_until(lambda: daemon.find(name) or list((daemon.spool / "invalid").glob(f"*.{name}.json.error.json")),
                         "an answer")
    if isinstance(outcome, dict):
        check_failed(daemon, daemon.wait_job(outcome["id"]), "path_denied")
    else:
        assert path in outcome[0].read_text() or ".." in outcome[0].read_text()
    assert (daemon.tree / "outside.csv").read_bytes() == GOOD


@pytest.mark.parametrize("side", ["input", "output", "errors"])
@pytest.mark.parametrize("where", ["file", "directory"])
def test_a_symlink_in_a_path(daemon, place, side, where):
    outside = daemon.tree / "elsewhere"
    outside.mkdir(exist_ok=True)
    (outside / "file").write_bytes(GOOD)
    daemon.write(place("in.csv"), GOOD)
    link = daemon.data / place("link")
    link.symlink_to(outside / "file" if where == "file" else outside)
    spec = spec_of(place("in.csv"), place("o"), errors={"path": place("e")})
    spec[side]["path"] = place("link" if where == "file" else "link/file")
    job = daemon.run(spec)
    if side != "input" and where == "file":
        # Renamed over, as any name: what it pointed to is not touched. Or refused.
        assert job["state"] == "completed" or job["reason"] in ("path_denied", "output_unwritable"), job
    else:
        check_failed(daemon, job, "path_denied", "link")
    assert (outside / "file").read_bytes() == GOOD
    assert os.listdir(outside) == ["file"]


@pytest.mark.parametrize("text,words", [
    ("{", ["not JSON"]),
    ("", []),
    ("[1]", []),
    ('{"version":1,"input":{"path":"a","delimter":";"},"output":{"path":"b"}}', ["delimter", "delimiter", "$.input"]),
    ('{"version":2,"input":{"path":"a"},"output":{"path":"b"}}', ["version"]),
    ('{"version":1,"version":1,"input":{"path":"a"},"output":{"path":"b"}}', ["version"]),
    ('{"version":1,"input":{"path":"a"},"output":{"path":"b"},"schema":{}}', ["schema", "not supported yet"]),
    ('{"version":1,"input":{"path":"a"},"output":{"path":"b"},"workers":"many"}', ["workers"]),
    (b"\xff\xfe{}", []),
    (" " * (1 << 20) + '{"version":1,"input":{"path":"a"},"output":{"path":"b"}}', []),
], ids=lambda value: repr(value)[:40] if not isinstance(value, list) else "")
def test_a_spec_that_is_none(daemon, text, words):
    check_refused(daemon, text, *words)


def test_a_spec_that_is_a_symlink_or_has_two_names(daemon):
    """Renamed into the spool, as any spec is."""
    incoming = daemon.spool / "incoming"
    text = json.dumps(spec_of("a.csv", "b"))
    (daemon.tree / "real.json").write_text(text)
    (daemon.tree / "linked.json").symlink_to(daemon.tree / "real.json")
    (daemon.tree / "linked.json").rename(incoming / "linked.json")
    daemon.invalid("linked")
    (daemon.tree / "twice.json").write_text(text)
    os.link(daemon.tree / "twice.json", daemon.tree / "other-name")
    (daemon.tree / "twice.json").rename(incoming / "twice.json")
    daemon.invalid("twice")
    assert (daemon.tree / "real.json").read_text() == text


def test_a_half_written_spec_waits_for_its_writer(daemon, place):
    daemon.write(place("in.csv"), GOOD)
    text = json.dumps(spec_of(place("in.csv"), place("o")))
    name = f"half-{os.urandom(4).hex()}"
    with open(daemon.spool / "incoming" / f"{name}.json", "w") as file:
        file.write(text[:20])
        file.flush()
        # Another job goes through the spool and is done: the half one had its chance to be taken.
        check_goes_on(daemon)
        assert daemon.find(name) is None and not list((daemon.spool / "invalid").glob(f"*{name}*"))
        file.write(text[20:])
    assert daemon.wait_job(daemon.id_of(name))["state"] == "completed"


def test_dot_files_and_tmp_files_are_not_specs(daemon):
    ignored = [daemon.spool / "incoming" / name for name in (".hidden.json", "later.json.tmp")]
    for path in ignored:
        path.write_text("{")
    check_goes_on(daemon)
    assert all(path.exists() for path in ignored)
    for path in ignored:
        path.unlink()


def test_input_that_changes_while_it_is_read(start):
    daemon = start_slow(start)
    daemon.drop(spec_of("slow.csv", "o"), "slow")
    job_id = daemon.id_of("slow")
    with daemon.stopped_workers(job_id):
        with open(daemon.data / "slow.csv", "ab") as file:
            file.write(b"5,6\n")
    check_failed(daemon, daemon.wait_job(job_id), "input_changed", "slow.csv")
    assert not (daemon.data / "o").exists()
    check_goes_on(daemon)


def test_two_jobs_with_one_target(start):
    daemon = start_slow(start)
    daemon.drop(spec_of("slow.csv", "o"), "first")
    first = daemon.id_of("first")
    with daemon.stopped_workers(first):
        daemon.write("in.csv", GOOD)
        daemon.drop(spec_of("in.csv", "./o"), "second")
        refused = wait_until(lambda: daemon.find("second") or list((daemon.spool / "invalid").glob("*.second.json.error.json")),
                             "an answer to the second")
        if isinstance(refused, dict):
            second = daemon.wait_job(refused["id"])
            assert second["state"] == "failed" and first in second["message"], second
    assert daemon.wait_job(first)["state"] == "completed"
    check_goes_on(daemon)


def failing_start(daemon, *words):
    """A daemon that cannot work says why and ends with a code, and soon."""
    daemon.spawn()
    try:
        assert daemon.process.wait(PATIENCE) not in (0, None)
        assert all(word in daemon.log for word in words), daemon.log
    finally:
        daemon.destroy()


def test_the_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failing_start(Daemon(tmp_path / "t", listen=f"127.0.0.1:{port}"), str(port))


def test_a_second_daemon_on_one_tree(start, tmp_path):
    daemon = start()
    second = Daemon(daemon.tree)
    second.log_path = tmp_path / "second.log"
    port = (daemon.run_dir / "http.port").read_text()
    second.spawn()
    assert second.process.wait(PATIENCE) != 0 and second.log
    (daemon.run_dir / "http.port").write_text(port)
    check_goes_on(daemon)


def test_a_second_daemon_on_the_run_directory_cuts_nobody_off(start, tmp_path):
    daemon = start()
    failing_start(Daemon(tmp_path / "other", run_dir=daemon.run_dir), "run_dir", str(daemon.pid))
    assert (daemon.run_dir / "control.sock").exists() and (daemon.run_dir / "http.port").exists()
    check_goes_on(daemon)


@pytest.mark.parametrize("setting", [{"no_such_key": "1"}, {"max_jobs": "many"}, {"listen": "nonsense"},
                                     {"data_roots": "relative"}, {"data_roots": "/nonexistent/folder"}], ids=repr)
def test_a_wrong_setting(tmp_path, setting):
    failing_start(Daemon(tmp_path / "t", **setting), next(iter(setting)))


def test_overlapping_directories(tmp_path):
    tree = tmp_path / "t"
    failing_start(Daemon(tree, spool_dir=tree / "data" / "spool"), "spool")


@NEEDS_ROOT
def test_a_full_disk(tmp_path):
    """A second data root of 2 MiB, in a mount namespace of the daemon's own."""
    tree = tmp_path / "t"
    small = tree / "small"
    small.mkdir(parents=True)
    mount = f'mount -t tmpfs -o size=2m tmpfs "{small}" && exec "$0" "$@"'
    daemon = Daemon(tree, wrapper=["unshare", "--mount", "--propagation", "private", "sh", "-c", mount],
                    data_roots=f"{tree / 'data'},{small}")
    try:
        daemon.start()
        inside = Path(f"/proc/{daemon.pid}/root{small}")
        daemon.write("in.csv", b"a,b\n" + b"1234567,abcdefg\n" * 200000)
        check_failed(daemon, daemon.run(spec_of("in.csv", f"{small}/o.jsonl")), "no_space", "o.jsonl")
        assert os.listdir(inside) == []
        check_goes_on(daemon)
        daemon.stop()
        daemon.check_clean()
    finally:
        daemon.destroy()


@NEEDS_ROOT
@pytest.mark.parametrize("which", ["spool", "run", "state"])
def test_a_read_only_file_system(tmp_path, which):
    tree = tmp_path / "t"
    path = tree / which
    mount = f'mount --bind "{path}" "{path}" && mount -o remount,ro,bind "{path}" && exec "$0" "$@"'
    daemon = Daemon(tree, wrapper=["unshare", "--mount", "--propagation", "private", "sh", "-c", mount])
    failing_start(daemon, str(path), "Read-only file system")


@pytest.fixture
def nobody():
    """A tree and a daemon of an ordinary user, where a file's mode counts."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another")
    with tempfile.TemporaryDirectory(prefix="zooparallel-test-") as folder:
        os.chmod(folder, 0o755)
        daemon = Daemon(Path(folder, "t"), wrapper=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
        for path in [daemon.tree, *daemon.tree.iterdir()]:
            os.chown(path, 65534, 65534)
        if os.system(f"setpriv --reuid=65534 --regid=65534 --clear-groups test -x '{DAEMON}'"):
            pytest.skip(f"{BUILD} cannot be read by others")
        daemon.owner = 65534
        yield daemon
        daemon.destroy()


def test_files_that_the_daemon_may_not_touch(nobody):
    nobody.start()
    nobody.write("in.csv", GOOD).chmod(0)
    check_failed(nobody, nobody.run(spec_of("in.csv", "o")), "input_unreadable", "in.csv")
    (nobody.data / "in.csv").chmod(0o644)
    (nobody.data / "locked").mkdir(mode=0o555)
    check_failed(nobody, nobody.run(spec_of("in.csv", "locked/o")), "output_unwritable", "locked")
    check_goes_on(nobody)
    nobody.stop()
    nobody.check_clean()


def test_the_run_directory_is_not_writable(nobody):
    nobody.run_dir.chmod(0o555)
    failing_start(nobody, str(nobody.run_dir), "Permission denied")


@pytest.mark.parametrize("place", ["spool/active", "state/jobs"])
def test_a_submission_that_cannot_be_kept_says_where(nobody, place):
    nobody.start()
    text = json.dumps(spec_of("a.csv", "b", name="kept-nowhere"))
    (nobody.tree / place).chmod(0o555)
    reply = nobody.request("POST", "/api/v1/jobs", body=text, unix=True)
    complaint = "cannot keep the spec in spool_dir and state_dir: Permission denied"
    assert reply.status == 503 and reply.json["detail"] == complaint, reply.text
    assert complaint in nobody.log
    (nobody.tree / place).chmod(0o755)
    check_goes_on(nobody)
    nobody.stop()
    nobody.check_clean()


def test_a_stranger_is_not_told_that_there_is_no_daemon(nobody):
    nobody.start()
    done = subprocess.run(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", CLIENT, "--socket",
                           nobody.run_dir / "control.sock", "ls"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 5 and "this user may not connect to " in done.stderr, done
    nobody.stop()


def test_a_spec_of_a_stranger_is_refused(nobody):
    nobody.start()
    nobody.owner = 12345
    nobody.drop(spec_of("a.csv", "b"), "stranger")
    assert nobody.invalid("stranger")
    nobody.owner = 65534
    check_goes_on(nobody)
    nobody.stop()
