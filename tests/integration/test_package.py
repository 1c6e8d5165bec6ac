# SPDX-License-Identifier: MIT
"""What is installed, and a package's life on a real machine: installed, upgraded under a job, purged."""
import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import BUILD, IS_SANITIZED, TOP, spec_of, wait_until
from machine_service import CONFIG, N_SLOW_ROWS, SOCKET_UNIT, UNIT, Service
from systemd_machine import Machine, obstacle

# What is tested here is how the programs get where they run: it is the same for every build of them.
pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="takes long, and shows nothing new about the programs")

PACKAGE = "zooparallel"
LONG = 240  # seconds that dpkg, or a whole job of tiny chunks, may take on a busy machine
REFUSED = 7  # curl's word for a port that nobody listens on
ROOT = "/srv/zooparallel"
INSTALLED_WORKER = "/usr/libexec/zooparallel/zooparallel-worker"
# What dpkg, apt, systemd and the tools for accounts write down about any package.
DEBIAN_KEEPS = re.compile(r"/var/lib/dpkg/\S*|/var/cache/\S*|/etc/(passwd|group|shadow|gshadow)-|/etc/\.pwd\.lock")

PROGRAM, FILE = 0o755, 0o644
# Everything that `meson install` puts, from the prefix on unless it is absolute.
LAYOUT = {
    "/etc/zooparallel/zooparalleld.conf": FILE,
    "/usr/lib/systemd/system/zooparallel.service": FILE,
    "/usr/lib/systemd/system/zooparallel.service.d/no-hooks.conf": FILE,
    "/usr/lib/systemd/system/zooparallel.socket": FILE,
    "/usr/lib/sysusers.d/zooparallel.conf": FILE,
    "/usr/lib/tmpfiles.d/zooparallel.conf": FILE,
    "/usr/bin/zooparallel": PROGRAM,
    "/usr/libexec/zooparallel/zooparallel-worker": PROGRAM,
    "/usr/sbin/zooparalleld": PROGRAM,
    "/usr/share/bash-completion/completions/zooparallel": FILE,
    "/usr/share/doc/zooparallel/ARCHITECTURE.md": FILE,
    "/usr/share/doc/zooparallel/NEWS.md": FILE,
    "/usr/share/doc/zooparallel/README.md": FILE,
    "/usr/share/doc/zooparallel/examples/first-rows-of-a-tsv.json": FILE,
    "/usr/share/doc/zooparallel/examples/smallest.json": FILE,
    "/usr/share/doc/zooparallel/examples/two-pipes.json": FILE,
    "/usr/share/doc/zooparallel/examples/unicode-data.json": FILE,
    "/usr/share/doc/zooparallel/examples/users-import.json": FILE,
    "/usr/share/doc/zooparallel/nginx/zooparallel.conf": FILE,
    "/usr/share/fish/vendor_completions.d/zooparallel.fish": FILE,
    "/usr/share/man/man1/zooparallel.1": FILE,
    "/usr/share/man/man5/zooparallel-job.5": FILE,
    "/usr/share/man/man5/zooparallel-stats.5": FILE,
    "/usr/share/man/man8/zooparalleld.8": FILE,
    "/usr/share/zooparallel/grafana/zooparallel.json": FILE,
    "/usr/share/zooparallel/job.schema.json": FILE,
    "/usr/share/zooparallel/prometheus/scrape.yml": FILE,
    "/usr/share/zooparallel/prometheus/zooparallel.rules.yml": FILE,
    "/usr/share/zsh/vendor-completions/_zooparallel": FILE,
}
# What only the package has.
PACKAGED = {
    "/usr/share/doc/zooparallel/README.Debian": FILE,
    "/usr/share/doc/zooparallel/changelog.gz": FILE,
    "/usr/share/doc/zooparallel/copyright": FILE,
}


def files_below(folder):
    """{path as installed: mode} of all that is no folder."""
    return {f"/{path.relative_to(folder)}": path.lstat().st_mode & 0o7777
            for path in Path(folder).rglob("*") if path.is_symlink() or not path.is_dir()}


def tell(*command, **options):
    done = subprocess.run(command, cwd=TOP, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout[-20000:]}"
    return done.stdout


def test_everything_is_installed_where_it_belongs(tmp_path):
    tell("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", tmp_path)
    assert files_below(tmp_path) == LAYOUT


