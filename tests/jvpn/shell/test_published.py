"""Published vectors: every one is run, and each kind of wrong answer or damaged file is noticed."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.crypto import primitives as p
from jvpn.shell import published, second
from jvpn.shell.checked import Misconfigured
from jvpn.shell.published import SHIPPED, Judgement, judge

PINNED = {
    "noise/cacophony-selection.json": "b7a5faf47cfa84c990b14ee66fed2a4c6497820de14e9f8d8192e15d36c42748",
    "wycheproof/chacha20_poly1305_test.json": "fe61d25f90e1bde4461d00eafe61049e5f29bd999f36b766df9cda90906ad53d",
    "wycheproof/ed25519_test.json": "752d2ea7d7c6cf4736381b6cbacb61f8182b126ab7cd9b058f00c50084975536",
    "wycheproof/hkdf_sha256_test.json": "bb2b462a38b251cb52a2aede706d6d4b62b26864f4e80c95497507ddb07c5f1e",
    "wycheproof/hmac_sha256_test.json": "2d201cfa61d1bf95e6f5d07d96634b4a348b31e8eaa277ad7c8d09677b7a743f",
    "wycheproof/mlkem_768_encaps_test.json": "9d4381f94c40853bba430245b94968b7390d9175aacd9f1ae4e250a71c78b713",
    "wycheproof/mlkem_768_keygen_seed_test.json": "fde5abe284396f4cb3c4610b90d680f0b57782e94c3365c97aee59e24881ebe4",
    "wycheproof/mlkem_768_test.json": "c2bc0264a150c3a4399da72701d154672e9f708420cff8f01340ef0b1f17f4f7",
    "wycheproof/x25519_test.json": "35c3f5231cf25cc640b524d403461deee9e49441d5d915a3a25b2c8ff5adbe7d",
}
CASES = {  # what the files hold, less what is not applicable; for each library that judges them
    ("Noise handshakes", "cryptography"): 4,
    ("ChaCha20-Poly1305", "cryptography"): 316,
    ("ChaCha20-Poly1305", "libsodium"): 316,
    ("Ed25519", "cryptography"): 151,
    ("Ed25519", "libsodium"): 151,
    ("HKDF-SHA-256", "cryptography"): 86,
    ("HKDF-SHA-256", "libsodium"): 86,
    ("HMAC-SHA-256", "cryptography"): 174,
    ("HMAC-SHA-256", "libsodium"): 174,
    ("ML-KEM-768 encapsulation", "cryptography"): 265,
    ("ML-KEM-768 key of a seed", "cryptography"): 100,
    ("ML-KEM-768", "cryptography"): 193,
    ("X25519", "cryptography"): 518,
    ("X25519", "libsodium"): 518,
}
BYTES = {  # of each form, the field whose first byte is turned over, which makes the published answer a wrong one
    "x25519": "shared",
    "chacha20_poly1305": "tag",
    "ed25519": "sig",
    "hkdf_sha256": "okm",
    "hmac_sha256": "tag",
    "mlkem_768": "K",
    "mlkem_768_keygen_seed": "ek",
}


def shipped() -> list[Judgement]:
    """Judge all that is shipped."""
    return [each for path, named in published.files([SHIPPED]) for each in judge(path, named=named)]


def written(folder: Path, document: object, name: str = "held_out_test.json") -> Path:
    """Write a vector file."""
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def document(name: str) -> dict[str, Any]:
    """Return a shipped file."""
    document: dict[str, Any] = json.loads((SHIPPED / name).read_text())
    return document


def test_vector_files_are_the_ones_we_chose() -> None:
    """A vector file was changed, added or lost, so that the self-test proves something else than it says."""
    found = {str(path.relative_to(SHIPPED)): hashlib.sha256(path.read_bytes()).hexdigest() for path, _ in published.files([SHIPPED])}
    assert found == PINNED


def test_every_shipped_vector_is_run_and_passes() -> None:
    """The self-test says "passed" of vectors that it did not run, or that fail."""
    found = shipped()
    assert {(each.primitive, each.library): each.passed for each in found} == CASES
    assert published.passed(found)
    assert [each.failed for each in found] == [0] * len(found)
    for each in found:
        total = each.passed + each.not_applicable.total()
        cases = document(next(name for name in PINNED if name.endswith(each.file)))
        assert total == (cases["numberOfTests"] if "numberOfTests" in cases else len(cases["vectors"]))
        assert set(each.not_applicable) <= {"a nonce that has not 12 bytes"}


@pytest.mark.parametrize("name", BYTES)
def test_a_wrong_answer_fails_in_both_libraries(name: str, tmp_path: Path) -> None:
    """Vectors that no longer agree with the libraries are counted as passed."""
    file = document(f"wycheproof/{name}_test.json")
    changed = next(test for group in file["testGroups"] for test in group["tests"] if test["result"] == "valid")
    value = bytes.fromhex(changed[BYTES[name]])
    changed[BYTES[name]] = bytes((value[0] ^ 1, *value[1:])).hex()
    for each in judge(written(tmp_path, file)):
        assert each.failed == 1
        assert each.failures == [next(iter(each.failures))]
        assert each.failures[0].startswith(f"tcId {changed['tcId']}:")
        assert not published.passed([each])


@pytest.mark.parametrize("name", [*BYTES, "mlkem_768_encaps"])
def test_an_accepted_forgery_fails(name: str, tmp_path: Path) -> None:
    """A library that accepts what has to be refused, or refuses what is right, passes."""
    file = document(f"wycheproof/{name}_test.json")
    turned = {"valid": "invalid", "invalid": "valid"}
    tests = [test for group in file["testGroups"] for test in group["tests"]]
    changed = [next(test for test in tests if test["result"] == result) for result in turned if any(t["result"] == result for t in tests)]
    for test in changed:
        test["result"] = turned[test["result"]]
    applicable = [test for test in changed if len(test.get("iv", "0" * 24)) == 24]
    for each in judge(written(tmp_path, file)):
        assert each.failed == len(applicable)


def test_an_all_zero_secret_must_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer forces a shared secret that everybody knows, and the self-test is content."""
    zero = dict.fromkeys(("cryptography", "libsodium"), partial(published._x25519, lambda _a, _b: bytes(32)))
    monkeypatch.setitem(published.FORMS, ("XDH", "xdh_comp"), ("X25519", zero))
    for each in judge(SHIPPED / "wycheproof/x25519_test.json"):
        assert (each.passed, each.failed) == (0, 518)
        assert len(each.failures) == published.DETAILS_MAX


