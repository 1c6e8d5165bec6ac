# SPDX-License-Identifier: MIT
"""`zooparallel top`: in a real tmux, in a bare pseudo terminal, and in a pipe."""
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import time

import pytest

from harness import CLIENT, IS_SANITIZED, PATIENCE, Daemon, spec_of, start_slow, wait_until

ROWS = b"id,name\n" + b"".join(b"%d,name %d\n" % (n, n) for n in range(1000))
HEADINGS = "NAME STATE PROGRESS ROWS/S ROWS REJECTED RAM ETA AGE ID".split()
COMPLETED, UNREACHABLE = 0, 5

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="screens are drawn once; what they show is a unit test, too")


def run_jobs(daemon):
    """beta with 3 rows and one reject, alpha with 1,000 rows, gamma that fails; in this order."""
    daemon.write("few.csv", "a,b\n1,2\n3\n4,5\n")
    daemon.write("many.csv", ROWS)
    daemon.run(spec_of("few.csv", "few.jsonl", name="beta"))
    daemon.run(spec_of("many.csv", "many.jsonl", name="alpha"))
    daemon.run(spec_of("none.csv", "none.jsonl", name="gamma"))


def top(daemon, *arguments, **environment):
    done = subprocess.run([CLIENT, "--socket", daemon.run_dir / "control.sock", "top", *arguments], text=True,
                          capture_output=True, timeout=PATIENCE, env={**os.environ, **environment})
    return done


# in a pipe


def test_a_pipe_gets_plain_tables_with_an_empty_line_between(start):
    daemon = start()
    run_jobs(daemon)
    done = top(daemon, "-n", "3", "-d", "20ms", "--sort", "name")
    assert done.returncode == COMPLETED and not done.stderr, done
    assert "\x1b" not in done.stdout
    tables = done.stdout.split("\n\n")
    assert len(tables) == 3
    for table in tables:
        first, second, headings, *jobs = table.rstrip("\n").split("\n")
        assert re.match(r"zooparalleld \d+\.\d+\.\d+, up .*  \d\d:\d\d:\d\dZ  0 pending, 0 running, 2 completed, "
                        r"1 failed, 0 aborted$", first), first
        assert re.match(r"0 rows/s  0 workers  RAM .*  1,003 rows  1 rejected$", second), second
        assert headings.split() == HEADINGS
        assert [job.split()[0] for job in jobs] == ["alpha", "beta", "gamma"]
        assert jobs[2].split()[1] == "input_missing", "the reason of a failure instead of the word"


@pytest.mark.parametrize("arguments, names", [
    (["--sort", "name"], "alpha beta gamma"),
    (["--sort", "name", "--reverse"], "gamma beta alpha"),
    (["--sort", "rows"], "alpha beta gamma"),
    (["--sort", "rejects"], "beta gamma alpha"),
    (["--sort", "age"], "gamma alpha beta"),
    (["--sort", "age", "--reverse"], "beta alpha gamma"),
    (["--sort", "state"], "gamma alpha beta"),
    (["--sort", "name", "--state", "completed"], "alpha beta"),
    (["--sort", "name", "--name", "A"], "alpha beta gamma"),
    (["--sort", "name", "--name", "mm"], "gamma"),
    (["--state", "running"], ""),
])
def test_the_order_and_the_choice(three_jobs, arguments, names):
    done = top(three_jobs, "--once", *arguments)
    assert done.returncode == COMPLETED, done
    assert [line.split()[0] for line in done.stdout.splitlines()[3:]] == names.split()


@pytest.fixture(scope="module")
def three_jobs(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("three")).start()
    run_jobs(daemon)
    yield daemon
    daemon.stop()
    daemon.check_clean()


def test_json_is_a_document_a_line(three_jobs):
    done = top(three_jobs, "--json", "-n", "2", "-d", "10ms", "--sort", "name")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 2
    for line in lines:
        assert list(line) == ["at", "socket", "problem", "status", "jobs"]
        assert line["problem"] is None and line["status"]["jobs"]["completed"] == 2
        assert [job["name"] for job in line["jobs"]] == ["alpha", "beta", "gamma"]


