"""JVP/1's two exchanges written down once more, straight from the protocol text, over PyNaCl and kyber-py.

No code is shared with `core`, except for the type that its port `Kem` returns.

`handshake` and `reattach` compute every byte of an exchange from its inputs, from the client's side except for what only the gateway
can do. They made `schemas/vectors/*.json`, and the tests compare them with the vectors and with `core`.
"""

import hashlib
import hmac

from kyber_py.ml_kem import ML_KEM_768
from nacl import bindings

from core.crypto.secret import Secret

Bytes = dict[str, bytes]


def seed(name: str, n: int = 32) -> bytes:
    """Return `n` <= 64 bytes that anybody can make again: no key of these tests is a secret."""
    return hashlib.sha512(b"jumping-vpn test vector: " + name.encode()).digest()[:n]


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _kdf(chaining_key: bytes, material: bytes) -> list[bytes]:
    prk = _hmac(chaining_key, material)
    one = _hmac(prk, b"\x01")
    two = _hmac(prk, one + b"\x02")
    return [one, two, _hmac(prk, two + b"\x03")]


def _seal(key: bytes, counter: int, plaintext: bytes, aad: bytes) -> bytes:
    return bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, aad, bytes(4) + counter.to_bytes(8, "little"), key)


def x25519(secret: bytes, public: bytes) -> bytes:
    """Return the X25519 shared secret by libsodium."""
    return bindings.crypto_scalarmult(secret, public)


def public_of(secret: bytes) -> bytes:
    """Return the X25519 public key by libsodium."""
    return bindings.crypto_scalarmult_base(secret)


class DerandomisedKem:
    """ML-KEM-768 by kyber-py behind the port `Kem`, with the encapsulation's randomness given: for tests and vectors only."""

    def __init__(self, m: bytes) -> None:
        self.m = m

    def generate(self, seed: bytes) -> "DerandomisedKey":
        """Return the key of a 64-byte seed."""
        return DerandomisedKey(seed)

    def encapsulate(self, public: bytes) -> tuple[Secret, bytes]:
        """Return (shared secret, ciphertext) of FIPS 203, algorithm 17, with m as given."""
        secret, ciphertext = ML_KEM_768._encaps_internal(public, self.m)
        return Secret(secret), ciphertext


class DerandomisedKey:
    """A key of DerandomisedKem."""

    def __init__(self, seed: bytes) -> None:
        self.public: bytes
        self.public, self._secret = ML_KEM_768.key_derive(seed)

    def decapsulate(self, ciphertext: bytes) -> Secret:
        """Return the shared secret."""
        return Secret(ML_KEM_768.decaps(self._secret, ciphertext))


