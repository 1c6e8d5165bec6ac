# SPDX-License-Identifier: MIT
"""`zooparallel doctor` and `logs`: installations that are whole, and ones with a fault each."""
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from harness import BUILD, CLIENT, DAEMON, IS_SANITIZED, PATIENCE, TOP, WORKER, Daemon, spec_of, start_slow, wait_until

CLOCK = BUILD / "tests/chaos/jumping_clock.so"
NOBODY = 65534
IDS = ("20200101T000000000Z", "20200101T000000001Z")
FINE, PROBLEM, USAGE = 0, 1, 2

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners or mounts")


@pytest.fixture
def installation(tmp_path):
    """The directories of a daemon that does not run, as its first start would leave them."""
    daemon = Daemon(tmp_path / "tree")
    for area in ("incoming", "active", "done", "failed", "invalid"):
        (daemon.spool / area).mkdir()
    (daemon.state / "jobs").mkdir()
    return daemon


def examine(daemon, *arguments, wrapper=(), check=None, client=CLIENT, **environment):
    """The findings of a doctor who is told of this daemon's configuration."""
    config = daemon.tree / "doctor" / "zooparalleld.conf"
    config.parent.mkdir(exist_ok=True)
    keys = [f'{key} = {{"{value}"}}' if key == "data_roots" else f'{key} = "{value}"'
            for key, value in daemon.settings.items() if key != "max_workers"]
    if not config.exists():
        config.write_text("\n".join(keys) + "\n")
    command = [*wrapper, client, "doctor", "--json", "--config", config, *arguments]
    inherited = {key: value for key, value in os.environ.items() if key != "ZOOPARALLEL_SOCKET"}
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, timeout=4 * PATIENCE,
                          env={**inherited, **environment})
    assert done.stderr == "", done.stderr
    assert check is None or done.returncode == check, done
    found = json.loads(done.stdout)
    levels = {finding["level"] for finding in found}
    assert done.returncode == (PROBLEM if "problem" in levels else FINE)
    return found


def find(found, check, level=None, subject=None):
    return [finding for finding in found if finding["check"] == check and level in (None, finding["level"])
            and (subject is None or finding["subject"] == str(subject))]


def only_problems(found):
    return {finding["check"] for finding in found if finding["level"] == "problem"}


def test_a_whole_installation_has_no_problem(installation):
    found = examine(installation, check=FINE)
    assert all(list(finding) == ["check", "level", "subject", "message", "advice"] for finding in found)
    for check in ("programs", "configuration", "open_files", "data_root", "spool_dir", "state_dir", "run_dir",
                  "free_space", "stuck_spec", "invalid_specs", "leftover", "openat2", "pidfd", "boot_id", "clock"):
        assert find(found, check, "ok"), check
    assert find(found, "daemon", "warning"), "none runs"
    for finding in found:
        assert (finding["level"] == "ok") == (finding["advice"] is None), finding


def test_a_running_daemon_is_asked(start):
    daemon = start()
    found = examine(daemon, check=FINE)
    [finding] = find(found, "daemon", "ok", daemon.run_dir / "control.sock")
    assert str(daemon.pid) in finding["message"]
    assert find(found, "open_files", "ok")[0]["message"].startswith("the daemon may open ")
    assert not find(found, "daemon_version") and not find(found, "daemon_ready")
    assert find(found, "spool_area", "ok", daemon.spool / "incoming")
    (daemon.spool / "incoming" / "misnamed.txt").write_text("")
    wait_until(lambda: "misnamed.txt in incoming/ is ignored" in daemon.log, "the one warning, for nothing before")


def test_people_get_lines_and_what_to_try(installation):
    shutil.rmtree(installation.data)
    examine(installation, check=PROBLEM)
    config = installation.tree / "doctor" / "zooparalleld.conf"
    done = subprocess.run([CLIENT, "doctor", "--config", config], text=True, capture_output=True, timeout=PATIENCE)
    assert done.returncode == PROBLEM
    assert re.search(rf"^problem  data_root: {installation.data}: No such file or directory\n"
                     r"         try: create it, or correct data_roots$", done.stdout, flags=re.M)
    assert re.search(r"^ok       openat2: ", done.stdout, flags=re.M)
    quiet = subprocess.run([CLIENT, "doctor", "--quiet", "--config", config], text=True, capture_output=True,
                           timeout=PATIENCE).stdout
    assert not re.search(r"^ok ", quiet, flags=re.M) and re.search(r"^problem  data_root", quiet, flags=re.M)
    colored = subprocess.run([CLIENT, "doctor", "--color=always", "--config", config], text=True, capture_output=True,
                             timeout=PATIENCE).stdout
    assert "\x1b[31mproblem \x1b[0m data_root" in colored


