# SPDX-License-Identifier: MIT
"""One corpus of good and bad job specs, two judges: `zooparallel validate` and conf/job.schema.json.

The schema is for editors and other programs, so it must say what the parser says. Where a JSON
Schema is unable to, the spec is listed in BEYOND_THE_SCHEMA with the reason.
"""
import copy
import functools
import json
import re
import subprocess

import pytest
from harness import CLIENT, TOP
from jsonschema import Draft202012Validator

SPECS = TOP / "tests" / "support" / "specs"
GOOD = sorted((SPECS / "good").glob("*.json"))
BAD = sorted((SPECS / "bad").glob("*.json"))
EXAMPLES = sorted((TOP / "conf" / "examples").glob("*.json"))
SCHEMA = json.loads((TOP / "conf" / "job.schema.json").read_text())

MANUAL = TOP / "daemon" / "man" / "zooparallel-job.5"

# Values to try in place of others.
OTHER_VALUES = [
    None, True, False, 0, 1, 2, -1, 64, 100, 101, 1024, 1025, 0.5, 1.5, -0.5, 67108864, 67108865,
    9007199254740991, 9007199254740992, 9223372036854775807, "", "x", "|", "\t", "\n", "\u007f", "\u0080", "ab",
    "pool", "csv", "jsonl", "auto", "none", "gzip", "replace", "fail", "640", "0640", "4640", "0o640",
    "a.csv.gz", "../a", "a/../b", "a/", "a//b", "..a", "zoo\n", "a b", "/", ".", "n" * 65, "p" * 4096,
    "64MiB", "7GB", "1MiB", "2h", "5m", "90s", "1h30m", "60 s",
    [], ["a"], ["a", "a"], ["a", ""], [1], [{}], {}, {"path": "a"}, {"path": "a", "format": "csv"},
    {"path": "a", "mode": "0600"}, {"max_ratio": 0.1}, {"input": {"path": "a"}, "output": {"path": "b"}},
]

