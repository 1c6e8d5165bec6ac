# SPDX-License-Identifier: MIT
"""What a conversion must give, computed the slow and obvious way, apart from the programs under test.

One loop over the bytes, one state at a time, as the dialect's table has it. Where a file has no
rejected row, the rows are compared with those of Python's csv module before they are believed.
"""
import base64
import codecs
import csv
import io
import json
from dataclasses import dataclass, field

LF, CR = 10, 13
ROW_SHOWN_BYTES = 4096
BOM = b"\xef\xbb\xbf"


@dataclass
class Dialect:
    delimiter: str = ","
    quotechar: str | None = '"'
    strict: bool = False
    max_row_bytes: int = 1 << 20


@dataclass
class Row:
    offset: int
    end: int  # without the line end
    next: int  # where the following row starts
    fields: list
    code: str | None = None
    field: int | None = None  # in which the first fault lies
    is_empty: bool = False


@dataclass
class Expected:
    columns: list
    output: bytes = b""
    rejects: list = field(default_factory=list)
    total_processed: int = 0

    @property
    def success_count(self):
        return self.total_processed - len(self.rejects)


def bad_utf8_offsets(data):
    """Where each ill-formed sequence starts. No sequence spans a newline, so rows can share this."""
    offsets = set()

    def note(error):
        offsets.add(error.start)
        return "", error.end

    codecs.register_error("note", note)
    data.decode("utf-8", errors="note")
    return offsets


def is_utf8(data):
    return not bad_utf8_offsets(data)


def _line_end(data, at):
    """Length of the line end at data[at:], 0 if there is none."""
    if data[at:at + 1] == b"\n":
        return 1
    return 2 if data[at:at + 2] == b"\r\n" else 0


def _too_long(data, start, is_quoted):
    """A row without an end: it reaches to the first newline after its first byte, or to the end."""
    newline = data.find(b"\n", start)
    end = newline if newline >= 0 else len(data)
    following = end + 1 if newline >= 0 else end
    if data[end - 1:end] == b"\r" and newline >= 0 and end - 1 >= start:
        end -= 1
    return Row(start, end, following, [], "unclosed_quote" if is_quoted else "row_too_long")


def scan_row(data, start, dialect, bad_utf8=frozenset()):
    """The row that starts at data[start], with the first fault from its start (ragged apart)."""
    delimiter = ord(dialect.delimiter)
    quote = ord(dialect.quotechar) if dialect.quotechar else None
    fields, value, fault = [], bytearray(), None
    state = "start"
    at = start

    def note(code):
        nonlocal fault
        fault = fault or (code, len(fields))

    while True:
        if at - start > dialect.max_row_bytes:
            return _too_long(data, start, state == "quoted")
        if at == len(data):
            if state == "quoted":
                return _too_long(data, start, True)
            following = at
            break
        if state != "quoted" and (length := _line_end(data, at)):
            following = at + length
            break
        byte = data[at]
        if byte == 0:
            note("nul_byte")
        if state == "quoted":
            if byte == quote:
                state = "quote in quoted"
            else:
                value.append(byte)
        elif byte == delimiter:
            fields.append(bytes(value))
            value.clear()
            state = "start"
        elif state == "quote in quoted":
            if byte == quote:
                value.append(byte)
                state = "quoted"
            else:
                note("bad_quote")
                value.append(byte)
                state = "unquoted"
        elif state == "start" and byte == quote:
            state = "quoted"
        else:
            if byte == quote and dialect.strict:
                note("stray_quote")
            if byte == CR:
                note("bare_cr")
            value.append(byte)
            state = "unquoted"
        if at in bad_utf8:
            note("invalid_utf8")  # of two faults at one byte the dialect's comes first
        at += 1
    fields.append(bytes(value))
    code, field_index = fault or (None, None)
    return Row(start, at, following, fields, code, field_index, is_empty=at == start)


def unique_names(names):
    """Duplicates get _2, _3; an empty one gets its position."""
    seen, result = set(), []
    for position, name in enumerate(names, 1):
        name = name or str(position)
        candidate, n = name, 1
        while candidate in seen:
            n += 1
            candidate = f"{name}_{n}"
        seen.add(candidate)
        result.append(candidate)
    return result


