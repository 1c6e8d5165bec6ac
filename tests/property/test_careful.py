# SPDX-License-Identifier: MIT
"""Careful mode, in which a chunk goes that has killed workers: the same bytes as the fast way, and as
the oracle says; and of the rows to skip, rejects instead, with all others as they were."""
import json
import re
import subprocess

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import conftest
import oracle
from harness import BUILD, SCANNERS, without_message
from test_invariance import cases

PROGRAM = BUILD / "tests/support/pipe_convert"
MAX_SKIPS = 8


def convert(folder, case, *options):
    """(rows, errors, what it says of itself) of the case's bytes, without a header."""
    dialect = case.dialect
    (folder / "in.csv").write_bytes(case.data)
    command = [PROGRAM, "-n", str(len(case.columns)), "-d", dialect.delimiter, "-q", dialect.quotechar or "none",
               "-m", str(dialect.max_row_bytes), *(["-s"] if dialect.strict else []), *map(str, options),
               "in.csv", "rows", "errors"]
    said = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, check=True).stdout
    return (folder / "rows").read_bytes(), (folder / "errors").read_bytes(), said


def expected(case, skips):
    columns = [f"column_{n + 1}" for n in range(len(case.columns))]
    rows, rejects = [], []
    for row in oracle.rows_of(case.data, 0, case.dialect, len(columns)):
        if row.offset in skips:
            row.code, row.field = "crash", None
        if row.code:
            rejects.append(oracle.reject_of("job", "in.csv", case.data, row, columns))
        else:
            rows.append(oracle.to_json(columns, [value.decode() for value in row.fields]))
    return "".join(rows).encode(), rejects


@seed(conftest.SEED)
@settings(max_examples=conftest.N_BATCHES * 4, deadline=None, database=None, print_blob=True,
          suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from([1, 2, 7, 61, 4096, 1 << 19]), st.sampled_from([0, 64, 1 << 10]),
       st.sampled_from(SCANNERS), st.randoms(use_true_random=False))
def test_careful_mode_gives_the_same_but_for_the_rows_to_skip(memory, case, chunk_size, window, scanner, rng):
    shape = ["-c", chunk_size, "-w", window, "-k", scanner]
    fast = convert(memory, case, *shape)
    careful = convert(memory, case, *shape, "-C")
    assert careful[:2] == fast[:2]
    assert re.sub("touched=.*", "", careful[2]) == re.sub("touched=.*", "", fast[2])
    assert (careful[0], without_message(careful[1])) == expected(case, [])

    offsets = [row.offset for row in oracle.rows_of(case.data, 0, case.dialect, len(case.columns))]
    skips = rng.sample(offsets, min(len(offsets), rng.randint(1, MAX_SKIPS)))
    rows, errors, _ = convert(memory, case, *shape, *(word for offset in skips for word in ("-x", offset)))
    assert (rows, without_message(errors)) == expected(case, skips)
    assert sum(json.loads(line)["code"] == "crash" for line in errors.splitlines()) == len(skips)