def test_another_prefix_reaches_the_unit(tmp_path):
    tell("meson", "setup", "--prefix=/opt/zoo", "-Dtests=false", tmp_path / "build")
    unit = (tmp_path / "build/systemd/zooparallel.service").read_text()
    assert "\nExecStart=/opt/zoo/sbin/zooparalleld --config /opt/zoo/etc/zooparallel/zooparalleld.conf\n" in unit
    ours = (TOP / "systemd/zooparallel.service").read_text()
    changed = set(unit.splitlines()) ^ set(ours.splitlines())
    assert all(line.startswith("ExecStart=") for line in changed), changed


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
@pytest.mark.parametrize("root", ["mkdir /srv/zooparallel; mount -t tmpfs none /srv/zooparallel",
                                  "ln -s /tmp /srv/zooparallel"])
def test_a_purge_empties_what_is_a_file_system_of_its_own(root):
    own = "/var/lib/zooparallel /var/spool/zooparallel /run/zooparallel"
    script = f"""
        for parent in /srv /var/lib /var/spool /run; do mount -t tmpfs none $parent; done
        mkdir {own}
        for folder in {own}; do mount -t tmpfs none $folder; mkdir -p $folder/jobs/a; done
        {root}
        sh conf/debian/postrm purge
        find {own} -mindepth 1; ls /srv"""
    assert tell("unshare", "--mount", "--propagation", "private", "sh", "-euc", script) == "zooparallel\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_purge_goes_on_where_a_file_system_is_mounted_below_its_directories():
    script = """
        for parent in /srv /var/lib /var/spool /run; do mount -t tmpfs none $parent; done
        mkdir -p /var/lib/zooparallel/jobs /var/lib/zooparallel/other /var/spool/zooparallel/queue
        mount -t tmpfs none /var/lib/zooparallel/jobs
        mkdir /var/lib/zooparallel/jobs/a
        sh conf/debian/postrm purge
        find /var/lib /var/spool -mindepth 1"""
    said = tell("unshare", "--mount", "--propagation", "private", "sh", "-euc", script)
    assert said == ("zooparallel: /var/lib/zooparallel is not empty: a file system is mounted there, or its files "
                    "cannot be removed\n/var/lib/zooparallel\n/var/lib/zooparallel/jobs\n")


# --- the package ----------------------------------------------------------------------------------

