"""Become another program that ends with its starter, also when that is killed: `python -I tied.py STARTER ARGV...`, by process id."""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def main(starter: int, argv: list[str]) -> None:
    """Tie, look whether it was in time, become `argv`."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != starter:
        sys.exit("the starter is gone")
    os.execvp(argv[0], argv)  # nosec B606  # noqa: S606 - becoming another program is what this is for


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
