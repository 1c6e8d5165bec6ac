# SPDX-License-Identifier: MIT
"""Rows in, rows out: each job's bytes, rejects and account are those of the oracle."""
import csv
import json
import random
import stat

import pytest

import oracle
from harness import spec_of, without_message
from oracle import Dialect

PLAIN = b"id,name,city\n1,Ada,London\n2,Grace,New York\n3,Edsger,Rotterdam\n"


def convert(daemon, place, files, *, input_name="in.csv", dialect=Dialect(), errors=None, output=None, **options):
    """Run one job over files {name: bytes}; compare everything with the oracle."""
    for name, data in files.items():
        daemon.write(place(name), data)
    inputs = {"delimiter": dialect.delimiter, "quotechar": dialect.quotechar, "strict": dialect.strict,
              "max_row_bytes": dialect.max_row_bytes, **options}
    job = daemon.run(spec_of(place(input_name), place("out.jsonl"), input=inputs, output=output,
                             errors={"path": place("errors.jsonl"), "max_ratio": 1, **(errors or {})}))
    expected = oracle.convert(sorted((place(name), data) for name, data in files.items()), dialect,
                              job=job["name"], **options)
    assert job["state"] == "completed" and job["reason"] == "ok", job
    assert daemon.read(place("out.jsonl")) == expected.output
    assert without_message(daemon.read(place("errors.jsonl"))) == expected.rejects
    check_account(daemon, job, expected)
    return job, expected


def check_account(daemon, job, expected):
    """The same numbers in the API and in the result on disk, and they add up."""
    for view in (job, daemon.result(job["id"])):
        assert view["total_processed"] == expected.total_processed
        assert view["success_count"] == expected.success_count
        assert view["error_count"] == len(expected.rejects)
        assert view["filtered"] == 0


def table(rows, rng=random.Random(7)):
    """A table with every kind of harmless field, and some rows that must be rejected."""
    out = ["id,text,note\n"]
    for n in range(rows):
        text = rng.choice(["plain", '"quoted, comma"', '"two\nlines"', '"a ""b"" c"', "Zürich 東京", ""])
        note = rng.choice(["x", "", "longer text here", 'q"uote', "1,2"] if n % 50 == 0 else ["x", "", "tail"])
        out.append(f"{n},{text},{note}\n")
    return "".join(out).encode()


@pytest.mark.parametrize("rows", [0, 1, 2, 1000, 60000])
def test_any_size(shared, place, rows):
    convert(shared, place, {"in.csv": table(rows)})


@pytest.mark.parametrize("data", [
    b"", b"\n", b"a,b", b"a,b\n", b"\xef\xbb\xbf", b"\xef\xbb\xbfa,b\n1,2\n", b"a,b\r\n1,2\r\n3,4", b"a\n\n1\n\n",
    b"a,b\n\n1,2\n\r\n3,4\n", b'a,b\n"x\r\ny",2\n', b'"a""q","b,c"\n1,2\n', b"a,a,,a\n1,2,3,4\n",
    b'a,b\n"","""",\n"","""\n"\n', "a,ö\n1,\u2028\n".encode(), b'a,b\n\x01\x1f\x7f,"\t\\"\n',
], ids=repr)
def test_small_inputs(shared, place, data):
    convert(shared, place, {"in.csv": data})


@pytest.mark.parametrize("data", [
    b"a,b\n1\n2,3\n4,5,6\n7,8\n", b'a,b\n"x"y,1\n2,3\n', b"a,b\n1,\r2\n2,3\n", b"a,b\n\xff,1\n2,3\n",
    b"a,b\n1,\x002\n2,3\n", b'a,b\n2,3\n"open,1\n4,5\n', b'a,b\n2,3\n"x" ,\xff\n', b'a,b\n2,3\n"x"\r4,5\n',
    b"a,b\n2,3\n1,\xed\xa0\x80\n", b'a,b\n2,3\n"\x00",1\n4,5\r', b"a,b\n2,3\n\xe2\x82\n\xac,1\n",
], ids=repr)
def test_rejected_rows(shared, place, data):
    _, expected = convert(shared, place, {"in.csv": data})
    assert expected.rejects


ODD_FIELDS = [b'"shut" late', b'"a"b', b'"a""b"', b'"a"""', b'""', b'"\n"', b'a"b', b'\r', b'"\r\n"', b'"x"\r', "é".encode(),
              b"\xff", b"\0", b'"a,b"', b'"\\"']


