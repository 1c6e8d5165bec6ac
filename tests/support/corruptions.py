# SPDX-License-Identifier: MIT
"""What can befall a stats file (or any file that is mapped): name -> what does it to a path."""
import os


def replace_by(make):
    """Put another file in its place, as a user with the directory could."""
    def corrupt(path):
        path.unlink()
        make(path)
    return corrupt


def scribble(path):
    with open(path, "r+b") as file:
        file.write(os.urandom(256))


CORRUPTIONS = {
    "empty": replace_by(lambda path: path.write_bytes(b"")),
    "truncated_under_the_mapping": lambda path: os.truncate(path, 0),
    "random_bytes": scribble,
    "wrong_size": lambda path: os.truncate(path, 1 << 20),
    "fifo": replace_by(os.mkfifo),
    "symlink": replace_by(lambda path: path.symlink_to("/etc/passwd")),
    "unreadable": lambda path: path.chmod(0),
    "directory": replace_by(lambda path: path.mkdir()),
}