# What the parser says about each bad spec: a piece of its line.
COMPLAINTS = {
    "text-empty": "not JSON",
    "text-white-space": "not JSON",
    "text-cut": "not JSON",
    "text-behind": "2:1: not JSON",
    "text-comment": "2:",
    "text-trailing-comma": "not JSON",
    "text-apostrophes": "not JSON",
    "text-nan": "not JSON",
    "text-huge-number": "not JSON: too big integer",
    "text-nul": "\\u0000",
    "root-array": "$: must be an object, not an array",
    "root-string": "$: must be an object, not a string",
    "root-empty": '$: "version" is missing',
    "duplicate-key": "1:16: $.version: this key was there before",
    "duplicate-key-deep": "4:3: $.pipes[0].input.path: this key was there before",
    "duplicate-key-escaped": "this key was there before",
    "version-missing": '$: "version" is missing',
    "version-two": "$.version: this program knows version 1 only",
    "version-zero": "$.version: this program knows version 1 only",
    "version-string": "$.version: must be a whole number, not a string",
    "version-fraction": "$.version: must be a whole number, not a fraction",
    "version-null": "$.version: must be a whole number, not null",
    "key-ouput": '1:40: $.ouput: unknown key (did you mean "output"?)',
    "key-delimter": '$.input.delimter: unknown key (did you mean "delimiter"?)',
    "key-far": "$.colour: unknown key",
    "key-empty": '$[""]: unknown key',
    "key-odd": '$["a b\\n"]: unknown key',
    "key-case": '$.Name: unknown key (did you mean "name"?)',
    "key-of-output-in-input": "$.input.if_exists: unknown key",
    "key-in-errors": '$.errors.max_row: unknown key (did you mean "max_rows"?)',
    "key-in-pipe": "$.pipes[0].workers: unknown key",
    "unsupported-schema": "$.schema: not supported yet",
    "unsupported-hooks": "$.hooks: not supported yet",
    "unsupported-command": "$.command: not supported yet",
    "unsupported-schema-in-pipe": "$.pipes[0].schema: not supported yet",
    "unsupported-hooks-in-pipe": "$.pipes[1].hooks: not supported yet",
    "unsupported-engine": '$.engine: not supported yet; must be "pool"',
    "unsupported-input-json": "$.input.format: not supported yet",
    "unsupported-input-jsonl": "$.input.format: not supported yet",
    "unsupported-output-csv": "$.output.format: not supported yet",
    "unsupported-output-json": "$.output.format: not supported yet",
    "unsupported-gzip": "$.input.compression: not supported yet",
    "unsupported-zstd": "$.input.compression: not supported yet",
    "unsupported-input-gz": "$.input.path: compressed files (.gz) are not supported yet",
    "unsupported-input-zst": "$.input.path: compressed files (.zst) are not supported yet",
    "unsupported-input-bz2": "$.input.path: compressed files (.bz2) are not supported yet",
    "unsupported-input-xz": "$.input.path: compressed files (.xz) are not supported yet",
    "unsupported-output-zst": "$.output.path: compressed files (.zst) are not supported yet",
    "unsupported-output-gz": "$.output.path: compressed files (.gz) are not supported yet",
    "unsupported-errors-gz": "$.errors.path: compressed files (.gz) are not supported yet",
    "name-empty": "$.name: must be 1 to 64 of the characters",
    "name-too-long": "$.name: must be 1 to 64 of the characters",
    "name-space": "$.name: must be 1 to 64 of the characters",
    "name-slash": "$.name: must be 1 to 64 of the characters",
    "name-unicode": "$.name: must be 1 to 64 of the characters",
    "name-newline": "$.name: must be 1 to 64 of the characters",
    "name-number": "$.name: must be a string, not a number",
    "name-null": "$.name: must be a string, not null",
    "workers-zero": "$.workers: must be from 1 to 1024",
    "workers-too-many": "$.workers: must be from 1 to 1024",
    "workers-negative": "$.workers: must be from 1 to 1024",
    "workers-string": "$.workers: must be a whole number, not a string",
    "workers-fraction": "$.workers: must be a whole number, not a fraction",
    "workers-whole-fraction": "$.workers: must be a whole number, not a fraction",
    "workers-beyond-32-bits": "$.workers: must be from 1 to 1024",
    "priority-too-low": "$.priority: must be from -100 to 100",
    "priority-too-high": "$.priority: must be from -100 to 100",
    "engine-number": "$.engine: must be a string, not a number",
    "input-missing": '$: "input" is missing',
    "output-missing": '$: "output" is missing',
    "input-string": "$.input: must be an object, not a string",
    "input-null": "$.input: must be an object, not null",
    "output-array": "$.output: must be an object, not an array",
    "errors-true": "$.errors: must be an object, not true",
    "errors-string": "$.errors: must be an object, not a string",
    "path-missing": '$.input: "path" is missing',
    "output-path-missing": '$.output: "path" is missing',
    "path-empty": "$.input.path: must not be empty",
    "path-array": "$.input.path: must be a string, not an array",
    "path-parent": '$.input.path: must not have ".." in it',
    "path-parent-inside": '$.output.path: must not have ".." in it',
    "path-parent-last": '$.errors.path: must not have ".." in it',
    "path-directory": "$.input.path: must name a file, not a directory",
    "path-dot": "$.output.path: must name a file, not a directory",
    "path-root": "$.output.path: must name a file, not a directory",
    "path-dot-last": "$.input.path: must name a file, not a directory",
    "path-too-long": "$.input.path: must be at most 4095 bytes long",
    "path-too-many-bytes": "$.input.path: must be at most 4095 bytes long",
    "delimiter-empty": "$.input.delimiter: must be one ASCII character",
    "delimiter-two": "$.input.delimiter: must be one ASCII character",
    "delimiter-unicode": "$.input.delimiter: must be one ASCII character",
    "delimiter-line-feed": "$.input.delimiter: must not be a line end",
    "delimiter-carriage-return": "$.input.delimiter: must not be a line end",
    "delimiter-crlf": "$.input.delimiter: must be one ASCII character",
    "delimiter-null": "$.input.delimiter: must be a string of one character, not null",
    "delimiter-number": "$.input.delimiter: must be a string of one character, not a number",
    "quotechar-empty": "$.input.quotechar: must be one ASCII character",
    "quotechar-two": "$.input.quotechar: must be one ASCII character",
    "quotechar-line-feed": "$.input.quotechar: must not be a line end",
    "quotechar-false": "$.input.quotechar: must be a string of one character, not false",
    "quotechar-is-default-delimiter": "$.input.quotechar: delimiter and quotechar must differ",
    "delimiter-is-default-quotechar": "$.input.delimiter: delimiter and quotechar must differ",
    "delimiter-is-quotechar": "$.pipes[1].input.delimiter: delimiter and quotechar must differ",
    "format-unknown": '$.input.format: must be "csv"',
    "format-case": '$.input.format: must be "csv"',
    "compression-unknown": '$.input.compression: must be "auto" or "none" (did you mean "auto"?)',
    "strict-number": "$.input.strict: must be true or false, not a number",
    "header-string": "$.input.header: must be true or false, not a string",
    "header-null": "$.input.header: must be true or false, not null",
    "fieldnames-empty": "$.input.fieldnames: must have 1 to 100000 names",
    "fieldnames-string": "$.input.fieldnames: must be an array of strings or null, not a string",
    "fieldnames-number": "$.input.fieldnames[1]: must be a string, not a number",
    "fieldnames-empty-name": "$.input.fieldnames[1]: must not be empty",
    "fieldnames-nul": "\\u0000",
    "fieldnames-twice": "$.input.fieldnames[3]: the same name as number 2",
    "skip-rows-negative": "$.input.skip_rows: must be from 0 to 9007199254740991",
    "skip-rows-null": "$.input.skip_rows: must be a whole number, not null",
    "limit-negative": "$.input.limit: must be from 0 to 9007199254740991",
    "limit-too-large": "$.input.limit: must be from 0 to 9007199254740991",
    "limit-string": "$.input.limit: must be a whole number, not a string",
    "max-row-bytes-zero": "$.input.max_row_bytes: must be from 1 to 67108864",
    "max-row-bytes-too-large": "$.input.max_row_bytes: must be from 1 to 67108864",
    "max-row-bytes-unit": "$.input.max_row_bytes: must be a whole number, not a string",
    "if-exists-unknown": '$.output.if_exists: must be "replace" or "fail" (did you mean "replace"?)',
    "if-exists-append": '$.output.if_exists: must be "replace" or "fail"',
    "if-exists-true": "$.output.if_exists: must be a string, not true",
    "output-format-unknown": '$.output.format: must be "jsonl"',
    "mode-empty": '$.output.mode: must be three octal digits like "0640"',
    "mode-set-user-id": '$.output.mode: must be three octal digits like "0640"',
    "mode-sticky": '$.output.mode: must be three octal digits like "0640"',
    "mode-short": '$.output.mode: must be three octal digits like "0640"',
    "mode-long": '$.output.mode: must be three octal digits like "0640"',
    "mode-not-octal": '$.output.mode: must be three octal digits like "0640"',
    "mode-letters": '$.output.mode: must be three octal digits like "0640"',
    "mode-prefix": '$.output.mode: must be three octal digits like "0640"',
    "mode-sign": '$.output.mode: must be three octal digits like "0640"',
    "mode-newline": '$.output.mode: must be three octal digits like "0640"',
    "mode-number": '$.output.mode: must be a string like "0640", not a number',
    "max-rows-negative": "$.errors.max_rows: must be from 0 to 9007199254740991",
    "max-ratio-negative": "$.errors.max_ratio: must be from 0 to 1",
    "max-ratio-percent": "$.errors.max_ratio: must be from 0 to 1",
    "max-ratio-string": "$.errors.max_ratio: must be a number, not a string",
    "max-ratio-null": "$.errors.max_ratio: must be a number, not null",
    "pipes-empty": "$.pipes: must have 1 to 64 pipes",
    "pipes-too-many": "$.pipes: must have 1 to 64 pipes",
    "pipes-object": "$.pipes: must be an array of pipes, not an object",
    "pipes-null": "$.pipes: must be an array of pipes, not null",
    "pipes-of-strings": "$.pipes[0]: must be an object, not a string",
    "pipes-and-input": '$.input: belongs into each of the "pipes"',
    "pipes-and-output": '$.output: belongs into each of the "pipes"',
    "pipes-and-errors": '$.errors: belongs into each of the "pipes"',
    "pipes-and-all": '$.input: belongs into each of the "pipes"',
    "pipe-without-input": '$.pipes[0]: "input" is missing',
    "pipe-without-output": '$.pipes[1]: "output" is missing',
    "same-output-and-errors": "$.errors.path: the same file as the output",
    "same-output-twice": "$.pipes[1].output.path: the same file as the output of pipe 0",
    "same-errors-twice": "$.pipes[1].errors.path: the same file as the errors of pipe 0",
    "errors-is-earlier-output": "$.pipes[1].errors.path: the same file as the output of pipe 0",
    "output-is-earlier-errors": "$.pipes[1].output.path: the same file as the errors of pipe 0",
    "memory-too-small": '$.limits.memory_per_worker: must be from "32MiB" to "1TiB"',
    "memory-far-too-small": '$.limits.memory_per_worker: must be from "32MiB" to "1TiB"',
    "memory-too-large": '$.limits.memory_per_worker: must be from "32MiB" to "1TiB"',
    "memory-beyond-64-bits": '$.limits.memory_per_worker: must be from "32MiB" to "1TiB"',
    "memory-number": '$.limits.memory_per_worker: must be a size like "256MiB", not a number',
    "memory-unit": '$.limits.memory_per_worker: must be a size like "256MiB"',
    "memory-blank": '$.limits.memory_per_worker: must be a size like "256MiB"',
    "memory-negative": '$.limits.memory_per_worker: must be a size like "256MiB"',
    "memory-newline": '$.limits.memory_per_worker: must be a size like "256MiB"',
    "wall-zero": '$.limits.wall: must be from "1s" to "365d"',
    "wall-too-long": '$.limits.wall: must be from "1s" to "365d"',
    "wall-number": '$.limits.wall: must be a duration like "90s", not a number',
    "wall-two-units": '$.limits.wall: must be a duration like "90s"',
    "stall-too-short": '$.limits.stall: must be from "1s" to "1d"',
    "stall-too-long": '$.limits.stall: must be from "1s" to "1d"',
    "stall-null": '$.limits.stall: must be a duration like "90s", not null',
    "limits-null": "$.limits: must be an object, not null",
    "limits-string": "$.limits: must be an object, not a string",
    "key-in-limits": '$.limits.memory_per_workers: unknown key (did you mean "memory_per_worker"?)',
    "key-in-retry": '$.retry.attempt: unknown key (did you mean "attempts"?)',
    "attempts-zero": "$.retry.attempts: must be from 1 to 100",
    "attempts-too-many": "$.retry.attempts: must be from 1 to 100",
    "attempts-string": "$.retry.attempts: must be a whole number, not a string",
    "backoff-too-long": '$.retry.backoff: must be from "0" to "1d"',
    "backoff-null": '$.retry.backoff: must be a duration like "90s", not null',
    "backoff-negative": '$.retry.backoff: must be a duration like "90s"',
}

