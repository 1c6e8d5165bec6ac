# SPDX-License-Identifier: MIT
"""The order of syncs and renames: the rules on traces made by hand, then on a real commit."""
import pytest

import order
import strace
import world
from harness import IS_SANITIZED

PART = "/d/.zp-J-0.part"
STATE = "/s/jobs/J"

# Each line by the name under which a wrong trace leaves it out or moves it.
RIGHT = {
    "spec tmp": f'4 write(8<{STATE}/.zp-0.tmp>, "{{}}", 2) = 2',
    "spec tmp sync": f"4 fsync(8<{STATE}/.zp-0.tmp>) = 0",
    "spec": f'4 renameat(6<{STATE}>, ".zp-0.tmp", 6<{STATE}>, "spec.json") = 0',
    "spec dir": f"4 fsync(6<{STATE}>) = 0",
    "jobs dir": "4 fsync(6</s/jobs>) = 0",
    "claim": '4 renameat2(3</sp/incoming>, "a.json", 4</sp/active>, "J.a.json", RENAME_NOREPLACE) = 0',
    "active dir": "4 fsync(6</sp/active>) = 0",
    "incoming dir": "4 fsync(6</sp/incoming>) = 0",
    "row": f'7 pwrite64(9<{PART}>, "..."..., 10, 0) = 10',
    "plan tmp": f'5 write(8<{STATE}/.zp-1.tmp>, "{{}}", 2) = 2',
    "plan tmp sync": f"5 fsync(8<{STATE}/.zp-1.tmp>) = 0",
    "plan": f'5 renameat(6<{STATE}>, ".zp-1.tmp", 6<{STATE}>, "plan.json") = 0',
    "plan dir": f"5 fsync(6<{STATE}>) = 0",
    "data sync": f"5 fdatasync(9<{PART}>) = 0",
    "record": f'5 pwrite64(4<{STATE}/checkpoint-0>, "..."..., 4096, 0) = 4096',
    "record end": f"5 ftruncate(4<{STATE}/checkpoint-0>, 328) = 0",
    "record sync": f"5 fdatasync(4<{STATE}/checkpoint-0>) = 0",
    "record dir": f"5 fsync(6<{STATE}>) = 0",
    "row 2": f'7 pwrite64(9<{PART}>, "..."..., 10, 10) = 10',
    "data sync 2": f"5 fdatasync(9<{PART}>) = 0",
    "record 2": f'5 pwrite64(4<{STATE}/checkpoint-1>, "..."..., 4096, 0) = 4096',
    "record 2 sync": f"5 fdatasync(4<{STATE}/checkpoint-1>) = 0",
    "row 3": f'7 pwrite64(9<{PART}>, "..."..., 10, 20) = 10',
    "cut": f"5 ftruncate(9<{PART}>, 30) = 0",
    "finish": f"5 fsync(9<{PART}>) = 0",
    "commit tmp": f'5 write(8<{STATE}/.zp-2.tmp>, "{{}}", 2) = 2',
    "commit tmp sync": f"5 fsync(8<{STATE}/.zp-2.tmp>) = 0",
    "commit": f'5 renameat(6<{STATE}>, ".zp-2.tmp", 6<{STATE}>, "commit.json") = 0',
    "commit dir": f"5 fsync(6<{STATE}>) = 0",
    "publish": '5 renameat2(3</d>, ".zp-J-0.part", 3</d>, "out.jsonl", 0) = 0',
    "target dir": "5 fsync(7</d>) = 0",
    "result tmp": f'5 write(8<{STATE}/.zp-3.tmp>, "{{}}", 2) = 2',
    "result tmp sync": f"5 fsync(8<{STATE}/.zp-3.tmp>) = 0",
    "result": f'5 renameat(6<{STATE}>, ".zp-3.tmp", 6<{STATE}>, "result.json") = 0',
    "result dir": f"5 fsync(6<{STATE}>) = 0",
    "receipt": '5 renameat2(4</sp/active>, "J.a.json", 5</sp/done>, "J.a.json", 0) = 0',
}


