# SPDX-License-Identifier: MIT
"""Holds a process at the very end of its life: killed, but not yet dead.

ptrace(2) stops a tracee on its way out, even out of SIGKILL: its memory and its descriptors are
still there, and nobody can reap it. So a test can see what others do in a moment that is otherwise
too short.
"""
import ctypes
import os
from contextlib import contextmanager

PTRACE_DETACH, PTRACE_SEIZE = 17, 0x4206
OPTION_TRACE_EXIT = 0x40
EVENT_EXIT = 6

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, pid, data):
    if _libc.ptrace(request, pid, None, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@contextmanager
def held_at_its_exit(pid):
    """Yields a function that says whether the process has come to its end; it dies when this is left."""
    _ptrace(PTRACE_SEIZE, pid, OPTION_TRACE_EXIT)
    is_there = False

    def has_come():
        nonlocal is_there
        while not is_there:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done == 0:
                return False
            # Other stops, such as SIGSTOP's, last until the kill.
            is_there = status >> 16 == EVENT_EXIT
        return True
    try:
        yield has_come
    finally:
        try:
            _ptrace(PTRACE_DETACH, pid, None)
        except ProcessLookupError:
            pass
