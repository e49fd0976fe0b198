"""The one source of randomness: the kernel's generator, seeded before it answers (getrandom(2), random(7)), under continuous tests."""

import os
import threading
from typing import Final

from jvpn.shell.errors import Unavailable
from jvpn.shell.randomness import START_BYTES, Faulty, Watch

_KEY_BYTES: Final = 32
_lock = threading.Lock()


def entropy(n: int) -> bytes:
    """Return `n` fresh bytes from the kernel, after the health tests of `randomness`.

    Raises:
        Unavailable: the kernel gives fewer bytes, or fails.
        Faulty: what it gives fails a test, or did so before in this process.
    """
    with _lock:
        return _watch.judge(_drawn(n))


def start_up() -> None:
    """Draw 4,096 bytes, test them and throw them away. Raises as `entropy` does."""
    entropy(START_BYTES)


def _drawn(n: int) -> bytes:
    try:
        raw = os.urandom(n)
    except OSError as error:
        raise Unavailable(f"the kernel gives no randomness: {error.strerror}; nothing can be kept secret without it") from error
    if len(raw) != n:
        raise Faulty(f"the kernel gave {len(raw)} of {n} bytes of randomness; nothing can be kept secret without it")
    return raw


_watch = Watch(_drawn(_KEY_BYTES))