def test_a_library_that_breaks_is_a_failure_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of a broken library ends the self-test before it says which primitive is broken."""

    def broken(_key: bytes) -> p.Cipher:
        raise MemoryError

    monkeypatch.setitem(
        published.FORMS,
        ("CHACHA20-POLY1305", "aead_test"),
        ("ChaCha20-Poly1305", {"cryptography": partial(published._aead, broken)}),
    )
    (each,) = judge(SHIPPED / "wycheproof/chacha20_poly1305_test.json")
    assert (each.passed, each.failed) == (0, 316)
    assert "MemoryError" in each.failures[0]


@pytest.mark.parametrize(("message", "part"), [(0, "ciphertext"), (1, "ciphertext"), (0, "payload"), (4, "ciphertext")])
def test_a_wrong_handshake_fails(message: int, part: str, tmp_path: Path) -> None:
    """Our handshakes are not Noise's, and nobody is told."""
    file = document("noise/cacophony-selection.json")
    changed = file["vectors"][0]["messages"][message]
    changed[part] = ("00" if changed[part][:2] != "00" else "01") + changed[part][2:]
    (each,) = judge(written(tmp_path, file, "cacophony.txt"))
    assert (each.passed, each.failed) == (3, 1)


def test_a_wrong_transcript_hash_fails(tmp_path: Path) -> None:
    """Sessions that are bound to the hash are bound to another one elsewhere."""
    file = document("noise/cacophony-selection.json")
    file["vectors"][1]["handshake_hash"] = "00" * 32
    (each,) = judge(written(tmp_path, file))
    assert (each.passed, each.failed) == (3, 1)


