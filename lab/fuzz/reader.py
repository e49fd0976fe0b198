"""Bytes, read as small numbers and chunks; where they have ended, everything is zero."""

from typing import Final

LENGTH: Final = 2


class Reader:
    """Reads once, from the first byte to the last."""

    def __init__(self, data: bytes) -> None:
        """Begin with the first byte."""
        self._data, self._at = data, 0

    def left(self) -> bool:
        """Tell whether there is a byte left."""
        return self._at < len(self._data)

    def take(self, n: int) -> bytes:
        """Return the next n bytes, or as many as there are."""
        self._at += n
        return self._data[self._at - n : self._at]

    def number(self, n: int) -> int:
        """Return a number of n bytes."""
        return int.from_bytes(self.take(n), "little")

    def byte(self) -> int:
        """Return one byte."""
        return self.number(1)

    def chunk(self, most: int) -> bytes:
        """Return as many bytes as the next two say, at most `most`."""
        return self.take(self.number(LENGTH) % (most + 1))
