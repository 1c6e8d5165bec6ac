# SPDX-License-Identifier: MIT
"""In which order things reached the disk, judged from a system call trace.

events_of() makes events of what `strace -f -y` wrote; faults_of() is a pure function over them.
What is asked for is what a power failure would ask for: the state of a file that a name, a record
or a word like "completed" relies on is durable before these are written.

A sync vouches for the writes that had ended when it began, and from its own end on.
"""
import re
from dataclasses import dataclass, replace

WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate", "copy_file_range"}
SYNCS = {"fsync", "fdatasync"}
RENAMES = {"rename", "renameat", "renameat2"}
TRACED = sorted(WRITES | SYNCS | RENAMES)

LINE = re.compile(r"^(?:(\d+) +)?(.*)$")
UNFINISHED = re.compile(r"^(.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)")
DESCRIPTOR = re.compile(r"^(?:-?\d+|AT_FDCWD)<([^>]*)>")
RENAMED = re.compile(r'(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"((?:[^"\\]|\\.)*)", (?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')

PART = re.compile(r"/\.zp-[^/]*\.part$")
CHECKPOINT = re.compile(r"/checkpoint-[01]$")


@dataclass(frozen=True)
class Event:
    kind: str  # "write", "sync" or "rename"
    path: str  # of the file; of a rename: from where
    begin: int
    end: int
    target: str = ""  # of a rename

    @property
    def folder(self):
        return self.target.rpartition("/")[0]


def _joined(folder, name):
    return name if name.startswith("/") or not folder else f"{folder}/{name}"


def _event(call, arguments, begin, end):
    if call in RENAMES:
        match = RENAMED.search(arguments)
        old_dir, old, new_dir, new = match.groups()
        return Event("rename", _joined(old_dir, old), begin, end, _joined(new_dir, new))
    match = DESCRIPTOR.match(arguments)
    path = match[1] if match else ""
    return Event("write" if call in WRITES else "sync", path, begin, end)


def events_of(trace):
    """Of successful calls; begin and end are line numbers, which strace writes in the order that it sees."""
    events, open_calls = [], {}
    for number, line in enumerate(trace.splitlines()):
        pid, text = LINE.match(line).groups()
        begin = number
        if match := UNFINISHED.match(text):
            open_calls[pid] = (number, match[1])
            continue
        if match := RESUMED.match(text):
            begin, first = open_calls.pop(pid, (number, f"{match[1]}("))
            text = first + match[2]
        match = CALL.match(text)
        if match and match[1] in WRITES | SYNCS | RENAMES and int(match[3]) >= 0:
            events.append(_event(match[1], match[2], begin, number))
    return events


class _History:
    """What is known to be durable at a moment."""

    def __init__(self, events):
        self.events = sorted(events, key=lambda event: event.begin)

    def unsynced_write(self, path, moment):
        """The last write to a path that no sync that has ended by then vouches for, or None."""
        writes = [event for event in self.events if event.kind == "write" and event.path == path and event.begin < moment]
        if not writes:
            return None
        last = max(write.end for write in writes)
        return None if self.has_sync(path, last, moment) else writes[-1]

    def has_sync(self, path, after, before):
        return any(event.kind == "sync" and event.path == path and event.begin > after and event.end < before
                   for event in self.events)


def _check_rename(history, rename, volatile):
    """No name for a file before the file's bytes are durable."""
    if rename.target.startswith(volatile):
        return None
    if history.unsynced_write(rename.path, rename.begin):
        return f"{rename.path} was renamed to {rename.target} before its bytes were synced"
    return None


def _renames(history):
    return [event for event in history.events if event.kind == "rename"]


def _is_target(rename):
    return PART.search(rename.path) is not None


def _check_claim(history, claim):
    """No receipt in active/ before the copy of the spec is durable: the receipt makes it a job."""
    job_id = claim.target.rpartition("/")[2].split(".")[0]
    specs = [event for event in _renames(history) if event.target.endswith(f"/{job_id}/spec.json") and event.end < claim.begin]
    for spec in specs:
        jobs = spec.folder.rpartition("/")[0]
        if history.has_sync(spec.folder, spec.end, claim.begin) and history.has_sync(jobs, spec.end, claim.begin):
            return None
    return f"{claim.target} was moved there before the copy of the spec was durable"