def test_without_a_daemon_once_is_an_error_and_looks_go_on(tmp_path):
    nowhere = ["--socket", tmp_path / "none.sock"]
    once = subprocess.run([CLIENT, *nowhere, "top", "--once"], text=True, capture_output=True, timeout=PATIENCE)
    assert once.returncode == UNREACHABLE and once.stdout == "" and "none.sock" in once.stderr
    looks = subprocess.run([CLIENT, *nowhere, "top", "-n", "2", "-d", "10ms"], text=True, capture_output=True,
                           timeout=PATIENCE)
    assert looks.returncode == UNREACHABLE
    assert looks.stdout == "\n".join([f"no daemon answers on {tmp_path}/none.sock\ntrying again\n"] * 2)
    document = subprocess.run([CLIENT, *nowhere, "top", "--json", "-n", "1"], text=True, capture_output=True,
                              timeout=PATIENCE)
    assert document.returncode == UNREACHABLE
    assert "none.sock" in json.loads(document.stdout)["problem"] and json.loads(document.stdout)["status"] is None


def test_a_pipe_sees_the_daemon_go_and_come_back(start):
    daemon = start()
    run_jobs(daemon)
    process = subprocess.Popen([CLIENT, "--socket", daemon.run_dir / "control.sock", "top", "-d", "50ms"],
                               stdout=subprocess.PIPE, text=True)
    def read_until(text):
        while text not in (line := process.stdout.readline()):
            assert line, "it ended"
    read_until("alpha")
    daemon.stop()
    read_until("trying again")
    daemon.start()
    read_until("alpha")
    process.terminate()
    process.stdout.close()
    assert process.wait(PATIENCE) == -signal.SIGTERM


def test_a_closed_pipe_ends_it(three_jobs):
    process = subprocess.Popen([CLIENT, "--socket", three_jobs.run_dir / "control.sock", "top", "-d", "10ms"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE) != 0


@pytest.mark.parametrize("arguments", [
    ["-d", "0"], ["-d", "soon"], ["--interval", "2h"], ["-n", "0"], ["-n", "-1"], ["--sort", "colour"], ["--state", "ill"],
    ["--name", "x" * 65], ["operand"], ["--color", "pink"],
])
def test_a_wrong_option_is_a_usage_error(three_jobs, arguments):
    done = top(three_jobs, *arguments)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("zooparallel: "), done


# in a bare terminal


class Terminal:
    """`zooparallel top` in a pseudo terminal whose output is kept as it comes."""

    def __init__(self, daemon, *arguments, term="vt100", **environment):
        pid, self.master = pty.fork()
        if pid == 0:
            kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "LINES", "COLUMNS")}
            os.execve(CLIENT, ["zooparallel", "--socket", str(daemon.run_dir / "control.sock"), "top", *arguments],
                      {**kept, "TERM": term, **environment})
        self.pid, self.output = pid, ""

    def read_until(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.output):
            assert time.monotonic() < deadline, self.output
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.output += os.read(self.master, 65536).decode()
                except OSError:
                    raise AssertionError(f"it ended: {self.output!r}") from None

    def type(self, keys):
        os.write(self.master, keys)

    def finish(self):
        """The wait status, with all of the output read."""
        while True:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                break
            if not piece:
                break
            self.output += piece.decode()
        os.close(self.master)
        return os.waitpid(self.pid, 0)[1]


def test_a_bare_terminal_is_enough(three_jobs):
    terminal = Terminal(three_jobs, term="vt100")
    terminal.read_until("alpha")
    terminal.read_until("gamma")
    terminal.type(b"q")
    assert terminal.finish() == 0
    assert not re.search(r"\x1b\[3\dm", terminal.output), "a vt100 has no colours"


