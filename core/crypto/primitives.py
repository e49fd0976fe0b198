"""The cryptographic primitives of JVP/1; the only module that imports the library `cryptography`.

Thin adapters: no algorithm is implemented here, key objects hide their secrets, and each kind of refusal has one exception. Private
keys are made of seeds that the caller draws; only `encapsulate` draws for itself, inside the library, so the KEM is a port (`Kem`).
"""

import hashlib
import hmac
from struct import Struct
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.crypto.secret import Holder, Secret
from core.errors import require

TagMismatch = InvalidTag  # the one exception for a failed AEAD open
HASH_LENGTH = KEY_LENGTH = 32
TAG_LENGTH = BLOCK_LENGTH = 16
_SHA256 = hashes.SHA256()


class BadPublicKey(Exception):
    """A public value of the peer (X25519 point, ML-KEM key or ciphertext) has a wrong length or fails its algorithm's check."""


class BadSignature(Exception):
    """A signature is not one of this key over these bytes, or key or signature have a wrong length."""


class Cipher(Protocol):
    """An AEAD under one key: nonces of 12 bytes, a tag of 16 bytes at the end, TagMismatch for what it did not seal."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...  # noqa: D102 - the class says it
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...  # noqa: D102 - the class says it


class KemKey(Protocol):
    """A decapsulation key: `public` has 1,184 bytes; a forged ciphertext gives another secret, a wrong length BadPublicKey."""

    @property
    def public(self) -> bytes: ...  # noqa: D102 - the class says it
    def decapsulate(self, ciphertext: bytes, /) -> Secret: ...  # noqa: D102 - the class says it


class Kem(Protocol):
    """A KEM: seed 64 -> key; public key 1,184 -> (shared secret 32, ciphertext 1,088), or BadPublicKey when it is malformed."""

    def generate(self, seed: bytes, /) -> KemKey: ...  # noqa: D102 - the class says it
    def encapsulate(self, public: bytes, /) -> tuple[Secret, bytes]: ...  # noqa: D102 - the class says it


def sha256(data: bytes) -> bytes:
    """Return SHA-256 of `data`, 32 bytes (FIPS 180-4)."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: Secret | bytes, data: bytes) -> bytes:
    """Return HMAC-SHA-256, 32 bytes (RFC 2104); a key of plain bytes is public. Leaks: the lengths of its inputs."""
    return HKDF.extract(_SHA256, key.expose() if isinstance(key, Secret) else key, data)  # which is HMAC (RFC 5869, 2.2)


def hkdf(chaining_key: Secret, input_key_material: Secret, n: int) -> tuple[Secret, ...]:
    """Return `n` outputs of 32 bytes: Noise's HKDF (Noise 4.3), which is RFC 5869 with an empty info [K-1].

    Leaks: the lengths of its inputs.
    """
    blocks = HKDF(_SHA256, n * HASH_LENGTH, chaining_key.expose(), b"").derive(input_key_material.expose())
    return tuple([Secret(blocks[at : at + HASH_LENGTH]) for at in range(0, n * HASH_LENGTH, HASH_LENGTH)])


def expand(key: Secret, label: bytes, n: int) -> Secret:
    """Return X(key, label, n): the first n <= 32 bytes of HMAC(key, label || 0x01), a block of RFC 5869's HKDF-Expand [K-2].

    Leaks: the lengths of its inputs.
    """
    require(n <= HASH_LENGTH, "expand gives one block")
    return Secret(HKDF.extract(_SHA256, key.expose(), label + b"\x01")[:n])


def same(a: bytes, b: bytes) -> bool:
    """Tell whether `a` equals `b`: the one comparison for values that depend on a secret [K-3].

    Leaks: the lengths and the answer; not where the first difference is (`hmac.compare_digest`).
    """
    return hmac.compare_digest(a, b)


def new_cipher(key: Secret) -> Cipher:
    """Return ChaCha20-Poly1305 (RFC 8439) under a 32-byte key, or raise ValueError. Leaks: nothing known, OpenSSL's code."""
    return ChaCha20Poly1305(key.expose())