def write_config(installation, text):
    (installation.tree / "doctor").mkdir()
    (installation.tree / "doctor" / "zooparalleld.conf").write_text(text)


def test_a_wrong_configuration_is_told_with_its_line(installation):
    write_config(installation, "\nmax_jobz = 3\n")
    [finding] = find(examine(installation, check=PROBLEM), "configuration")
    assert "zooparalleld.conf:2" in finding["message"] and "max_jobs" in finding["message"]


def test_overlapping_directories_are_told(installation):
    [finding] = find(examine(installation, "--set", f"state_dir={installation.data}/state", check=PROBLEM),
                     "configuration", "problem")
    assert "overlap" in finding["message"]


def test_what_is_no_directory_is_told(installation):
    shutil.rmtree(installation.state)
    installation.state.write_text("")
    assert only_problems(examine(installation)) == {"state_dir"}


@needs_root
def test_rights_are_tried_as_the_user_of_the_service(tmp_path):
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))  # where that user may go
    try:
        daemon = Daemon(folder / "tree")
        for path in (folder, daemon.tree, daemon.data):
            path.chmod(0o755)
        for path in (daemon.spool, daemon.state, daemon.run_dir):
            os.chown(path, NOBODY, NOBODY)
        path = fake_systemctl(tmp_path, User="nobody", ReadWritePaths=str(folder))
        found = examine(daemon, PATH=path, check=PROBLEM)
        assert only_problems(found) == {"data_root"}
        assert find(found, "data_root")[0]["message"] == "nobody may not write there: Permission denied"
        os.chown(daemon.data, NOBODY, NOBODY)
        assert not only_problems(examine(daemon, PATH=path))
        hooks = folder / "hooks"
        hooks.mkdir()
        assert find(examine(daemon, "--set", f"hook_dirs={hooks}", PATH=path), "hook_dir", "ok")
        os.chown(hooks, NOBODY, NOBODY)
        assert only_problems(examine(daemon, "--set", f"hook_dirs={hooks}", PATH=path)) == {"hook_dir"}
    finally:
        shutil.rmtree(folder)


@needs_root
def test_a_running_daemon_says_whose_rights_count(installation):
    found = examine(installation)
    assert find(found, "user", "warning", "root"), "root is told to be too much"


def test_a_spool_for_everybody_is_a_problem(installation):
    os.chmod(installation.spool / "incoming", 0o777)
    [finding] = find(examine(installation, check=PROBLEM), "privacy")
    assert finding["subject"] == str(installation.spool / "incoming")


def in_a_namespace(script):
    """Runs what follows where only it sees these mounts."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script + '; exec "$@"', "sh"]


@needs_root
def test_an_area_on_another_file_system_is_a_problem(installation):
    found = examine(installation, wrapper=in_a_namespace(f"mount -t tmpfs none {installation.spool}/done"))
    assert only_problems(found) == {"spool_area"}
    assert find(found, "spool_area", "problem", installation.spool / "done")


@needs_root
def test_a_full_file_system_is_a_problem(installation):
    full = in_a_namespace(f"mount -t tmpfs -o size=1m none {installation.data}; "
                          f"head -c 1040384 /dev/zero >{installation.data}/f")
    assert only_problems(examine(installation, wrapper=full)) == {"free_space"}
    crowded = in_a_namespace(f"mount -t tmpfs -o nr_inodes=200 none {installation.data}; "
                             f"cd {installation.data}; seq 199 | head -198 | xargs touch")
    assert only_problems(examine(installation, wrapper=crowded)) == {"free_inodes"}


@needs_root
def test_what_the_asker_may_not_see_is_no_problem(tmp_path):
    """A folder above that is closed to him says nothing of what the daemon finds."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        daemon = Daemon(folder / "tree")
        folder.chmod(0o755)
        daemon.tree.chmod(0o755)
        hidden = folder / "hidden"
        (hidden / "root").mkdir(parents=True)
        hidden.chmod(0o700)
        daemon.settings["data_roots"] = hidden / "root"
        programs = folder / "bin"
        programs.mkdir()
        for program in (CLIENT, DAEMON, WORKER):
            shutil.copy(program, programs)
        asker = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        [finding] = find(examine(daemon, wrapper=asker, client=programs / CLIENT.name), "data_root")
        assert (finding["level"], finding["advice"]) == ("warning", "run this as root")
        assert finding["message"] == "Permission denied"
    finally:
        shutil.rmtree(folder)


