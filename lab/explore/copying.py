"""Copies and digests of engines. Objects that hold secrets refuse to be copied, on purpose [K-7]: the laboratory brings its own copier.

A copy shares what cannot change: keys, ciphers, policies, frozen values. A digest names everything that can make a difference later:
clocks as distances from now, traffic keys by their bytes, sets and dictionaries in one order.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from enum import Enum
from functools import cache
from hashlib import sha256, shake_256
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, Final
from unittest.mock import patch

import core.wire.epoch
from core.crypto.chain import Locators
from core.crypto.primitives import AesBlock, PrivateKey, new_cipher
from core.crypto.secret import Secret
from core.session.desk import Identity
from core.values import Fact
from lab.replay.snapshot import NOISE, attributes
from lab.sim.twins import KEM_CIPHERTEXT, TwinKemKey

FIRST, LAST = 10**12, 5 * 10**13
"""Numbers between them are Instants: worlds begin at 10**12 ns; indices are smaller, and `Stage` looks that no handle lies here."""
BLIND: Final = frozenset(
    (*NOISE, ("Client", "version"), ("Session", "version"), ("Session", "last_serial"), ("Session", "commit_serial"),
     ("Client", "_last"), ("Gateway", "_load_second"),
     ("Epoch", "received_bytes"), ("Epoch", "sent_bytes"), ("Epoch", "sampled"), ("Session", "health_at"), ("Tally", "_emit"),
     ("Desk", "_ticket"), ("Client", "refusals"), ("Desk", "refusals"), ("Desk", "strangers"), ("Keks", "_keys"), ("Keks", "_newest"))
)  # fmt: skip
"""What decides nothing: numbers of records and of transitions, sums for records, the hour's KEK that every store row names."""
ATOMS: Final = (int, str, bytes, float, Enum, type, FunctionType, ModuleType, range)


class Heard:
    """An epoch's real cipher that remembers what it sealed, so that a frame can be told."""

    plain: Final[dict[bytes, bytes]] = {}

    def __init__(self, key: bytes) -> None:
        self._cipher = new_cipher(Secret(key))

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Seal."""
        sealed = self._cipher.encrypt(nonce, data, associated_data)
        self.plain[sealed] = data
        return sealed

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Open."""
        return self._cipher.decrypt(nonce, data, associated_data)


class Drawn:
    """Entropy as a function of what asks for it: a part in one state that hears one thing draws the same bytes in every world."""

    def __init__(self) -> None:
        self.begin(b"start")

    def begin(self, seed: bytes) -> None:
        """Draw for one step from now on."""
        self.seed, self.count = seed, 0

    def __call__(self, n: int) -> bytes:
        """Return n bytes."""
        self.count += 1
        return shake_256(self.seed + self.count.to_bytes(4, "big")).digest(n)


class DrawnKem:
    """The twin of ML-KEM-768 with the same entropy: lengths without secrecy."""

    generate: Final = staticmethod(TwinKemKey)

    def __init__(self, entropy: Drawn) -> None:
        self._entropy = entropy

    def encapsulate(self, public: bytes) -> tuple[Secret, bytes]:
        """Return (shared secret, ciphertext)."""
        ciphertext = shake_256(public + self._entropy(32)).digest(KEM_CIPHERTEXT)
        return Secret(sha256(public + ciphertext).digest()), ciphertext


one_a_key = cache(Heard)


@contextmanager
def watched() -> Iterator[None]:
    """Let epochs be made with ciphers that remember, one for each key."""
    with patch.object(core.wire.epoch, "new_cipher", lambda key: one_a_key(key.expose())):
        yield


SHARED: Final = (Heard, Secret, PrivateKey, AesBlock, Locators, Identity, MappingProxyType, Drawn, DrawnKem, TwinKemKey, *ATOMS)


def copied(value: Any, memo: dict[int, Any]) -> Any:  # noqa: PLR0911 - one line a kind
    """Return an independent copy, in which what was one object still is one object."""
    if value is None or isinstance(value, SHARED):
        return value
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, tuple):
        inside = [copied(each, memo) for each in value]
        if all(new is old for new, old in zip(inside, value, strict=True)):
            return value
        return type(value)._make(inside) if hasattr(value, "_make") else tuple(inside)
    if isinstance(value, dict):
        twin = copy(value)  # of its kind: a Counter and a defaultdict answer for what they lack
        twin.clear()
        memo[id(value)] = twin
        for key, each in value.items():  # not `update`, which counts in a Counter
            twin[copied(key, memo)] = copied(each, memo)
        return twin
    if isinstance(value, list | deque):
        memo[id(value)] = many = type(value)() if isinstance(value, list) else deque(maxlen=value.maxlen)
        many.extend(copied(each, memo) for each in value)
        return many
    if isinstance(value, set | frozenset):
        return type(value)(copied(each, memo) for each in value)
    if isinstance(value, MethodType):
        return MethodType(value.__func__, copied(value.__self__, memo))
    memo[id(value)] = one = object.__new__(type(value))
    for name, each in attributes(value).items():
        object.__setattr__(one, name, copied(each, memo))
    return one


def digest(root: object, now: int) -> bytes:
    """Return what names the state of an engine, its clock at `now`."""
    told: list[str] = []
    _tell(root, now, told.append, {})
    return shake_256(" ".join(told).encode()).digest(16)


def _tell(value: Any, now: int, say: Callable[[str], None], seen: dict[int, int]) -> None:  # noqa: C901, PLR0912 - one case a kind
    if isinstance(value, int):
        say(f"@{value - now}" if FIRST <= value < LAST else str(int(value)))
    elif value is None or isinstance(value, bytes | str | Enum | FunctionType | type | MethodType):
        say(value.hex() if isinstance(value, bytes) else getattr(value, "__qualname__", str(value)))
    elif isinstance(value, Fact):
        say(f"{value.event} {value.reason} {value.state_from} {value.state_to} {value.binding_version} {value.attempt} {value.remote}")
    elif isinstance(value, Secret):
        say(value.expose().hex())
    elif isinstance(value, SHARED):
        say(type(value).__name__)
    elif id(value) in seen:
        say(f"#{seen[id(value)]}")
    elif isinstance(value, tuple | list | deque):
        say("(")
        for each in value:
            _tell(each, now, say, seen)
        say(")")
    elif isinstance(value, dict):
        say("{")
        for key in sorted(value, key=_order):
            _tell(key, now, say, seen)
            _tell(value[key], now, say, seen)
        say("}")
    elif isinstance(value, set | frozenset):
        _tell(sorted(value, key=_order), now, say, seen)
    else:
        seen[id(value)] = len(seen)
        kind = type(value).__name__
        say(kind)
        for name, each in attributes(value).items():
            if (kind, name) not in BLIND:
                say(name)
                _tell(each, now, say, seen)


def _order(key: Any) -> str:
    """Return the place of a key: numbers and bytes by value, sessions by handle."""
    return str(key.handle) if hasattr(key, "handle") else str(key)
