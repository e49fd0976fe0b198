"""Randomness comes whole, from the kernel, or not at all."""

import os

import pytest

from jvpn.shell.entropy import entropy
from jvpn.shell.errors import Unavailable


@pytest.mark.parametrize("n", [0, 1, 32, 4_096])
def test_it_gives_what_was_asked(n: int) -> None:
    """A key of the wrong length, or the same key twice."""
    assert len(entropy(n)) == n
    if n >= 32:
        assert entropy(n) != entropy(n)


def test_it_asks_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator of our own, seeded once, would repeat itself after a fork or a snapshot."""
    monkeypatch.setattr(os, "urandom", lambda n: bytes(range(n)))
    assert entropy(5) == b"\0\1\2\3\4"


def test_a_short_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a key of zeros would look like a key."""
    monkeypatch.setattr(os, "urandom", lambda n: bytes(n - 1))
    with pytest.raises(Unavailable, match="31 of 32"):
        entropy(32)


def test_a_failing_kernel_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program would go on without secrets."""

    def fail(_: int) -> bytes:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "urandom", fail)
    with pytest.raises(Unavailable, match="Function not implemented"):
        entropy(1)