def argon2id(passphrase: Secret, salt: bytes, memory_kib: int, passes: int, lanes: int) -> Secret:
    """Return a key of 32 bytes of a passphrase by Argon2id (RFC 9106); ValueError for costs that the library refuses.

    The caller bounds the costs. Leaks: its inputs' lengths; what memory accesses show of the passphrase, as RFC 9106, section 9, says.
    """
    function = Argon2id(salt=salt, length=KEY_LENGTH, iterations=passes, lanes=lanes, memory_cost=memory_kib)
    return Secret(function.derive(passphrase.expose()))


nonce: Final = Struct("<4xQ").pack
"""Return the nonce of a counter below 2^64: 4 zero bytes || LE64 (Noise 12.3) [K-4]; struct.error for others."""


class AesBlock(Holder):
    """AES-256 (FIPS 197) under a 32-byte key, or ValueError, on whole blocks. Leaks: nothing known where OpenSSL has AES instructions.

    The contexts are kept, as making one costs more than the block; they would hold back a part of a block, hence the length check.
    """

    __slots__ = ("_backward", "_forward")

    def __init__(self, key: Secret) -> None:
        cipher = BlockCipher(algorithms.AES256(key.expose()), modes.ECB())  # nosec B305  # noqa: S305 - the library's name of the bare block cipher; each value is one block, so ECB's weakness has no place to show
        self._forward, self._backward = cipher.encryptor(), cipher.decryptor()

    def encrypt(self, blocks: bytes) -> bytes:
        """Return blocks encrypted, each by itself."""
        require(len(blocks) % BLOCK_LENGTH == 0, "AES takes whole blocks")
        return self._forward.update(blocks)

    def decrypt(self, blocks: bytes) -> bytes:
        """Return blocks decrypted, each by itself."""
        require(len(blocks) % BLOCK_LENGTH == 0 < len(blocks), "AES takes whole blocks")
        return self._backward.update(blocks)


class PrivateKey(Holder):
    """An X25519 private key (RFC 7748) of a 32-byte seed, or ValueError; the caller may overwrite the seed. `public` has 32 bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes | bytearray) -> None:
        self._key = X25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def exchange(self, public: bytes) -> Secret:
        """Return the shared secret, 32 bytes; raise BadPublicKey for a wrong length or an all-zero result (RFC 7748, 6.1) [H-6].

        Leaks: only whether the point was refused, which depends on the public value alone.
        """
        try:
            return Secret(self._key.exchange(X25519PublicKey.from_public_bytes(public)))
        except ValueError as error:
            raise BadPublicKey from error


class SigningKey(Holder):
    """An Ed25519 private key (RFC 8032) of a 32-byte seed, or ValueError; the caller may overwrite the seed. `public` has 32 bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes | bytearray) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes, the same each time. Leaks: the length of the message; OpenSSL's code."""
        return self._key.sign(message)


def check_signature(public: bytes, signature: bytes, message: bytes) -> None:
    """Raise BadSignature unless `signature` (64 bytes) is the one that `public` (32 bytes) makes over `message` (RFC 8032, 5.1.7) [K-20].

    Leaks: everything, and all of it is public.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature from error


class MlKem768Key(Holder):
    """An ML-KEM-768 key (FIPS 203) of a 64-byte seed d || z, or ValueError. Leaks: nothing known, OpenSSL's code and implicit rejection."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        self._key = MLKEM768PrivateKey.from_seed_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> Secret:
        """Return the shared secret, 32 bytes."""
        try:
            return Secret(self._key.decapsulate(ciphertext))
        except ValueError as error:
            raise BadPublicKey from error


class MlKem768:
    """The production KEM: ML-KEM-768, with the encapsulation key check of FIPS 203, 7.2, by the library [H-7]."""

    generate = staticmethod(MlKem768Key)

    @staticmethod
    def encapsulate(public: bytes) -> tuple[Secret, bytes]:
        """Return (shared secret, ciphertext); the library draws the randomness. Leaks: only whether `public` was refused."""
        try:
            secret, ciphertext = MLKEM768PublicKey.from_public_bytes(public).encapsulate()
        except ValueError as error:
            raise BadPublicKey from error
        return Secret(secret), ciphertext