def faults_of(lines):
    return order.faults_of(order.events_of("\n".join(lines) + "\n"))


def test_the_right_order_is_right():
    assert len(order.events_of("\n".join(RIGHT.values()))) == len(RIGHT)
    assert faults_of(RIGHT.values()) == []


# Behind the last record comes the commit, which does not rely on it.
@pytest.mark.parametrize("missing", [name for name in RIGHT if ("sync" in name or "dir" in name or name == "finish")
                                     and name != "record 2 sync"])
def test_a_sync_that_is_missing_is_seen(missing):
    assert faults_of(line for name, line in RIGHT.items() if name != missing)


@pytest.mark.parametrize("name, later", [("finish", "publish"), ("target dir", "result"), ("data sync", "record"),
                                         ("data sync 2", "record 2"), ("plan dir", "record"), ("commit dir", "publish"),
                                         ("result dir", "receipt"), ("finish", "receipt"),
                                         ("jobs dir", "claim"), ("spec dir", "claim"), ("active dir", "publish")])
def test_a_sync_that_comes_too_late_is_seen(name, later):
    lines = dict(RIGHT)
    line = lines.pop(name)
    moved = []
    for other, text in lines.items():
        moved += [text, line] if other == later else [text]
    assert faults_of(moved)


def test_a_write_after_the_last_sync_is_seen():
    lines = list(RIGHT.values())
    at = list(RIGHT).index("publish")
    assert faults_of([*lines[:at], RIGHT["row"], *lines[at:]])


def test_a_write_that_was_under_way_when_the_sync_began_is_not_vouched_for():
    lines = dict(RIGHT)
    lines["cut"] = f'7 pwrite64(9<{PART}>, "..."..., 10, 30 <unfinished ...>'
    lines["finish"] = f"5 fsync(9<{PART}>) = 0\n7 <... pwrite64 resumed>) = 10"
    assert faults_of(lines.values())


def test_a_sync_that_had_not_ended_or_has_failed_does_not_count():
    lines = dict(RIGHT)
    lines["finish"] = f"5 fsync(9<{PART}> <unfinished ...>"
    lines["publish"] = f"6{lines['publish'][1:]}\n5 <... fsync resumed>) = 0"
    assert faults_of(lines.values())
    lines = dict(RIGHT)
    lines["finish"] = f"5 fsync(9<{PART}>) = -1 EIO (Input/output error)"
    assert faults_of(lines.values())


@pytest.mark.skipif(IS_SANITIZED, reason="the leak sanitizer cannot work under strace")
def test_a_real_job_keeps_the_order(make, long_data, tmp_path, report):
    strace.require_strace(tmp_path)
    path = tmp_path / "trace"
    with report.measure("order of syncs and renames") as figures:
        daemon = make(wrapper=("strace", "-D", "-f", "-q", "-y", "-s", "300", "--seccomp-bpf", "-o", str(path),
                               "-e", "trace=" + ",".join(order.TRACED)))
        case = world.Case(daemon.start(), long_data)
        case.check_completed(case.wait(case.drop(), timeout=60), figures)
        world.wait_receipts(daemon, 1)
        assert not (left := world.stop_and_search(daemon, figures)), left
        events = order.events_of(path.read_text())
        figures.n = len(events)
        renamed = {event.target.rpartition("/")[2] for event in events if event.kind == "rename"}
        assert {"out.jsonl", "errors.jsonl", "commit.json", "result.json"} <= renamed, renamed
        assert any(event.kind == "write" and order.PART.search(event.path) for event in events)
        n_records = len(order.records_of(events))
        figures.notes.append(f"{n_records} checkpoint records")
        assert n_records, "no checkpoint was caught"
        assert not (faults := order.faults_of(events, volatile=f"{daemon.run_dir}/")), faults