def test_an_installed_daemon_is_found_and_named_plainly(installation, tmp_path):
    for program, folder in ((CLIENT, "bin"), (DAEMON, "sbin"), (WORKER, "sbin")):
        (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy(program, tmp_path / folder)
    [finding] = find(examine(installation, client=tmp_path / "bin" / CLIENT.name), "programs", "ok")
    assert finding["subject"] == str(tmp_path / "sbin" / DAEMON.name)


@needs_root
def test_a_read_only_data_root_is_a_problem(installation):
    found = examine(installation, wrapper=in_a_namespace(f"mount -t tmpfs -o ro none {installation.data}"))
    assert "data_root" in only_problems(found)
    assert find(found, "data_root", "problem")[0]["message"].endswith("Read-only file system")


def test_refused_specs_are_counted(start):
    daemon = start()
    daemon.drop("{}", "bad")
    daemon.invalid("bad")
    [finding] = find(examine(daemon, check=FINE), "invalid_specs", "warning")
    assert finding["message"].startswith("1 specs")


def test_temporary_outputs_of_jobs_that_are_over_are_found(installation):
    gone, live = IDS
    (installation.state / "jobs" / live).mkdir()
    deep = installation.data / "a" / "b"
    deep.mkdir(parents=True)
    for job in IDS:
        (deep / f".zp-{job}-0.part").write_text("")
    for other in (".zp-x-0.part", f".zp-{gone}-0.parts", f"zp-{gone}-0.part"):
        (deep / other).write_text("")
    (installation.data / "loop").symlink_to(installation.data)
    found = find(examine(installation, check=FINE), "leftover")
    assert [finding["subject"] for finding in found] == [str(deep / f".zp-{gone}-0.part")]
    (installation.state / "jobs" / live / "result.json").write_text("{}")
    assert len(find(examine(installation), "leftover", "warning")) == 2


def test_a_data_root_may_be_a_link(installation):
    (installation.data / f".zp-{IDS[0]}-0.part").write_text("")
    link = installation.tree / "link"
    link.symlink_to(installation.data)
    [finding] = find(examine(installation, "--set", f"data_roots={link}"), "leftover")
    assert finding["subject"] == str(link / f".zp-{IDS[0]}-0.part")


def test_what_a_running_job_writes_is_no_leftover(start):
    daemon = start_slow(start)
    daemon.drop(spec_of("slow.csv", "o.jsonl"), "slow")
    job_id = daemon.id_of("slow")
    with daemon.stopped_workers(job_id):
        assert list(daemon.data.glob(".zp-*"))
        assert not find(examine(daemon), "leftover", "warning")
        [finding] = find(examine(daemon, "--set", f"state_dir={daemon.tree}/another"), "leftover", "warning")
        assert "unless another daemon" in finding["advice"], "this one must not be removed"
    daemon.request("POST", f"/api/v1/jobs/{job_id}/cancel", unix=True)
    daemon.wait_job(job_id)


@pytest.mark.skipif(IS_SANITIZED, reason="a sanitizer wants to be the first library")
@pytest.mark.parametrize("name, mode, why", [
    ("notes.txt", 0o600, "does not end in .json"), ("fine.json", 0o600, "no daemon runs"), ("folder.json", None, "regular file"),
])
def test_a_spec_that_waits_in_vain_is_told(installation, name, mode, why):
    path = installation.spool / "incoming" / name
    path.mkdir() if mode is None else path.write_text("{}")
    (installation.spool / "incoming" / ".draft.json").write_text("")
    assert not find(examine(installation), "stuck_spec", "warning"), "it has only just come"
    (installation.tree / "jump").write_bytes(struct.pack("=q", 3600))
    found = find(examine(installation, LD_PRELOAD=str(CLOCK), ZP_CHAOS_CLOCK=str(installation.tree / "jump")),
                 "stuck_spec", "warning")
    assert [finding["subject"] for finding in found] == [str(path)]
    assert why in found[0]["message"]


# the unit


def fake_systemctl(folder, **properties):
    """A PATH on which systemctl tells of a unit like this."""
    told = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "User": "", "ProtectHome": "yes",
            "ProtectSystem": "strict", "ReadWritePaths": "", **properties}
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    lines = "".join(f"{key}={value}\n" for key, value in told.items())
    (programs / "systemctl").write_text(f"#!/bin/sh\ncat <<'END'\n{lines}END\n")
    (programs / "systemctl").chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"


