# SPDX-License-Identifier: MIT
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import scale  # noqa: E402
import world  # noqa: E402
from harness import Daemon  # noqa: E402

REPORT = scale.Report()


@pytest.fixture
def make(tmp_path):
    """make(**settings): a daemon of the test's own, not yet started; ended with the test whatever happens."""
    daemons = []

    def make_one(name="tree", **settings):
        daemons.append(Daemon(tmp_path / name, **{**world.SETTINGS, **settings}))
        return daemons[-1]

    yield make_one
    for daemon in daemons:
        daemon.destroy()


@pytest.fixture
def start(make):
    return lambda *names, **settings: make(*names, **settings).start()


@pytest.fixture
def rng(request):
    return scale.chance(request.node.name)


@pytest.fixture(scope="session")
def report():
    return REPORT


@pytest.fixture(scope="session")
def long_data(tmp_path_factory):
    """Rows that keep four workers busy for a second or so, and what a quiet daemon makes of them."""
    return world.Dataset(60_000, "a").checked_by(tmp_path_factory.mktemp("quiet"))


@pytest.fixture(scope="session")
def short_data(tmp_path_factory):
    """Rows for a tenth of a second or two."""
    return world.Dataset(12_000, "b").checked_by(tmp_path_factory.mktemp("quiet"))


def pytest_terminal_summary(terminalreporter):
    if REPORT.rows:
        terminalreporter.write_line("")
        terminalreporter.write(REPORT.text())


def pytest_sessionfinish():
    if REPORT.rows:
        scale.REPORT.write_text(REPORT.text())
