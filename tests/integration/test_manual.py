# SPDX-License-Identifier: MIT
"""zooparallel(1) against the program itself: every command, option, exit code and JSON member of the one in the other."""
import json
import os
import re
import subprocess

import pytest

from harness import CLIENT, PATIENCE, SLOW, TOP, spec_of
from test_cli import write_stats

MANUAL = (TOP / "daemon/man/zooparallel.1").read_text()
SECTIONS = {match[1]: match[2] for match in re.finditer(r"^\.Sh ([A-Z ]+)\n(.*?)(?=^\.Sh |\Z)", MANUAL, flags=re.M | re.S)}
COMMON = {"--color", "--help", "-h", "--json", "--socket"}


def client(*arguments, **environment):
    return subprocess.run([CLIENT, *map(str, arguments)], text=True, capture_output=True, timeout=PATIENCE,
                          env={**os.environ, **environment})


def commands():
    return re.findall(r"^  ([a-z]+) +[A-Z]", client("--help").stdout, flags=re.M)


def options_of_help(text):
    """{option: whether it takes a value} of a help's lines."""
    found = {}
    for line in re.findall(r"^  (-.*?)(?:  |$)", text, flags=re.M):
        has_value = bool(re.search(r" [A-Z=]+$", line))
        for option in re.findall(r"--?[a-z][a-z-]*", line):
            found[option] = has_value
    return found


def options_of(text):
    """The options that macros of the manual name in this text."""
    found = set()
    for line in text.split("\n"):
        if re.match(r"\.(It|Op|Fl) ", line):
            found |= {"-" + name for name in re.findall(r"(?:Fl|\||,) (-?[a-z][a-z-]*)(?= |$)", line)}
    return found


def described(command):
    """What the manual says of a command, up to the next one."""
    text = SECTIONS["DESCRIPTION"].partition(".Ss Commands\n")[2]
    return re.search(rf"^\.It Cm {command}\n(.*?)(?=^\.It Cm |\Z)", text, flags=re.M | re.S)[1]


def synopsis(command):
    return re.search(rf"^\.Cm {command}\n(.*?)(?=^\.Nm|\Z)", SECTIONS["SYNOPSIS"], flags=re.M | re.S)[1]


def test_the_manual_has_the_commands_of_the_program():
    listed = re.findall(r"^\.It Cm (\w+)$", SECTIONS["DESCRIPTION"].partition(".Ss Commands\n")[2], flags=re.M)
    assert sorted(listed) == sorted([*commands(), "help"])
    assert re.findall(r"^\.Cm (\w+)$", SECTIONS["SYNOPSIS"], flags=re.M) == [*commands(), "help"]


@pytest.mark.parametrize("command", [*commands(), None])
def test_the_manual_has_the_options_of_the_help(command):
    if command is None:
        text = SECTIONS["DESCRIPTION"].partition(".Ss Options of every command\n")[2].partition(".Ss ")[0]
        assert options_of(text) == set(options_of_help(client("--help").stdout))
        return
    told = set(options_of_help(client(command, "--help").stdout))
    assert options_of(synopsis(command)) == told
    if command == "submit":  # the others are those of `wait`
        assert ".Cm wait\ndoes, with its\n.Fl -strict , -timeout\nand\n.Fl -quiet ." in described(command)
        return
    items = "\n".join(line for line in described(command).split("\n") if line.startswith(".It Fl"))
    assert options_of(items) == told


@pytest.mark.parametrize("command", commands())
def test_the_program_takes_what_its_help_names(command):
    """An option that the help names is known, and whether it takes a value is as it says."""
    for option, has_value in options_of_help(client(command, "--help").stdout).items():
        done = client(command, option, *(["\x01"] if has_value else []), "--no-such-option")
        assert done.returncode == 2, done
        assert "unrecognized option '--no-such-option'" in done.stderr or "wants" in done.stderr, (option, done.stderr)
        if has_value:
            assert "requires an argument" in client(command, option).stderr, option


def test_no_option_is_kept_from_the_help():
    """Each option in the tables of the sources is named in the help of its command."""
    known = set()
    for command in commands():
        known |= set(options_of_help(client(command, "--help").stdout))
    known |= set(options_of_help(client("--help").stdout))
    sources = "".join(path.read_text() for path in (TOP / "daemon/ctl").glob("*.c"))
    taken = {"--" + name for name in re.findall(r'\{"([a-z-]+)",\s*(?:no|required|optional)_argument', sources)}
    assert taken == {option for option in known if option.startswith("--")}


def test_the_exit_codes_are_those_of_the_header():
    header = (TOP / "daemon/ctl/ctl.h").read_text()
    numbers = re.findall(r"CTL_EXIT_\w+ = (\d)", header)
    assert re.findall(r"^\.It (\d)$", SECTIONS["EXIT STATUS"], flags=re.M) == numbers
    assert re.findall(r"(\d) [a-z]", client("--help").stdout.partition("Exit status: ")[2]) == numbers