def test_a_missing_read_write_path_is_told_with_the_line_to_add(installation, tmp_path):
    listed = f"{installation.spool} {installation.state} {installation.run_dir}"
    found = examine(installation, PATH=fake_systemctl(tmp_path, ReadWritePaths=listed), check=PROBLEM)
    [finding] = find(found, "unit_paths", "problem")
    assert finding["subject"] == str(installation.data)
    assert finding["advice"].endswith(f"ReadWritePaths={installation.data}")
    assert find(found, "unit_paths", "ok", installation.spool) and find(found, "unit", "ok")


@pytest.mark.parametrize("root, hider", [("/run/user/7/etl", "ProtectHome"), ("/tmp/etl", "PrivateTmp"),
                                         ("/var/tmp/etl", "PrivateTmp")])
def test_a_folder_that_the_unit_hides_is_told_though_a_line_names_it(installation, tmp_path, root, hider):
    def paths_of(**properties):
        path = fake_systemctl(tmp_path, ReadWritePaths=f"{root} /", **properties)
        return find(examine(installation, "--set", f"data_roots={root}", PATH=path), "unit_paths", subject=root)
    [finding] = paths_of(**{hider: "yes"})
    assert finding["level"] == "problem" and finding["message"].startswith(f"the service does not see it: {hider}=")
    assert finding["advice"].endswith(f"{hider}=no")
    [finding] = paths_of(**{hider: "no"})
    assert finding["level"] == "ok"


def test_a_home_that_is_read_only_needs_a_line(installation, tmp_path):
    home, unit = "/run/user/7/etl", {"ProtectSystem": "full", "ProtectHome": "read-only"}
    for listed, level in (("", "problem"), (home, "ok")):
        path = fake_systemctl(tmp_path, ReadWritePaths=listed, **unit)
        [finding] = find(examine(installation, "--set", f"data_roots={home}", PATH=path), "unit_paths", subject=home)
        assert finding["level"] == level


def test_a_state_directory_of_its_own_needs_a_line_and_the_units_does_not(installation, tmp_path):
    listed = f"{installation.data} {installation.spool}"
    made = {"StateDirectory": "zooparallel", "RuntimeDirectory": "zooparallel:link other"}
    path = fake_systemctl(tmp_path, ReadWritePaths=listed, **made)
    found = examine(installation, "--set", "run_dir=/run/other", PATH=path)
    [finding] = find(found, "unit_paths", "problem")
    assert finding["subject"] == str(installation.state)
    assert find(found, "unit_paths", "ok", "/run/other")


@pytest.mark.parametrize("properties", [
    {"ReadWritePaths": "-{tree} /elsewhere"}, {"ReadWritePaths": "{data} {spool} {state} {run}"}, {"ProtectSystem": "full"},
])
def test_a_unit_that_lets_it_write_is_fine(installation, tmp_path, properties):
    filled = {key: value.format(tree=installation.tree, data=installation.data, spool=installation.spool,
                                state=installation.state, run=installation.run_dir)
              for key, value in properties.items()}
    assert not only_problems(examine(installation, PATH=fake_systemctl(tmp_path, **filled)))


