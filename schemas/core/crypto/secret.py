"""Secrets as a type: what holds them is not copied, and their bytes are seen only by functions that are on a list."""

from typing import NoReturn


class Holder:
    """Base of objects that hold a secret: not pickled, not copied [K-7]."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an object that holds secrets is neither pickled nor copied")


class Secret(Holder):
    """Bytes that nothing but the functions of this package may see [K-7].

    There is no comparison, hash, truth, slice, text or copy of it: each raises TypeError, and repr says only what it is. Its length is
    public. `expose` is for handing the bytes to a library or a file; `lab/secrecy.py` lists who may, and checks what they do with them.
    Dropping a Secret frees its bytes without overwriting them (SECURITY.md).
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def expose(self) -> bytes:
        """Return the bytes."""
        return self._raw

    def __len__(self) -> int:
        return len(self._raw)

    def __repr__(self) -> str:
        return "<Secret>"

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a secret is not compared, hashed, tested or shown")

    __eq__ = __ne__ = __hash__ = __bool__ = __str__ = __format__ = _refuse
