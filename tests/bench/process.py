# SPDX-License-Identifier: MIT
"""Numbers about processes, from /proc."""
import os
import re
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_with_children_s(pid):
    """User and system time of a process and of the children that it has waited for; in ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * TICK_S


def cpu_s(pid):
    """Of a process of one thread alone, exact."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def voluntary_switches(pid):
    """How often it has gone to sleep: each is a wake-up of before."""
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), flags=re.M)[1])


def pss_bytes(pid):
    """Proportional set size; 0 of a process that is gone."""
    try:
        return int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), flags=re.M)[1]) * 1024
    except (OSError, TypeError):
        return 0


def children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