def test_a_path_that_only_begins_alike_is_not_the_same(installation, tmp_path):
    listed = f"{str(installation.data)[:-1]} {installation.spool}"
    found = examine(installation, PATH=fake_systemctl(tmp_path, ReadWritePaths=listed))
    assert find(found, "unit_paths", "problem", installation.data)


@pytest.mark.parametrize("properties, level", [
    ({"ActiveState": "failed"}, "problem"), ({"ActiveState": "inactive"}, "problem"),
    ({"ActiveState": "inactive", "UnitFileState": "disabled"}, "warning"), ({"UnitFileState": "disabled"}, "warning"),
    ({"LoadState": "not-found"}, "ok"), ({}, "ok"),
])
def test_the_state_of_the_unit(installation, tmp_path, properties, level):
    [finding] = find(examine(installation, PATH=fake_systemctl(tmp_path, **properties)), "unit")
    assert finding["level"] == level


def test_a_user_that_does_not_exist_is_told(installation, tmp_path):
    found = examine(installation, PATH=fake_systemctl(tmp_path, User="no-such-user"))
    [finding] = find(found, "user", "problem")
    assert finding["subject"] == "no-such-user" and "systemd-sysusers" in finding["advice"]


def test_a_systemctl_that_hangs_is_given_up(installation, tmp_path):
    path = fake_systemctl(tmp_path)
    (tmp_path / "programs" / "systemctl").write_text("#!/bin/sh\nexec sleep 1000\n")
    assert find(examine(installation, PATH=path), "unit", "ok")


# a daemon that is not well


