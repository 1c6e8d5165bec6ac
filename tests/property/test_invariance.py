# SPDX-License-Identifier: MIT
"""The promise that matters most: the same bytes for every chunk size and number of workers, whatever
the input's bytes are, and the bytes that the oracle says.

A job takes many pipes, so each batch of inputs, every one with a dialect of its own, is one job for
each living daemon. Every input begins with one good row: a pipe whose rows are all rejected fails.
"""
import json
import random
from dataclasses import dataclass

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import conftest
import oracle
from harness import without_message
from oracle import Dialect

MIN_ROW_BYTES = 64
BATCH = 24


@dataclass
class Case:
    dialect: Dialect
    columns: list
    data: bytes
    options: dict  # of the input, beyond the dialect


def quoted(value, dialect):
    """A value that any dialect with a quotechar can carry."""
    quote = dialect.quotechar
    return quote + value.replace(quote, quote * 2) + quote if quote else value


@st.composite
def dialects(draw):
    delimiter = draw(st.sampled_from(",,,,;\t|:a \x01~'"))
    quotechar = draw(st.sampled_from(['"', '"', '"', "'", "q", "\x7f", None]))
    if quotechar == delimiter:
        quotechar = '"'
    return Dialect(delimiter, quotechar, draw(st.booleans()),
                   draw(st.sampled_from([1 << 20, 1 << 20, MIN_ROW_BYTES, MIN_ROW_BYTES + 1, 100])))


def nasty_tokens(dialect):
    """What breaks parsers, as single tokens: their order makes the rows."""
    quote, delimiter = (dialect.quotechar or '"').encode(), dialect.delimiter.encode()
    return [quote, quote, quote, quote * 2, delimiter, delimiter, delimiter, b"\n", b"\n", b"\n", b"\r\n", b"\r",
            delimiter + quote, quote + delimiter, quote + b"\n", b"\n" + quote, b"\0", b"\xff", b"\xef\xbb\xbf",
            "é".encode(), "€".encode()[:2], "𝄞".encode(), b"\xed\xa0\x80", b"\xc0\x80", b"\\", b"a", b"b c", b"12",
            b"x" * 30, b"y" * 70, b"\x1f", b"\x7f", "\u2028".encode()]


def good_rows(dialect, n_columns):
    """Rows as a proper writer makes them, quoted newlines and quotes everywhere."""
    text = st.text(st.sampled_from("ab \n\r\"',;\té€𝄞\\\x01"), max_size=8)
    plain = st.sampled_from(["", "1", "word", "é"])
    if not dialect.quotechar:
        value = plain.filter(lambda value: dialect.delimiter not in value)
    else:
        value = st.one_of(plain, text).map(lambda value: quoted(value, dialect))
    row = st.lists(value, min_size=n_columns, max_size=n_columns).map(dialect.delimiter.join)
    return st.lists(st.tuples(row, st.sampled_from(["\n", "\n", "\r\n", "\n\n"])), max_size=8).map(
        lambda rows: "".join(row + end for row, end in rows).encode())


def many_tokens(dialect, number):
    """Enough bytes to cross a scanner's blocks in every state; one number draws them all."""
    rng = random.Random(number)
    tokens = nasty_tokens(dialect)
    # Mostly harmless, or no row would live long enough to meet a border.
    harmless = [b"a", b"bc", dialect.delimiter.encode(), b"\n"] * rng.choice([0, 4, 16])
    return b"".join(rng.choices(tokens + harmless, k=rng.randrange(100, 700)))


@st.composite
def cases(draw):
    dialect = draw(dialects())
    n_columns = draw(st.integers(1, 4))
    body = draw(st.one_of(
        st.lists(st.sampled_from(nasty_tokens(dialect)), max_size=50).map(b"".join),
        st.lists(st.sampled_from(nasty_tokens(dialect)), max_size=50).map(b"".join),
        st.integers(0, 1 << 48).map(lambda number: many_tokens(dialect, number)),
        st.integers(0, 1 << 48).map(lambda number: many_tokens(dialect, number)),
        good_rows(dialect, n_columns), st.binary(max_size=120)))
    # A digit is neither delimiter nor quotechar, so this row is good in every dialect.
    good = dialect.delimiter.join("7" * n_columns).encode() + draw(st.sampled_from([b"\n", b"\r\n"]))
    # Without a quotechar a name must do without the delimiter.
    names = [str(n) + (draw(st.sampled_from(["", "é", "x y", '"'])) if dialect.quotechar else "") for n in range(n_columns)]
    options, head = {}, b""
    kind = draw(st.sampled_from(["header", "header", "fieldnames", "positions", "both"]))
    if kind in ("header", "both"):
        head = dialect.delimiter.join(quoted(name, dialect) for name in names).encode() + b"\n"
    if kind in ("fieldnames", "both"):
        options["fieldnames"] = [f"field {n}" for n in range(n_columns)]
    if kind in ("fieldnames", "positions"):
        options["header"] = False
    if draw(st.integers(0, 9)) == 0:
        options["skip_rows"] = 2
        head = b'junk "\n\xff,\r\n' + head
    if draw(st.integers(0, 4)) == 0:
        options["limit"] = draw(st.integers(1, 6))
    bom = oracle.BOM if draw(st.integers(0, 4)) == 0 else b""
    return Case(dialect, names, bom + head + good + body, options)


