"""The forms that texts in configuration files may have; each function raises ValueError for what is not of its form."""

import binascii
import re
import socket
from hashlib import sha256
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final

from core.values import Endpoint
from jvpn.shell.transports.base import endpoint

NODE_BYTES: Final = 8
KEY_BYTES: Final = 32
PREFIXES4: Final = range(8, 31)
PREFIXES6: Final = range(48, 125)
PORT_MAX: Final = 65_535
NO_RESOLVER: Final = bytes(16)


def node_id(text: str) -> bytes:
    """Return the 8 bytes of a node: what 16 hex digits say, else the beginning of a hash of the name."""
    if re.fullmatch(r"[0-9a-fA-F]{16}", text):
        return bytes.fromhex(text)
    return sha256(b"jvpn node " + text.encode()).digest()[:NODE_BYTES]


def key_bytes(text: str) -> bytes:
    """Return the 32 bytes of a key in base64, whose last character has but one spelling."""
    raw = binascii.a2b_base64(text, strict_mode=True)
    if len(raw) != KEY_BYTES or key_text(raw) != text:
        raise ValueError("not a key")
    return raw


def key_text(raw: bytes) -> str:
    """Return bytes in base64."""
    return binascii.b2a_base64(raw, newline=False).decode()


def host_and_port(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`, where an IPv6 address stands in brackets."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
    if not found or not 0 < int(found[3]) <= PORT_MAX:
        raise ValueError("not host:port")
    if found[1] and ":" not in found[1]:
        raise ValueError("brackets are for IPv6")
    return found[1] or found[2], int(found[3])


def listen(text: str) -> Endpoint:
    """Return the endpoint of `address:port`; names are not looked up."""
    return endpoint(*host_and_port(text))


def local(text: str) -> Endpoint:
    """Return the endpoint of an address with port 0, which means any."""
    return endpoint(text, 0)


def resolver(text: str) -> bytes:
    """Return the 16 bytes of an address, IPv4 as v4-mapped; zeros for an empty text."""
    return endpoint(text, 0).address if text else NO_RESOLVER


def device(text: str) -> str:
    """Return the name of an interface; the only `%` is that of one `%d`."""
    if text in {".", ".."} or "%" in text.replace("%d", "", 1):
        raise ValueError("not a name of an interface")
    return text


def address4(text: str) -> IPv4Interface | None:
    """Return an IPv4 address of one machine, with its network; None for an empty text."""
    if not text:
        return None
    interface = IPv4Interface(text)
    network, address = interface.network, interface.ip
    usable = address not in {network.network_address, network.broadcast_address} and not address.is_multicast and not address.is_loopback
    if network.prefixlen not in PREFIXES4 or not usable:
        raise ValueError("not an address of one machine")
    return interface


def address6(text: str) -> IPv6Interface | None:
    """Return an IPv6 address of one machine, with its network; None for an empty text."""
    if not text:
        return None
    interface = IPv6Interface(text)
    network, address = interface.network, interface.ip
    if network.prefixlen not in PREFIXES6 or address == network.network_address or address.is_multicast or "%" in text:
        raise ValueError("not an address of one machine")
    return interface


def look_up(host: str, port: int) -> Endpoint:
    """Return the endpoint of an address, or the first that the system finds for a name; OSError or UnicodeError when it finds none."""
    try:
        return endpoint(host, port)
    except ValueError:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        return endpoint(str(found[0][4][0]).partition("%")[0], port)


def nowhere(host: str, port: int) -> Endpoint:
    """Return the endpoint of an address, and one that stands for any name, for who does not need to know where it leads."""
    try:
        return endpoint(host, port)
    except ValueError:
        return endpoint("192.0.2.1", port)  # RFC 5737: nobody's