def test_a_terminal_of_colours_is_coloured_unless_told_not_to_be(three_jobs):
    def output_of(*arguments, **environment):
        terminal = Terminal(three_jobs, "--sort", "name", *arguments, term="xterm-256color", **environment)
        terminal.read_until("gamma")
        terminal.type(b"q")
        assert terminal.finish() == 0
        return terminal.output
    red = re.compile(r"\x1b\[[\d;]*31[\d;]*m")
    assert red.search(output_of())
    assert not red.search(output_of(NO_COLOR="1"))
    assert not red.search(output_of("--color", "never"))
    assert red.search(output_of("--color", "always", NO_COLOR="1"))


@pytest.mark.parametrize("term", ["dumb", "", "no-such-terminal"])
def test_a_terminal_without_a_screen_gets_plain_tables(three_jobs, term):
    terminal = Terminal(three_jobs, "-n", "2", "-d", "10ms", term=term)
    assert terminal.finish() == 0
    assert "\x1b" not in terminal.output and terminal.output.count("alpha") == 2


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_gives_the_terminal_back_and_ends_it(three_jobs, ending):
    terminal = Terminal(three_jobs, term="xterm")
    terminal.read_until("gamma")
    assert "\x1b[?1049h" in terminal.output
    os.kill(terminal.pid, ending)
    status = terminal.finish()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == ending
    assert "\x1b[?1049l" in terminal.output.split("gamma")[-1]


def test_control_c_leaves_it_like_q(three_jobs):
    terminal = Terminal(three_jobs, term="xterm")
    terminal.read_until("gamma")
    terminal.type(b"\x03")
    assert terminal.finish() == 0
    assert "\x1b[?1049l" in terminal.output


def test_a_terminal_that_is_gone_ends_it(three_jobs):
    terminal = Terminal(three_jobs, term="xterm")
    terminal.read_until("gamma")
    os.close(terminal.master)
    wait_until(lambda: os.waitpid(terminal.pid, os.WNOHANG)[0], "its end")


# in tmux


class Tmux:
    """A tmux server of its own with one window, and a shell in it."""

    def __init__(self, folder, columns=110, lines=20):
        self.socket = folder / "tmux.sock"
        environment = {key: value for key, value in os.environ.items() if key not in ("TMUX", "NO_COLOR")}
        self.environment = {**environment, "PS1": "$ ", "TMUX_TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}
        self.call("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines),
                  "env", "-u", "ENV", "PS1=$ ", "sh")
        self.call("set-option", "-g", "escape-time", "0")
        self.wait_for(r"^\$")

    def call(self, *arguments):
        return subprocess.run(["tmux", "-u", "-S", str(self.socket), *arguments], text=True, check=True,
                              stdout=subprocess.PIPE, env=self.environment, timeout=PATIENCE).stdout

    def keys(self, *keys):
        self.call("send-keys", *keys)

    def enter(self, *command):
        self.call("send-keys", "-l", shlex.join(map(str, command)))
        self.keys("Enter")

    @property
    def lines(self):
        return self.call("capture-pane", "-p").rstrip("\n").split("\n")

    def value(self, name):
        return self.call("display-message", "-p", f"#{{{name}}}").strip()

    def wait_for(self, pattern):
        def look():
            return re.search(pattern, "\n".join(self.lines), flags=re.M)
        try:
            return wait_until(look, pattern)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.lines])) from None

    def resize(self, columns, lines):
        self.call("resize-window", "-x", str(columns), "-y", str(lines))

    def jobs(self):
        """The names in the list, from the top down; None while another page is shown."""
        lines = self.lines
        if len(lines) < 3 or lines[2].split() != HEADINGS[:len(lines[2].split())]:
            return None
        return [line.split()[0] for line in lines[3:-1] if line.strip()]

    def wait_for_jobs(self, *names):
        try:
            wait_until(lambda: self.jobs() == list(names), f"{names}")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.lines])) from None

    def close(self):
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], env=self.environment, timeout=PATIENCE)


