# SPDX-License-Identifier: MIT
"""A machine of our own that a real systemd has booted, for what only systemd can show.

It is a set of namespaces: / is an overlay of this machine's files whose upper layer is in memory, so
what is installed and removed inside never reaches the files outside; processes, mounts, network, host
name and control groups are its own. systemd is process 1 there and starts only what a service needs.
Several can run at once. machine_boot.sh makes it and takes it down again, even if we are killed.

Needs root, overlayfs and namespaces; obstacle() says what is missing. No virtualisation, no dbus.
"""
import json
import os
import subprocess
import tempfile
import uuid
from pathlib import Path

from harness import PATIENCE, TOP, Reply, UnixConnection, wait_until

BOOT = TOP / "tests" / "support" / "machine_boot.sh"
BOOT_PATIENCE = 60
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
               "HOME": "/root", "SYSTEMD_PAGER": "", "DEBIAN_FRONTEND": "noninteractive"}
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
# An overlay over / with its upper layer on a tmpfs, as the machine's.
PROBE = """t=$(mktemp -d) && mount -t tmpfs tmpfs "$t" && mkdir "$t/u" "$t/w" "$t/r" &&
mount -t overlay -o "lowerdir=/,upperdir=$t/u,workdir=$t/w" overlay "$t/r"
code=$?; umount -l "$t"; rmdir "$t"; exit $code"""


def obstacle():
    """Why no machine can be booted here, in a line; None if it can."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    probe = subprocess.run(["unshare", *NAMESPACES, "--fork", "--propagation", "private", "sh", "-c", PROBE],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return f"namespaces or overlays are forbidden here: {probe.stdout.strip()}" if probe.returncode else None


class Machine:
    def __init__(self):
        self.name = f"machine-{uuid.uuid4().hex[:8]}"
        self.scratch = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.console = tempfile.TemporaryFile()
        # Killed with us, the boot script still takes everything down.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "--propagation",
                                         "private", str(BOOT), self.name, str(self.scratch)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.console,
                                        start_new_session=True)
        self.pid = None  # of its process 1, seen from here
        try:
            self.boot()
        except BaseException:
            self.stop()
            raise

    def boot(self):
        line = self.process.stdout.readline()
        assert line.strip(), f"the machine did not come up:\n{self.said()}"
        self.pid = int(line)
        wait_until(self.is_listening, "systemd to take orders", BOOT_PATIENCE)
        state = self.systemctl("is-system-running", "--wait", check=False, timeout=BOOT_PATIENCE).stdout.strip()
        # Degraded: some unit of this very Debian cannot run here, which is nothing to us.
        assert state in ("running", "degraded"), f"the machine is {state}:\n{self.said()}"

    def is_listening(self):
        assert self.process.poll() is None, f"the machine is gone:\n{self.said()}"
        return self.path("/run/systemd/private").is_socket()

    def said(self):
        self.console.seek(0)
        return self.console.read().decode(errors="replace")

    def stop(self):
        """As pulling the plug; returns once nothing is left of it."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.stdout.close()
        self.process.wait(BOOT_PATIENCE)
        assert not self.scratch.exists(), f"{self.scratch} was not taken down:\n{self.said()}"
        self.console.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def path(self, inside):
        """Where a file of the machine is seen from here. A link on the way must be relative."""
        return Path(f"/proc/{self.pid}/root", str(inside).lstrip("/"))

    def run(self, argv, check=True, input=None, timeout=PATIENCE, user=None):
        """A command inside; returns it with stdout and stderr as text. As root unless a user is named."""
        prefix = ["nsenter", f"--target={self.pid}", *NAMESPACES, "--root", "--wd"]
        if user is not None:
            prefix += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        done = subprocess.run([*prefix, *map(str, argv)], env=ENVIRONMENT, timeout=timeout, text=True,
                              stdin=subprocess.DEVNULL if input is None else None, input=input,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert not check or done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def put(self, source, inside, mode=0o644):
        """A file, or bytes, or text, at a path inside."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        data = source.read_bytes() if isinstance(source, Path) else source
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        target.chmod(mode)

    def install(self, build):
        """What `meson install` would put on this machine, then what its administrator would run."""
        with tempfile.TemporaryDirectory() as stage:
            subprocess.run(["meson", "install", "-C", str(build), "--no-rebuild", "--quiet", "--destdir", stage],
                           check=True, stdout=subprocess.DEVNULL)
            assert Path(stage, "usr/sbin/zooparalleld").exists(), f"{build} has another prefix; configure it anew"
            packed = Path(stage, "packed.tar")
            subprocess.run(["tar", "-C", stage, "--exclude=./packed.tar", "-cf", packed, "."], check=True)
            self.put(packed, "/tmp/packed.tar")
        self.run(["tar", "-C", "/", "--no-overwrite-dir", "-xf", "/tmp/packed.tar"])
        self.run(["systemd-sysusers"])
        self.run(["systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/zooparallel.conf"])
        self.systemctl("daemon-reload")

    def systemctl(self, *arguments, **options):
        return self.run(["systemctl", "--no-pager", *arguments], **options)

    def show(self, unit, name):
        return self.systemctl("show", "--property", name, "--value", unit).stdout.strip()

    def journal(self, unit, *matches):
        """The unit's messages as dictionaries of their fields, the oldest first."""
        self.run(["journalctl", "--sync"])
        lines = self.run(["journalctl", "--output=json", "--all", f"--unit={unit}", *matches]).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def request(self, method, path, socket, body=None, headers=None, timeout=PATIENCE):
        """HTTP over a unix socket inside: those are reached through the file system."""
        connection = UnixConnection(self.path(socket), timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()
