# SPDX-License-Identifier: MIT
"""The completions for bash, zsh and fish, asked of the shells themselves and compared with the help."""
import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from harness import CLIENT, IS_SANITIZED, PATIENCE, SLOW, TOP, Daemon, spec_of, wait_until

FOLDER = TOP / "conf" / "completions"
COMMANDS = re.findall(r"^  ([a-z]+) +[A-Z]", subprocess.run([CLIENT, "--help"], text=True, stdout=subprocess.PIPE).stdout,
                      flags=re.M)
COMMON = {"--color", "--help", "--json", "--socket"}
STATES = {"pending", "running", "completed", "failed", "aborted"}
KEYS = set(re.findall(r"^#(\w+) = ", (TOP / "conf/zooparalleld.conf").read_text(), flags=re.M))
PRIVATE_KEYS = {"data_roots", "spool_dir", "state_dir", "run_dir"}

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="the shells are asked once; no code of ours is new here")


def environment(folder):
    """A PATH on which zooparallel is the one that was built, and nothing of this user's own."""
    programs = folder / "programs"
    if not programs.exists():
        programs.mkdir()
        (programs / "zooparallel").symlink_to(CLIENT)
    kept = {key: os.environ[key] for key in ("LD_LIBRARY_PATH", "LANG") if key in os.environ}
    return {**kept, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "xterm", "LC_ALL": "C.UTF-8",
            "XDG_CONFIG_HOME": str(folder / "config"), "XDG_DATA_HOME": str(folder / "data")}


class Bash:
    def __init__(self, folder):
        self.folder = folder

    def complete(self, line):
        """Calls the function as readline does; a line that ends in a blank asks for a new word."""
        words = re.findall(r"=|[^\s=]+", line) + ([""] if line[-1] in " =" else [])
        script = (f"source {FOLDER}/zooparallel.bash; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
                  f"COMP_CWORD={len(words) - 1}; _zooparallel; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        done = subprocess.run(["bash", "--norc", "-c", script], text=True, capture_output=True, timeout=PATIENCE,
                              cwd=self.folder, env=environment(self.folder))
        assert not done.stderr, done.stderr
        return set(done.stdout.split())


class Fish:
    def __init__(self, folder):
        self.folder = folder

    def complete(self, line):
        script = f"source {FOLDER}/zooparallel.fish; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", script], text=True, capture_output=True, timeout=PATIENCE,
                              cwd=self.folder, env=environment(self.folder))
        assert not done.stderr, done.stderr
        found = {row.split("\t")[0] for row in done.stdout.splitlines()}
        return {re.sub(r"^--[a-z-]+=(?=.)", "", word) for word in found}


