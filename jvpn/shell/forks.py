"""A copy of this process, made by fork, has no keys: two processes that seal under one key and one counter give both packets away [D-9].

Nothing in this program forks while it serves; a library, a debugger or a later change could. Starting another program is no copy.
"""

import os
from typing import Final, Protocol
from weakref import WeakSet


class Forgetful(Protocol):
    """What can drop its keys."""

    def forget(self) -> None:
        """Drop the keys of all traffic."""


_GUARDED: Final[WeakSet[Forgetful]] = WeakSet()


def guard(holder: Forgetful) -> None:
    """Let copies of this process forget the keys of `holder`, for as long as it lives."""
    _GUARDED.add(holder)


def _forget() -> None:
    for holder in list(_GUARDED):
        holder.forget()


os.register_at_fork(after_in_child=_forget)
