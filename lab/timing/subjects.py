"""What is timed: every function whose result depends on a comparison with a secret value, and the controls.

Class 0 differs from the right value in its first byte, class 1 in its last. Both classes do the same work to make their arguments, and each
buffer is copied anew from the same allocator: with one pool of buffers a class, their placement alone gives |t| above 10.
"""

from collections.abc import Callable
from itertools import cycle
from typing import Any, Final

from core.crypto import primitives as p
from core.crypto.chain import Locators
from core.crypto.secret import Secret
from core.errors import require
from core.wire.layout import REATTACH_MAC, SIZES, Type
from core.wire.macs import check_mac, mac
from jvpn.shell.entropy import entropy
from lab.timing.harness import Subject

KEY: Final = Secret(entropy(32))
SHORT, LONG = 32, 1_024
FLIP: Final = 0x80
POOL: Final = 1_024
Maker = Callable[[int], tuple[Any, ...]]


def _forged(right: bytes) -> tuple[bytearray, bytearray]:
    """Return the two wrong values: one differs from `right` in its first byte, one in its last."""
    first, last = bytearray(right), bytearray(right)
    first[0] ^= FLIP
    last[-1] ^= FLIP
    return first, last


def _pair(size: int) -> Maker:
    """Make (right value, wrong value) of `size` bytes."""
    right = entropy(size)
    kept, wrong = bytearray(right), _forged(right)
    return lambda kind: (bytes(kept), bytes(wrong[kind]))


def _ending(head: bytes, end: bytes) -> Maker:
    """Make (bytes that end in a wrong value,)."""
    wrong = tuple(bytearray(head + each) for each in _forged(end))
    return lambda kind: (bytes(wrong[kind]),)


def _locators() -> Maker:
    """Make ((locator,),): decrypting it gives a block whose eight zeros are wrong in the first or the last; few are ever the same."""
    wrong = [[bytearray(_BLOCK.encrypt(entropy(8) + each)) for _ in range(POOL)] for each in _forged(bytes(8))]
    turns = cycle(range(POOL))
    return lambda kind: ((bytes(wrong[kind][next(turns)]),),)


def _loop(one: bytes, other: bytes) -> bool:
    return all(left == right for left, right in zip(one, other, strict=True))  # stops at the first difference


def _equals(one: bytes, other: bytes) -> bool:
    return one == other


def _opens(frame: bytes) -> bool:
    try:
        _CIPHER.decrypt(_NONCE, frame, b"")
    except p.TagMismatch:
        return False
    return True


_HEAD: Final = entropy(REATTACH_MAC)
_MAC: Final = mac(KEY, _HEAD)
_CIPHER: Final = p.new_cipher(KEY)
_NONCE: Final = p.nonce(7)
_SEALED: Final = _CIPHER.encrypt(_NONCE, entropy(1_280), b"")
_BLOCK: Final = p.AesBlock(KEY)
_LOCATORS: Final = Locators(KEY)
require(len(_HEAD + _MAC) == SIZES[Type.REATTACH], "what is timed is a REATTACH")

_PAIR: Final = _pair(SHORT)

LEAKS: Final = (
    Subject("loop", f"a loop over {SHORT} bytes that stops at the first difference", _PAIR, _loop),
    Subject("equals", f"== on {LONG} bytes", _pair(LONG), _equals),
)
SILENT: Final = Subject("same class", f"core.crypto.primitives.same, {SHORT} bytes, class 0 twice", lambda _kind: _PAIR(0), p.same)
SUBJECTS: Final = (
    Subject("same", f"core.crypto.primitives.same, {SHORT} bytes", _PAIR, p.same),
    Subject("same, long", f"core.crypto.primitives.same, {LONG} bytes", _pair(LONG), p.same),
    Subject(
        "mac", "core.wire.macs.check_mac, the mac of a REATTACH", _ending(_HEAD, _MAC), lambda frame: check_mac(frame, REATTACH_MAC, KEY)
    ),
    Subject("locator", "core.crypto.chain.Locators.open, the eight zeros", _locators(), _LOCATORS.open),
    Subject("tag", "ChaCha20-Poly1305 open, the tag of a DATA frame", _ending(_SEALED[:-16], _SEALED[-16:]), _opens),
)
