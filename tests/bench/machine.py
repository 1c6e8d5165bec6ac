# SPDX-License-Identifier: MIT
"""What the numbers were measured on."""
import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path

FLAGS = {"avx2": "avx2", "avx512": "avx512bw"}


def _cpuinfo(key):
    found = re.search(rf"^{key}\s*: (.*)$", Path("/proc/cpuinfo").read_text(), flags=re.M)
    return found[1] if found else "unknown"


def has_instructions(scanner):
    """Whether the processor can run a scanner, as far as its name says."""
    return scanner not in FLAGS or FLAGS[scanner] in _cpuinfo("flags").split()


def _file_system(folder):
    done = subprocess.run(["df", "--output=fstype", str(folder)], text=True, capture_output=True)
    return done.stdout.split()[-1] if done.returncode == 0 else "an unknown file system"


def describe(data):
    """The machine as one line of Markdown."""
    memory_kib = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    sets = [name for name in FLAGS if has_instructions(name)]
    return (f"{_cpuinfo('model name')}, {os.cpu_count()} processors online "
            f"({', '.join(sets) or 'neither AVX2 nor AVX-512'}), {memory_kib / 2**20:.0f} GiB of memory, "
            f"Linux {platform.release()}, data on {_file_system(data)}")


def defragment():
    """As root, has free memory lie in large pieces again; without the right to it nothing happens.

    After hours of tests it lies in small ones. Page cache and huge pages are then taken from what compaction finds,
    in the middle of a write, and everything is up to three times slower, the copy loop least.
    """
    os.sync()
    with suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("3")
        Path("/proc/sys/vm/compact_memory").write_text("1")


def load():
    """What else was going on; a load above the number of processors makes the times worth little."""
    return os.getloadavg()[0]