class Packages:
    """The package of this checkout, and one of a higher version whose worker is another build."""

    def __init__(self, folder):
        environment = {**os.environ, "DEB_BUILD_OPTIONS": "nocheck"}
        tell(TOP / "bootstrap", "deb", env=environment, timeout=900)
        [self.first] = (TOP / "build-deb").glob("zooparallel_*.deb")
        [self.changes] = (TOP / "build-deb").glob("*.changes")
        self.version = tell("dpkg-deb", "--field", self.first, "Version").strip()
        self.next_version = f"{self.version}+next"
        self.next = folder / "next.deb"
        self.make_next(folder / "tree")

    def make_next(self, tree):
        tell("dpkg-deb", "--raw-extract", self.first, tree)
        control = tree / "DEBIAN/control"
        control.write_text(control.read_text().replace(f"\nVersion: {self.version}\n",
                                                       f"\nVersion: {self.next_version}\n"))
        with open(tree / "usr/libexec/zooparallel/zooparallel-worker", "ab") as worker:
            worker.write(b"another build")  # behind what is loaded
        tell("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, self.next)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return Packages(tmp_path_factory.mktemp("packages"))


def packaged(path):
    """Where the package has it: units as Debian 12 wants them, longer texts compressed."""
    path = path.replace("/usr/lib/systemd/", "/lib/systemd/")
    is_text = path.startswith("/usr/share/man/") or path.endswith(".md")
    return f"{path}.gz" if is_text else path


def test_the_package_holds_what_is_installed_and_its_papers(packages, tmp_path):
    tell("dpkg-deb", "--extract", packages.first, tmp_path)
    expected = {packaged(path): mode for path, mode in LAYOUT.items()}
    assert files_below(tmp_path) == {**expected, **PACKAGED}
    owners = {line.split()[1] for line in tell("dpkg-deb", "--contents", packages.first).splitlines()}
    assert owners == {"root/root"}
    assert tell("dpkg-deb", "--info", packages.first, "conffiles") == "/etc/zooparallel/zooparalleld.conf\n"


def test_lintian_finds_nothing(packages):
    assert tell("lintian", "--allow-root", "--fail-on", "error,warning", packages.changes) == ""


# --- its life -------------------------------------------------------------------------------------

def dpkg(machine, step, what):
    """A package by its name, or a file of ours; returns what it says."""
    if isinstance(what, Path):
        machine.put(what, f"/tmp/{what.name}")
        what = f"/tmp/{what.name}"
    return machine.run(["dpkg", "--force-unsafe-io", step, what], timeout=LONG).stdout


class Site(Service):
    """The installed package, and what its administrator does with it."""

    def install(self, package):
        dpkg(self.machine, "--install", package)
        self.wait_ready()

    def version(self):
        """Of the installed package; empty if there is none."""
        asked = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", PACKAGE]
        status, _, version = self.machine.run(asked, check=False).stdout.partition(" ")
        return version if status == "installed" else ""

    def wait_ready(self):
        wait_until(lambda: self.curl("/readyz", "--fail", check=False).returncode == 0, "the service to be ready")

    def configure_and_restart(self, *lines):
        self.configure(*lines)
        self.machine.systemctl("restart", UNIT)
        self.wait_ready()

    def submit(self, spec, user=None):
        """Returns the job's ID."""
        return self.machine.run(["zooparallel", "submit", "-"], input=json.dumps(spec), user=user).stdout.split()[0]

    def begin_slow(self):
        """The ID of a job that takes some seconds, once it has rows; its one worker can be held."""
        self.configure_and_restart("chunk_size = 4B", "max_workers = 4")
        self.write("slow.csv", b"a,b\n" + b"1234567,abcdefg\n" * N_SLOW_ROWS)
        job_id = self.submit({**spec_of("slow.csv", "slow.jsonl"), "name": "slow", "workers": 1})
        self.wait_for_rows(job_id)
        self.check_runs(job_id)
        return job_id

    def check_runs(self, job_id):
        assert self.job(job_id)["state"] == "running", "too fast to be caught"

    @contextmanager
    def held(self, job_id):
        """The slow job's worker stands still inside, or until it dies: nothing takes too long for that job."""
        [pid] = wait_until(self.worker_pids, "the worker")
        self.machine.run(["sh", "-c", f"kill -STOP {pid}"])
        try:
            self.check_runs(job_id)
            yield
        finally:
            self.machine.run(["sh", "-c", f"kill -CONT {pid}"], check=False)

    def empty_root(self):
        self.machine.run(["find", ROOT, "-mindepth", "1", "-delete"])


def files(machine):
    """All that stays when the machine is off; its /etc/systemd/system is a file system of its own."""
    found = machine.run(["find", "/etc", "/etc/systemd/system", "/lib/systemd/", "/opt", "/srv", "/usr", "/var",
                         "-xdev", "-print"], timeout=LONG)
    return {path for path in found.stdout.splitlines() if not DEBIAN_KEEPS.fullmatch(path)}


@pytest.fixture(scope="module")
def machine():
    reason = obstacle()
    if reason:
        pytest.skip(reason)
    with Machine() as booted:
        # The manual's index would be made anew with every package.
        booted.run(["rm", "-f", "/var/lib/man-db/auto-update"])
        booted.run(["useradd", "--create-home", "ada"])
        booted.run(["useradd", "--create-home", "eve"])
        # What the machine outside has of ours is seen here, too.
        booted.run(["dpkg", "--purge", PACKAGE], check=False)
        booted.run(["rm", "-rf", "/etc/zooparallel", ROOT, "/var/lib/zooparallel", "/var/spool/zooparallel"])
        booted.files = files(booted)
        yield booted


@pytest.fixture(scope="module")
def installed(machine, packages):
    dpkg(machine, "--install", packages.first)
    return Site(machine)


@pytest.fixture
def site(installed, packages):
    """The first version, as just installed."""
    if installed.version() != packages.version:
        installed.install(packages.first)
    installed.reset()
    return installed.start()


def test_it_serves_when_it_is_installed(site):
    assert site.show("ActiveState") == "active" and site.show("User") == "zooparallel"
    assert site.machine.systemctl("is-enabled", UNIT).stdout.strip() == "enabled"
    assert site.machine.systemctl("is-enabled", SOCKET_UNIT, check=False).stdout.strip() == "disabled"
    modes = site.machine.run(["stat", "-c", "%n %a %U %G", ROOT, "/var/spool/zooparallel",
                              "/var/spool/zooparallel/incoming", "/var/lib/zooparallel", "/run/zooparallel", CONFIG])
    assert modes.stdout.splitlines() == [
        "/srv/zooparallel 2770 zooparallel zooparallel", "/var/spool/zooparallel 750 zooparallel zooparallel",
        "/var/spool/zooparallel/incoming 2770 zooparallel zooparallel",
        "/var/lib/zooparallel 750 zooparallel zooparallel", "/run/zooparallel 750 zooparallel zooparallel",
        f"{CONFIG} 644 root root"]


def blocks_of(heading):
    """The indented blocks of a section of README.Debian, as they would be typed."""
    text = (TOP / "conf/debian/README.Debian").read_text()
    section = text.split(f"\n{heading}\n{'-' * len(heading)}\n")[1].split("\n---")[0]
    return re.findall(r"(?:^    .*\n)+", section, flags=re.M)


def test_the_first_steps_are_as_told(site):
    [steps] = blocks_of("First steps")
    said = site.machine.run(["sh", "-euc", steps]).stdout
    assert '{"name":"Ada","city":"London"}' in said and "completed" in said


def test_a_user_of_the_group_may_submit_and_no_other(site):
    site.write("in.csv", "x,y\n1,2\n")
    spec = {**spec_of("in.csv", "out.jsonl"), "name": "of-a-user"}
    drop = ["sh", "-euc", f"echo '{json.dumps(spec)}' >/var/spool/zooparallel/incoming/of-a-user.json"]
    site.machine.run(["usermod", "--append", "--groups", "zooparallel", "ada"])
    site.configure_and_restart('allowed_users = {"root", "ada"}')
    job_id = site.submit(spec, user="ada")
    assert site.wait_job(job_id)["state"] == "completed"
    site.machine.run(drop, user="ada")
    assert site.wait_job(site.id_of("of-a-user", older=[job_id]))["state"] == "completed"
    for command in (drop, ["zooparallel", "ls"], ["cat", f"{ROOT}/out.jsonl"]):
        assert site.machine.run(command, user="eve", check=False).returncode != 0


def replace_under_a_job(site, package, job_id):
    """Unpacks and configures; between the two the old daemon runs on, without a look at the new files."""
    pid, before = site.pid, site.job(job_id)
    with site.held(job_id):
        dpkg(site.machine, "--unpack", package)
        assert site.pid == pid
        worker = site.machine.path(INSTALLED_WORKER)
        worker.chmod(0)
        between = site.submit({**spec_of("in.csv", "out.jsonl"), "workers": 1})
        assert site.wait_job(between)["state"] == "completed"
        worker.chmod(PROGRAM)
        dpkg(site.machine, "--configure", PACKAGE)
    site.wait_ready()
    assert site.pid != pid
    after = site.job(job_id)
    assert after["started_at"] == before["started_at"]
    assert after["total_processed"] >= before["total_processed"] > 0


def test_an_upgrade_and_a_downgrade_cost_no_row(site, packages):
    job_id = site.begin_slow()
    site.write("in.csv", "x,y\n1,2\n")
    for package, version in ((packages.next, packages.next_version), (packages.first, packages.version)):
        replace_under_a_job(site, package, job_id)
        assert site.version() == version
    site.expect_slow(job_id, timeout=LONG)
    went_on = [words for words in site.messages(f"JOB={job_id}") if "goes on after" in words]
    assert len(went_on) == 2 and all("another build" in words for words in went_on), went_on
    assert "chunk_size = 4B" in site.machine.path(CONFIG).read_text()


def test_a_removed_package_keeps_its_jobs(site, packages):
    job_id = site.begin_slow()
    site.stop()
    site.machine.systemctl("start", SOCKET_UNIT, UNIT)
    site.check_runs(job_id)
    dpkg(site.machine, "--remove", PACKAGE)
    assert site.machine.show(SOCKET_UNIT, "ActiveState") == site.show("ActiveState") == "inactive"
    assert site.curl("/", check=False).returncode == REFUSED and not site.worker_pids()
    assert (site.state / "jobs" / job_id / "spec.json").exists()
    assert site.machine.path(CONFIG).exists()
    site.machine.run(["chmod", "2750", ROOT])
    site.install(packages.first)
    assert site.machine.run(["stat", "-c", "%a", ROOT]).stdout == "2750\n"
    site.machine.run(["chmod", "2770", ROOT])
    site.expect_slow(job_id, timeout=LONG)


def test_a_purge_leaves_nothing_but_data(site, packages):
    site.write("in.csv", "x,y\n1,2\n")
    assert site.wait_job(site.submit(spec_of("in.csv", "out.jsonl")))["state"] == "completed"
    job_id = site.begin_slow()
    site.machine.systemctl("enable", SOCKET_UNIT)
    said = dpkg(site.machine, "--purge", PACKAGE)
    part = f"{ROOT}/.zp-{job_id}-0.part"
    assert f".zp-{job_id}-*.part" in said
    data = {ROOT, f"{ROOT}/in.csv", f"{ROOT}/out.jsonl", f"{ROOT}/slow.csv", part}
    assert files(site.machine) ^ site.machine.files == data
    assert not site.run_dir.exists() and site.show("LoadState") == "not-found"
    assert ":/var/lib/zooparallel:/usr/sbin/nologin" in site.machine.run(["getent", "passwd", PACKAGE]).stdout
    site.empty_root()
    site.install(packages.first)
    assert site.get("/api/v1/jobs").json["jobs"] == []
    dpkg(site.machine, "--purge", PACKAGE)
    assert files(site.machine) == site.machine.files