def spec_of_batch(batch, workers):
    pipes = []
    for n, case in enumerate(batch):
        dialect = case.dialect
        pipes.append({
            "input": {"path": f"in-{n}.csv", "delimiter": dialect.delimiter, "quotechar": dialect.quotechar,
                      "strict": dialect.strict, "max_row_bytes": dialect.max_row_bytes, **case.options},
            "output": {"path": f"out-{n}.jsonl"}, "errors": {"path": f"errors-{n}.jsonl", "max_ratio": 1}})
    return {"version": 1, "name": "batch", "workers": workers, "pipes": pipes}


def convert_batch(batch, workers, daemon):
    """[(output, errors)] of the batch in one shape, and the job's account."""
    for path in daemon.data.iterdir():
        path.unlink()
    for n, case in enumerate(batch):
        daemon.write(f"in-{n}.csv", case.data)
    reply = daemon.request("POST", "/api/v1/jobs", body=json.dumps(spec_of_batch(batch, workers)), unix=True)
    assert reply.status == 202, reply.text
    job = daemon.wait_job(reply.json["id"])
    assert job["state"] == "completed", (job["reason"], job["message"])
    return [(daemon.read(f"out-{n}.jsonl"), daemon.read(f"errors-{n}.jsonl")) for n in range(len(batch))], job


def check_batch(batch, daemons):
    expected = [oracle.convert([(f"in-{n}.csv", case.data)], case.dialect, job="batch", **case.options)
                for n, case in enumerate(batch)]
    first = None
    for workers, daemon in daemons:
        files, job = convert_batch(batch, workers, daemon)
        for n, (output, errors) in enumerate(files):
            assert output == expected[n].output, (daemon.settings["chunk_size"], workers, batch[n])
            assert without_message(errors) == expected[n].rejects, (daemon.settings["chunk_size"], workers, batch[n])
        assert first is None or files == first, "error rows differ in their words"
        first = files
        assert job["total_processed"] == sum(one.total_processed for one in expected)
        assert job["error_count"] == sum(len(one.rejects) for one in expected)


@seed(conftest.SEED)
@settings(max_examples=conftest.N_BATCHES, deadline=None, database=None, print_blob=True,
          suppress_health_check=list(HealthCheck))
@given(st.lists(cases(), min_size=BATCH // 3, max_size=BATCH))
def test_any_bytes_in_any_shape(daemons, batch):
    conftest.cases_run += len(batch)
    check_batch(batch, daemons)


def big_table(rng, rows):
    """Some megabytes with everything in it, so that chunks of every size have many borders."""
    out = ["id,text,n\n"]
    for n in range(rows):
        text = rng.choice(["plain", '"a, b"', '"line\none\r\ntwo"', '"say ""so"""', "Zürich", '"\n\n\n"', "", '"' + "long " * 40 + '"'])
        out.append(f"{n},{text},{n * 3}" + rng.choice(["\n"] * 200 + ["\r\n", ",extra\n", '"\n', "\r\r\n", '\n"a"b,,\n', "\n\n"]))
    return "".join(out).encode()


def test_a_large_input_in_any_shape(daemons):
    rng = random.Random(conftest.SEED)
    tables = [Case(Dialect(), [], big_table(rng, 3000), {}), Case(Dialect(max_row_bytes=4096), [],
              big_table(rng, 300) + b'0,"never closed,1\n' + big_table(rng, 1500), {}),
              Case(Dialect(strict=True, max_row_bytes=300), [], big_table(rng, 2000), {"limit": 1234})]
    check_batch(tables, daemons)
