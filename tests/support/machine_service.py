# SPDX-License-Identifier: MIT
"""zooparallel.service on a systemd_machine, with all that the harness asks of a daemon.

Its folders are the installed ones, seen from outside; it is asked over its control socket.
"""
import re
import shutil
import time

from harness import PATIENCE, Daemon, spec_of, wait_until

UNIT = "zooparallel.service"
SOCKET_UNIT = "zooparallel.socket"
CONTROL_SOCKET = "/run/zooparallel/control.sock"
DROP_IN = "/etc/systemd/system/zooparallel.service.d/test.conf"
CONFIG = "/etc/zooparallel/zooparalleld.conf"
N_SLOW_ROWS = 1 << 18
# A test waits for no restart longer than it must.
QUICK = "RestartSec=100ms"


class Service(Daemon):
    def __init__(self, machine):
        self.machine = machine
        self.data = machine.path("/srv/zooparallel")
        self.spool = machine.path("/var/spool/zooparallel")
        self.state = machine.path("/var/lib/zooparallel")
        self.run_dir = machine.path("/run/zooparallel")
        self.tree = self.spool  # specs are written here, then renamed into incoming/
        self.owner = None
        self.begun_us = 0
        self.original_config = machine.path(CONFIG).read_bytes()

    def reset(self):
        """As just installed: no jobs, no state, no drop-in; started by nobody."""
        self.machine.systemctl("stop", SOCKET_UNIT, UNIT)
        self.machine.systemctl("revert", UNIT)  # which reloads the units, too
        self.machine.put(self.original_config, CONFIG)
        for folder in (self.data, self.state, self.run_dir, *self.spool.glob("*/")):
            for path in folder.glob("*") if folder.exists() else ():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.machine.systemctl("reset-failed")
        self.begun_us = time.time_ns() // 1000

    def drop_in(self, *lines):
        """Settings of the unit's [Service] section, besides the shipped ones, from the next start on."""
        self.machine.put("\n".join(["[Service]", QUICK, *lines, ""]), DROP_IN)
        self.machine.systemctl("daemon-reload")

    def configure(self, *lines):
        self.machine.put(self.original_config + "\n".join([*lines, ""]).encode(), CONFIG)

    def start(self):
        self.machine.systemctl("start", UNIT, check=False)
        assert self.show("ActiveState") == "active", self.log[-5000:]
        return self

    def stop(self):
        self.machine.systemctl("stop", UNIT)

    def signal(self, name):
        """To the daemon alone."""
        self.machine.systemctl("kill", f"--signal={name}", "--kill-whom=main", UNIT)

    def show(self, name):
        return self.machine.show(UNIT, name)

    @property
    def pid(self):
        """As the machine counts: 0 while there is none."""
        return int(self.show("MainPID"))

    def worker_pids(self, mode="convert"):
        """As the machine counts."""
        found = []
        for entry in self.machine.path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if arguments[:2] == [b"zooparallel-worker", mode.encode()]:
                found.append(int(entry.parent.name))
        return found

    def kill_worker(self):
        self.machine.run(["sh", "-c", f"kill -KILL {self.worker_pids()[0]}"])

    def journal(self, *matches):
        """What the unit has said since the reset: what lies before is another test's."""
        entries = self.machine.journal(UNIT, *matches)
        return [entry for entry in entries if int(entry["__REALTIME_TIMESTAMP"]) >= self.begun_us]

    def messages(self, *matches):
        return [str(entry["MESSAGE"]) for entry in self.journal(*matches)]

    @property
    def log(self):
        return "\n".join(self.messages())

    def wait_for_another(self, pid):
        """Until systemd has replaced the daemon with this pid by a new one that is ready."""
        wait_until(lambda: self.show("ActiveState") == "active" and self.pid not in (0, pid), "a restart")

    def request(self, method, path, body=None, headers=None, unix=True, timeout=PATIENCE):
        return self.machine.request(method, path, CONTROL_SOCKET, body, headers, timeout)

    def curl(self, path, *options, check=True):
        """Over TCP, as a scraper on that machine: the answer's body."""
        return self.machine.run(["curl", "-sS", "--max-time", "20", *options, f"http://127.0.0.1:9917{path}"],
                                check=check)

    def rows(self, name=r"[^\"]*"):
        """All rows ever counted, or those of jobs of a name, by the text of a scrape."""
        counter = rf'^zooparallel_rows_processed_total{{pipe="{name}"}} (\d+)$'
        samples = re.findall(counter, self.get("/metrics").text, re.M)
        return sum(map(int, samples))

    def write(self, name, data):
        """What a member of the group would put there."""
        path = super().write(name, data)
        path.chmod(0o644)
        return path

    def start_slow(self, *drop_in, n_rows=N_SLOW_ROWS):
        """Starts it, and with tiny chunks a job that takes long enough to be caught in its middle; its ID."""
        self.configure("chunk_size = 24B")
        self.drop_in(*drop_in)
        self.start()
        self.write("slow.csv", b"a,b\n" + b"1234567,abcdefg\n" * n_rows)
        self.drop(spec_of("slow.csv", "slow.jsonl"), "slow")
        job_id = self.id_of("slow")
        self.wait_for_rows(job_id)
        return job_id

    def wait_for_rows(self, job_id):
        """How many rows of it are counted, once there are some."""
        return wait_until(lambda: self.job(job_id)["accepted_processed"], "rows")

    def expect_slow(self, job_id, n_rows=N_SLOW_ROWS, timeout=PATIENCE):
        """The slow job has come to its end, and every row with it."""
        job = self.wait_job(job_id, timeout)
        assert job["state"] == "completed", job
        assert job["total_processed"] == job["success_count"] == n_rows
        self.expect_rows("slow.jsonl", n_rows)
        assert self.metric("zooparallel_rows_processed_total", pipe="slow") == n_rows

    def expect_rows(self, name, n_rows):
        assert self.read(name) == b'{"a":"1234567","b":"abcdefg"}\n' * n_rows
