"""Messages on a stream: LE16 length || message (protocol section 1, Carriage [F-8]). For TCP, and for stream 0 of QUIC."""

from collections.abc import Iterable
from typing import Final

from core.wire.layout import STREAM_MAX

LENGTH_BYTES: Final = 2


def framed(messages: Iterable[bytes]) -> bytes:
    """Return the stream's bytes for whole messages of 1 to 65,535 bytes."""
    return b"".join([part for message in messages for part in (len(message).to_bytes(LENGTH_BYTES, "little"), message)])


class Deframer:
    """Cuts a stream into messages. Holds less than one message, so at most 2 + 1,440 bytes."""

    __slots__ = ("_rest", "broken")

    def __init__(self) -> None:
        self._rest = b""
        self.broken = False
        """A length of 0 or above the type's maximum was seen: the connection has to be closed, nothing more comes out."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the messages that are complete now, up to the place where it breaks."""
        messages: list[bytes] = []
        stream = self._rest + data
        start, end = 0, 0 if self.broken else len(stream)
        while end - start >= LENGTH_BYTES:
            body = start + LENGTH_BYTES
            length = stream[start] | stream[start + 1] << 8
            if length == 0 or (body < end and length > STREAM_MAX.get(stream[body], 0)):  # a bad message is never waited for
                self.broken = True
                break
            if body + length > end:
                break
            start = body + length
            messages.append(stream[body:start])
        self._rest = b"" if self.broken else stream[start:]
        return messages