# These are bad, but the schema lets them pass.
BEYOND_THE_SCHEMA = {
    # A schema sees the values that were read: the second of two equal keys has replaced the first.
    "duplicate-key",
    "duplicate-key-deep",
    "duplicate-key-escaped",
    # It can't compare one value with another.
    "delimiter-is-default-quotechar",
    "delimiter-is-quotechar",
    "quotechar-is-default-delimiter",
    "same-output-and-errors",
    "same-output-twice",
    "same-errors-twice",
    "errors-is-earlier-output",
    "output-is-earlier-errors",
    # 4.0 is an integer to JSON Schema, and 1.0 is 1.
    "version-fraction",
    "workers-whole-fraction",
    # It counts a string's characters, not its bytes.
    "path-too-many-bytes",
    # It takes a unit for letters.
    "memory-too-small",
    "memory-too-large",
    "memory-beyond-64-bits",
    "wall-zero",
    "wall-too-long",
    "stall-too-short",
    "stall-too-long",
    "backoff-too-long",
}


def name_of(path):
    return path.stem


def validate(*paths):
    """Exit code and what was said."""
    done = subprocess.run([CLIENT, "validate", *paths], capture_output=True, timeout=120)
    assert b"Sanitizer" not in done.stderr, done.stderr.decode()
    return done.returncode, (done.stdout + done.stderr).decode()


