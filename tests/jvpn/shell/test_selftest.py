"""The self-test: it passes here, and each of its tests notices when what it tests is broken."""

import hashlib
import hmac
import tomllib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from core.crypto import chain, noise
from core.crypto import primitives as p
from core.crypto.replay import Verdict, step
from core.crypto.secret import Secret
from core.errors import Invariant
from core.limits import COUNTER_LIMIT
from core.wire import epoch
from jvpn.shell import second, selftest
from tests.support import ROOT


def failed() -> set[str]:
    """Run all tests; return the names of those that fail."""
    return {each.name for each in selftest.run() if not each.passed}


def flipped(data: bytes) -> bytes:
    """Return data with one bit changed."""
    return bytes((data[0] ^ 1,)) + data[1:]


def test_a_sound_installation_passes() -> None:
    """No gateway would start anywhere."""
    assert failed() == set()
    assert len(selftest.run()) == len(selftest.TESTS) >= 13


Real = p.PrivateKey


class Block:
    """AES with the key bytes turned round."""

    def __init__(self, key: Secret) -> None:
        self._real = p.AesBlock(Secret(key.expose()[::-1]))

    def encrypt(self, block: bytes) -> bytes:
        """Return another block."""
        return self._real.encrypt(block)

    def decrypt(self, block: bytes) -> bytes:
        """Return another block."""
        return self._real.decrypt(block)


class Careless:
    """An AEAD that opens everything."""

    def __init__(self, key: Secret) -> None:
        self._real = ChaCha20Poly1305(key.expose())

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Seal as it should be."""
        return self._real.encrypt(nonce, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, _: bytes | None) -> bytes:
        """Open without looking at the tag."""
        return self._real.encrypt(nonce, data[:-16], None)[:-16]


class Kem(p.MlKem768):
    """A KEM whose randomness is stuck."""

    stuck: tuple[Secret, bytes] | None = None

    @staticmethod
    def encapsulate(public: bytes) -> tuple[Secret, bytes]:
        """Return the same each time."""
        Kem.stuck = Kem.stuck or p.MlKem768.encapsulate(public)
        return Kem.stuck


class Point(p.PrivateKey):
    """Key agreement that takes every point."""

    __slots__ = ()

    def exchange(self, public: bytes) -> Secret:
        """Return zeros where it should refuse."""
        return super().exchange(public) if any(public) else Secret(bytes(32))


class Signer(p.SigningKey):
    """Signatures of the message turned round."""

    __slots__ = ()

    def sign(self, message: bytes) -> bytes:
        """Sign something else."""
        return super().sign(message[::-1] + b"\0")


def no_replay(top: int, bitmap: int, counter: int, width: int = 1_024) -> tuple[Verdict, int, int]:
    """Accept what was seen before."""
    verdict, *rest = step(top, bitmap, counter, width)
    return (Verdict.ACCEPT if verdict is Verdict.REPLAY else verdict), rest[0], rest[1]


def no_limit(top: int, bitmap: int, counter: int, width: int = 1_024) -> tuple[Verdict, int, int]:
    """Go on under a used-up key."""
    return step(top, bitmap, min(counter, COUNTER_LIMIT - 1), width)


def bare(key: Secret | bytes) -> bytes:
    """Return a key's bytes."""
    return key.expose() if isinstance(key, Secret) else key


