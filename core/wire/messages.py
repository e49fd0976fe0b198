"""Frames: `parse` and `encode` are inverse to each other, and what they do not share is refused (protocol section 1)."""

from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from typing import Final

from core.errors import require
from core.wire.layout import BLOCK, DATA_HEADER, DATA_MAX, DATA_MIN, PREFIX, SIZES, VERSION, Defect, Malformed, Type
from core.wire.records import Cookie, Data, Init, Reattach, ReattachResp, Resp, pack, unpack

Run = list[tuple[int, bytes]]
"""The (counter, frame) of one index, in the order of arrival."""
Fixed = Init | Resp | Cookie | Reattach | ReattachResp
_CLASSES: Final[Mapping[int, Callable[..., Fixed]]] = {
    Type.INIT: Init, Type.RESP: Resp, Type.COOKIE: Cookie, Type.REATTACH: Reattach, Type.REATTACH_RESP: ReattachResp
}  # fmt: skip
_HEADS: Final = {make: bytes((number, VERSION, 0, 0)) for number, make in _CLASSES.items()}
_DATA: Final = Struct("<IIQ")  # the type and its three zeros are one number: 4


def parse_data(frame: bytes) -> tuple[int, int]:
    """Return receiver index and counter of a DATA frame; raise Malformed [F-7]."""
    size = len(frame)
    if size & 15 or not DATA_MIN <= size <= DATA_MAX:
        raise Malformed(Defect.LENGTH)
    prefix, index, counter = _DATA.unpack_from(frame)
    if prefix != 4:  # noqa: PLR2004 - Type.DATA, without its look-up
        raise Malformed(Defect.RESERVED if frame[0] == Type.DATA else Defect.TYPE)
    return index, counter


def sort(frames: Iterable[bytes]) -> tuple[dict[int, Run], list[bytes]]:
    """Return a burst's DATA by receiver index, and what is another message or none."""
    data, rest = dict[int, Run](), list[bytes]()
    for frame in frames:
        size = len(frame)
        if size & 15 or not DATA_MIN <= size <= DATA_MAX or (head := _DATA.unpack_from(frame))[0] != 4:  # noqa: PLR2004 - as above
            rest.append(frame)  # `parse` says what it is
        elif (run := data.get(head[1])) is None:
            data[head[1]] = [(head[2], frame)]
        else:
            run.append((head[2], frame))
    return data, rest


def parse(frame: bytes) -> Fixed | Data:
    """Return the message in `frame`; raise Malformed. Type and length are first, together [F-4]; then version and zeros [F-5]."""
    number = frame[0] if frame else 0
    if number == Type.DATA:
        return Data(*parse_data(frame), frame[DATA_HEADER:])
    if number not in SIZES or len(frame) != SIZES[number]:
        raise Malformed(Defect.LENGTH if number in SIZES else Defect.TYPE)
    if frame[1] != VERSION or frame[2] or frame[3]:
        raise Malformed(Defect.RESERVED if frame[1] == VERSION else Defect.VERSION)
    return unpack(_CLASSES[number], frame[PREFIX:])


def encode(message: Fixed | Data) -> bytes:
    """Return the frame of `message`; raise Invariant when a field has not the length of its place."""
    if not isinstance(message, Data):
        return _HEADS[type(message)] + pack(message)
    frame = data_header(message.receiver_index, message.counter) + message.sealed
    require(DATA_MIN <= len(frame) <= DATA_MAX and len(frame) % BLOCK == 0, "DATA carries whole blocks")
    return frame


def init_header(sender_index: int) -> bytes:
    """Return the first 8 bytes of INIT, a part of the handshake's prologue [H-2]."""
    return _HEADS[Init] + sender_index.to_bytes(4, "little")


def reattach_header(sender_index: int, locator: bytes) -> bytes:
    """Return the first 24 bytes of REATTACH, a part of the reattach's prologue [R-5]."""
    require(len(locator) == BLOCK, "a locator has 16 bytes")
    return _HEADS[Reattach] + sender_index.to_bytes(4, "little") + locator


def data_header(receiver_index: int, counter: int) -> bytes:
    """Return the first 16 bytes of DATA, which are its associated data."""
    return _DATA.pack(4, receiver_index, counter)