@functools.cache
def lines_about_the_bad():
    """One run for the whole corpus, since a start of the program costs more than a spec."""
    code, text = validate(*BAD)
    assert code == 2, text
    return text.splitlines()


def schema_accepts(text):
    """Text that is not JSON has no value that a schema could accept."""

    def refuse(constant):
        raise ValueError(constant)

    try:
        value = json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return Draft202012Validator(SCHEMA).is_valid(value)


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_the_corpus_is_there():
    assert len(GOOD) >= 25 and len(BAD) >= 60 and EXAMPLES
    assert {path.stem for path in BAD} == set(COMPLAINTS)
    assert BEYOND_THE_SCHEMA <= set(COMPLAINTS)


def test_the_parser_accepts_all_good_specs():
    code, text = validate(*GOOD, *EXAMPLES)
    assert code == 0, text


@pytest.mark.parametrize("path", GOOD + EXAMPLES, ids=name_of)
def test_the_schema_accepts_a_good_spec(path):
    assert schema_accepts(path.read_bytes())


@pytest.mark.parametrize("path", BAD, ids=name_of)
def test_the_parser_says_what_is_wrong_with_a_bad_spec(path):
    lines = [line for line in lines_about_the_bad() if f"{path}:" in line]
    assert len(lines) == 1 and COMPLAINTS[path.stem] in lines[0], lines


