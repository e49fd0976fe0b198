"""Published test vectors: files in the forms of Wycheproof and of Noise (cacophony's, snow's), run through the code that serves.

A form says which primitive a file is about; each case of it is judged by `core.crypto` and, where libsodium has the primitive, by libsodium
too. A case is *passed*, *failed*, or *not applicable*, with the reason: a key length or a pattern that this program does not speak.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from audit.vocabulary import SCHEMAS
from core.crypto import primitives as p
from core.crypto.noise import IKHFS, KKPSK0, Handshake, Pattern
from core.crypto.secret import Secret
from jvpn.shell import second
from jvpn.shell.checked import Misconfigured

SHIPPED: Final = SCHEMAS / "vectors" / "published"
FILE_BYTES_MAX: Final = 64 << 20
DETAILS_MAX: Final = 20  # failures that are named, a file; all are counted
# fmt: off
VECTORS_ONLY: Final = (  # not spoken: published vectors for these run through the same interpreter
    Pattern(b"Noise_IK_25519_ChaChaPoly_SHA256",                  "r",  ("e", "es", "s", "ss"),       ("e", "ee", "se")),
    Pattern(b"Noise_KK_25519_ChaChaPoly_SHA256",                  "ir", ("e", "es", "ss"),            ("e", "ee", "se")),
    Pattern(b"Noise_IKpsk2_25519_ChaChaPoly_SHA256",              "r",  ("e", "es", "s", "ss"),       ("e", "ee", "se", "psk")),
)
# fmt: on
SPOKEN: Final = {pattern.name.decode(): pattern for pattern in (KKPSK0, *VECTORS_ONLY)}
SUITE: Final = "25519_ChaChaPoly_SHA256"
SUFFIXES: Final = (".json", ".txt")  # cacophony's file is JSON, whatever its name says
OTHER_FORM: Final = "neither Noise's form nor Wycheproof's"

Case = dict[str, Any]
Test = Callable[[Case, Case], bool]


class NotApplicable(Exception):
    """A case of something that this program has not; the argument is the reason."""


class NotJsonError(Misconfigured):
    """A file that is no JSON document."""


@dataclass(slots=True)
class Judgement:
    """What came of the cases of one file for one primitive and one library."""

    primitive: str
    library: str
    file: str
    passed: int = 0
    failed: int = 0
    not_applicable: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Return all of it in plain types, for JSON."""
        names = ("primitive", "library", "file", "passed", "failed", "failures")
        return {name: getattr(self, name) for name in names} | {"not_applicable": dict(self.not_applicable)}

    def count(self, name: str, test: Callable[[], bool]) -> None:
        """Run one case; whatever it raises besides NotApplicable is its failure."""
        try:
            good, detail = test(), "another answer than the published one"
        except NotApplicable as reason:
            self.not_applicable[str(reason)] += 1
            return
        except Exception as error:  # noqa: BLE001 - a vector that breaks a library is what this looks for
            good, detail = False, f"the case has no field {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        self.passed += good
        self.failed += not good
        if not good and len(self.failures) < DETAILS_MAX:
            self.failures.append(f"{name}: {detail}")


def passed(judgements: list[Judgement]) -> bool:
    """Tell whether something was judged, and nothing failed."""
    return any(each.passed for each in judgements) and not any(each.failed for each in judgements)


def by_primitive(judgements: list[Judgement]) -> dict[str, dict[str, Any]]:
    """Return the counts of each primitive over all files and libraries."""
    counts: dict[str, dict[str, Any]] = {}
    for each in judgements:
        count = counts.setdefault(each.primitive, {"passed": 0, "failed": 0, "not_applicable": {}})
        count["passed"] += each.passed
        count["failed"] += each.failed
        count["not_applicable"] = dict(Counter(count["not_applicable"]) + each.not_applicable)
    return counts


