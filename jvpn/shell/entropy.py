"""The one source of randomness: the kernel's generator, seeded before it answers (getrandom(2), random(7))."""

import os

from jvpn.shell.errors import Unavailable


def entropy(n: int) -> bytes:
    """Return `n` fresh bytes from the kernel; raise Unavailable when it gives fewer, or fails."""
    try:
        raw = os.urandom(n)
    except OSError as error:
        raise Unavailable(f"the kernel gives no randomness: {error.strerror}; nothing can be kept secret without it") from error
    if len(raw) != n:
        raise Unavailable(f"the kernel gave {len(raw)} of {n} bytes of randomness; nothing can be kept secret without it")
    return raw