@pytest.mark.parametrize("field", ODD_FIELDS, ids=repr)
def test_a_field_is_the_same_wherever_it_lies(shared, place, field):
    """At every distance from the row's start: scanners work in blocks, and rows must not know."""
    rows = [b"%s,%s,%s" % (b"x" * (n % 150), field, b"y" * (n // 150)) for n in range(1500)]
    convert(shared, place, {"in.csv": b"a,b,c\n1,2,3\n" + b"\n".join(rows)})


def test_strict_rejects_a_stray_quote(shared, place):
    data = b'a,b\n1,x"y\n2,z\n'
    assert convert(shared, place, {"in.csv": data}, dialect=Dialect(strict=True))[1].rejects


@pytest.mark.parametrize("dialect", [Dialect(";"), Dialect("\t"), Dialect("|", "'"), Dialect(",", None), Dialect("a", "b")],
                         ids=lambda dialect: repr((dialect.delimiter, dialect.quotechar)))
def test_other_dialects(shared, place, dialect):
    d, q = dialect.delimiter, dialect.quotechar or '"'
    data = f"x{d}y\n1{d}{q}2{q}\n{q}3{q}{d}{q}4{d}{q}\n".encode() if dialect.quotechar else b'x,y\n"1,2"\n"3,"""\n'
    convert(shared, place, {"in.csv": data}, dialect=dialect)


@pytest.mark.parametrize("options", [
    {"skip_rows": 2}, {"header": False}, {"header": False, "fieldnames": ["x", "y", "z"]},
    {"fieldnames": ["x", "y", "z"]}, {"limit": 0}, {"limit": 1}, {"limit": 2}, {"limit": 99},
    {"skip_rows": 1, "header": False, "limit": 1},
], ids=repr)
def test_options(shared, place, options):
    data = b"note one\nnote two\n" + PLAIN if options.get("skip_rows") == 2 else PLAIN
    convert(shared, place, {"in.csv": data}, **options)


def test_limit_counts_rows_across_many_chunks(shared, place):
    convert(shared, place, {"in.csv": table(60000)}, limit=34567)


def test_long_rows(shared, place):
    data = b"a,b\n" + b"x" * 5000 + b",1\n2,3\n" + b"y" * 300 + b",4\n" + b'"' + b"z" * 6000 + b"\n5,6\n"
    convert(shared, place, {"in.csv": data}, dialect=Dialect(max_row_bytes=4096))


def test_a_row_is_shown_up_to_4_kib_at_a_characters_border(shared, place):
    data = b"a,b\n1,2\n" + "x".encode() + "é".encode() * 3000 + b"\n" + b"\xff" * 5000 + b",1\n3,4\n"
    convert(shared, place, {"in.csv": data})


def test_a_glob_keeps_bytewise_order_and_matches_columns_by_name(shared, place):
    convert(shared, place, {
        "p-10.csv": b"id,name\n1,a\n2,b\n", "p-2.csv": b"\xef\xbb\xbfname,id\r\nc,3\r\n", "p-a.csv": b"",
        "p-B.csv": b'id,name\n"4",d',
    }, input_name="p-*.csv")


def test_ten_thousand_columns(shared, place):
    names = ",".join(f"c{n}" for n in range(10000))
    row = ",".join(str(n) for n in range(10000))
    convert(shared, place, {"in.csv": f"{names}\n{row}\n{row},extra\n{row}\n".encode()})


def test_pipes_convert_side_by_side(shared, place):
    data = {n: table(2000 + n, random.Random(n)) for n in range(3)}
    pipes = []
    for n in data:
        shared.write(place(f"in{n}.csv"), data[n])
        pipes.append({"input": {"path": place(f"in{n}.csv")}, "output": {"path": place(f"out{n}.jsonl")},
                      "errors": {"path": place(f"errors{n}.jsonl")}})
    job = shared.run({"version": 1, "pipes": pipes})
    assert job["state"] == "completed", job
    total = 0
    for n in data:
        expected = oracle.convert([(place(f"in{n}.csv"), data[n])], job=job["name"])
        assert shared.read(place(f"out{n}.jsonl")) == expected.output
        assert without_message(shared.read(place(f"errors{n}.jsonl"))) == expected.rejects
        total += expected.total_processed
    assert job["total_processed"] == total


def test_without_an_error_file_the_first_rejects_stay_with_the_job(shared, place):
    data = b"a,b\n" + b"1,2\n" * 1500 + b"bad\n" * 1200
    shared.write(place("in.csv"), data)
    job = shared.run(spec_of(place("in.csv"), place("out.jsonl"), errors={"max_ratio": 1}))
    assert job["state"] == "completed" and job["error_count"] == 1200
    expected = oracle.convert([(place("in.csv"), data)], job=job["name"])
    kept = (shared.state / "jobs" / job["id"] / "errors.jsonl").read_bytes()
    assert without_message(kept) == expected.rejects[:1000]


def test_more_rejects_than_allowed_fail_the_job_and_publish_only_the_errors(shared, place):
    data = b"a,b\n" + b"1,2\nbad\n" * 100
    shared.write(place("in.csv"), data)
    job = shared.run(spec_of(place("in.csv"), place("out.jsonl"), errors={"path": place("e.jsonl"), "max_rows": 7, "max_ratio": 1}))
    assert (job["state"], job["reason"]) == ("failed", "rejects_exceeded")
    expected = oracle.convert([(place("in.csv"), data)], job=job["name"])
    assert without_message(shared.read(place("e.jsonl"))) == expected.rejects[:8]
    assert not (shared.data / place("out.jsonl")).exists()


@pytest.mark.parametrize("bad,state", [(50, "completed"), (51, "failed")])
def test_the_ratio_is_judged_at_the_end(shared, place, bad, state):
    shared.write(place("in.csv"), b"a,b\n" + b"bad\n" * bad + b"1,2\n" * (100 - bad))
    assert shared.run(spec_of(place("in.csv"), place("out.jsonl")))["state"] == state


def test_all_rows_rejected_is_failed(shared, place):
    shared.write(place("in.csv"), b"a,b\nbad\nbad\n")
    job = shared.run(spec_of(place("in.csv"), place("out.jsonl"), errors={"max_ratio": 1}))
    assert (job["state"], job["reason"]) == ("failed", "rejects_exceeded")
    assert not (shared.data / place("out.jsonl")).exists()


def test_the_target_keeps_its_mode(shared, place):
    shared.write(place("in.csv"), PLAIN)
    shared.write(place("out.jsonl"), "old").chmod(0o604)
    assert shared.run(spec_of(place("in.csv"), place("out.jsonl")))["state"] == "completed"
    assert stat.S_IMODE((shared.data / place("out.jsonl")).stat().st_mode) == 0o604


@pytest.mark.parametrize("output,mode", [({}, 0o640), ({"mode": "0600"}, 0o600)], ids=["default", "given"])
def test_a_new_target_has_its_mode(shared, place, output, mode):
    shared.write(place("in.csv"), PLAIN)
    assert shared.run(spec_of(place("in.csv"), place("out.jsonl"), output=output))["state"] == "completed"
    assert stat.S_IMODE((shared.data / place("out.jsonl")).stat().st_mode) == mode


def test_the_old_file_is_replaced_whole(shared, place):
    """A reader that has the old file open still sees the old file."""
    shared.write(place("in.csv"), PLAIN)
    with open(shared.write(place("out.jsonl"), b"old"), "rb") as old:
        assert shared.run(spec_of(place("in.csv"), place("out.jsonl")))["state"] == "completed"
        assert old.read() == b"old"
    assert shared.read(place("out.jsonl")) == oracle.convert([("", PLAIN)]).output


def test_a_large_output_takes_no_more_space_than_its_bytes(start):
    """What is allocated ahead of the writes is given back, also of a job that goes on after the daemon's death."""
    n_rows, most_beside = 1_150_000, 1 << 20  # just over a border of what is allocated at once
    row = oracle.to_json(["a", "b"], ["1234567", "abcdefg"]).encode()
    daemon = start(chunk_size=128)
    daemon.write("large.csv", b"a,b\n" + b"1234567,abcdefg\n" * n_rows)
    daemon.drop(spec_of("large.csv", "large.jsonl", workers=2), "large")
    job_id = daemon.id_of("large")
    with daemon.stopped_workers(job_id):
        daemon.kill()
    daemon.start()
    assert daemon.wait_job(job_id)["state"] == "completed"
    assert daemon.read("large.jsonl") == row * n_rows
    assert (daemon.data / "large.jsonl").stat().st_blocks * 512 < len(row) * n_rows + most_beside


REAL = [  # Debian's unicode-data and ieee-data: no header and `;`; quotes, CRLF and UTF-8
    ("/usr/share/unicode/UnicodeData.txt", Dialect(";"), {"header": False}),
    ("/usr/share/ieee-data/oui.csv", Dialect(), {}),
]


@pytest.mark.parametrize("path,dialect,options", REAL, ids=["UnicodeData", "oui"])
def test_real_data_as_python_reads_it(shared, place, path, dialect, options):
    with open(path, "rb") as file:
        data = file.read()
    convert(shared, place, {"in.csv": data}, dialect=dialect, **options)
    # Once more without the oracle: Python's csv and json alone.
    rows = list(csv.reader(data.decode().splitlines(keepends=True), delimiter=dialect.delimiter))
    if options.get("header", True):
        rows.pop(0)
    assert [list(json.loads(line).values()) for line in shared.read(place("out.jsonl")).splitlines()] == rows


@pytest.mark.parametrize("quote", [b'1,x"y,2\n', b'"1,open,2\n'], ids=["stray", "unclosed"])
def test_one_bad_quote_costs_one_row(shared, place, quote):
    """Not the rest of the file."""
    rows = b"".join(b"%d,%d,%d\n" % (n, n * 7, n * 13) for n in range(300000))
    _, expected = convert(shared, place, {"in.csv": b"a,b,c\n" + quote + rows}, dialect=Dialect(strict=True, max_row_bytes=65536))
    assert len(expected.rejects) == 1
