# SPDX-License-Identifier: MIT
"""zooparallel(1) as people and scripts use it: exit codes, output, and what `run` leaves behind.

What a real daemon does too rarely (dying, hanging) is played by tests/support/fake_daemon.py.
"""
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from pathlib import Path

import pytest

from harness import CLIENT, PATIENCE, SLOW, TOP, spec_of, wait_until

COMPLETED, FAILED, USAGE, REJECTED, ABORTED, UNREACHABLE, TIMED_OUT = range(7)
STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ROWS = b"id,name\n" + b"".join(b"%d,name %d\n" % (n, n) for n in range(1000))


@pytest.fixture
def place(tmp_path):
    """A data root with in.csv, and a folder of its own for private trees: a short one, a socket's path has 108 bytes."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "in.csv").write_bytes(ROWS)
    write_spec(data, spec_of("in.csv", "out.jsonl"))
    with tempfile.TemporaryDirectory(prefix="zp-") as temporary:
        (tmp_path / "temporary").symlink_to(temporary)
        yield data
        left = os.listdir(temporary)
        assert not left, f"private trees left behind: {left}"
    parts = list(data.rglob(".zp-*"))
    assert not parts, parts


def write_spec(data, spec, name="job.json"):
    (data / name).write_text(spec if isinstance(spec, str) else json.dumps(spec))


def environment_of(data, **more):
    unset = {"XDG_RUNTIME_DIR", "ZOOPARALLEL_SOCKET", "NO_COLOR"}
    return {**{key: value for key, value in os.environ.items() if key not in unset},
            "TMPDIR": str(data.parent / "temporary"), **more}


def cli(data, *arguments, client=CLIENT, check=None, **environment):
    done = subprocess.run([client, *map(str, arguments)], cwd=data, env=environment_of(data, **environment),
                          text=True, capture_output=True, timeout=4 * PATIENCE)
    assert "Sanitizer" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, (done.returncode, done.stdout, done.stderr)
    return done


@pytest.fixture
def fake(tmp_path):
    """The command line with a fake daemon beside it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy2(CLIENT, programs / "zooparallel")
    shutil.copy2(TOP / "tests/support/fake_daemon.py", programs / "zooparalleld")
    (programs / "zooparalleld").chmod(0o755)
    return programs / "zooparallel"


# run, with the real daemon


def test_run_converts_in_the_current_folder(place):
    done = cli(place, "run", "job.json", check=COMPLETED)
    lines = (place / "out.jsonl").read_bytes().splitlines()
    assert len(lines) == 1000 and lines[999] == b'{"id":"999","name":"name 999"}'
    assert "completed  job\n" in done.stdout
    assert "1,000 = 1,000 ok + 0 rejected" in done.stdout
    assert "output     out.jsonl" in done.stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", done.stdout + done.stderr), "control characters in a pipe"


def test_run_takes_another_data_root(place):
    done = cli(place.parent, "run", "data/job.json", "--data-root", "data", TMPDIR=str(place.parent / "temporary"),
               check=COMPLETED)
    assert (place / "out.jsonl").exists()
    assert "output     data/out.jsonl" in done.stdout


def test_run_gives_the_result_as_json(place):
    done = cli(place, "run", "--json", "job.json", check=COMPLETED)
    result = json.loads(done.stdout)
    assert result["state"] == "completed" and result["total_processed"] == result["success_count"] == 1000


def test_run_reads_the_spec_from_standard_input(place):
    done = subprocess.run([CLIENT, "run", "-"], cwd=place, env=environment_of(place), capture_output=True,
                          input=(place / "job.json").read_bytes(), timeout=4 * PATIENCE)
    assert done.returncode == COMPLETED, done.stderr
    assert b"completed  stdin\n" in done.stdout


@pytest.mark.parametrize("name", [".hidden.json", "half.tmp", "a b.json", "x" * 220 + ".json"])
def test_run_takes_a_spec_of_any_file_name(place, name):
    write_spec(place, spec_of("in.csv", "out.jsonl", name="named"), name)
    assert "completed  named\n" in cli(place, "run", name, check=COMPLETED).stdout