class Zsh:
    """A zsh in a terminal, which is where its completion works; compadd tells what it is given."""

    START = f"""
        unset HISTFILE; PS1='READY> '; setopt no_beep no_prompt_cr
        fpath=({FOLDER} $fpath); autoload -Uz compinit; compinit -u -D
        zstyle ':completion:*' verbose no; zstyle ':completion:*' list-prompt ''; zstyle ':completion:*' menu no
        LISTMAX=10000; setopt list_packed no_list_types
        compadd() {{
            if [[ " $* " != *" -O "* && " $* " != *" -A "* && " $* " != *" -D "* ]]; then
                local -a given; builtin compadd -O given "$@"; print -rl -- $given >>$FOUND
            fi
            builtin compadd "$@"
        }}
    """

    def __init__(self, folder):
        self.folder = folder
        self.found = folder / "found"
        (folder / ".zshrc").write_text(self.START)
        pid, self.master = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe("zsh", ["zsh", "-i", "-d"], {**environment(folder), "ZDOTDIR": str(folder), "FOUND": str(self.found)})
        self.pid, self.screen = pid, ""
        self.read_until("READY> ")

    def read_until(self, text, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while text not in self.screen:
            assert time.monotonic() < deadline, self.screen
            if select.select([self.master], [], [], 0.1)[0]:
                self.screen += os.read(self.master, 65536).decode()
        self.screen = self.screen.partition(text)[2]

    def complete(self, line):
        self.found.write_text("")
        os.write(self.master, b"\x15" + line.encode() + b"\t")
        # Kill the line, and have a mark printed behind whatever the key has shown.
        os.write(self.master, b"\x15print DO''NE\r")
        self.read_until("DONE")
        self.read_until("READY> ")
        return set(self.found.read_text().split())

    def close(self):
        os.write(self.master, b"\x15exit\r")
        os.waitpid(self.pid, 0)
        os.close(self.master)


SHELLS = {"bash": Bash, "fish": Fish, "zsh": Zsh}


@pytest.fixture(scope="module", params=SHELLS)
def shell(request, tmp_path_factory):
    if not shutil.which(request.param):
        pytest.fail(f"{request.param} is not installed: conf/packages.txt lists it")
    opened = SHELLS[request.param](tmp_path_factory.mktemp(request.param))
    yield opened
    if hasattr(opened, "close"):
        opened.close()


def long_options(words):
    """Shells show an option that takes a value with or without its sign."""
    return {word.rstrip("=") for word in words if word.startswith("--")}


def help_of(*arguments):
    text = subprocess.run([CLIENT, *arguments], text=True, stdout=subprocess.PIPE).stdout
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", "\n".join(re.findall(r"^  (-.*?)(?:  |$)", text, flags=re.M))))


def test_every_command_is_offered(shell):
    assert shell.complete("zooparallel ") == {*COMMANDS, "help"}
    assert shell.complete("zooparallel help ") == {*COMMANDS, "help"}
    assert shell.complete("zooparallel --color never --json ") == {*COMMANDS, "help"}


def test_every_option_is_offered_and_no_other(shell):
    assert long_options(shell.complete("zooparallel --")) == help_of("--help")
    for command in COMMANDS:
        assert long_options(shell.complete(f"zooparallel {command} --")) == help_of(command, "--help") | COMMON, command


@pytest.mark.parametrize("line, words", [
    ("zooparallel ls --state ", STATES), ("zooparallel ls --state=", STATES), ("zooparallel top --state ", STATES),
    ("zooparallel ls --state f", {"failed"}), ("zooparallel top --sort ", {"name", "state", "rate", "rows", "rejects", "ram",
                                                                         "progress", "age"}),
    ("zooparallel --color ", {"auto", "always", "never"}), ("zooparallel ls --color ", {"auto", "always", "never"}),
    ("zooparallel run --set ", {f"{key}=" for key in KEYS - PRIVATE_KEYS}), ("zooparallel doctor --set ", {f"{key}=" for key in KEYS}),
    ("zooparallel wait --timeout ", set()), ("zooparallel stop ", set()),
])
def test_values_are_offered(shell, line, words):
    found = shell.complete(line)
    if any(word.endswith("=") for word in words):
        assert {word.rstrip("=") for word in found} == {word.rstrip("=") for word in words}
    else:
        assert found == words


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """A daemon with one job that has ended and one that runs: socket, their IDs."""
    daemon = Daemon(tmp_path_factory.mktemp("jobs"), chunk_size=24).start()
    daemon.write("in.csv", "a\n1\n")
    daemon.write("slow.csv", SLOW)
    ended = daemon.run(spec_of("in.csv", "o.jsonl", name="users.import"))["id"]
    daemon.drop(spec_of("slow.csv", "s.jsonl"), "slow")
    running = daemon.id_of("slow")
    with daemon.stopped_workers(running):
        yield daemon.run_dir / "control.sock", ended, running
    daemon.request("POST", f"/api/v1/jobs/{running}/cancel", unix=True)
    daemon.wait_job(running)
    daemon.stop()
    daemon.check_clean()


def test_jobs_are_offered(shell, jobs):
    socket, ended, running = jobs

    def check(words, expected):
        """A shell does not wait for long, and a machine that is busy answers late: ask again."""
        wait_until(lambda: shell.complete(f"zooparallel --socket {socket} {words} ") == expected, words)
    for command in ("show", "rejects", "logs"):
        check(command, {ended, running})
    for command in ("wait", "cancel"):
        check(command, {running})
    check("ls --name", {"users.import", "slow"})
    check("ls --after", {ended, running})


def test_without_a_daemon_there_are_no_jobs_and_no_words(shell, tmp_path):
    assert shell.complete(f"zooparallel --socket {tmp_path}/none.sock show ") == set()
    assert shell.complete(f"zooparallel --socket {tmp_path}/none.sock wait ") == set()


def test_specs_and_stats_files_are_offered(shell):
    for name in ("job.json", "worker-1.stats", "data.csv"):
        (shell.folder / name).write_text("")
    (shell.folder / "deeper").mkdir(exist_ok=True)
    for command in ("run", "submit", "validate"):
        found = {word.rstrip("/") for word in shell.complete(f"zooparallel {command} ")}
        assert "job.json" in found and "deeper" in found, (command, found)
        if not isinstance(shell, Fish):  # which offers what fits best first, and the rest behind it
            assert "data.csv" not in found, (command, found)
    assert "worker-1.stats" in shell.complete("zooparallel stats ")
    found = {word.rstrip("/") for word in shell.complete("zooparallel run --data-root ")}
    assert "deeper" in found and "job.json" not in found


def test_bash_completion_finds_it_by_its_name(tmp_path):
    folder = tmp_path / "data" / "bash-completion" / "completions"
    folder.mkdir(parents=True)
    shutil.copy(FOLDER / "zooparallel.bash", folder / "zooparallel")
    script = ("source /usr/share/bash-completion/bash_completion; _completion_loader zooparallel; complete -p zooparallel")
    done = subprocess.run(["bash", "--norc", "-ic", script], text=True, capture_output=True, timeout=PATIENCE,
                          env=environment(tmp_path), start_new_session=True)
    assert done.stdout.strip() == "complete -F _zooparallel zooparallel", done


def test_they_are_installed_where_the_shells_look(tmp_path):
    plan = json.loads(subprocess.run(["meson", "introspect", "--install-plan", CLIENT.parent], text=True, check=True,
                                     stdout=subprocess.PIPE).stdout)
    places = {os.path.basename(source): entry["destination"] for source, entry in plan["data"].items()}
    assert places["zooparallel.bash"] == "{datadir}/bash-completion/completions/zooparallel"
    assert places["_zooparallel"] == "{datadir}/zsh/vendor-completions/_zooparallel"
    assert places["zooparallel.fish"] == "{datadir}/fish/vendor_completions.d/zooparallel.fish"
