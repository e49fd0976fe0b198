"""SEGMENT: a chunk of a TCP super-packet with all that it takes to make an IP packet of it, without the others (protocol section 1)."""

from struct import Struct
from typing import Final

from core.wire.inner import ZEROS, packet_length
from core.wire.layout import Defect, Malformed
from core.wire.records import Segment

_HEAD: Final = Struct("<BHH")  # kind, length, index
_VNET: Final = Struct("<BBHHHH")  # virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
_VERSIONS: Final = {1: 4, 4: 6}  # gso_type of TCPv4, TCPv6: without the ECN bit, which comes only where TUN_F_TSO_ECN asks for it
_HEADERS_MIN, _HEADERS_MAX, _TCP_MIN, _TCP, _NEEDS_CSUM, _CSUM_OFFSET = 40, 120, 20, 6, 1, 16


def template(vnet: bytes, headers: bytes, mtu: int) -> bytes:
    """Return vnet and headers for `encode_segment`, hdr_len set right (the kernel gives a hint); raise Malformed [I-11] [I-12]."""
    vnet = vnet[:2] + (len(headers) & 0xFFFF).to_bytes(2, "little") + vnet[4:]
    _measure(vnet, headers, mtu)
    return vnet + headers


def encode_segment(index: int, template: bytes, chunk: bytes) -> bytes:
    """Return the inner frame of chunk `index`, counted from 0."""
    n = 2 + len(template) + len(chunk)
    return b"".join((_HEAD.pack(2, n, index), template, chunk, ZEROS[-3 - n & 15]))


def unpack_segment(body: bytes, mtu: int) -> Segment:
    """Return the body of a SEGMENT; raise Malformed unless the chunk is the one of its place, whole [I-10] [I-11].

    The length that the IP header states is the super-packet's: it tells which chunk is the last, and how long.
    """
    start = 12 + int.from_bytes(body[4:6], "little")
    segment = Segment(int.from_bytes(body[:2], "little"), body[2:12], body[12:start], body[start:])
    size, payload = _measure(segment.vnet, segment.headers, mtu)
    if not 0 < len(segment.chunk) == min(size, payload - segment.place * size):
        raise Malformed(Defect.BODY)
    return segment


def _measure(vnet: bytes, headers: bytes, mtu: int) -> tuple[int, int]:
    """Return gso_size and payload length of a super-packet; raise Malformed unless valid TCP packets of `mtu` bytes come of it [I-11]."""
    if len(vnet) != _VNET.size or not _HEADERS_MIN <= len(headers) <= _HEADERS_MAX:
        raise Malformed(Defect.LENGTH)
    flags, gso, hdr_len, size, start, offset = _VNET.unpack(vnet)
    version = headers[0] >> 4
    ip, protocol = ((headers[0] & 15) * 4, headers[9]) if version == 4 else (40, headers[6])  # noqa: PLR2004 - the version of IP
    payload = packet_length(headers) - hdr_len
    if not (
        version == _VERSIONS.get(gso)
        and (protocol, flags, hdr_len, start, offset) == (_TCP, _NEEDS_CSUM, len(headers), ip, _CSUM_OFFSET)
        and _TCP_MIN <= ip <= hdr_len - _TCP_MIN  # both headers have at least 20 bytes
        and ip + (headers[ip + 12] >> 4) * 4 == hdr_len
        and 0 < size <= mtu - hdr_len
        and payload > 0
    ):
        raise Malformed(Defect.BODY)
    return size, payload