def _check_claim_lasts(history, rename):
    """No target before the receipt is durable: else a start would find the spec in incoming/ and do it again."""
    for claim in _renames(history):
        if "/incoming/" not in claim.path or "/active/" not in claim.target or claim.end > rename.begin:
            continue
        for folder in (claim.folder, claim.path.rpartition("/")[0]):
            if not history.has_sync(folder, claim.end, rename.begin):
                return f"{rename.target} was put in place before {folder} was synced with {claim.target}"
    return None


def _check_publication(history, rename):
    """No target before commit.json is durable: else a start would run the job again over its new target."""
    records = [event for event in _renames(history) if event.target.endswith("/commit.json") and event.end < rename.begin]
    if not any(history.has_sync(record.folder, record.end, rename.begin) for record in records):
        return f"{rename.target} was put in place before commit.json was durable"
    return None


def _check_result(history, result):
    """No `completed` before the fsync of the directory of every target."""
    for rename in _renames(history):
        if _is_target(rename) and rename.end < result.begin and not history.has_sync(rename.folder, rename.end, result.begin):
            return f"{result.target} was written before the directory of {rename.target} was synced"
    return None


def _check_receipt(history, receipt):
    """A receipt in done/ says that the job has ended: its result must outlast a power failure first."""
    job_id = receipt.target.rpartition("/")[2].split(".")[0]
    results = [event for event in _renames(history) if event.target.endswith(f"/{job_id}/result.json")
               and event.end < receipt.begin]
    if not any(history.has_sync(result.folder, result.end, receipt.begin) for result in results):
        return f"{receipt.target} was moved there before the result was durable"
    return None


def records_of(events):
    """Writes to one record file with no sync between them make one record; it begins with the first of them."""
    records, is_synced = [], True
    for event in sorted(events, key=lambda event: event.begin):
        if not CHECKPOINT.search(event.path) or event.kind == "rename":
            continue
        if event.kind == "sync":
            is_synced = True
        elif not is_synced and records[-1].path == event.path:
            records[-1] = replace(records[-1], end=event.end)
        else:
            records.append(event)
            is_synced = False
    return records


def _check_checkpoint(history, record, previous_end):
    """No checkpoint record before the data that it speaks of, nor before the plan that it goes by."""
    outputs = {event.path for event in history.events
               if event.kind == "write" and PART.search(event.path) and event.end < record.begin}
    for path in sorted(outputs):
        if not history.has_sync(path, previous_end, record.begin):
            return f"{record.path} was written before {path} was synced"
    folder = record.path.rpartition("/")[0]
    plans = [event for event in _renames(history) if event.target == f"{folder}/plan.json" and event.end < record.begin]
    if not any(history.has_sync(folder, plan.end, record.begin) for plan in plans):
        return f"{record.path} was written before plan.json was durable"
    return None


def _check_checkpoints(history):
    faults, previous = [], None
    for record in records_of(history.events):
        faults.append(_check_checkpoint(history, record, previous.end if previous else -1))
        if previous and not history.has_sync(previous.path, previous.end, record.begin):
            faults.append(f"{record.path} was written before {previous.path} was synced")
        if previous and not history.has_sync(previous.path.rpartition("/")[0], previous.end, record.begin):
            faults.append(f"{record.path} was written before the directory of {previous.path} was synced")
        previous = record
    return faults


def faults_of(events, volatile="/nowhere/"):
    """What came too early. Below `volatile`, a directory that no reboot survives, nothing need be durable."""
    history = _History(events)
    faults = _check_checkpoints(history)
    for rename in _renames(history):
        faults.append(_check_rename(history, rename, volatile))
        if _is_target(rename):
            faults += [_check_publication(history, rename), _check_claim_lasts(history, rename)]
        if "/incoming/" in rename.path and "/active/" in rename.target:
            faults.append(_check_claim(history, rename))
        if rename.target.endswith("/result.json"):
            faults.append(_check_result(history, rename))
        if "/active/" in rename.path and "/done/" in rename.target:
            faults.append(_check_receipt(history, rename))
    return [fault for fault in faults if fault]