@pytest.fixture
def tmux(tmp_path):
    if not shutil.which("tmux"):
        pytest.fail("tmux is not installed: conf/packages.txt lists it")
    opened = Tmux(tmp_path)
    yield opened
    opened.close()


def open_top(tmux, daemon, *arguments):
    tmux.enter(CLIENT, "--socket", daemon.run_dir / "control.sock", "top", "-d", "100ms", *arguments)
    tmux.wait_for("^NAME ")


def test_keys_sort_reverse_and_choose(tmux, three_jobs):
    open_top(tmux, three_jobs)
    tmux.wait_for_jobs("gamma", "alpha", "beta")
    tmux.keys("n")
    tmux.wait_for_jobs("alpha", "beta", "gamma")
    tmux.keys("R")
    tmux.wait_for_jobs("gamma", "beta", "alpha")
    tmux.wait_for("^q quit  h help  Enter workers  by name reversed ")
    tmux.keys("e")
    tmux.wait_for_jobs("beta", "gamma", "alpha")
    tmux.keys("t")
    tmux.wait_for_jobs("alpha", "beta", "gamma")
    for state, names in (("running", []), ("pending", []), ("completed", ["alpha", "beta"]), ("failed", ["gamma"]),
                         ("aborted", [])):
        tmux.keys("f")
        tmux.wait_for(f"^q quit  h help  Enter workers  by rows  {state} ")
        tmux.wait_for_jobs(*names)
    tmux.keys("f", "/", "m", "m")
    tmux.wait_for("^name has: mm_")
    tmux.wait_for_jobs("gamma")
    tmux.keys("BSpace", "BSpace", "b", "Enter")
    tmux.wait_for('name has "b"')
    tmux.wait_for_jobs("beta")
    tmux.keys("/", "Escape")
    tmux.wait_for_jobs("alpha", "beta", "gamma")
    tmux.keys("h")
    tmux.wait_for("sort by name, state")
    tmux.keys("h")
    tmux.wait_for_jobs("alpha", "beta", "gamma")


def reversed_line(tmux):
    """The names of the jobs in lines that stand out; an attribute holds until another is set."""
    is_reversed, found = False, []
    for number, line in enumerate(tmux.call("capture-pane", "-p", "-e").split("\n")[:-2]):
        for code, text in re.findall(r"(?:\x1b\[([\d;]*)m)?([^\x1b]*)", line):
            is_reversed = code == "7" or (is_reversed and code != "0")
            if number > 2 and is_reversed and text.strip():
                found.append(text.split()[0])
    return found


def test_the_selection_stays_with_its_job(tmux, three_jobs):
    open_top(tmux, three_jobs, "--sort", "name")
    tmux.wait_for_jobs("alpha", "beta", "gamma")
    tmux.keys("j")
    wait_until(lambda: reversed_line(tmux) == ["beta"], "the bar to move")
    tmux.keys("R")
    tmux.keys("e")
    tmux.wait_for_jobs("beta", "gamma", "alpha")
    wait_until(lambda: reversed_line(tmux) == ["beta"], "the bar on the same job")
    tmux.keys("G")
    wait_until(lambda: reversed_line(tmux) == ["alpha"], "the bar on the last job")
    tmux.keys("Down", "Down")
    tmux.keys("Up")
    wait_until(lambda: reversed_line(tmux) == ["gamma"], "the arrows to work")
    tmux.keys("Enter")
    tmux.wait_for("gamma: failed .input_missing")


def test_enter_shows_the_workers_of_a_running_job(tmux, start):
    daemon = start_slow(start)
    daemon.drop(spec_of("slow.csv", "o.jsonl", workers=3), "slow")
    job_id = daemon.id_of("slow")
    with daemon.stopped_workers(job_id) as pids:
        open_top(tmux, daemon)
        tmux.wait_for(r"^slow +running ")
        tmux.keys("Enter")
        tmux.wait_for("^SLOT +PID +STATE ")
        for pid in pids:
            tmux.wait_for(rf"^ *\d +{pid} +running ")
        tmux.wait_for(r"^slow .*\[.*\]")
        tmux.keys("Escape")
        tmux.wait_for_jobs("slow")
        tmux.keys("q")
    daemon.wait_job(job_id)


