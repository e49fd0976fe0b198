"""Runs test code as root in a network namespace of its own: in a forked process, in bounded time, its failure told as ours."""

import functools
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable

import pytest

from lab import netns

BOUND = 60


def inside(body: Callable[[], object]) -> None:
    """Run `body` in a new namespace; fail with its traceback."""
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        said = b""
        try:
            netns.isolate()
            body()
        except BaseException:  # noqa: BLE001 - whatever it is, the test has to hear it
            said = traceback.format_exc().encode()
        os.write(writer, said)
        os._exit(bool(said))
    os.close(writer)
    try:
        ended = select.select([reader], [], [], BOUND)[0]
        said = os.read(reader, 65_536) if ended else b"not finished in time"
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    if said or status not in {0, signal.SIGKILL}:
        pytest.fail(f"inside: {said.decode() or status}", pytrace=False)


def isolated(test: Callable[[], object]) -> Callable[[], None]:
    """Run a whole test function inside."""

    @functools.wraps(test)
    def wrapper() -> None:
        inside(test)

    return wrapper
