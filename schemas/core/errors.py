"""Errors say whose fault they are: the caller's, the peer's, or ours."""

from typing import TypeVar

from core.reasons import Reason

T = TypeVar("T")


class JvpError(Exception):
    """Base of every error that the core raises on purpose."""


class CallerFault(JvpError):
    """The calling program broke the contract of a function (wrong length, unknown handle)."""


class PeerFault(JvpError):
    """A message from the other end is refused; `reason` is what the audit record says, the wire stays silent."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


class Invariant(JvpError):
    """A claim that must always hold does not: our fault. The session concerned is terminated."""


def require(condition: bool, claim: str) -> None:  # noqa: FBT001 - reads as a sentence: require(x, "claim")
    """Raise `Invariant` naming the claim unless the condition holds; stays active under `python -O`."""
    if not condition:
        raise Invariant(claim)


def given(value: T | None, claim: str) -> T:
    """Return `value`; raise `Invariant` naming the claim where there is none."""
    if value is None:
        raise Invariant(claim)
    return value