@pytest.fixture
def unwell(installation):
    """Something that answers on the socket: unwell[path] = (status, document)."""
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def address_string(self):
            return "unix"

        def log_message(self, *arguments):
            pass

        def do_GET(self):
            status, document = answers.get(self.path, (404, {}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

    class Server(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True

    server = Server(str(installation.run_dir / "control.sock"), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield answers
    server.shutdown()
    server.server_close()


def test_a_daemon_that_is_not_ready_says_why(installation, unwell):
    unwell["/api/v1/status"] = 200, {"version": "9.9.9", "config_last_reload_successful": False,
                                     "workers_with_invalid_stats": 2}
    unwell["/readyz"] = 503, {"reasons": ["the spool is gone", "\x1b[2Jthe moon is full"]}
    found = examine(installation, check=PROBLEM)
    assert [finding["message"] for finding in find(found, "daemon_ready", "problem")] == [
        "it is not ready: the spool is gone", "it is not ready: ?[2Jthe moon is full"]
    assert "9.9.9" in find(found, "daemon_version", "warning")[0]["message"]
    assert find(found, "daemon_config", "warning") and find(found, "stats_files", "warning")


def test_what_listens_but_is_no_daemon_is_a_problem(installation, unwell):
    assert "daemon" in only_problems(examine(installation))


def test_a_missing_program_is_told(installation, tmp_path):
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    shutil.copy2(CLIENT, lonely / "zooparallel")
    [finding] = find(examine(installation, client=lonely / "zooparallel", check=PROBLEM), "programs")
    assert "zooparalleld is not there" in finding["message"]
    shutil.copy2(DAEMON, lonely / "zooparalleld")
    found = examine(installation, client=lonely / "zooparallel")
    if find(found, "programs", "problem"):
        assert "its worker is neither" in find(found, "programs")[0]["message"]
    shutil.copy2(WORKER, lonely / "zooparallel-worker")
    assert find(examine(installation, client=lonely / "zooparallel", check=FINE), "programs", "ok")


@pytest.mark.parametrize("arguments", [["operand"], ["--set", "nothing"], ["--no-such-option"]])
def test_a_wrong_command_line_is_a_usage_error(arguments):
    done = subprocess.run([CLIENT, "doctor", *arguments], text=True, capture_output=True, timeout=PATIENCE)
    assert done.returncode == USAGE and done.stdout == "" and done.stderr


def test_the_manual_names_every_check():
    manual = (TOP / "daemon/man/zooparallel.1").read_text()
    sources = "".join(path.read_text() for path in (TOP / "daemon/ctl").glob("doctor_*.c"))
    used = set(re.findall(r'doctor_finding\)\{\s*"([a-z_0-9]+)"', sources))
    used |= set(re.findall(r'add_feature\(doctor, "(\w+)"', sources))
    used |= set(re.findall(r'examine_presence\(doctor, "(\w+)"|examine_rights\(doctor, "(\w+)"', sources) and
                ["data_root", "hook_dir", "spool_area"])
    used |= set(re.findall(r'examine_own\(doctor, "(\w+)"\)', sources))
    table = manual.partition('.Bl -tag -width "control_groups" -compact\n')[2].partition("\n.El")[0]
    documented = {name for line in re.findall(r"^\.It Li (.*)$", table, flags=re.M) for name in line.split(" , ")}
    assert used == documented, used ^ documented


# the configuration as JSON


def test_the_daemon_prints_every_key_of_its_configuration(tmp_path):
    keys = re.findall(r"^#(\w+) = ", (TOP / "conf/zooparalleld.conf").read_text(), flags=re.M)
    (tmp_path / "zooparalleld.conf").write_text("")
    done = subprocess.run([DAEMON, "--check-config", "--config", tmp_path / "zooparalleld.conf", "--set", "listen=[::1]:80",
                           "--set", 'data_roots=/data/a,/data/"b"', "--set", "retention=1h", "--set", "chunk_size=1MiB"],
                          text=True, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0 and done.stderr == "", done
    printed = json.loads(done.stdout)
    assert list(printed) == ["config_file", *keys]
    assert printed["listen"] == "[::1]:80" and printed["data_roots"] == ["/data/a", '/data/"b"']
    assert printed["retention"] == 3600 and printed["chunk_size"] == 1 << 20 and printed["poll_interval"] == 0.01
    assert not list(tmp_path.glob("*/")), "it makes nothing"


# logs


@pytest.fixture
def journal(tmp_path):
    """A PATH on which journalctl prints what it was called with, a line each."""
    programs = tmp_path / "journal"
    programs.mkdir()
    (programs / "journalctl").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 7\n')
    (programs / "journalctl").chmod(0o755)

    def call(*arguments, path=f"{programs}:{os.environ['PATH']}", socket=tmp_path / "none.sock"):
        return subprocess.run([CLIENT, "--socket", socket, "logs", *arguments], text=True, capture_output=True,
                              timeout=PATIENCE, env={**os.environ, "PATH": path})
    return call


@pytest.mark.parametrize("arguments, called", [
    ([], "--unit zooparallel.service"),
    ([IDS[0]], f"--unit zooparallel.service JOB={IDS[0]}"),
    (["-f", "-n", "20"], "--unit zooparallel.service --lines 20 --follow"),
    (["--json", "--since", "today", "--until=now", IDS[0]],
     f"--unit zooparallel.service --since today --until now --output json JOB={IDS[0]}"),
    (["--unit", "zooparallel@two.service", "--lines", "all"], "--unit zooparallel@two.service --lines all"),
])
def test_logs_are_the_journals(journal, arguments, called):
    done = journal(*arguments)
    assert done.returncode == 7, "journalctl's own status"
    assert done.stdout.split() == called.split()


@pytest.mark.parametrize("arguments", [["_UID=0"], ["--file=x"], ["a", "b"], ["-n", "-1"], ["-n", "x"], [IDS[0] + "0"]])
def test_logs_take_nothing_but_an_id(journal, arguments):
    done = journal(*arguments)
    assert done.returncode == USAGE and done.stdout == "" and done.stderr


def test_without_journalctl_it_says_where_messages_go(journal, tmp_path):
    done = journal(path=str(tmp_path))
    assert done.returncode == PROBLEM and "no journalctl here" in done.stderr and "standard error" in done.stderr


def test_a_daemon_that_logs_elsewhere_is_found(journal, start):
    daemon = start()
    done = journal(socket=daemon.run_dir / "control.sock")
    assert done.returncode == PROBLEM and done.stdout == ""
    assert done.stderr.endswith(f" {daemon.log_path}\n") and str(daemon.pid) in done.stderr
    assert "grep" not in done.stderr, "all of it is asked for"
    assert f"grep {IDS[0]} {daemon.log_path}" in journal(IDS[0], socket=daemon.run_dir / "control.sock").stderr
    assert journal("--unit", "other", socket=daemon.run_dir / "control.sock").stdout.split() == ["--unit", "other"]