def test_the_environment_is_all_there():
    sources = "".join(path.read_text() for path in (TOP / "daemon/ctl").glob("*.c"))
    read = set(re.findall(r'getenv\("(\w+)"\)|"(XDG_RUNTIME_DIR|TMPDIR)"', sources))
    named = {name for pair in read for name in pair if name}
    told = {name for line in re.findall(r"^\.It Ev (.*)$", SECTIONS["ENVIRONMENT"], flags=re.M) for name in line.split(" , ")}
    assert named == told


def members(text):
    """The names behind the Li macros of a piece of the manual."""
    return [name for line in re.findall(r"^\.(?:It )?Li (.*)$", text, flags=re.M) for name in re.split(r"[ ,]+", line) if
            re.fullmatch(r"[a-z_0-9]+", name)]


def promised(command):
    return re.search(rf"^\.It Cm {command}\n(.*?)(?=^\.It Cm |^\.El)", SECTIONS["JSON"], flags=re.M | re.S)[1]


JOB_TEXT = SECTIONS["JSON"].partition("A job is:")[2]
JOB = [name for line in re.findall(r"^\.It Li (.*)$", JOB_TEXT, flags=re.M) for name in line.split(" , ")]
PIPE = members(JOB_TEXT.partition(".It Li pipes\n")[2])


@pytest.fixture
def answers(start, tmp_path):
    """JSON of a command that speaks to a daemon with a job of one reject: answers("show", id)."""
    daemon = start(chunk_size=64)
    daemon.write("in.csv", b"a,b\n1,2\n3\n\xff,1\n")
    daemon.write("slow.csv", SLOW)
    (tmp_path / "slow.json").write_text(json.dumps(spec_of("slow.csv", "slow.jsonl")))
    (tmp_path / "job.json").write_text(json.dumps(spec_of("in.csv", "out.jsonl", errors={"max_ratio": 1})))

    def call(*arguments, codes=(0,)):
        done = client(*arguments, "--json", ZOOPARALLEL_SOCKET=str(daemon.run_dir / "control.sock"))
        assert done.returncode in codes, done
        return json.loads(done.stdout)
    call.daemon, call.folder = daemon, tmp_path
    return call


def check_job(job):
    assert set(job) - {"worker_list"} == set(JOB)
    assert list(job["pipes"][0]) == PIPE


def test_members_of_a_job_that_has_ended_and_of_one_that_runs(answers):
    [submitted] = answers("submit", answers.folder / "job.json")
    assert list(submitted) == members(promised("submit").partition("with\n")[0])
    [waited] = answers("wait", submitted["id"])
    check_job(waited)
    check_job(answers("show", submitted["id"]))
    listed = answers("ls")
    assert list(listed) == members(promised("ls"))
    check_job(listed["jobs"][0])
    rejects = answers("rejects", submitted["id"])
    assert list(rejects) == members(promised("rejects"))[:3]
    inner = members(promised("rejects"))[3:]
    plain, raw = rejects["errors"]
    assert list(plain) == inner[:9] and list(raw) == [*inner[:8], "row_base64"] and inner[9:] == ["row", "row_base64",
                                                                                                "row_truncated"]
    [slow] = answers("submit", answers.folder / "slow.json")
    with answers.daemon.stopped_workers(slow["id"]):
        shown = answers("show", slow["id"])
        check_job(shown)
        assert list(shown["worker_list"][0]) == [name for name in members(promised("show")) if name != "worker_list"]
        [look] = map(json.loads, [subprocess.run(
            [CLIENT, "--socket", answers.daemon.run_dir / "control.sock", "top", "--json", "-n", "1"], text=True,
            capture_output=True, timeout=PATIENCE).stdout])
        assert list(look) == members(promised("top"))
        for job in look["jobs"]:
            check_job(job)
    [cancelled] = answers("cancel", slow["id"])
    assert list(cancelled) == members(promised("cancel").partition("with\n")[0])
    check_job(answers("wait", slow["id"], codes=(4,))[0])


def test_members_of_what_needs_no_daemon(tmp_path):
    (tmp_path / "in.csv").write_text("a\n1\n")
    (tmp_path / "job.json").write_text(json.dumps(spec_of("in.csv", "out.jsonl")))
    (tmp_path / "bad.json").write_text('{"version": 2}')
    done = subprocess.run([CLIENT, "run", "--json", "job.json"], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE)
    assert set(json.loads(done.stdout)) == set(members(promised("run")))
    good, bad = json.loads(client("validate", "--json", tmp_path / "job.json", tmp_path / "bad.json").stdout)
    names = members(promised("validate"))
    assert list(good) == list(bad) == names[:4] and list(bad["error"]) == names[4:]
    assert good["error"] is None and bad["name"] is None
    [finding, *_] = json.loads(client("doctor", "--json").stdout)
    assert list(finding) == members(promised("doctor"))
    write_stats(tmp_path / "worker.stats")
    stats = json.loads(client("stats", "--json", tmp_path / "worker.stats").stdout)
    counters = re.findall(r"^\.It \d+ Ta [iu](?:32|64) Ta (\w+) Ta",
                          (TOP / "daemon/man/zooparallel-stats.5").read_text(), flags=re.M)
    assert set(stats) == {*members(promised("stats")), *counters} - {"file_size"}