@pytest.mark.parametrize("path", BAD, ids=name_of)
def test_the_schema_agrees_or_cannot_see_it(path):
    assert schema_accepts(path.read_bytes()) == (path.stem in BEYOND_THE_SCHEMA)


def places_in(value, steps=()):
    """The steps to every value in a JSON document, the document itself included."""
    yield steps
    if isinstance(value, (dict, list)):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(inner, (*steps, step))


def with_value(document, steps, value):
    if not steps:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for step in steps[:-1]:
        inner = inner[step]
    inner[steps[-1]] = value
    return changed


def test_both_judge_every_exchanged_value_alike(tmp_path):
    """Each value of a few good specs is replaced by each of many others: thousands of new specs."""
    everything = json.loads((SPECS / "good" / "everything.json").read_text())
    pipes = json.loads((TOP / "conf" / "examples" / "two-pipes.json").read_text())
    specs = [
        json.dumps(with_value(document, steps, value))
        for document in (everything, pipes)
        for steps in places_in(document)
        for value in OTHER_VALUES
    ]
    paths = []
    for number, spec in enumerate(specs):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(spec)
    _, text = validate(*paths)
    accepted = set(re.findall(r"(\d+)\.json: valid", text))
    assert 0 < len(accepted) < len(specs)
    for number, spec in enumerate(specs):
        assert (str(number) in accepted) == schema_accepts(spec), spec


def test_the_manual_describes_every_key_and_its_examples_are_good(tmp_path):
    manual = MANUAL.read_text()
    objects = [SCHEMA, *(SCHEMA["$defs"][name] for name in ("input", "output", "errors")),
               *(SCHEMA["properties"][name] for name in ("limits", "retry"))]
    for key in {key for one in objects for key in one["properties"]}:
        assert re.search(rf"^\.It Cm .*\b{key}\b", manual, re.MULTILINE), key
    examples = re.findall(r"^\.Bd -literal[^\n]*\n(\{\n.*?\n\})\n\.Ed", manual, re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    for number, example in enumerate(examples):
        path = tmp_path / f"{number}.json"
        path.write_text(example)
        assert validate(path)[0] == 0, example
        assert schema_accepts(example)


def test_a_spec_has_a_greatest_length(tmp_path):
    spec = GOOD[0].read_bytes()
    path = tmp_path / "long.json"
    path.write_bytes(spec + b" " * (1024 * 1024 - len(spec)))
    assert validate(path)[0] == 0
    path.write_bytes(spec + b" " * (1024 * 1024 - len(spec) + 1))
    code, text = validate(path)
    assert code == 2 and "longer than 1048576 bytes" in text
