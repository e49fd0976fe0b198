"""What is fuzzed: functions that take any bytes, and raise only when something is wrong.

Each parser may refuse in its declared way and in no other; what it accepts must encode to the same bytes [F-1].
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from core.crypto.chain import Locators, seal, unseal
from core.crypto.primitives import TagMismatch
from core.crypto.secret import Secret
from core.limits import MTU_ALLOWED
from core.wire import records
from core.wire.inner import Ack, encode
from core.wire.inner import parse as parse_inner
from core.wire.layout import DATA_HEADER, SIZES, Kind, Malformed
from core.wire.messages import data_header, parse, parse_data
from core.wire.messages import encode as encode_frame
from core.wire.segment import encode_segment, template, unpack_segment
from lab.fuzz.engines import Wrong, client, gateway
from lab.sim.frames import Health, located, minted

Target = Callable[[bytes], None]
RECORDS: Final[tuple[Callable[..., tuple[Any, ...]], ...]] = (
    records.InitPayload, records.RespPayload, records.ReattachPayload, records.ReattachRespPayload, records.Confirm, records.AckHead,
    records.Probe, records.ProbeAck, records.Close, records.Hint, records.Direction,
)  # fmt: skip
KEY: Final = Secret(bytes(range(32)))
ROW: Final = bytes(range(157))  # the fields of a row, packed


def same(again: object, data: object) -> None:
    """Raise Wrong where two values differ that must not."""
    if again != data:
        raise Wrong(f"{again!r} is not {data!r}")


def frames(data: bytes) -> None:
    """Parse a frame of any type: the bytes as they are, and as long as their type wants them, which chance would seldom make them."""
    size = SIZES.get(data[0] if data else 0, 0)
    for frame in (data, data[:size].ljust(size, b"\0")):
        try:
            message = parse(frame)
        except Malformed:
            continue
        same(encode_frame(message), frame)


def data_frames(data: bytes) -> None:
    """Parse the header of a DATA frame."""
    try:
        index, counter = parse_data(data)
    except Malformed:
        return
    same(data_header(index, counter), data[:DATA_HEADER])


def inner_frames(data: bytes) -> None:
    """Parse an inner frame for a TUN of either size; the last byte says which."""
    plain, mtu = data[:-1], MTU_ALLOWED[data[-1] % 2 if data else 0]
    try:
        kind, body = parse_inner(plain, mtu)
    except Malformed:
        return
    if kind is not Kind.SEGMENT:
        same(encode(kind, body, len(plain)), plain)


def bodies(data: bytes) -> None:
    """Unpack each record of fixed length; the first byte says which."""
    make = RECORDS[data[0] % len(RECORDS) if data else 0]
    try:
        value = records.unpack(make, data[1:])
    except Malformed:
        return
    same(records.pack(value), data[1:])


def acks(data: bytes) -> None:
    """Unpack an ACK's body."""
    try:
        ack = Ack.unpack(data)
    except Malformed:
        return
    same(ack.pack(), data)


def healths(data: bytes) -> None:
    """Unpack a HEALTH's body."""
    try:
        health = Health.unpack(data)
    except Malformed:
        return
    same(health.pack(), data)


def segments(data: bytes) -> None:
    """Unpack a SEGMENT's body for a TUN of either size; the last byte says which."""
    body, mtu = data[:-1], MTU_ALLOWED[data[-1] % 2 if data else 0]
    try:
        segment = unpack_segment(body, mtu)
    except Malformed:
        return
    same(template(segment.vnet, segment.headers, mtu), segment.vnet + segment.headers)
    kind, again = parse_inner(encode_segment(segment.place, segment.vnet + segment.headers, segment.chunk))
    same((kind, again), (Kind.SEGMENT, body))


def locators(data: bytes) -> None:
    """Open a locator that nobody minted, and one that was minted for a handle and an attempt from the bytes."""
    minting, block = Locators(KEY), data[:16].ljust(16, b"\0")
    opened = located(minting, block)
    if opened is not None:
        same(minted(minting, *opened), block)
    number = int.from_bytes(block[:6], "little"), int.from_bytes(block[6:8], "little")
    same(located(minting, minted(minting, *number)), number)


def rows(data: bytes) -> None:
    """Open the sealed part of a row: bytes of any kind, and a true one that differs in the bits of the first bytes."""
    sealed = seal(KEY, bytes(12), Secret(bytes(16)), Secret(bytes(32)), ROW)
    flips = bytes(a ^ b for a, b in zip(data.ljust(len(sealed), b"\0"), sealed, strict=False))
    for each in (data, flips, flips + data[len(sealed) :]):
        try:
            unseal(KEY, each, ROW)
        except TagMismatch:
            continue
        same(each, sealed)


MAKERS: Final[Mapping[str, Callable[[], Target]]] = {
    "parse": lambda: frames,
    "parse_data": lambda: data_frames,
    "inner": lambda: inner_frames,
    "records": lambda: bodies,
    "ack": lambda: acks,
    "health": lambda: healths,
    "segment": lambda: segments,
    "locator": lambda: locators,
    "row": lambda: rows,
    "gateway": gateway,
    "client": client,
}
"""For each target what makes it; the engines take a moment."""
