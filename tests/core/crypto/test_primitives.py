"""Each primitive against the vectors of others, a second library, and what it must refuse."""

import copy
import hashlib
import json
import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kyber_py.ml_kem import ML_KEM_768
from nacl import bindings

from core.crypto import primitives as p
from core.crypto.secret import Holder, Secret
from core.errors import Invariant
from jvpn.shell.published import SHIPPED, judge
from tests.core.crypto import independent

VECTORS = Path(__file__).parents[2] / "vectors"
PUBLISHED = SHIPPED / "wycheproof"
PINNED = {
    "rfc/rfc-5869-HKDF-SHA256.txt": "faeb61bd8baf571f0f42ba3cea5d075c0c7637b9acdd07831dcfa8295472992a",
    "rfc/rfc7748-x25519.txt": "2b1c6889b004730be0a8aa2fbf4975dd2c44636eacc4115356376eb31236f94f",
}
LOW_ORDER = [  # the points of RFC 7748, 7, and their non-canonical twins, little-endian
    (0).to_bytes(32, "little"),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
    (2**255 + 1).to_bytes(32, "little"),
]


def opened(encapsulated: tuple[Secret, bytes]) -> tuple[bytes, bytes]:
    """Return shared secret and ciphertext as bytes."""
    return encapsulated[0].expose(), encapsulated[1]


def test_vector_files_are_the_ones_we_chose() -> None:
    """A vector file was changed, added or lost, so that the tests below prove something else than they say."""
    found = {str(f.relative_to(VECTORS)): hashlib.sha256(f.read_bytes()).hexdigest() for f in VECTORS.glob("*/*") if f.is_file()}
    assert found == PINNED


PRIMITIVES = (
    "x25519",
    "ed25519",
    "chacha20_poly1305",
    "hmac_sha256",
    "hkdf_sha256",
    "mlkem_768",
    "mlkem_768_keygen_seed",
    "mlkem_768_encaps",
)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_wycheproof_finds_nothing(name: str) -> None:
    """[K-1], [K-20], [H-7]: a wrong secret is agreed on, a forgery opens or passes for signed, or nobody else could speak with us."""
    for each in judge(PUBLISHED / f"{name}_test.json"):  # which insists on the number of cases that the file announces
        assert not each.failed, each.failures
        assert each.passed


def test_a_nonce_of_another_length_is_refused() -> None:
    """A nonce that is cut or filled up would be the nonce of another packet."""
    for length in (0, 8, 11, 13, 24):
        with pytest.raises(ValueError, match="12 bytes"):
            p.new_cipher(Secret(bytes(32))).encrypt(bytes(length), b"", b"")