def test_what_is_not_spoken_is_not_applicable(tmp_path: Path) -> None:
    """Vectors of other suites count as failures, or silently as passed."""
    (template,) = [each for each in document("noise/cacophony-selection.json")["vectors"] if each["protocol_name"].startswith("Noise_IK_")]
    names = ["Noise_XX_25519_ChaChaPoly_SHA256", "Noise_IK_448_ChaChaPoly_SHA256", "Noise_IK_25519_AESGCM_BLAKE2s"]
    noise_c = {key: value for key, value in template.items() if key != "protocol_name"}
    noise_c |= {"name": "IK in the form of noise-c", "pattern": "IK", "dh": "25519", "cipher": "ChaChaPoly", "hash": "SHA256"}
    (each,) = judge(written(tmp_path, {"vectors": [*(template | {"protocol_name": name} for name in names), noise_c]}))
    assert dict(each.not_applicable) == {
        "pattern: this program speaks IK, IKpsk2, KK, KKpsk0": 1,
        "suite: this program has 25519_ChaChaPoly_SHA256": 2,
    }
    assert (each.passed, each.failed) == (1, 0)
    (other,) = judge(written(tmp_path, {"algorithm": "AES-GCM", "schema": "aead_test_schema_v1.json", "testGroups": [{"tests": [{}, {}]}]}))
    assert other.not_applicable.total() == 2
    assert not published.passed([other])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "not a JSON document"),
        (b"\xff\xfe", "not a JSON document"),
        (b"[" * 100_000, "not a JSON document"),
        (b"[]", "found neither"),
        (b'{"vectors": 1}', "found neither"),
        (b'{"vectors": [1]}', "damaged"),
        (b'{"testGroups": [{}]}', "damaged"),
        (b'{"numberOfTests": 2, "testGroups": [{"tests": [{}]}]}', "announces 2"),
    ],
)
def test_files_that_are_none_are_refused_by_name(text: bytes, said: str, tmp_path: Path) -> None:
    """A damaged file gives a traceback, or counts as passed."""
    path = tmp_path / "vectors.json"
    path.write_bytes(text)
    with pytest.raises(Misconfigured, match=f"{path}.*{said}"):
        judge(path)


def test_a_case_without_a_field_fails_and_says_so(tmp_path: Path) -> None:
    """A vector that was cut counts as passed, or as a fault of the program without a word on the file."""
    cut = {"tcId": 7, "public": "00", "result": "valid"}
    form = {"algorithm": "XDH", "schema": "xdh_comp_schema_v1.json"}
    judgement, _ = judge(written(tmp_path, form | {"testGroups": [{"tests": [cut]}]}))
    assert (judgement.passed, judgement.failed) == (0, 1)
    assert judgement.failures == ["tcId 7: the case has no field 'private'"]


def test_files_and_folders(tmp_path: Path) -> None:
    """Files in a folder are passed over in silence, or a missing path counts as nothing to do."""
    with pytest.raises(Misconfigured, match="no file here ends in"):
        list(published.files([tmp_path]))
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        judge(tmp_path / "missing.json")
    (tmp_path / "below").mkdir()
    written(tmp_path / "below", [], "else.json")
    (tmp_path / "prose.txt").write_text("COUNT = 0")
    found = [each for path, named in published.files([tmp_path]) for each in judge(path, named=named)]
    assert [dict(each.not_applicable) for each in found] == [{published.OTHER_FORM: 1}] * 2


def test_the_second_hmac_is_hmac() -> None:
    """The judge of HMAC is itself wrong for keys that are longer than a block."""
    for size in (0, 63, 64, 65, 200):
        assert second.hmac_sha256(bytes(size), b"data") == p.hmac_sha256(bytes(size), b"data")
