# SPDX-License-Identifier: MIT
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from harness import Daemon  # noqa: E402

# A file is one process's: the longest first, or one of them would run alone in the end.
LONGEST = ["test_package.py", "test_systemd.py", "test_prometheus.py", "test_watching.py"]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture
def start(tmp_path):
    """start(**settings): a daemon of the test's own, stopped and searched for leftovers at the end."""
    daemons = []

    def start_one(name="tree", **settings):
        daemons.append(Daemon(tmp_path / name, **settings))
        return daemons[-1].start()

    yield start_one
    finish(daemons)


def finish(daemons):
    try:
        for daemon in daemons:
            daemon.stop()
            daemon.check_clean()
    finally:
        for daemon in daemons:
            daemon.destroy()


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One daemon for all the tests that only convert; each works in a folder of its own."""
    daemon = Daemon(tmp_path_factory.mktemp("shared")).start()
    yield daemon
    finish([daemon])


@pytest.fixture
def place(shared, request):
    """Where a test keeps its files below the shared data root: place("in.csv")."""
    folder = request.node.name.replace("[", "-").replace("]", "").replace("/", "-")[:80]
    (shared.data / folder).mkdir()
    return lambda name: f"{folder}/{name}"
