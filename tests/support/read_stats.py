#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Print a stats file as JSON. It knows only the table of zooparallel-stats(5), none of our C."""
import json
import struct
import sys

FIELDS = [  # offset, struct format, names
    (0, "<qqqqii", "total_processed success_count error_count ram_bytes is_finished has_error"),
    (40, "<qqq", "bytes_read bytes_written heartbeat"),
    (64, "<8sHHI", "magic version file_size slot"),
    (80, "<iIQQQ", "pid generation start_ticks started_at peak_ram_bytes"),
    (112, "<qqqq", "filtered chunks_done current_chunk phase"),
]


def read_stats(path):
    with open(path, "rb") as file:
        page = file.read()
    stats = {}
    for offset, form, names in FIELDS:
        stats.update(zip(names.split(), struct.unpack_from(form, page, offset)))
    stats["magic"] = stats["magic"].decode("ascii")
    return stats


if __name__ == "__main__":
    print(json.dumps(read_stats(sys.argv[1])))