def rfc5869(salt: bytes, material: bytes, info: bytes, size: int) -> bytes:
    """Return HKDF put together from hmac_sha256, for the sizes and infos that the product never uses."""
    secret, block, output = p.hmac_sha256(salt, material), b"", b""
    while len(output) < size:
        block = p.hmac_sha256(secret, block + info + bytes((len(output) // 32 + 1,)))
        output += block
    return output[:size]


def test_the_judge_of_our_vectors_is_ml_kem() -> None:
    """Our own vectors are made with a derandomised ML-KEM; if that were another function, nobody could reproduce them."""
    document = json.loads((PUBLISHED / "mlkem_768_encaps_test.json").read_text())
    valid = [test for group in document["testGroups"] for test in group["tests"] if test["result"] == "valid"]
    for test in valid[:20]:  # pure Python: 20 cases are enough to tell it from something else
        public, m, ciphertext, shared = (bytes.fromhex(test[name]) for name in ("ek", "m", "c", "K"))
        assert opened(independent.DerandomisedKem(m).encapsulate(public)) == (shared, ciphertext), test["tcId"]


def test_rfc_examples() -> None:
    """The examples that stand in RFC 7748, RFC 5869 and FIPS 197 come out differently."""
    fields = [line.split(" = ") for line in (VECTORS / "rfc/rfc7748-x25519.txt").read_text().splitlines() if " = " in line]
    values = [bytes.fromhex(value) for name, value in fields if name != "COUNT"]
    assert len(values) == 9
    for scalar, point, result in zip(values[::3], values[1::3], values[2::3], strict=True):
        assert p.PrivateKey(scalar).exchange(point).expose() == result
    text = (VECTORS / "rfc/rfc-5869-HKDF-SHA256.txt").read_text().splitlines()
    hkdf = [line.split("=")[1].strip() for line in text if line.startswith(("IKM", "salt", "info", "OKM"))]
    assert len(hkdf) == 12
    for ikm, salt, info, okm in (map(bytes.fromhex, hkdf[i : i + 4]) for i in (0, 4, 8)):
        assert rfc5869(salt, ikm, info, len(okm)) == okm
    block = p.AesBlock(Secret(bytes(range(32))))
    plain, sealed = bytes.fromhex("00112233445566778899aabbccddeeff"), bytes.fromhex("8ea2b7ca516745bfeafc49904b496089")  # FIPS 197, C.3
    assert (block.encrypt(plain), block.decrypt(sealed)) == (sealed, plain)


@settings(max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 2**64 - 1))
def test_openssl_and_libsodium_agree(a: bytes, b: bytes, data: bytes, counter: int) -> None:
    """One of the two libraries computes something else than the other, and we do not know which one is right."""
    public = independent.public_of(b)
    assert p.PrivateKey(b).public == public
    assert p.PrivateKey(a).exchange(public).expose() == independent.x25519(a, public)
    signing, pair = p.SigningKey(a), bindings.crypto_sign_seed_keypair(a)
    assert (signing.public, signing.sign(data) + data) == (pair[0], bindings.crypto_sign(data, pair[1]))
    sealed = p.new_cipher(Secret(a)).encrypt(p.nonce(counter), data, b)
    assert sealed == bindings.crypto_aead_chacha20poly1305_ietf_encrypt(data, b, bytes(4) + counter.to_bytes(8, "little"), a)


@pytest.mark.parametrize("n", range(3))
def test_openssl_and_kyber_py_agree(n: int) -> None:
    """The library's ML-KEM is not FIPS 203's, or rejects forged ciphertexts to another value."""
    seed, m = independent.seed(f"kem {n}", 64), independent.seed(f"m {n}")
    ours, judge = p.MlKem768().generate(seed), independent.DerandomisedKem(m)
    assert ours.public == judge.generate(seed).public
    secret, ciphertext = opened(judge.encapsulate(ours.public))
    forged = ciphertext[:7] + bytes((ciphertext[7] ^ 1,)) + ciphertext[8:]
    assert ours.decapsulate(ciphertext).expose() == secret
    assert ours.decapsulate(forged).expose() == judge.generate(seed).decapsulate(forged).expose() != secret
    secret, ciphertext = opened(p.MlKem768.encapsulate(ours.public))
    assert ML_KEM_768.decaps(ML_KEM_768.key_derive(seed)[1], ciphertext) == secret


def test_encapsulation_is_never_the_same_twice() -> None:
    """The library's randomness is stuck, so that two sessions share their post-quantum secret."""
    public = p.MlKem768().generate(bytes(64)).public
    assert len({opened(p.MlKem768.encapsulate(public)) for _ in range(20)}) == 20


@pytest.mark.parametrize("point", [*LOW_ORDER, b"", bytes(31), bytes(33), b"\x09" * 31, b"\x09" * 33], ids=bytes.hex)
def test_unusable_points_are_refused(point: bytes) -> None:
    """[H-6] A peer chooses a public key for which the shared secret is known to all, or its odd length ends in a traceback."""
    with pytest.raises(p.BadPublicKey):
        p.PrivateKey(independent.seed("static")).exchange(point)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_wrong_lengths_of_our_own_keys(length: int) -> None:
    """A key of another length is padded or cut in silence, or AES runs with 128 bits."""
    for seeded in (p.PrivateKey, p.SigningKey):
        with pytest.raises(ValueError, match=r"key|long"):
            seeded(bytes(length))
    for make in (p.new_cipher, p.AesBlock):
        with pytest.raises(ValueError, match=r"key|long"):
            make(Secret(bytes(length)))


@pytest.mark.parametrize(("key", "signature"), [(b"", bytes(64)), (bytes(31), bytes(64)), (bytes(33), bytes(64)), (bytes(32), b"")])
def test_wrong_lengths_of_what_is_verified(key: bytes, signature: bytes) -> None:
    """[K-20] A document with a key or a signature of an odd length ends in a traceback, or passes."""
    with pytest.raises(p.BadSignature):
        p.check_signature(key, signature, b"document")


def test_blocks_are_taken_each_by_itself() -> None:
    """[R-4] A locator is another one, or opens or not, by what stands beside it in a burst."""
    block = p.AesBlock(Secret(bytes(32)))
    one, other = block.encrypt(b"a" * 16), block.encrypt(b"b" * 16)
    assert block.encrypt(b"a" * 16 + b"b" * 16 + b"a" * 16) == one + other + one
    assert block.decrypt(one + other + one) == b"a" * 16 + b"b" * 16 + b"a" * 16
    assert block.encrypt(b"") == b""


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_refused_block_leaves_nothing_behind(length: int) -> None:
    """A short block stays in the kept context, and every locator after it is wrong."""
    block = p.AesBlock(Secret(bytes(32)))
    expected = block.encrypt(bytes(16)), block.decrypt(bytes(16))
    for operation in (block.encrypt, block.decrypt) if length else (block.decrypt,):
        with pytest.raises(Invariant):
            operation(bytes(length))
    assert (block.encrypt(bytes(16)), block.decrypt(bytes(16))) == expected


def test_a_changed_packet_does_not_open() -> None:
    """Whoever flips one bit of a packet, its header or its counter has it accepted."""
    cipher = p.new_cipher(Secret(bytes(32)))
    sealed = cipher.encrypt(p.nonce(5), b"data", b"header")
    assert cipher.decrypt(p.nonce(5), sealed, b"header") == b"data"
    changed = [sealed[:i] + bytes((sealed[i] ^ 1 << i % 8,)) + sealed[i + 1 :] for i in range(len(sealed))]
    tries = [(5, one, b"header") for one in [*changed, sealed[:-1], sealed + b"\0", sealed[:15], b""]]
    for counter, data, header in [*tries, (6, sealed, b"header"), (5, sealed, b"Header")]:
        with pytest.raises(p.TagMismatch):
            cipher.decrypt(p.nonce(counter), data, header)


def test_small_functions() -> None:
    """[K-2] [K-3] [K-4] A nonce repeats or has another layout, a comparison is wrong, or expand gives less than it was asked for."""
    assert p.nonce(0x0102030405060708) == bytes.fromhex("000000000807060504030201")
    with pytest.raises(struct.error):
        p.nonce(2**64)
    assert p.sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4 example
    assert p.same(b"ab", b"ab")
    assert not p.same(b"ab", b"ac")
    assert not p.same(b"ab", b"abc")
    assert not p.same(b"abc", b"ab")
    assert not p.same(b"ab", b"")
    assert p.expand(Secret(b"k"), b"label", 16).expose() == p.expand(Secret(b"k"), b"label", 32).expose()[:16]
    with pytest.raises(Invariant):
        p.expand(Secret(b"k"), b"label", 33)


@pytest.mark.parametrize(
    "secret",
    [p.PrivateKey(b"\xa5" * 32), p.SigningKey(b"\xa5" * 32), p.MlKem768().generate(b"\xa5" * 64), p.AesBlock(Secret(b"\xa5" * 32))],
    ids=lambda s: type(s).__name__,
)
def test_secrets_do_not_leave_their_object(secret: Holder) -> None:
    """[K-7] A private key ends up in a log line, a crash report, a pickle or a copy that nobody drops."""
    assert "a5" * 4 not in repr(secret) + str(secret)
    assert "\\xa5" not in repr(secret)
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(secret)


def test_argon2id_is_that_of_the_standard() -> None:
    """Files are sealed under another key than Argon2id's, and no other program could ever open them.

    The answer is that of the reference implementation's test suite for version 1.3: argon2id, t = 2, m = 65,536, p = 1.
    """
    key = p.argon2id(Secret(b"password"), b"somesalt", 65_536, 2, 1)
    assert key.expose().hex() == "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