def test_the_screen_follows_the_window(tmux, three_jobs):
    open_top(tmux, three_jobs)
    tmux.wait_for_jobs("gamma", "alpha", "beta")
    for columns, lines in ((50, 8), (200, 40), (20, 5), (3, 1), (110, 20)):
        tmux.resize(columns, lines)
        wait_until(lambda: tmux.value("pane_width") == str(columns), "the window")
        def fits(columns=columns, lines=lines):
            shown = tmux.call("capture-pane", "-p").split("\n")[:-1]
            return len(shown) == lines and (lines < 4 or shown[-1].startswith("q quit  h help  Enter workers  by state"[:columns]))
        wait_until(fits, f"a screen of {columns} x {lines}")
    tmux.wait_for_jobs("gamma", "alpha", "beta")
    tmux.resize(110, 6)
    tmux.wait_for_jobs("gamma", "alpha")
    tmux.keys("G")
    tmux.wait_for_jobs("alpha", "beta")


def test_the_daemon_goes_and_comes_back(tmux, start):
    daemon = start()
    run_jobs(daemon)
    open_top(tmux, daemon)
    tmux.wait_for_jobs("gamma", "alpha", "beta")
    daemon.stop()
    tmux.wait_for("^no daemon answers on .*\ntrying again$")
    assert not tmux.jobs()
    daemon.start()
    tmux.wait_for_jobs("gamma", "alpha", "beta")


def test_a_daemon_that_hangs_does_not_keep_the_keys(tmux, start):
    daemon = start()
    run_jobs(daemon)
    open_top(tmux, daemon)
    tmux.wait_for_jobs("gamma", "alpha", "beta")
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        tmux.wait_for("^the daemon on .*\ntrying again$")
        tmux.keys("q")
        wait_until(lambda: tmux.value("alternate_on") == "0", "its end")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def test_it_leaves_the_terminal_as_it_was(tmux, three_jobs):
    tmux.enter("echo", "a line from before")
    tmux.wait_for("^a line from before")
    tmux.enter("stty", "-g")
    before = tmux.wait_for(r"^[0-9a-f]+:[0-9a-f:]{40,}")[0]
    open_top(tmux, three_jobs)
    assert tmux.value("alternate_on") == "1" and tmux.value("cursor_flag") == "0"
    tmux.keys("C-z")
    tmux.wait_for("^a line from before")
    assert tmux.value("alternate_on") == "0" and tmux.value("cursor_flag") == "1"
    tmux.enter("clear")
    tmux.enter("stty", "-g")
    tmux.wait_for(re.escape(before))
    tmux.enter("fg")
    tmux.wait_for_jobs("gamma", "alpha", "beta")
    assert tmux.value("alternate_on") == "1"
    tmux.keys("q")
    tmux.wait_for(re.escape(before))
    assert tmux.value("alternate_on") == "0" and tmux.value("cursor_flag") == "1"
    tmux.enter("clear")
    tmux.enter("stty", "-g")
    tmux.wait_for(re.escape(before))


def test_what_others_write_on_it_goes_when_it_is_continued(tmux, three_jobs):
    open_top(tmux, three_jobs)
    tmux.wait_for_jobs("gamma", "alpha", "beta")
    pid = int(subprocess.run(["pgrep", "-P", tmux.value("pane_pid")], text=True, stdout=subprocess.PIPE).stdout)
    with open(tmux.value("pane_tty"), "w") as terminal:
        terminal.write("\x1b[5;1Hscribble")
    tmux.wait_for("scribble")
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: "scribble" not in "\n".join(tmux.lines), "a fresh screen")
    tmux.wait_for_jobs("gamma", "alpha", "beta")
