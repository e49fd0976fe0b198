"""Keys that outlive a handshake: birth of a session, the chain of attempts, locators, and the sealed part of a session's row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.crypto.noise import Handshake
from core.crypto.primitives import BLOCK_LENGTH, TAG_LENGTH, AesBlock, TagMismatch, expand, new_cipher, same
from core.crypto.secret import Holder, Secret
from core.errors import require

NONCE_LENGTH, SESSION_ID_LENGTH, CHAIN_LENGTH = 12, 16, 32
SEALED_LENGTH = NONCE_LENGTH + SESSION_ID_LENGTH + CHAIN_LENGTH + TAG_LENGTH


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Birth(Holder):
    """What a finished IKhfs handshake gives: keys 32 (client to gateway, gateway to client), session id 16, chain_1 32."""

    k_up: Secret
    k_down: Secret
    session_id: Secret
    chain: Secret


def born(handshake: Handshake) -> Birth:
    """Return what a finished handshake gives (protocol section 2) [H-10, H-11, H-12]; drop the handshake afterwards. Leaks: nothing."""
    k_up, k_down, root = handshake.split(3)
    session_id = expand(root, b"session id" + handshake.hash, SESSION_ID_LENGTH)
    return Birth(k_up, k_down, session_id, expand(root, b"resume" + handshake.hash, CHAIN_LENGTH))


def later(chain: Secret, steps: int) -> Secret:
    """Return the chain `steps` attempts later, which is what skipped attempts cost [R-12]. Leaks: the number of steps."""
    for _ in range(steps):
        chain = expand(chain, b"next", CHAIN_LENGTH)
    return chain


def mac_key(chain: Secret) -> Secret:
    """Return the key of the outer mac of the attempt that `chain` stands at, 32 bytes (protocol section 3) [R-3]. Leaks: nothing."""
    return expand(chain, b"mac", 32)


def psk_of(chain: Secret) -> Secret:
    """Return the pre-shared key of KKpsk0 of the attempt that `chain` stands at, 32 bytes [R-3]. Leaks: nothing."""
    return expand(chain, b"psk", 32)


def correlation_of(session_id: Secret) -> bytes:
    """Return the name of a session in records, 16 bytes: the same at both ends, and of no use on the wire [K-8]."""
    return expand(session_id, b"correlation", 16).expose()


def reattach_prologue(session_id: Secret, attempt: int, header: bytes) -> bytes:
    """Return the prologue of an attempt; `header` is the first 24 bytes of REATTACH [R-5]. It holds the session id."""
    return b"jumping-vpn/1 reattach" + session_id.expose() + attempt.to_bytes(8, "little") + header


class Locators(Holder):
    """Makes and opens locators, one AES-256 block each, under a 32-byte key that the gateways share [R-4].

    Leaks: nothing where OpenSSL has AES instructions; `open` shows whether it opened.
    """

    __slots__ = ("_block",)

    def __init__(self, key: Secret) -> None:
        self._block = AesBlock(key)

    def mint(self, handle: int, attempts: Iterable[int]) -> list[bytes]:
        """Return the locators, 16 bytes each, of attempts below 2^16 of a handle below 2^48; OverflowError for others."""
        head = handle.to_bytes(6, "little")
        blocks = self._block.encrypt(b"".join([head + attempt.to_bytes(2, "little") + bytes(8) for attempt in attempts]))
        return [blocks[at : at + BLOCK_LENGTH] for at in range(0, len(blocks), BLOCK_LENGTH)]

    def open(self, locators: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
        """Return the (handle, attempt) of those locators, of 16 bytes each, that were made under this key (2^-64: a chance hit).

        A flood of garbage that is opened together costs little more than one.
        """
        blocks, at, opened = self._block.decrypt(b"".join(locators)), 0, {}
        for locator in locators:
            if same(blocks[at + 8 : at + BLOCK_LENGTH], bytes(8)):
                opened[locator] = int.from_bytes(blocks[at : at + 6], "little"), int.from_bytes(blocks[at + 6 : at + 8], "little")
            at += BLOCK_LENGTH
        return opened


def seal(kek: Secret, nonce: bytes, session_id: Secret, chain: Secret, row: bytes) -> bytes:
    """Return the sealed part of a row, 76 bytes: nonce 12 || AEAD(session id 16 || chain 32) [K-5].

    `kek` is the key of the row's hour; `nonce` is drawn at random for this one call; `row` is every other field of the row. Leaks: nothing.
    """
    require((len(nonce), len(session_id), len(chain)) == (NONCE_LENGTH, SESSION_ID_LENGTH, CHAIN_LENGTH), "lengths of a sealed row")
    return nonce + new_cipher(kek).encrypt(nonce, session_id.expose() + chain.expose(), row)


def unseal(kek: Secret, sealed: bytes, row: bytes) -> tuple[Secret, Secret]:
    """Return (session id, chain) of a sealed row; raise TagMismatch if anything differs. Leaks: whether it opened."""
    if len(sealed) != SEALED_LENGTH:
        raise TagMismatch
    opened = new_cipher(kek).decrypt(sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:], row)
    return Secret(opened[:SESSION_ID_LENGTH]), Secret(opened[SESSION_ID_LENGTH:])


def next_kek(kek: Secret) -> Secret:
    """Return the key-encryption key of the following hour, 32 bytes; the one given cannot be computed from it [K-6]. Leaks: nothing."""
    return expand(kek, b"kek", 32)
