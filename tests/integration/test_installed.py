# SPDX-License-Identifier: MIT
"""The command line on a machine on which the service is installed and run by a real systemd."""
import json

import pytest

from harness import IS_SANITIZED, spec_of
from test_systemd import UNIT, installed, machine, service  # noqa: F401

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="a machine is booted once, with the build that ships")


def examine(service):
    done = service.machine.run(["zooparallel", "doctor", "--json"], check=False)
    found = json.loads(done.stdout)
    assert done.returncode == any(finding["level"] == "problem" for finding in found), done.stderr
    return {(finding["check"], finding["subject"]): finding for finding in found}, found


def problems(found):
    return [finding for finding in found if finding["level"] == "problem"]


def test_an_installation_as_shipped_has_no_problem(service):
    service.start()
    by_subject, found = examine(service)
    assert not problems(found), problems(found)
    assert by_subject["user", "zooparallel"]["level"] == "ok"
    assert by_subject["unit_paths", "/srv/zooparallel"]["level"] == "ok"
    assert by_subject["unit", UNIT]["level"] in ("ok", "warning")
    assert str(service.pid) in by_subject["daemon", "/run/zooparallel/control.sock"]["message"]


def test_a_data_root_that_the_unit_closes_is_opened_as_advised(service):
    root = "/var/doctors-root"
    service.machine.run(["install", "-d", "-o", "zooparallel", "-m", "0750", root])
    service.configure(f'data_roots = {{"/srv/zooparallel", "{root}"}}')
    service.start()
    by_subject, found = examine(service)
    advice = by_subject["unit_paths", root]["advice"]
    assert {finding["check"] for finding in problems(found)} == {"unit_paths", "daemon_ready"}
    service.drop_in(advice.rpartition(" ")[2])
    service.machine.systemctl("restart", UNIT)
    assert not problems(examine(service)[1])


def test_a_service_that_does_not_start_is_a_problem(service):
    service.configure("max_jobz = 1")
    service.machine.systemctl("start", UNIT, check=False)
    by_subject, found = examine(service)
    assert {finding["check"] for finding in problems(found)} == {"configuration"}
    service.configure()
    by_subject, found = examine(service)
    assert by_subject["unit", UNIT]["level"] == "problem"


def test_logs_are_the_journals_of_one_job(service):
    service.start()
    service.write("in.csv", "a\n1\n")
    first = service.run(spec_of("in.csv", "o.jsonl", name="first"))["id"]
    second = service.run(spec_of("none.csv", "p.jsonl", name="second"))["id"]
    service.machine.run(["journalctl", "--sync"])
    lines = service.machine.run(["zooparallel", "logs", "--json", second]).stdout.splitlines()
    entries = [json.loads(line) for line in lines]
    assert entries and {entry["JOB"] for entry in entries} == {second}
    assert any("input_missing" in entry["MESSAGE"] for entry in entries)
    everything = service.machine.run(["zooparallel", "logs", "-n", "all", "--json"]).stdout
    assert first in everything and second in everything
    assert len(service.machine.run(["zooparallel", "logs", "-n", "1", "--json"]).stdout.splitlines()) == 1
