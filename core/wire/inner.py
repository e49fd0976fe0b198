"""Inner frames: kind, length, body, zeros (protocol section 1). Most bodies are `records`; SEGMENT is `segment`."""

from struct import Struct
from typing import Final, NamedTuple, Self

from core.errors import require
from core.limits import MTU_ALLOWED
from core.wire.layout import BLOCK, Defect, Kind, Malformed, padded
from core.wire.records import AckHead, pack, unpack

ZEROS: Final = tuple(bytes(n) for n in range(BLOCK))
MTU_MAX: Final = max(MTU_ALLOWED)
_HEAD: Final = Struct("<BH")  # kind, length
_unpack_head, IP = Struct("<BHBxBB").unpack_from, Kind.IP  # with an IP packet's version and length; looked up once, as for each packet
_KINDS: Final = {int(kind): kind for kind in Kind}
_BULK: Final = 2  # up to this: IP and SEGMENT
_MTU_AT: Final[dict[int, int]] = {Kind.CONFIRM: 0, Kind.ACK: 8}  # where they state M
_LENGTHS: Final = {int(Kind.CLOSE): 1, int(Kind.HEALTH): 80}  # bodies that nobody reads are judged here
_LONG: Final = frozenset({Kind.CONFIRM, Kind.ACK, Kind.PROBE, Kind.PROBE_ACK})  # padded further than to the next block


def encode_ip(packet: bytes) -> bytes:
    """Return the inner frame of one IP packet of at most M bytes [I-3]."""
    n = len(packet)
    return b"".join((_HEAD.pack(1, n), packet, ZEROS[-3 - n & 15]))


def encode(kind: Kind, body: bytes, pad_to: int | None = None) -> bytes:
    """Return an inner frame: CONFIRM and ACK as long as their M says, others `pad_to` bytes or as few as can be [I-1] [I-4]."""
    size = _stated(kind, body) or pad_to or padded(3 + len(body))
    rest = size - 3 - len(body)
    fits = size % BLOCK == 0 and size <= padded(15 + MTU_MAX) and 0 <= rest < (size if kind in _LONG else BLOCK)
    require(fits, "an inner frame has whole blocks, holds its body, and is longer than its body needs only for kinds that measure paths")
    return _HEAD.pack(kind, len(body)) + body + bytes(rest)


def parse(plain: bytes, mtu: int = MTU_MAX) -> tuple[Kind, bytes]:
    """Return kind and body of an inner frame, checked for a TUN of `mtu` bytes; raise Malformed [I-1] [I-2] [I-3]."""
    size = len(plain)
    if size & 15 or not size:
        raise Malformed(Defect.LENGTH)
    number, length, first, high, low = _unpack_head(plain)
    rest, end = size - 3 - length, 3 + length
    whole = number == 1 and 0 <= rest < BLOCK and first >> 4 == 4 and 20 <= high << 8 | low == length <= mtu  # noqa: PLR2004 - as below
    if whole and plain[end:] == ZEROS[rest]:  # an IPv4 packet, as nearly every frame is: what follows says the same of it, and why not
        return IP, plain[3:end]
    body = plain[3:end]
    kind = _KINDS.get(number)
    if size > mtu + 30 & -16:
        raise Malformed(Defect.LENGTH)
    if kind is None:
        raise Malformed(Defect.KIND)
    if rest < 0 or (rest >= BLOCK and number not in _LONG) or (number > _BULK and size != (_stated(number, body) or size)):
        raise Malformed(Defect.LENGTH)
    if not plain.endswith(ZEROS[rest] if rest < BLOCK else bytes(rest)):
        raise Malformed(Defect.PADDING)
    if length != _LENGTHS.get(number, length) if number > _BULK else number == 1 and not packet_length(body) == length <= mtu:
        raise Malformed(Defect.LENGTH if number > _BULK else Defect.BODY)
    return kind, body


def _stated(kind: int, body: bytes) -> int:
    """Return the one length of a CONFIRM or ACK, so that a path commits only when it carries L both ways; 0 for other kinds [I-4]."""
    at = _MTU_AT.get(kind)
    return 0 if at is None else padded(15 + int.from_bytes(body[at : at + 2], "little"))


def packet_length(packet: bytes) -> int:
    """Return the length that the header of an IPv4 (RFC 791) or IPv6 packet (RFC 8200) states; -1 where there is no such header."""
    version = packet[0] >> 4 if len(packet) >= 20 else 0  # noqa: PLR2004 - the least IPv4 header
    if version == 4:  # noqa: PLR2004 - the number of IPv4
        return packet[2] << 8 | packet[3]
    return 40 + (packet[4] << 8 | packet[5]) if version == 6 else -1  # noqa: PLR2004 - IPv6, whose own 40 bytes are not counted


class Ack(NamedTuple):
    """Body of ACK: the committed binding, M, inner addresses 4 and 16, resolver 16, at most 32 locators of 16 [I-5]."""

    binding_version: int
    mtu: int
    inner4: bytes
    inner6: bytes
    resolver: bytes
    locators: tuple[bytes, ...]

    def pack(self) -> bytes:
        """Return the body; raise Invariant."""
        require(all(len(locator) == BLOCK for locator in self.locators), "a locator has 16 bytes")
        return pack(AckHead(*self[:5], len(self.locators))) + b"".join(self.locators)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Return the body in `raw`; raise Malformed."""
        head = unpack(AckHead, raw[:47])
        if len(raw) != 47 + head.locators * BLOCK:
            raise Malformed(Defect.LENGTH)
        return cls(*head[:5], tuple(raw[at : at + BLOCK] for at in range(47, len(raw), BLOCK)))