def test_rejected_rows_are_shown_and_counted_and_strict_minds_them(place):
    (place / "in.csv").write_bytes(ROWS + b"1,2,3\n")
    assert "999 ok + 2" not in cli(place, "run", "job.json", check=COMPLETED).stdout
    done = cli(place, "run", "--strict", "job.json", check=REJECTED)
    assert "1,001 = 1,000 ok + 1 rejected" in done.stdout
    assert "rejected   in.csv:1002: ragged: " in done.stdout
    assert "errors.path" in done.stdout


def test_a_failed_run_says_why_and_what_to_do(place):
    (place / "in.csv").unlink()
    done = cli(place, "run", "job.json", check=FAILED)
    assert "failed     job: input_missing\nwhy " in done.stdout
    assert "\ntry " in done.stdout
    assert not (place / "out.jsonl").exists()


def test_a_quiet_run_says_nothing_but_failures(place):
    done = cli(place, "run", "--quiet", "job.json", check=COMPLETED)
    assert done.stdout == done.stderr == ""
    (place / "in.csv").unlink()
    done = cli(place, "run", "--quiet", "job.json", check=FAILED)
    assert done.stdout == "" and "input_missing" in done.stderr


@pytest.mark.parametrize("stop", STOPS)
def test_an_interrupted_run_leaves_nothing(place, stop):
    (place / "in.csv").write_bytes(SLOW)
    process = subprocess.Popen([CLIENT, "run", "--set", "chunk_size=4", "job.json"], cwd=place,
                               env=environment_of(place), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_until(lambda: list(place.glob(".zp-*")) or process.poll() is not None, "the job to run")
    process.send_signal(stop)
    output = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == ABORTED, output
    assert "aborted    job: cancelled\n" in output, "a job that is over, not one to go on with"
    assert not (place / "out.jsonl").exists()


def test_a_run_that_takes_too_long_is_stopped(place):
    (place / "in.csv").write_bytes(SLOW)
    done = cli(place, "run", "--timeout", "500ms", "--set", "chunk_size=4", "job.json", check=TIMED_OUT)
    assert "--timeout" in done.stderr
    assert not (place / "out.jsonl").exists()


def test_a_killed_daemon_is_told_and_leaves_nothing(place):
    (place / "in.csv").write_bytes(SLOW)
    process = subprocess.Popen([CLIENT, "run", "--set", "chunk_size=4", "job.json"], cwd=place,
                               env=environment_of(place), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_until(lambda: list(place.glob(".zp-*")) or process.poll() is not None, "the job to run")
    daemon = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    os.kill(int(daemon), signal.SIGKILL)
    output = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == UNREACHABLE, output
    assert "killed by signal 9" in output
    assert not (place / "out.jsonl").exists()


def is_locked(tree):
    with open(tree / "lock", "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_the_tree_of_a_killed_run_goes_with_the_next_run(place):
    (place / "in.csv").write_bytes(SLOW)
    (place / "small.csv").write_bytes(ROWS)
    write_spec(place, spec_of("small.csv", "small.jsonl"), "small.json")
    process = subprocess.Popen([CLIENT, "run", "--quiet", "--set", "chunk_size=4", "job.json"], cwd=place,
                               env=environment_of(place))
    wait_until(lambda: list(place.glob(".zp-*")), "the job to run")
    [tree] = (place.parent / "temporary").iterdir()
    daemon = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
    held = [os.path.realpath(fd) for fd in Path(f"/proc/{daemon}/fd").iterdir()]
    assert os.path.realpath(tree / "lock") in held, "a daemon that outlives its run keeps the tree"
    cli(place, "run", "small.json", check=COMPLETED)
    assert tree.exists()
    process.kill()
    process.wait(timeout=PATIENCE)
    wait_until(lambda: not is_locked(tree), "the daemon's end")
    cli(place, "run", "small.json", check=COMPLETED)
    assert not tree.exists()


@pytest.mark.parametrize("setting, complaint", [
    ("no_such_key=1", "no_such_key"), ("chunk_size=fast", "chunk_size"), ("state_dir=/tmp", "private"),
    ("data_roots=/tmp", "--data-root"), ("nonsense", "KEY=VALUE"),
])
def test_a_wrong_setting_is_a_usage_error(place, setting, complaint):
    assert complaint in cli(place, "run", "--set", setting, "job.json", check=USAGE).stderr


def test_a_run_that_is_stopped_while_it_commits_says_what_was_published(place, fake):
    done = cli(place, "run", "--timeout", "2s", "job.json", client=fake, FAKE_MODE="commit", check=COMPLETED)
    assert done.stdout.startswith("completed")


def test_a_data_root_that_is_no_folder_is_a_usage_error(place):
    assert "--data-root" in cli(place, "run", "--data-root", "in.csv", "job.json", check=USAGE).stderr


def test_a_data_root_that_holds_everything_is_refused(place):
    assert "--data-root" in cli(place, "run", "--data-root", "/", "job.json", check=USAGE).stderr


def test_a_data_root_that_holds_tmpdir_moves_the_tree_elsewhere(place):
    (place / "temporary").mkdir()
    cli(place, "run", "job.json", TMPDIR=str(place / "temporary"), check=COMPLETED)
    assert not list((place / "temporary").iterdir())


class Terminal:
    """A command, `run` unless another is named, as the foreground job of a terminal of its own."""

    def __init__(self, place, *arguments, columns=60, client=CLIENT, command="run", **environment):
        self.master, slave = pty.openpty()
        self.resize(columns)
        self.process = subprocess.Popen([client, command, *arguments], cwd=place, stdin=slave, stdout=slave,
                                        stderr=slave, start_new_session=True,
                                        preexec_fn=self.take_terminal,
                                        env=environment_of(place, TERM="xterm", **environment))
        os.close(slave)
        self.output = ""

    @staticmethod
    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys)

    def read(self):
        """A piece of output; False at the end (EIO: the other side is closed)."""
        try:
            self.output += os.read(self.master, 65536).decode()
        except OSError:
            return False
        return True

    def frames(self):
        return [frame for frame in re.split(r"\r|\n|\x1b\[K", self.output) if re.search(r"\[=*> *\]", frame)]

    def read_frames(self, n):
        wanted = len(self.frames()) + n
        while len(self.frames()) < wanted:
            assert self.read(), self.output
        return self.frames()

    def finish(self):
        while self.read():
            pass
        os.close(self.master)
        return self.process.wait(PATIENCE)


def test_a_terminal_shows_a_bar_that_fits(place, fake):
    terminal = Terminal(place, "--timeout", "2s", "job.json", client=fake, FAKE_MODE="slow")
    assert terminal.finish() == TIMED_OUT
    frames = terminal.frames()
    assert len(frames) >= 3, terminal.output
    assert all(len(frame) < 60 for frame in frames), frames
    assert re.fullmatch(r"job \[=*> *\] +\d+\.\d %  1,000 rows/s  ETA [\d.]+ s", frames[-1].rstrip()), frames[-1]
    ended = re.search(r"\r\x1b\[K(zooparalleld: .*\r\n)*\x1b\[33maborted", terminal.output)
    assert ended, "messages and summary stand on lines of their own, the outcome in colour"


def test_the_bar_follows_the_window_and_control_c_aborts_the_job_not_the_daemon(place, fake):
    terminal = Terminal(place, "job.json", columns=100, client=fake, FAKE_MODE="slow")
    assert len(terminal.read_frames(2)[-1]) > 60
    terminal.resize(40)
    terminal.read_frames(1)  # one may have been on its way
    assert len(terminal.read_frames(2)[-1]) < 40
    terminal.type(b"\x03")
    assert terminal.finish() == ABORTED
    assert "job: cancelled" in terminal.output, "the daemon was asked to cancel, and lived to write the result"


def test_no_color_keeps_the_bar_and_drops_the_colours(place, fake):
    terminal = Terminal(place, "--timeout", "2s", "job.json", client=fake, FAKE_MODE="slow", NO_COLOR="1")
    terminal.finish()
    assert terminal.frames() and "aborted    job" in terminal.output
    assert not re.search(r"\x1b\[\d*m", terminal.output)


# run, with a daemon that misbehaves


def test_a_job_shorter_than_the_first_question_is_reported(place, fake):
    done = cli(place, "run", "job.json", client=fake, FAKE_MODE="finish", check=COMPLETED)
    assert "completed  job\n" in done.stdout
    assert "zooparalleld: warning: this is not the real one\n" in done.stderr


def test_a_daemon_that_dies_is_told_with_its_last_words(place, fake):
    done = cli(place, "run", "job.json", client=fake, FAKE_MODE="die", check=UNREACHABLE)
    assert "about to fall over" in done.stderr and "killed by signal 9" in done.stderr


def test_a_refused_spec_is_told(place, fake):
    done = cli(place, "run", "job.json", client=fake, FAKE_MODE="refuse", check=USAGE)
    assert "job.json: I do not like it" in done.stderr


def test_a_missing_daemon_is_told(place, fake):
    (fake.parent / "zooparalleld").unlink()
    assert "no zooparalleld" in cli(place, "run", "job.json", client=fake, check=UNREACHABLE).stderr


def test_a_daemon_that_heeds_nothing_is_killed_by_the_third_signal(place, fake, tmp_path):
    log = tmp_path / "fake.log"
    process = subprocess.Popen([fake, "run", "job.json"], cwd=place, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True,
                               env=environment_of(place, FAKE_MODE="deaf", FAKE_LOG=str(log)))
    while "job: converting" not in process.stderr.readline():
        pass
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)  # equal signals that are pending together are one
    assert process.wait(PATIENCE) == ABORTED
    process.stderr.close()
    assert not Path(f"/proc/{json.loads(log.read_text())['pid']}").exists()


def test_the_private_daemon_does_not_speak_for_the_service_that_runs_us(place, fake, tmp_path):
    log = tmp_path / "fake.log"
    cli(place, "run", "job.json", client=fake, FAKE_LOG=str(log), NOTIFY_SOCKET="/run/notify", check=COMPLETED)
    assert json.loads(log.read_text())["notify"] is None


def test_the_private_daemon_reads_no_configuration_of_the_machine(place, fake, tmp_path):
    log = tmp_path / "fake.log"
    cli(place, "run", "--set", "max_workers=2", "job.json", client=fake, FAKE_LOG=str(log), check=COMPLETED)
    arguments = json.loads(log.read_text())["arguments"]
    config = arguments[arguments.index("--config") + 1]
    assert "/zooparallel-" in config and config.endswith("/conf/zooparalleld.conf")  # of the private tree
    assert "--once" in arguments and "listen=" in arguments and arguments[-1] == "max_workers=2"
    assert f"data_roots={place}" in arguments


# commands without a daemon


def test_validate_names_the_place_and_what_was_meant(place):
    write_spec(place, '{"version": 1,\n "input": {"path": "in.csv", "delimitr": ";"},\n "output": {"path": "o"}}')
    done = cli(place, "validate", "job.json", check=USAGE)
    assert re.match(r"zooparallel: job\.json:2:\d+: \$\.input\.delimitr: .*delimiter", done.stderr), done.stderr
    assert done.stdout == ""


def test_validate_judges_every_spec(place):
    write_spec(place, "{", "bad.json")
    done = cli(place, "validate", "bad.json", "job.json", "missing.json", check=USAGE)
    assert "job.json: valid, job job" in done.stdout
    assert "bad.json:1:" in done.stderr and "missing.json: cannot read it" in done.stderr
    documents = json.loads(cli(place, "validate", "--json", "bad.json", "job.json", check=USAGE).stdout)
    assert [document["valid"] for document in documents] == [False, True]
    assert documents[0]["error"]["line"] == 1 and documents[1]["name"] == "job"


def test_a_file_name_that_is_no_job_name_needs_a_name_in_the_spec(place):
    write_spec(place, spec_of("in.csv", "out.jsonl"), "a b.json")
    assert "$.name" in cli(place, "validate", "a b.json", check=USAGE).stderr


def test_a_hostile_file_name_does_not_steer_the_terminal(place):
    write_spec(place, spec_of("in.csv", "out.jsonl", name="ok"), "\x1b[2J.json")
    done = cli(place, "validate", "\x1b[2J.json", "\x1b[3J", check=USAGE)
    assert "\x1b" not in done.stdout + done.stderr
    assert "?[2J.json: valid" in done.stdout


def write_stats(path):
    head = struct.pack("<qqqqiiqqq", 30, 20, 7, 1 << 20, 1, 0, 4096, 8192, 5)
    identity = struct.pack("<8sHHIiIQQQ", b"ZOOSTAT1", 1, 256, 3, 4711, 2, 99, 1795342502 * 10**9, 2 << 20)
    tail = struct.pack("<qqqq", 3, 12, -1, 3)
    path.write_bytes((head + identity + tail).ljust(256, b"\0"))


def test_stats_shows_every_field(place):
    write_stats(place / "worker-3.stats")
    shown = dict(line.split(maxsplit=1) for line in cli(place, "stats", "worker-3.stats", check=0).stdout.splitlines())
    assert shown["success_count"].split() == ["20", "rows"]
    assert shown["ram_bytes"].split() == ["1048576", "bytes", "1.0", "MiB"]
    assert shown["phase"].split() == ["3", "waiting"]
    assert shown["started_at"].endswith("2026-11-22T10:15:02.000Z")
    document = json.loads(cli(place, "stats", "worker-3.stats", "--json", check=0).stdout)
    assert document["slot"] == 3 and document["pid"] == 4711 and document["generation"] == 2
    assert document["total_processed"] == 30 and document["phase_name"] == "waiting"
    assert set(shown) - {"FIELD"} == set(document) - {"phase_name"}


def test_the_manual_has_the_stats_file_right(place):
    """A reader that knows the manual's table alone sees what the program prints."""
    write_stats(place / "worker.stats")
    data = (place / "worker.stats").read_bytes()
    printed = json.loads(cli(place, "stats", "--json", "worker.stats", check=0).stdout)
    manual = (TOP / "daemon/man/zooparallel-stats.5").read_text()
    table = re.findall(r"^\.It (\d+) Ta (u16|[iu]32|[iu]64) Ta (\w+) Ta", manual, flags=re.M)
    formats = {"u16": "<H", "i32": "<i", "u32": "<I", "i64": "<q", "u64": "<Q"}
    told = {name: struct.unpack_from(formats[kind], data, int(offset))[0] for offset, kind, name in table}
    assert (told.pop("version"), told.pop("file_size")) == (1, 256)
    assert told.pop("started_at") == 1795342502 * 10**9
    assert told == {name: value for name, value in printed.items() if name not in ("started_at", "phase_name")}


@pytest.mark.parametrize("damage, complaint", [
    (lambda path: path.write_bytes(b""), "size"),
    (lambda path: path.write_bytes(path.read_bytes()[:200]), "size"),
    (lambda path: path.write_bytes(b"\xff" * 256), ""),
    (lambda path: path.unlink(), ""),
    (lambda path: (path.unlink(), os.mkfifo(path)), "regular"),
    (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "regular"),
    (lambda path: (path.unlink(), path.mkdir()), "regular"),
])
def test_a_broken_stats_file_is_a_clear_error(place, damage, complaint):
    path = place / "worker.stats"
    write_stats(path)
    damage(path)
    done = cli(place, "stats", "worker.stats", check=FAILED)
    assert done.stdout == "" and re.fullmatch(r"zooparallel: worker\.stats: .+\n", done.stderr)
    assert complaint in done.stderr


@pytest.mark.parametrize("arguments", [
    [], ["no-such-command"], ["--no-such-option"], ["run"], ["run", "a", "b"], ["show"], ["wait"], ["cancel"],
    ["stats"], ["submit"], ["validate"], ["rejects"], ["ls", "operand"], ["run", "job.json", "--timeout", "soon"],
    ["help", "nothing"], ["cancel", "x", "--timeout", "soon"],
])
def test_a_wrong_command_line_is_a_usage_error(place, arguments):
    assert cli(place, *arguments, check=USAGE).stderr or not arguments


def test_help_knows_every_command(place):
    overview = cli(place, "--help", check=0).stdout
    commands = re.findall(r"^  ([a-z]+) ", overview, flags=re.M)
    assert {"run", "submit", "validate", "ls", "show", "wait", "cancel", "stats"} <= set(commands)
    manual = (TOP / "daemon/man/zooparallel.1").read_text()
    for command in commands:
        text = cli(place, "help", command, check=0).stdout
        assert text == cli(place, command, "--help", check=0).stdout == cli(place, command, "-h", check=0).stdout
        assert f".It Cm {command}\n" in manual
        for option in re.findall(r"^  --([a-z-]+)", text, flags=re.M):
            assert f"Fl -{option}" in manual, option
    assert cli(place, "help", check=0).stdout == cli(place, "help", "help", check=0).stdout == overview
    assert cli(place, "--version", check=0).stdout.startswith("zooparallel ")


@pytest.mark.parametrize("arguments", [["ls"], ["show", "x"], ["wait", "x"], ["cancel", "x"], ["rejects", "x"],
                                       ["submit", "job.json"]])
def test_without_a_daemon_the_code_is_5(place, arguments):
    done = cli(place, "--socket", place / "none.sock", *arguments, check=UNREACHABLE)
    assert "none.sock" in done.stderr and done.stdout == ""


# commands with a daemon


@pytest.fixture
def asked(start, tmp_path):
    """A daemon, and the command line that speaks to it: asked("ls", check=0)."""
    daemon = start()
    daemon.write("in.csv", ROWS)
    (tmp_path / "temporary").mkdir()
    work = tmp_path / "work"
    work.mkdir()

    def call(*arguments, **more):
        return cli(work, *arguments, ZOOPARALLEL_SOCKET=str(daemon.run_dir / "control.sock"), **more)

    call.daemon, call.work = daemon, work
    return call


def submit(asked, spec, name="job.json"):
    write_spec(asked.work, spec, name)
    return asked("submit", name, check=0).stdout.strip()


def test_submit_wait_and_show(asked):
    job_id = submit(asked, spec_of("in.csv", "out.jsonl"), "users.json")
    assert re.fullmatch(r"\d{8}T\d{9}Z", job_id)
    waited = asked("wait", job_id, check=COMPLETED).stdout
    assert waited.startswith(f"{job_id} users: completed, 1,000 rows, 0 rejected, ")
    shown = asked("show", job_id, check=0).stdout
    assert re.search(r"^state +completed$", shown, flags=re.M)
    assert re.search(r"^pipes\ninput .*\nin\.csv +out\.jsonl ", shown, flags=re.M), shown
    document = json.loads(asked("show", "--json", job_id, check=0).stdout)
    assert document["total_processed"] == 1000 and "worker_list" in document
    assert json.loads(asked("wait", "--json", job_id, check=0).stdout)[0]["id"] == job_id


def test_submit_hands_over_nothing_if_one_spec_is_bad(asked):
    write_spec(asked.work, spec_of("in.csv", "out.jsonl"), "good.json")
    write_spec(asked.work, "{}", "bad.json")
    assert "bad.json:1:" in asked("submit", "good.json", "bad.json", check=USAGE).stderr
    assert json.loads(asked("ls", "--json", check=0).stdout)["jobs"] == []


def test_submit_may_wait(asked):
    write_spec(asked.work, spec_of("in.csv", "a.jsonl"), "a.json")
    write_spec(asked.work, spec_of("missing.csv", "b.jsonl"), "b.json")
    done = asked("submit", "--wait", "a.json", "b.json", check=FAILED)
    assert "a: completed" in done.stdout and "b: failed (input_missing)" in done.stdout
    documents = json.loads(asked("submit", "--json", "a.json", check=0).stdout)
    assert documents[0]["name"] == "a" and documents[0]["id"]


def test_ls_lists_and_chooses(asked):
    ids = [submit(asked, spec_of("in.csv", f"{name}.jsonl"), f"{name}.json") for name in ("one", "two")]
    asked("wait", *ids, check=0)
    lines = asked("ls", check=0).stdout.splitlines()
    assert lines[0].split() == "ID NAME STATE REASON PROGRESS ROWS REJECTED ROWS/S AGE".split()
    assert [line.split()[0] for line in lines[1:]] == ids[::-1], "the newest first"
    assert lines[1].split()[1:4] == ["two", "completed", "ok"]
    assert len(asked("ls", "--name", "one", check=0).stdout.splitlines()) == 2
    assert len(asked("ls", "--limit", "1", check=0).stdout.splitlines()) == 2
    assert len(asked("ls", "--state", "failed", check=0).stdout.splitlines()) == 1
    assert "state must be" in asked("ls", "--state", "asleep", check=USAGE).stderr


def start_slowly(asked):
    """The same daemon with chunks so small that slow.csv takes its time."""
    asked.daemon.write("slow.csv", SLOW)
    asked.daemon.stop()
    asked.daemon.settings["chunk_size"] = 8
    asked.daemon.start()


def test_cancel_aborts_and_wait_tells(asked):
    start_slowly(asked)
    job_id, other = submit(asked, spec_of("slow.csv", "out.jsonl")), submit(asked, spec_of("slow.csv", "other.jsonl"))
    assert [one["id"] for one in json.loads(asked("cancel", "--json", other, check=0).stdout)] == [other]
    assert "still " in asked("wait", "--timeout", "100ms", job_id, check=TIMED_OUT).stderr
    assert asked("cancel", job_id, check=0).stdout == f"{job_id}: cancelled\n"
    assert "aborted (cancelled)" in asked("wait", job_id, check=ABORTED).stdout
    assert asked("cancel", job_id, check=FAILED).stderr.startswith(f"zooparallel: {job_id}: ")


def test_cancel_may_wait_for_the_end(asked):
    start_slowly(asked)
    job_id, other = submit(asked, spec_of("slow.csv", "out.jsonl")), submit(asked, spec_of("slow.csv", "other.jsonl"))
    assert "aborted (cancelled)" in asked("cancel", "--wait", job_id, check=COMPLETED).stdout
    [job] = json.loads(asked("cancel", "--wait", "--json", other, check=COMPLETED).stdout)
    assert job["state"] == "aborted"
    assert asked("cancel", "--wait", job_id, check=FAILED).stdout == ""
    done = asked("cancel", "--wait", "--timeout", "soon", job_id, check=USAGE)
    assert "--timeout" in done.stderr


def test_waiting_shows_a_bar_on_a_terminal_and_nothing_elsewhere(asked):
    start_slowly(asked)
    write_spec(asked.work, spec_of("slow.csv", "out.jsonl"), "slow.json")
    socket = str(asked.daemon.run_dir / "control.sock")
    terminal = Terminal(asked.work, "--wait", "slow.json", command="submit", ZOOPARALLEL_SOCKET=socket)
    terminal.read_frames(2)
    job_id = asked.daemon.id_of("slow")
    for pid in asked.daemon.worker_pids():
        os.kill(pid, signal.SIGSTOP)  # until the cancel kills them
    assert asked("wait", "--timeout", "500ms", job_id, check=TIMED_OUT).stderr == \
        f"zooparallel: {job_id}: still running, no longer waiting\n"
    quiet = Terminal(asked.work, "--timeout", "500ms", "--quiet", job_id, command="wait", ZOOPARALLEL_SOCKET=socket)
    assert quiet.finish() == TIMED_OUT and not quiet.frames()
    asked("cancel", job_id, check=0)
    assert terminal.finish() == ABORTED
    assert re.search(rf"\r\x1b\[K{job_id} slow: aborted", terminal.output), "the bar is taken away first"


def test_lists_have_pages(asked):
    ids = [submit(asked, spec_of("in.csv", f"{n}.jsonl"), f"job-{n}.json") for n in range(3)]
    asked("wait", *ids, check=0)
    page = json.loads(asked("ls", "--json", "--limit", "2", check=0).stdout)
    assert [job["id"] for job in page["jobs"]] == ids[:0:-1] and page["next"] == ids[1]
    rest = json.loads(asked("ls", "--json", "--after", page["next"], check=0).stdout)
    assert [job["id"] for job in rest["jobs"]] == ids[:1] and rest["next"] is None
    asked("ls", "--after", "nothing", check=USAGE)


def test_rejects_have_pages(asked):
    asked.daemon.write("in.csv", b"a,b\n" + b"".join(b"%d\n" % n for n in range(150)) + b"1,2\n" * 200)
    job_id = submit(asked, spec_of("in.csv", "out.jsonl"))
    asked("wait", job_id, check=COMPLETED)

    def rows(*arguments):
        done = asked("rejects", "--json", *arguments, job_id, check=0)
        document = json.loads(done.stdout)
        return [int(row["row"]) for row in document["errors"]], document["more"]
    assert rows() == (list(range(100)), True)
    assert rows("--skip", "100") == (list(range(100, 150)), False)
    assert rows("--skip", "20", "--limit", "5") == (list(range(20, 25)), True)
    assert rows("--skip", "999", "--limit", "1000") == ([], False)
    assert "see --limit and --skip" in asked("rejects", job_id, check=0).stderr
    for wrong in (["--limit", "0"], ["--limit", "1001"], ["--skip", "1000"], ["--skip", "-1"], ["--limit", "x"]):
        assert "--limit wants" in asked("rejects", *wrong, job_id, check=USAGE).stderr


def test_show_says_what_to_try_and_counts_in_words(asked):
    job_id = submit(asked, spec_of("missing.csv", "out.jsonl"))
    asked("wait", job_id, check=FAILED)
    shown = asked("show", job_id, check=0).stdout
    assert re.search(r"^reason +input_missing$", shown, flags=re.M) and re.search(r"^try +check input.path", shown, flags=re.M)
    asked.daemon.write("in.csv", ROWS + b"1\n2\n\xff,1\n")
    job_id = submit(asked, spec_of("in.csv", "out.jsonl"))
    asked("wait", job_id, check=COMPLETED)
    shown = asked("show", job_id, check=0).stdout
    assert re.search(r"^rejects +ragged 2, invalid_utf8 1$", shown, flags=re.M), shown
    assert not re.search("^try ", shown, flags=re.M)


def test_colours_are_for_terminals_or_for_who_asks(asked):
    asked("wait", submit(asked, spec_of("in.csv", "out.jsonl")), check=COMPLETED)
    assert "\x1b" not in asked("ls", check=0).stdout
    assert "\x1b[32mcompleted\x1b[0m " in asked("ls", "--color", "always", check=0).stdout
    assert "\x1b[32mcompleted\x1b[0m " in asked("--color=always", "ls", check=0, NO_COLOR="1").stdout
    socket = str(asked.daemon.run_dir / "control.sock")
    for arguments, environment, is_colored in (([], {}, True), ([], {"NO_COLOR": "1"}, False), ([], {"NO_COLOR": ""}, True),
                                               (["--color=never"], {}, False), (["--color=auto"], {}, True)):
        terminal = Terminal(asked.work, *arguments, command="ls", ZOOPARALLEL_SOCKET=socket, **environment)
        assert terminal.finish() == 0
        assert ("\x1b[32m" in terminal.output) == is_colored, (arguments, environment, terminal.output)
    assert "auto, always or never" in asked("ls", "--color", "pink", check=USAGE).stderr
    assert "auto, always or never" in asked("--color", "pink", "ls", check=USAGE).stderr


def test_rejects_are_listed_and_strict_minds_them(asked):
    asked.daemon.write("in.csv", ROWS + b"1,2,3\n")
    job_id = submit(asked, spec_of("in.csv", "out.jsonl"))
    asked("wait", job_id, check=COMPLETED)
    asked("wait", "--strict", job_id, check=REJECTED)
    lines = asked("rejects", job_id, check=0).stdout.splitlines()
    assert lines[0].split() == "INPUT LINE OFFSET CODE FIELD MESSAGE".split()
    assert lines[1].split()[:4] == ["in.csv", "1002", str(len(ROWS)), "ragged"]
    assert json.loads(asked("rejects", "--json", job_id, check=0).stdout)["errors"][0]["row"] == "1,2,3"


@pytest.mark.parametrize("job_id", ["20200101T000000000Z", "../../status", "a b", "%00", "\x1b[2J"])
def test_an_unknown_id_is_told(asked, job_id):
    for command in ("show", "wait", "cancel", "rejects"):
        done = asked(command, job_id)
        assert done.returncode in (FAILED, USAGE), (command, done)
        assert done.stdout == "" and done.stderr and "\x1b" not in done.stderr
        assert "\x1b" in job_id or done.stderr.startswith(f"zooparallel: {job_id}: ")


def test_a_result_that_finds_no_room_is_told_once(place):
    with open("/dev/full", "wb") as full:
        for arguments in (["--help"], ["validate", *["job.json"] * 200], ["--json", "validate", *["job.json"] * 200]):
            done = subprocess.run([CLIENT, *arguments], cwd=place, stdout=full, stderr=subprocess.PIPE, text=True)
            assert done.returncode == FAILED
            assert done.stderr == "zooparallel: cannot write the result: No space left on device\n", arguments