def data_start(data, skip_rows):
    """Offset after a BOM and skip_rows physical lines."""
    at = len(BOM) if data.startswith(BOM) else 0
    for _ in range(skip_rows):
        newline = data.find(b"\n", at)
        at = newline + 1 if newline >= 0 else len(data)
    return at


def header_of(data, dialect, header=True, fieldnames=None, skip_rows=0):
    """(columns, offset of the first data row); columns is None where the file has nothing."""
    at = data_start(data, skip_rows)
    if not header:
        if fieldnames:
            return list(fieldnames), at
        probe = at
        while probe < len(data):
            row = scan_row(data, probe, dialect)
            if not row.is_empty:
                return [str(n) for n in range(1, len(row.fields) + 1)], at
            probe = row.next
        return None, at
    while at < len(data):
        row = scan_row(data, at, dialect)
        at = row.next
        if not row.is_empty:
            names = unique_names([name.decode() for name in row.fields])
            return list(fieldnames or names), at
    return None, at


def rows_of(data, at, dialect, n_columns):
    """Every row from `at` on, judged; empty lines are no rows unless there is one column."""
    bad_utf8 = bad_utf8_offsets(data)
    while at < len(data):
        row = scan_row(data, at, dialect, bad_utf8)
        at = row.next
        if row.is_empty and n_columns != 1:
            continue
        if row.code is None and len(row.fields) != n_columns:
            row.code = "ragged"
        yield row


def text_end(raw):
    """Where the text of a rejected row is cut: before the character that would be split."""
    end = min(len(raw), ROW_SHOWN_BYTES)
    while end < len(raw) and ROW_SHOWN_BYTES - end < 3 and raw[end] & 0xc0 == 0x80:
        end -= 1
    return end


def reject_of(job, path, data, row, columns):
    """The error row, without its message: that is prose."""
    raw = data[row.offset:row.end]
    shown, text = raw[:ROW_SHOWN_BYTES], raw[:text_end(raw)]
    name = columns[row.field] if row.field is not None and row.field < len(columns) else None
    reject = {"job": job, "input": path, "line": data.count(b"\n", 0, row.offset) + 1,
              "offset": row.offset, "stage": "parse", "code": row.code, "field": name}
    if is_utf8(text):
        reject["row"] = text.decode()
    else:
        reject["row_base64"] = base64.b64encode(shown).decode()
    if len(raw) > ROW_SHOWN_BYTES:
        reject["row_truncated"] = True
    return reject


def python_rows(data, at, dialect, n_columns):
    """The same rows by Python's csv module; only for data without a rejected row."""
    options = {"quotechar": dialect.quotechar} if dialect.quotechar else {"quoting": csv.QUOTE_NONE, "quotechar": None}
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(data[at:].decode(), newline=""), delimiter=dialect.delimiter, **options)
    return [row or [""] for row in reader if row or n_columns == 1]


def convert(files, dialect=Dialect(), job="job", header=True, fieldnames=None, skip_rows=0, limit=None):
    """files: (path, bytes) in bytewise order of the path."""
    expected, parts = None, []
    for path, data in files:
        columns, at = header_of(data, dialect, header, fieldnames, skip_rows)
        if columns is None:
            continue
        if expected is None:
            expected = Expected(columns)
        assert sorted(columns) == sorted(expected.columns), "the daemon refuses such a job"
        order = [columns.index(name) for name in expected.columns]
        accepted, is_whole = [], True
        n_rejects = len(expected.rejects)
        for row in rows_of(data, at, dialect, len(columns)):
            if limit is not None and expected.total_processed >= limit:
                is_whole = False
                break
            expected.total_processed += 1
            if row.code:
                expected.rejects.append(reject_of(job, path, data, row, columns))
                continue
            accepted.append([value.decode() for value in row.fields])
        if is_whole and len(expected.rejects) == n_rejects:
            assert accepted == python_rows(data, at, dialect, len(columns)), "the oracle is wrong"
        parts += [to_json(expected.columns, [values[n] for n in order]) for values in accepted]
    if expected is None:
        return Expected([])
    expected.output = "".join(parts).encode()
    return expected


def to_json(columns, values):
    return json.dumps(dict(zip(columns, values)), ensure_ascii=False, separators=(",", ":")) + "\n"
