"""The memory of a process that holds keys is nobody else's: no core dump, and no debugger of the same user (clause A-46)."""

import ctypes
import os
import resource
from typing import Final

GET_DUMPABLE: Final = 3  # prctl(2)
SET_DUMPABLE: Final = 4


def close() -> None:
    """Let the kernel write no core dump of this process, and let no other process of its user read its memory. OSError.

    The limit alone is not enough: a core_pattern that is a pipe, as systemd-coredump's, does not ask it. What starts later by execve(2) has
    to call this itself. Root can read the memory still, and swap holds what the kernel puts there.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(SET_DUMPABLE, 0)


def is_closed() -> bool:
    """Return whether this process is so. OSError."""
    return resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) and _prctl(GET_DUMPABLE, 0) == 0


def _prctl(option: int, value: int) -> int:
    answer: int = ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    if answer < 0:
        raise OSError(ctypes.get_errno(), f"prctl: {os.strerror(ctypes.get_errno())}")
    return answer
