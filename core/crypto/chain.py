"""Keys that outlive a handshake: birth of a session, the chain of attempts, locators, and the sealed part of a session's row."""

import struct
from dataclasses import dataclass

from core.crypto.noise import Handshake
from core.crypto.primitives import TAG_LENGTH, AesBlock, Secret, TagMismatch, expand, new_cipher, same
from core.errors import require

NONCE_LENGTH, SESSION_ID_LENGTH, CHAIN_LENGTH = 12, 16, 32
SEALED_LENGTH = NONCE_LENGTH + SESSION_ID_LENGTH + CHAIN_LENGTH + TAG_LENGTH


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Birth(Secret):
    """What a finished IKhfs handshake gives: keys 32 (client to gateway, gateway to client), session id 16, chain_1 32."""

    k_up: bytes
    k_down: bytes
    session_id: bytes
    chain: bytes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AttemptKeys(Secret):
    """Keys of one attempt, 32 bytes each: of the outer mac, of KKpsk0, and the chain of the next attempt."""

    mac: bytes
    psk: bytes
    next: bytes


def born(handshake: Handshake) -> Birth:
    """Return what a finished handshake gives (protocol section 2) [H-10, H-11, H-12]; drop the handshake afterwards. Leaks: nothing."""
    k_up, k_down, root = handshake.split3()
    session_id = expand(root, b"session id" + handshake.hash, SESSION_ID_LENGTH)
    return Birth(k_up, k_down, session_id, expand(root, b"resume" + handshake.hash, CHAIN_LENGTH))


def attempt_keys(chain: bytes) -> AttemptKeys:
    """Return the keys of the attempt that `chain` (32 bytes) stands at (protocol section 3) [R-3]. Leaks: nothing."""
    return AttemptKeys(expand(chain, b"mac", 32), expand(chain, b"psk", 32), expand(chain, b"next", 32))


class Locators:
    """Makes and opens locators, one AES-256 block each, under a 32-byte key that the gateways share [R-4].

    Leaks: nothing where OpenSSL has AES instructions; `open` shows whether it opened.
    """

    def __init__(self, key: bytes) -> None:
        self._block = AesBlock(key)

    def mint(self, handle: int, attempt: int) -> bytes:
        """Return the locator, 16 bytes, of a handle below 2^48 and an attempt below 2^16; OverflowError for others."""
        return self._block.encrypt(handle.to_bytes(6, "little") + attempt.to_bytes(2, "little") + bytes(8))

    def open(self, locator: bytes) -> tuple[int, int] | None:
        """Return (handle, attempt) of a locator of 16 bytes, or None when it was not made under this key (2^-64: a chance hit)."""
        block = self._block.decrypt(locator)
        return (int.from_bytes(block[:6], "little"), int.from_bytes(block[6:8], "little")) if same(block[8:], bytes(8)) else None


def seal(kek: bytes, nonce: bytes, session_id: bytes, chain: bytes, handle: int, binding_version: int, hour: int) -> bytes:
    """Return the sealed part of a row, 76 bytes: nonce 12 || AEAD(session id 16 || chain 32) [K-5].

    `kek` is the key of `hour` (hours since 1970); `nonce` is drawn at random for this one call. Leaks: nothing.
    """
    require((len(nonce), len(session_id), len(chain)) == (NONCE_LENGTH, SESSION_ID_LENGTH, CHAIN_LENGTH), "lengths of a sealed row")
    return nonce + new_cipher(kek).encrypt(nonce, session_id + chain, _row(handle, binding_version, hour))


def unseal(kek: bytes, sealed: bytes, handle: int, binding_version: int, hour: int) -> tuple[bytes, bytes]:
    """Return (session id, chain) of a sealed row; raise TagMismatch if anything differs. Leaks: whether it opened."""
    if len(sealed) != SEALED_LENGTH:
        raise TagMismatch
    opened = new_cipher(kek).decrypt(sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:], _row(handle, binding_version, hour))
    return opened[:SESSION_ID_LENGTH], opened[SESSION_ID_LENGTH:]


def next_kek(kek: bytes) -> bytes:
    """Return the key-encryption key of the following hour, 32 bytes; the one given cannot be computed from it [K-6]. Leaks: nothing."""
    return expand(kek, b"kek", 32)


def _row(handle: int, binding_version: int, hour: int) -> bytes:
    """Return the associated data of a row: LE64 handle || LE64 binding version || LE32 hour."""
    return struct.pack("<QQI", handle, binding_version, hour)