def files(paths: list[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield the files that are named, and those below folders; the flag tells whether one was named itself.

    Raises:
        Misconfigured: there is no such file, or no file with a suffix of SUFFIXES in a folder.
    """
    for path in paths:
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES and each.is_file())
            if not found:
                raise Misconfigured(f"{path}: no file here ends in {' or '.join(SUFFIXES)}")
            yield from ((each, False) for each in found)
        else:
            yield path, True


def judge(path: Path, *, named: bool = True) -> list[Judgement]:
    """Run all cases of a file.

    Args:
        path: The file.
        named: Whether the user named this very file; one of another form is refused then, and is not applicable otherwise.

    Raises:
        Misconfigured: the file cannot be read, is no JSON, or is of no form that is known.
    """
    try:
        document = _load(path)
    except NotJsonError:
        if named:
            raise
        document = None
    try:
        if isinstance(document, dict) and isinstance(document.get("vectors"), list):
            return [_noise(document["vectors"], path)]
        if isinstance(document, dict) and isinstance(document.get("testGroups"), list):
            return _wycheproof(document, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(f"{path}: damaged: {type(error).__name__}: {error}") from error
    if named:
        raise Misconfigured(f"{path}: found neither `vectors` (Noise) nor `testGroups` (Wycheproof); allowed are files of these two forms")
    return [Judgement("unknown", "", path.name, not_applicable=Counter({OTHER_FORM: 1}))]


def _load(path: Path) -> object:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Misconfigured(f"{path}: found {path.stat().st_size} bytes, allowed {FILE_BYTES_MAX}")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise NotJsonError(f"{path}: not a JSON document: {error}") from error


# --- Wycheproof -----------------------------------------------------------------------------------------------------


def _wycheproof(document: Case, path: Path) -> list[Judgement]:
    """Judge a file by the schema that it names, which says more than its algorithm does."""
    algorithm, schema = str(document.get("algorithm", "")), str(document.get("schema", ""))
    known = FORMS.get((algorithm, schema.removesuffix(".json").removesuffix("_v1").removesuffix("_schema")))
    cases = [(group, test) for group in document["testGroups"] for test in group["tests"]]
    if "numberOfTests" in document and document["numberOfTests"] != len(cases):
        raise Misconfigured(
            f"{path}: numberOfTests: found {len(cases)} tests, the file announces {document['numberOfTests']}: it is damaged"
        )
    if known is None:
        reason = f"{algorithm or 'an algorithm without a name'} in the form {schema or 'without a name'}: not used by this program"
        return [Judgement(algorithm or "unknown", "", path.name, not_applicable=Counter({reason: len(cases)}))]
    primitive, tests = known
    judgements = []
    for library, test in tests.items():
        judgement = Judgement(primitive, library, path.name)
        for group, case in cases:
            judgement.count(f"tcId {case.get('tcId')}", partial(test, group, case))
        judgements.append(judgement)
    return judgements


def _hex(case: Case, *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


def _joined(secrets: Iterable[Secret]) -> bytes:
    """Return the bytes of what was published, and is no secret."""
    return b"".join(each.expose() for each in secrets)


def _needs(group: Case, **wanted: object) -> None:
    for name, value in wanted.items():
        if group.get(name, value) != value:
            raise NotApplicable(f"{name} {group[name]}: this program has {value}")


def _agrees(case: Case, got: bytes | None, wanted: bytes) -> bool:
    """Tell whether an answer, or a refusal (None), is what the case allows."""
    if got is None:
        return bool(case["result"] != "valid")
    return bool(case["result"] != "invalid") and got == wanted


def _refused(call: Callable[[], bytes], *refusals: type[Exception]) -> bytes | None:
    try:
        return call()
    except refusals:
        return None


def _x25519(exchange: Callable[[bytes, bytes], bytes], group: Case, case: Case) -> bool:
    """An all-zero result is refused (RFC 7748, 6.1), which Wycheproof leaves open."""
    _needs(group, curve="curve25519")
    public, private, shared = _hex(case, "public", "private", "shared")
    got = _refused(lambda: exchange(private, public), p.BadPublicKey)
    return _agrees(case, got, shared) and (shared != bytes(len(shared)) or got is None)


def _eddsa(check: Callable[[bytes, bytes, bytes], None], group: Case, case: Case) -> bool:
    _needs(group["publicKey"], curve="edwards25519")
    public, message, signature = bytes.fromhex(group["publicKey"]["pk"]), *_hex(case, "msg", "sig")

    def checked() -> bytes:
        check(public, signature, message)
        return message

    return _agrees(case, _refused(checked, p.BadSignature), message)


def _aead(make: Callable[[bytes], p.Cipher], group: Case, case: Case) -> bool:
    _needs(group, keySize=256, tagSize=128)
    key, nonce, header, plain, sealed, tag = _hex(case, "key", "iv", "aad", "msg", "ct", "tag")
    if len(nonce) != 12:  # noqa: PLR2004 - RFC 8439
        raise NotApplicable("a nonce that has not 12 bytes")
    cipher = make(key)
    got = _refused(lambda: cipher.decrypt(nonce, sealed + tag, header), p.TagMismatch)
    return _agrees(case, got, plain) and (got is None or cipher.encrypt(nonce, plain, header) == sealed + tag)


def _hmac(compute: Callable[[bytes, bytes], bytes], group: Case, case: Case) -> bool:
    key, message, tag = _hex(case, "key", "msg", "tag")
    right = p.same(compute(key, message)[: group["tagSize"] // 8], tag)
    return bool(right == (case["result"] != "invalid"))


def _hkdf(compute: Callable[[bytes, bytes], bytes], _group: Case, case: Case) -> bool:
    """RFC 5869 put together from HMAC; what the program derives itself is judged through its own functions."""
    material, salt, info, wanted = _hex(case, "ikm", "salt", "info", "okm")
    size = int(case["size"])
    if size > 255 * p.HASH_LENGTH:
        return bool(case["result"] == "invalid")
    secret = compute(salt, material)
    block, output = b"", b""
    for number in range(1, -(-size // p.HASH_LENGTH) + 1):
        block = compute(secret, block + info + bytes((number,)))
        output += block
    good = _agrees(case, output[:size], wanted)
    if compute is p.hmac_sha256 and not info:
        good = good and _agrees(case, _joined(p.hkdf(Secret(salt), Secret(material), -(-size // p.HASH_LENGTH)))[:size], wanted)
    if compute is p.hmac_sha256 and size <= p.HASH_LENGTH:
        good = good and _agrees(case, p.expand(Secret(secret), info, size).expose(), wanted)
    return good


def _kem(group: Case, case: Case) -> bool:
    _needs(group, parameterSet="ML-KEM-768")
    seed, ciphertext, shared = _hex(case, "seed", "c", "K")
    return _agrees(case, _refused(lambda: p.MlKem768().generate(seed).decapsulate(ciphertext).expose(), p.BadPublicKey, ValueError), shared)


def _kem_keygen(group: Case, case: Case) -> bool:
    _needs(group, parameterSet="ML-KEM-768")
    seed, public = _hex(case, "seed", "ek")
    return _agrees(case, _refused(lambda: p.MlKem768().generate(seed).public, ValueError), public)


def _kem_encaps(group: Case, case: Case) -> bool:
    """The library draws the randomness itself, so that only acceptance and lengths can be judged; kyber-py judges the rest in the tests."""
    _needs(group, parameterSet="ML-KEM-768")
    try:
        secret, ciphertext = p.MlKem768.encapsulate(_hex(case, "ek")[0])
    except p.BadPublicKey:
        return bool(case["result"] != "valid")
    return bool(case["result"] != "invalid") and len(secret) + len(ciphertext) == len(case["c"] + case["K"]) // 2


BOTH: Final = ("cryptography", "libsodium")
FORMS: Final[dict[tuple[str, str], tuple[str, dict[str, Test]]]] = {
    ("XDH", "xdh_comp"): (
        "X25519",
        {
            BOTH[0]: partial(_x25519, lambda seed, public: p.PrivateKey(seed).exchange(public).expose()),
            BOTH[1]: partial(_x25519, second.exchange),
        },
    ),
    ("EDDSA", "eddsa_verify"): (
        "Ed25519",
        {BOTH[0]: partial(_eddsa, p.check_signature), BOTH[1]: partial(_eddsa, second.check_signature)},
    ),
    ("CHACHA20-POLY1305", "aead_test"): (
        "ChaCha20-Poly1305",
        {BOTH[0]: partial(_aead, lambda key: p.new_cipher(Secret(key))), BOTH[1]: partial(_aead, second.Cipher)},
    ),
    ("HMACSHA256", "mac_test"): ("HMAC-SHA-256", {BOTH[0]: partial(_hmac, p.hmac_sha256), BOTH[1]: partial(_hmac, second.hmac_sha256)}),
    ("HKDF-SHA-256", "hkdf_test"): ("HKDF-SHA-256", {BOTH[0]: partial(_hkdf, p.hmac_sha256), BOTH[1]: partial(_hkdf, second.hmac_sha256)}),
    ("ML-KEM", "mlkem_test"): ("ML-KEM-768", {BOTH[0]: _kem}),
    ("ML-KEM", "mlkem_keygen_seed_test"): ("ML-KEM-768 key of a seed", {BOTH[0]: _kem_keygen}),
    ("ML-KEM", "mlkem_encaps_test"): ("ML-KEM-768 encapsulation", {BOTH[0]: _kem_encaps}),
}


# --- Noise ----------------------------------------------------------------------------------------------------------


def _noise(vectors: list[Case], path: Path) -> Judgement:
    judgement = Judgement("Noise handshakes", BOTH[0], path.name)
    for number, vector in enumerate(vectors):
        name = _protocol(vector)
        judgement.count(f"{number} {name}", partial(_handshake, name, vector))
    return judgement


def _protocol(vector: Case) -> str:
    """Return the protocol's full name; noise-c writes its parts, cacophony and snow the whole."""
    parts = [vector.get(part) for part in ("pattern", "dh", "cipher", "hash")]
    whole = vector.get("protocol_name") or vector.get("name")
    return "Noise_" + "_".join(map(str, parts)) if all(parts) else str(whole)


def _handshake(name: str, vector: Case) -> bool:
    """Both sides, byte by byte: the two handshake messages, the transcript's hash, and what is transported after them."""
    pattern = SPOKEN.get(name)
    if pattern is None:
        spoken = sorted(each.split("_")[1] for each in SPOKEN)
        same_suite = name.endswith("_" + SUITE) and name != IKHFS.name.decode()
        raise NotApplicable(f"pattern: this program speaks {', '.join(spoken)}" if same_suite else f"suite: this program has {SUITE}")
    sides = [_side(pattern, vector, role) for role in ("init", "resp")]
    messages = [_hex(message, "payload", "ciphertext") for message in vector["messages"]]
    for turn, (payload, sealed) in enumerate(messages[:2]):
        if sides[turn].write(payload) != sealed or sides[1 - turn].read(sealed) != payload:
            return False
    if vector.get("handshake_hash") not in {None, sides[0].hash.hex()} or sides[0].hash != sides[1].hash:
        return False
    ciphers = [p.new_cipher(key) for key in sides[0].split()]
    transported = [ciphers[at % 2].encrypt(p.nonce(at // 2), payload, b"") == sealed for at, (payload, sealed) in enumerate(messages[2:])]
    return all(transported) and _joined(sides[0].split()) == _joined(sides[1].split())


def _side(pattern: Pattern, vector: Case, role: str) -> Handshake:
    remote, psks = vector.get(f"{role}_remote_static"), vector.get(f"{role}_psks") or [vector.get(f"{role}_psk")]
    static, prologue, ephemeral = _hex(vector, f"{role}_static", f"{role}_prologue", f"{role}_ephemeral")
    return Handshake(pattern, initiator=role == "init", prologue=prologue, static=p.PrivateKey(static),
                     remote=bytes.fromhex(remote) if remote else None, psk=Secret(bytes.fromhex(psks[0])) if psks[0] else None,
                     entropy=lambda _n: ephemeral)  # fmt: skip
