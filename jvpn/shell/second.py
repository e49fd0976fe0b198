"""The second implementation: libsodium, by PyNaCl, judges what the first one computes from fresh random values.

It is given nothing but values that are drawn for this and thrown away: no key ever reaches it. Each check draws its own.
"""

from nacl import bindings
from nacl.exceptions import CryptoError

from core.crypto import primitives as p
from core.crypto.secret import Secret
from core.errors import require
from jvpn.shell.entropy import entropy

MESSAGE: int = 200  # bytes, more than three blocks of the cipher
BLOCK: int = 64  # of SHA-256
SIGNATURE: int = 64  # of Ed25519


def exchange(private: bytes, public: bytes) -> bytes:
    """Return the X25519 shared secret; raise BadPublicKey where the first implementation does."""
    try:
        return bytes(bindings.crypto_scalarmult(private, public))
    except (RuntimeError, ValueError) as error:
        raise p.BadPublicKey from error


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """Return HMAC-SHA-256 as RFC 2104 defines it, over libsodium's hash."""
    padded = (bindings.crypto_hash_sha256(key) if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
    inner = bindings.crypto_hash_sha256(bytes(byte ^ 0x36 for byte in padded) + data)
    return bytes(bindings.crypto_hash_sha256(bytes(byte ^ 0x5C for byte in padded) + inner))


class Cipher:
    """ChaCha20-Poly1305 as `primitives.Cipher` has it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Return the sealed bytes."""
        return bytes(bindings.crypto_aead_chacha20poly1305_ietf_encrypt(data, associated_data, nonce, self._key))

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Return the opened bytes, or raise TagMismatch."""
        try:
            return bytes(bindings.crypto_aead_chacha20poly1305_ietf_decrypt(data, associated_data, nonce, self._key))
        except (CryptoError, ValueError) as error:
            raise p.TagMismatch from error


def check_signature(public: bytes, signature: bytes, message: bytes) -> None:
    """Raise BadSignature where the first implementation does."""
    try:
        bindings.crypto_sign_open(signature + message, public)
    except (CryptoError, ValueError) as error:
        raise p.BadSignature from error


def ed25519() -> None:
    """Require the same public key of a seed, the same signature, and that each takes the other's."""
    signing_pair(entropy(32))


def signing_pair(seed: bytes) -> None:
    """Require for a seed what `ed25519` does for any; for a fresh key, which is thrown away when it fails."""
    message = entropy(MESSAGE)
    public, private = bindings.crypto_sign_seed_keypair(seed)
    key, theirs = p.SigningKey(seed), bindings.crypto_sign(message, private)[:SIGNATURE]
    require(key.public == public, "both make the same public key of a seed")
    require(key.sign(message) == theirs, "both sign the same")
    p.check_signature(public, theirs, message)
    check_signature(public, key.sign(message), message)


def x25519() -> None:
    """Require the same public keys and the same shared secret."""
    mine, theirs = entropy(32), entropy(32)
    public = bindings.crypto_scalarmult_base(theirs)
    require(p.PrivateKey(theirs).public == public, "both make the same public key of a seed")
    require(p.PrivateKey(mine).exchange(public).expose() == bindings.crypto_scalarmult(mine, public), "both reach the same shared secret")


def pair(seed: bytes) -> None:
    """Require that a static key of this seed is the same in both libraries, and reaches the same secret with a fresh one [K-12]."""
    key, other = p.PrivateKey(seed), entropy(32)
    require(key.public == bindings.crypto_scalarmult_base(seed), "both make the same public key of a seed")
    mine = key.exchange(bindings.crypto_scalarmult_base(other)).expose()
    require(p.same(mine, exchange(other, key.public)), "both reach the same shared secret")


def chacha20_poly1305() -> None:
    """Require that each opens what the other sealed, and seals the same."""
    key, header, message = entropy(32), entropy(16), entropy(MESSAGE)
    counter = int.from_bytes(entropy(8), "little")
    nonce = bytes(4) + counter.to_bytes(8, "little")
    cipher = p.new_cipher(Secret(key))
    sealed = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(message, header, nonce, key)
    require(cipher.encrypt(p.nonce(counter), message, header) == sealed, "both seal the same")
    require(cipher.decrypt(p.nonce(counter), sealed, header) == message, "one opens what the other sealed")


def sha256() -> None:
    """Require the same hash."""
    message = entropy(MESSAGE)
    require(p.sha256(message) == bindings.crypto_hash_sha256(message), "both compute the same hash")


def comparison() -> None:
    """Require the same judgement of equal values and of values that differ in one bit."""
    one = entropy(32)
    other = bytes((*one[:-1], one[-1] ^ 1))
    for left, right in ((one, bytes(one)), (one, other)):
        require(p.same(left, right) == bindings.sodium_memcmp(left, right), "both judge the same")