BREAKS: dict[str, tuple[object, str, Any, str]] = {
    "a source that is stuck": (selftest, "entropy", bytes, "randomness"),
    "another hash": (p, "sha256", lambda data: flipped(hashlib.sha256(data).digest()), "SHA-256"),
    "another mac": (p, "hmac_sha256", lambda key, data: flipped(hmac.digest(bare(key), data, "sha256")), "HMAC-SHA-256"),
    "another key derivation": (p, "hkdf", lambda key, data, n: (Secret(bytes(32)),) * n, "HKDF-SHA-256"),
    "another expansion": (p, "expand", lambda key, label, n: Secret(bytes(n)), "HKDF-SHA-256"),
    "a comparison that always agrees": (p, "same", lambda a, b: True, "comparison"),
    "a comparison that never agrees": (p, "same", lambda a, b: False, "comparison"),
    "a comparison of beginnings": (p, "same", lambda a, b: a[:2] == b[:2], "comparison"),
    "a comparison as long as the second": (p, "same", lambda a, b: a[: len(b)] == b, "comparison"),
    "a tag that nobody checks": (p, "new_cipher", Careless, "ChaCha20-Poly1305"),
    "a nonce of another layout": (p, "nonce", lambda counter: bytes(4) + counter.to_bytes(8, "big"), "ChaCha20-Poly1305"),
    "an old library": (selftest, "version", lambda _name: "1.0", "versions of the libraries"),
    "another block cipher": (p, "AesBlock", Block, "AES-256"),
    "a point of low order": (p, "PrivateKey", Point, "X25519"),
    "a signature of something else": (p, "SigningKey", Signer, "Ed25519"),
    "a signature that nobody checks": (p, "check_signature", lambda public, signature, message: None, "Ed25519"),
    "another signature than libsodium's": (p, "SigningKey", Signer, "Ed25519, random"),
    "a KEM that is stuck": (p, "MlKem768", Kem, "ML-KEM-768"),
    "another handshake": (selftest, "IKHFS", noise.IKHFS._replace(name=b"Noise_IK"), "handshake IKhfs"),
    "another birth": (
        chain,
        "born",
        lambda handshake: chain.Birth(*map(Secret, (bytes(32), bytes(32), bytes(16), bytes(32)))),
        "handshake IKhfs",
    ),
    "another reattach": (selftest, "KKPSK0", noise.KKPSK0._replace(name=b"Noise_KK"), "reattach KKpsk0"),
    "another chain": (chain, "mac_key", lambda key: chain.later(key, 1), "chain, locators, rows"),
    "another row": (chain, "seal", lambda *_: bytes(76), "chain, locators, rows"),
    "another hour": (chain, "next_kek", lambda kek: kek, "chain, locators, rows"),
    "another hash than libsodium's": (p, "sha256", lambda data: flipped(hashlib.sha256(data).digest()), "SHA-256, random"),
    "another comparison than libsodium's": (p, "same", lambda a, b: True, "comparison, random"),
    "another cipher than libsodium's": (p, "new_cipher", lambda key: ChaCha20Poly1305(key.expose()[::-1]), "ChaCha20-Poly1305, random"),
    "another curve than libsodium's": (p, "PrivateKey", lambda seed: Real(seed[::-1]), "X25519, random"),
    "another packet": (selftest, "encode", lambda kind, body, pad_to: bytes((kind,)) + bytes(pad_to or 1_296)[1:], "packets"),
    "another packet than libsodium's": (second.Cipher, "encrypt", lambda *_: bytes(48), "packets"),
    "another seal": (epoch, "new_cipher", lambda key: ChaCha20Poly1305(key.expose()[::-1]), "packets"),
    "a tag of a packet that nobody checks": (epoch, "new_cipher", Careless, "packets"),
    "a window that forgets": (selftest, "step", no_replay, "anti-replay window"),
    "a window without an end": (selftest, "step", no_limit, "anti-replay window"),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_part_is_noticed(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A gateway would serve with a library that computes something else, forgets, or lets everything pass."""
    where, name, instead, noticed = BREAKS[broken]
    monkeypatch.setattr(where, name, instead)
    assert noticed in failed()


def test_every_test_was_seen_to_fail() -> None:
    """A test of the self-test could be one that cannot fail."""
    assert {noticed for *_, noticed in BREAKS.values()} == {name for name, _, _ in selftest.TESTS}


@pytest.mark.parametrize("error", [RuntimeError("library"), KeyError("x"), Invariant("claim"), ImportError()])
def test_whatever_a_library_raises_is_a_finding(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A broken library would end the start in a traceback instead of the exit status for it."""

    def test() -> None:
        raise error

    monkeypatch.setattr(selftest, "TESTS", (("one", "nobody", test),))
    (found,) = selftest.run()
    assert not found.passed
    assert type(error).__name__ in found.detail


def test_an_old_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation whose library lacks ML-KEM, or has a known fault, serves until the first handshake."""
    monkeypatch.setattr(selftest, "version", lambda name: {"cryptography": "49.9.1"}.get(name, "99.0"))
    (found,) = [each for each in selftest.run() if not each.passed]
    assert found.name == "versions of the libraries"
    assert "cryptography has version 49.9.1, needed 50.0 or newer" in found.detail


def test_the_floors_are_those_of_the_project() -> None:
    """The self-test lets pass what the project does not install."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    floors = {
        name: tuple(map(int, floor.split(",")[0].split("."))) for name, floor in (each.split(">=") for each in wanted if ">=" in each)
    }
    assert {name: (*floors[name], 0)[:2] for name in selftest.FLOORS} == selftest.FLOORS
