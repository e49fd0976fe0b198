# ruff: noqa: E701, D101 - each alphabet of numbers stands in one line, as in the specification, and is described there
"""The numbers of JVP/1's formats (protocol section 1), and the refusal of bytes that do not fit them."""

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final

from core.errors import JvpError
from core.limits import MTU_ALLOWED


# fmt: off
# First byte of a frame [F-2]; first byte of an inner frame [I-2]; what a REATTACH does and a HINT asks for [F-9] [I-8].
class Type(IntEnum): INIT, RESP, COOKIE, DATA, REATTACH, REATTACH_RESP = 1, 2, 3, 4, 5, 6
class Kind(IntEnum): IP, SEGMENT, CONFIRM, ACK, PROBE, PROBE_ACK, CLOSE, HINT, HEALTH = 1, 2, 3, 4, 5, 6, 7, 8, 9
class Change(IntEnum): MOVE, REKEY = 1, 2
# What is wrong: a length; no such type; not version 1; a reserved byte; no such kind; padding that is not zero; a value not allowed.
class Defect(Enum): LENGTH, TYPE, VERSION, RESERVED, KIND, PADDING, BODY = 1, 2, 3, 4, 5, 6, 7
# fmt: on


class Malformed(JvpError):
    """Bytes of the peer, or of someone who pretends to be it, that are not JVP/1."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(defect)
        self.defect = defect


def padded(n: int) -> int:
    """Return the least multiple of 16 that is not below `n`."""
    return n + 15 & -16


def confirm_length(mtu: int) -> int:
    """Return L(M): the length of a CONFIRM frame, and the greatest of any DATA frame, for M = `mtu` [F-10]."""
    return DATA_OVERHEAD + padded(15 + mtu)  # the longest inner frame: kind 1, length 2, and a SEGMENT's index 2, vnet 10 and M bytes


VERSION, PREFIX = 1, 4  # the prefix is type, version, two zeros; in DATA type, three zeros
BLOCK: Final = 16  # unit of padding; also the length of a tag, a MAC, a cookie and a locator
DATA_HEADER, DATA_OVERHEAD, DATA_MIN = 16, 32, 48  # the header; with a tag; with the shortest inner frame
DATA_MAX: Final = confirm_length(max(MTU_ALLOWED))
INIT_MAC1, INIT_MAC2, REATTACH_MAC = 1320, 1336, 88  # where the MACs start, and so how many bytes they cover
# [F-3]; no unproven reply is longer than its request [F-11]
SIZES: Final[Mapping[int, int]] = {Type.INIT: 1352, Type.RESP: 1180, Type.COOKIE: 40, Type.REATTACH: 104, Type.REATTACH_RESP: 84}
# [F-8]: the greatest length by type; any other type closes the connection
STREAM_MAX: Final[Mapping[int, int]] = {Type.DATA: DATA_MAX} | {number: SIZES[number] for number in SIZES if number != Type.COOKIE}