def handshake(given: Bytes) -> Bytes:
    """Return INIT (mac2 zero), RESP and what a session is born with, for the inputs of `schemas/vectors/ikhfs.json`."""
    c, s = given["client_static_seed"], given["gateway_static_seed"]
    e, f = given["client_ephemeral_seed"], given["gateway_ephemeral_seed"]
    cp, sp, ep, fp = public_of(c), public_of(s), public_of(e), public_of(f)
    header = b"\x01\x01\x00\x00" + given["client_index"]
    prologue = b"jumping-vpn/1 handshake" + header
    ck = h = _hash(b"Noise_IKhfs_25519+MLKEM768_ChaChaPoly_SHA256")
    h = _hash(h + prologue)
    h = _hash(h + sp)

    h = _hash(h + ep)  # e
    ck, k, _ = _kdf(ck, x25519(e, sp))  # es
    encapsulation_key, decapsulation_key = ML_KEM_768.key_derive(given["client_kem_seed"])
    c1 = _seal(k, 0, encapsulation_key, h)  # e1
    h = _hash(h + c1)
    c2 = _seal(k, 1, cp, h)  # s
    h = _hash(h + c2)
    ck, k, _ = _kdf(ck, x25519(c, sp))  # ss
    c3 = _seal(k, 0, given["init_payload"], h)
    h = _hash(h + c3)
    init = header + ep + c1 + c2 + c3
    mac1 = _hmac(_hash(b"jumping-vpn/1 mac1" + sp), init)[:16]

    h = _hash(h + fp)  # e
    ck, k, _ = _kdf(ck, x25519(e, fp))  # ee
    kem_secret, ciphertext = ML_KEM_768._encaps_internal(encapsulation_key, given["encapsulation_m"])
    assert ML_KEM_768.decaps(decapsulation_key, ciphertext) == kem_secret
    c4 = _seal(k, 0, ciphertext, h)  # ekem1
    h = _hash(h + c4)
    ck, k, _ = _kdf(ck, kem_secret)
    ck, k, _ = _kdf(ck, x25519(c, fp))  # se
    c5 = _seal(k, 0, given["resp_payload"], h)
    h = _hash(h + c5)

    k_up, k_down, r = _kdf(ck, b"")
    return {
        "prologue": prologue,
        "init": init + mac1 + bytes(16),
        "resp": b"\x02\x01\x00\x00" + given["gateway_index"] + given["client_index"] + fp + c4 + c5,
        "handshake_hash": h,
        "k_up": k_up,
        "k_down": k_down,
        "session_id": _hmac(r, b"session id" + h + b"\x01")[:16],
        "chain_1": _hmac(r, b"resume" + h + b"\x01"),
    }


def reattach(given: Bytes) -> Bytes:
    """Return REATTACH, REATTACH_RESP and the keys of one attempt, for the inputs of a case of `schemas/vectors/reattach.json`."""
    c, s = given["client_static_seed"], given["gateway_static_seed"]
    e, f = given["client_ephemeral_seed"], given["gateway_ephemeral_seed"]
    cp, sp, ep, fp = public_of(c), public_of(s), public_of(e), public_of(f)
    mac_i, psk_i, chain_next = (_hmac(given["chain"], label + b"\x01") for label in (b"mac", b"psk", b"next"))
    header = b"\x05\x01\x00\x00" + given["client_index"] + given["locator"]
    prologue = b"jumping-vpn/1 reattach" + given["session_id"] + given["attempt"] + header
    ck = h = _hash(b"Noise_KKpsk0_25519_ChaChaPoly_SHA256")
    h = _hash(h + prologue)
    h = _hash(h + cp)
    h = _hash(h + sp)

    ck, t, k = _kdf(ck, psk_i)  # psk
    h = _hash(h + t)
    h = _hash(h + ep)  # e, and with a psk into the key too
    ck, k, _ = _kdf(ck, ep)
    ck, k, _ = _kdf(ck, x25519(e, sp))  # es
    ck, k, _ = _kdf(ck, x25519(c, sp))  # ss
    c1 = _seal(k, 0, given["reattach_payload"], h)
    h = _hash(h + c1)
    request = header + ep + c1

    h = _hash(h + fp)  # e
    ck, k, _ = _kdf(ck, fp)
    ck, k, _ = _kdf(ck, x25519(e, fp))  # ee
    ck, k, _ = _kdf(ck, x25519(c, fp))  # se
    c2 = _seal(k, 0, given["resp_payload"], h)
    h = _hash(h + c2)

    k_up, k_down, _ = _kdf(ck, b"")
    return {
        "mac_key": mac_i,
        "psk": psk_i,
        "chain_next": chain_next,
        "prologue": prologue,
        "reattach": request + _hmac(mac_i, request)[:16],
        "reattach_resp": b"\x06\x01\x00\x00" + given["gateway_index"] + given["client_index"] + fp + c2,
        "handshake_hash": h,
        "k_up": k_up,
        "k_down": k_down,
    }


def sealed_row(given: Bytes) -> bytes:
    """Return the sealed part of a row for the inputs of `schemas/vectors/chain.json`."""
    plaintext = given["session_id"] + given["chain"]
    sealed = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, given["row"], given["nonce"], given["kek"])
    return given["nonce"] + sealed
