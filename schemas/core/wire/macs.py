"""The MACs of frames and the stateless cookie (protocol sections 1 to 3): each is the first 16 bytes of an HMAC-SHA-256."""

from core.crypto.primitives import hmac_sha256, same, sha256
from core.crypto.secret import Secret
from core.errors import require
from core.wire.layout import BLOCK


def k1(public: bytes) -> bytes:
    """Return K1 of a gateway's static public key: the key of mac1 and proof, not secret for whoever knows the gateway [M-1]."""
    return sha256(b"jumping-vpn/1 mac1" + public)


def mac(key: Secret | bytes, before: bytes) -> bytes:
    """Return mac1 (key K1), mac2 (key cookie) or REATTACH's mac (key mac_i) over all bytes before it [M-2] [M-4] [M-5]. Leaks: lengths."""
    return hmac_sha256(key, before)[:BLOCK]


def check_mac(frame: bytes, at: int, key: Secret | bytes) -> bool:
    """Tell whether the MAC that starts at INIT_MAC1, INIT_MAC2 or REATTACH_MAC of a parsed frame is right [M-6]. Leaks: the answer."""
    return same(mac(key, frame[:at]), frame[at : at + BLOCK])


def cookie_for(secret: Secret, address: bytes, port: int) -> bytes:
    """Return the cookie of a source, its address 16 bytes, under the gateway's secret R [M-3]. Leaks: lengths."""
    require(len(address) == BLOCK, "an address has 16 bytes")
    return mac(secret, address + port.to_bytes(2, "little"))


def cookie_proof(key: bytes, mac1: bytes, cookie: bytes) -> bytes:
    """Return the proof under K1 that a cookie answers the INIT of this mac1; compare it with `primitives.same` [M-3]. Leaks: lengths."""
    return mac(key, b"cookie" + mac1 + cookie)
