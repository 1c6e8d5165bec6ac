# SPDX-License-Identifier: MIT
"""The judges themselves: each wrong output is seen as what it is."""
import json

import pytest

import oracle
import world
from world import Dataset

SMALL = Dataset(3000, "v")
SMALL.errors = b"".join(
    json.dumps({"row": f"{bad['id']},...", **{key: bad[key] for key in ("code", "offset", "line")}}).encode() + b"\n"
    for bad in SMALL.bad)


def lines_of(data):
    return data.splitlines(keepends=True)


def test_the_data_set_is_what_the_oracle_makes_of_it():
    expected = oracle.convert([("in.csv", SMALL.data)])
    assert expected.output == SMALL.output
    found = [{"id": reject["row"].split(",")[0], **{key: reject[key] for key in ("code", "offset", "line")}}
             for reject in expected.rejects]
    assert found == SMALL.bad and len(found) >= 3


def test_the_right_output_is_right():
    assert SMALL.judge_output(SMALL.output).is_right
    assert SMALL.judge_errors(SMALL.errors).is_right


@pytest.mark.parametrize("data, judge", [(SMALL.output, SMALL.judge_output), (SMALL.errors, SMALL.judge_errors)],
                         ids=["output", "errors"])
def test_a_wrong_row_is_seen(data, judge):
    lines = lines_of(data)
    lost = judge(b"".join(lines[:1] + lines[2:]))
    assert (lost.lost, lost.doubled, lost.is_right) == (1, 0, False)
    doubled = judge(b"".join(lines[:2] + lines[1:]))
    assert (doubled.lost, doubled.doubled, doubled.is_right) == (0, 1, False)
    swapped = judge(b"".join([lines[1], lines[0], *lines[2:]]))
    assert (swapped.lost, swapped.doubled, swapped.misplaced, swapped.is_right) == (0, 0, 2, False)
    replaced = judge(b"".join([lines[1], *lines[1:]]))
    assert (replaced.lost, replaced.doubled, replaced.is_right) == (1, 1, False)


def test_a_row_with_another_value_is_seen():
    changed = SMALL.judge_output(SMALL.output.replace(b"New York", b"New Yolk", 1))
    assert (changed.lost, changed.doubled, changed.misplaced, changed.is_right) == (0, 0, 0, False)


def test_a_cut_or_empty_output_is_seen():
    assert SMALL.judge_output(b"").lost == len(SMALL.ids)
    assert not SMALL.judge_output(SMALL.output[:-1]).is_right


class Still(world.Watcher):
    """Looks at nothing; its scrapes come from the test."""

    def look(self):
        pass


def test_a_counter_that_goes_back_is_seen():
    class Reply:
        def __init__(self, value):
            self.status, self.text = 200, f'zooparallel_rows_processed_total{{pipe="a"}} {value}\n'

    class NoDaemon:
        process = None

    reader = world.CounterReader(NoDaemon())
    for value in (1, 5, 5, 7):
        reader.take(Reply(value))
    assert not reader.faults
    reader.take(Reply(6))
    assert len(reader.faults) == 1 and "went back" in reader.faults[0]


def test_a_target_that_is_neither_file_is_seen(tmp_path):
    class OneCase:
        class daemon:  # noqa: N801
            data = tmp_path
        dataset = SMALL

    reader = world.TargetReader(OneCase)
    path = tmp_path / "out.jsonl"
    for data in (world.OLD, SMALL.output):
        path.write_bytes(data)
        reader.look()
    assert not reader.faults
    for data in (b"", SMALL.output[:100], SMALL.output + b"{}\n"):
        path.write_bytes(data)
        reader.look()
    assert len(reader.faults) == 3


def test_what_a_watcher_found_fails_the_test():
    with pytest.raises(AssertionError):
        with Still() as still:
            still.faults.append("something")
