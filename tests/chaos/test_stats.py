# SPDX-License-Identifier: MIT
"""Stats files are broken ten times a second while a job runs: every scrape is whole, no counter goes back."""
import signal
import time

import scale
import world
from corruptions import CORRUPTIONS
from harness import FINAL, OPENMETRICS, check_metrics

SEVEN = [kind for kind in CORRUPTIONS if kind != "directory"]
PERIOD = 0.1
PROMTOOL_EVERY = 20


class StrictReader(world.CounterReader):
    """Reads every scrape with the reference parsers, and now and then with promtool."""

    def scrape(self):
        reply = super().scrape()
        modern = self.daemon.get("/metrics", headers={"Accept": OPENMETRICS}, timeout=10)
        check_metrics(modern.text, openmetrics=True)
        if self.n_looks % PROMTOOL_EVERY == 0:
            check_metrics(reply.text, openmetrics=False)
        for path in ("/api/v1/status", "/api/v1/jobs", "/healthz", "/readyz"):
            if (status := self.daemon.get(path, timeout=10).status) != 200:
                self.faults.append(f"{path} was answered with {status}")
        return reply


def corrupt_one(daemon, job_id, kind, rng):
    """Whether there was a file to break: a worker that ends or starts may take it away meanwhile."""
    paths = sorted((daemon.run_dir / "jobs" / job_id).glob("worker-*.stats"))
    paths = [path for path in paths if path.is_file() and not path.is_symlink()]
    if not paths:
        return False
    try:
        CORRUPTIONS[kind](rng.choice(paths))
    except (FileNotFoundError, IsADirectoryError):
        return False
    return True


def revive_one(daemon, rng):
    """A worker's successor gets a new file, so that there is always one to break."""
    pids = [pid for pid, mode in world.children_of(daemon.pid) if mode == "convert"]
    if pids:
        world.kill(rng.choice(pids), signal.SIGKILL)


def test_broken_stats_files_break_nothing_else(start, long_data, report, rng):
    harm = "corruptions of stats files"
    with report.measure(harm) as figures:
        daemon = start()
        case = world.Case(daemon, long_data)
        done = set()
        with StrictReader(daemon) as reader, world.TargetReader(case):
            while figures.n < scale.number(harm):
                job_id = case.drop()
                while (job := daemon.job(job_id))["state"] not in FINAL:
                    kind = SEVEN[figures.n % len(SEVEN)]
                    if figures.n < scale.number(harm) and corrupt_one(daemon, job_id, kind, rng):
                        figures.n += 1
                        done.add(kind)
                    else:
                        revive_one(daemon, rng)
                    time.sleep(PERIOD)
                case.check_completed(job, figures)
        assert done == set(SEVEN)
        assert daemon.metric("zooparallel_stats_files_invalid_total") > 0
        figures.notes.append(f"{reader.n_looks} scrapes, none failed")
        assert not (left := world.stop_and_search(daemon, figures)), left
