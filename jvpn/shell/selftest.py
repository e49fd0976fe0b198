"""The start-up self-test: known answers for every primitive and construction, before any key is loaded. No service on failure.

The answers are those of the standards (RFC 4231, 5869, 7748, 8032, 8439, FIPS 180-4, 197) and of `schemas/vectors/`, which independent code
computed; libsodium judges random values as well. It runs in the process that will serve, so it judges what this process has loaded.
"""

import json
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from audit.vocabulary import SCHEMAS
from core.crypto import chain
from core.crypto import primitives as p
from core.crypto.noise import IKHFS, KKPSK0, Handshake
from core.crypto.replay import Verdict, step
from core.crypto.secret import Secret
from core.errors import PeerFault, require
from core.limits import COUNTER_LIMIT
from core.reasons import Carrier
from core.values import Endpoint, Instant, Path
from core.wire.epoch import Epoch
from core.wire.inner import encode, parse
from core.wire.layout import DATA_HEADER, Kind
from core.wire.messages import parse_data
from jvpn.shell import second
from jvpn.shell.entropy import entropy, start_up

DRAWS: Final = 4
SUNSCREEN: Final = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."  # RFC 8439, 2.8.2
)


class Finding(NamedTuple):
    """One test: what is tested, whose answer is known, whether it came out, and what happened where it did not."""

    name: str
    source: str
    passed: bool
    detail: str = ""


def run() -> list[Finding]:
    """Run all tests; never raises for what they find."""
    return [_judge(name, source, test) for name, source, test in TESTS]


def _judge(name: str, source: str, test: Callable[[], None]) -> Finding:
    try:
        test()
    except Exception as error:  # noqa: BLE001 - whatever a broken library raises is a finding
        return Finding(name, source, passed=False, detail=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    return Finding(name, source, passed=True)


def _entropy() -> None:
    """4,096 bytes pass the health tests, and no two draws are alike: a stuck or biased source, not one with a known seed, would be seen."""
    start_up()
    drawn = {entropy(32) for _ in range(DRAWS)}
    require(len(drawn) == DRAWS and bytes(32) not in drawn, "four draws of 32 random bytes differ")


def _versions() -> None:
    """The libraries are not older than those that this program was made and tested with."""
    for name, floor in FLOORS.items():
        found = tuple(int(part) for part in version(name).split(".")[:2])
        require(found >= floor, f"{name} has version {version(name)}, needed {'.'.join(map(str, floor))} or newer")


def _sha256() -> None:
    _equal(p.sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


def _hmac() -> None:
    _equal(p.hmac_sha256(b"Jefe", b"what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")


def _hkdf() -> None:
    """RFC 5869: case 3 has no info, as Noise has none; case 1 is Extract and one block of Expand."""
    known = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    _equal(_joined(p.hkdf(Secret(b""), Secret(b"\x0b" * 22), 2))[:42], known)
    secret = Secret(p.hmac_sha256(bytes(range(13)), b"\x0b" * 22))
    _equal(p.expand(secret, bytes(range(0xF0, 0xFA)), 32).expose(), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")


def _same() -> None:
    others = (b"ac", b"abc", b"a", b"")
    require(p.same(b"ab", b"ab") and not any(p.same(b"ab", each) for each in others), "equal is equal, and nothing else is")


def _aead() -> None:
    cipher = p.new_cipher(Secret(bytes(range(0x80, 0xA0))))
    nonce, header = bytes.fromhex("070000004041424344454647"), bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    sealed = cipher.encrypt(nonce, SUNSCREEN, header)
    _equal(sealed[:16] + sealed[-16:], "d31a8d34648e60db7b86afbc53ef7ec21ae10b594f09e26a7e902ecbd0600691")
    require(cipher.decrypt(nonce, sealed, header) == SUNSCREEN, "what was sealed opens")
    for forged in (sealed[:-1] + bytes((sealed[-1] ^ 1,)), bytes((sealed[0] ^ 1,)) + sealed[1:], sealed[:15]):
        _refused(partial(cipher.decrypt, nonce, forged, header), p.TagMismatch)
    _equal(p.nonce(0x0102030405060708), "000000000807060504030201")


def _aes() -> None:
    block = p.AesBlock(Secret(bytes(range(32))))
    _equal(block.encrypt(bytes.fromhex("00112233445566778899aabbccddeeff")), "8ea2b7ca516745bfeafc49904b496089")
    _equal(block.decrypt(bytes.fromhex("8ea2b7ca516745bfeafc49904b496089")), "00112233445566778899aabbccddeeff")


def _x25519() -> None:
    """RFC 7748, 6.1: both sides reach the same secret; a point of low order is refused."""
    alice = p.PrivateKey(bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
    bob = p.PrivateKey(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
    _equal(alice.public, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    _equal(alice.exchange(bob.public).expose(), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    _equal(bob.exchange(alice.public).expose(), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    _refused(lambda: alice.exchange(bytes(32)), p.BadPublicKey)


def _ed25519() -> None:
    """RFC 8032, 7.1, test 2; a signature with one bit changed, over another message or with S beyond the group's order is refused."""
    key = p.SigningKey(_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    _equal(key.public, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = key.sign(b"\x72")
    _equal(signature[:32], "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")
    _equal(signature[32:], "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
    p.check_signature(key.public, signature, b"\x72")
    beyond = (int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493).to_bytes(32, "little")
    for forged in (bytes((signature[0] ^ 1,)) + signature[1:], signature[:32] + beyond, signature[:63]):
        _refused(partial(p.check_signature, key.public, forged, b"\x72"), p.BadSignature)
    _refused(partial(p.check_signature, key.public, signature, b"\x73"), p.BadSignature)


def _ml_kem() -> None:
    """Known answers are in the handshake; here both sides agree, no two encapsulations are alike, a bad key is refused."""
    key = p.MlKem768().generate(bytes(range(64)))
    (first, sealed), (second, _) = p.MlKem768.encapsulate(key.public), p.MlKem768.encapsulate(key.public)
    opened = key.decapsulate(sealed).expose()
    require(opened == first.expose() != second.expose(), "both sides have the same secret, and each time another")
    forged = bytes((sealed[0] ^ 1,)) + sealed[1:]
    require(key.decapsulate(forged).expose() != opened, "a forged ciphertext gives another secret")
    _refused(lambda: p.MlKem768.encapsulate(b"\xff" * len(key.public)), p.BadPublicKey)


def _ikhfs() -> None:
    """The client's side: INIT byte by byte, then the keys that RESP brings."""
    given, wanted = _vector("ikhfs")["inputs"], _vector("ikhfs")["outputs"]
    seeds = {32: _hex(given["client_ephemeral_seed"]), 64: _hex(given["client_kem_seed"])}
    client = Handshake(
        IKHFS,
        initiator=True,
        prologue=_hex(wanted["prologue"]),
        static=p.PrivateKey(_hex(given["client_static_seed"])),
        remote=p.PrivateKey(_hex(given["gateway_static_seed"])).public,
        kem=p.MlKem768(),
        entropy=seeds.__getitem__,
    )
    _equal(client.write(_hex(given["init_payload"])), wanted["init"][16:-64])
    _equal(client.read(_hex(wanted["resp"])[12:]), given["resp_payload"])
    birth = chain.born(client)
    _equal(_joined((birth.k_up, birth.k_down)), wanted["k_up"] + wanted["k_down"])
    _equal(_joined((birth.session_id, birth.chain)), wanted["session_id"] + wanted["chain_1"])


def _kkpsk0() -> None:
    """Both sides of each attempt, byte by byte."""
    for case in _vector("reattach")["cases"]:
        given, wanted = case["inputs"], case["outputs"]
        psk = chain.psk_of(_secret(given["chain"]))
        client_key, gateway_key = (p.PrivateKey(_hex(given[f"{side}_static_seed"])) for side in ("client", "gateway"))
        seeds = {side: {32: _hex(given[f"{side}_ephemeral_seed"])} for side in ("client", "gateway")}
        client = Handshake(KKPSK0, initiator=True, prologue=_hex(wanted["prologue"]), static=client_key, remote=gateway_key.public,
                           psk=psk, entropy=seeds["client"].__getitem__)  # fmt: skip
        gateway = Handshake(KKPSK0, initiator=False, prologue=_hex(wanted["prologue"]), static=gateway_key, remote=client_key.public,
                            psk=psk, entropy=seeds["gateway"].__getitem__)  # fmt: skip
        request = client.write(_hex(given["reattach_payload"]))
        _equal(request, wanted["reattach"][48:-32])
        _equal(gateway.read(request), given["reattach_payload"])
        reply = gateway.write(_hex(given["resp_payload"]))
        _equal(reply, wanted["reattach_resp"][24:])
        _equal(client.read(reply), given["resp_payload"])
        for side in (client, gateway):
            _equal(_joined(side.split()), wanted["k_up"] + wanted["k_down"])


def _chain() -> None:
    vector = _vector("chain")
    for attempt in vector["attempts"]:
        link = _secret(attempt["chain"])
        _equal(_joined((chain.mac_key(link), chain.psk_of(link), chain.later(link, 1))), attempt["mac"] + attempt["psk"] + attempt["next"])
    locators = chain.Locators(_secret(vector["locators"]["key"]))
    for case in vector["locators"]["cases"]:
        _equal(locators.mint(case["handle"], (case["attempt"],))[0], case["locator"])
        locator = _hex(case["locator"])
        require(locators.open((locator,)) == {locator: (case["handle"], case["attempt"])}, "a locator opens")
    require(not locators.open((bytes(16),)), "what is no locator does not open")
    given, sealed = vector["sealed_row"]["inputs"], vector["sealed_row"]["sealed"]
    kek, row = _secret(given["kek"]), _hex(given["row"])
    _equal(chain.seal(kek, _hex(given["nonce"]), _secret(given["session_id"]), _secret(given["chain"]), row), sealed)
    _equal(_joined(chain.unseal(kek, _hex(sealed), row)), given["session_id"] + given["chain"])
    _equal(chain.next_kek(_secret(vector["kek"][0])).expose(), vector["kek"][1])


def _packets() -> None:
    """Both libraries seal each packet to the same bytes and open it; the core builds nonce, associated data and padding; forgeries fail."""
    vector = _vector("data")
    for case in vector["frames"]:
        sender, receiver = _ends(vector["session"], case["from"])
        sender.counter, frame = int.from_bytes(_hex(case["counter"]), "little"), _hex(case["frame"])
        kind = Kind(case["kind"])
        inner = encode(kind, _hex(case["body"]), None if kind in {Kind.CONFIRM, Kind.ACK} else case["length"])
        _equal(b"".join(sender.seal([inner])[0].frames), case["frame"])
        require(parse(_opened(receiver, frame)) == (kind, _hex(case["body"])), "what was sealed opens")
        other = second.Cipher(_hex(vector["session"]["k_up" if case["from"] == "client" else "k_down"]))
        _equal(other.encrypt(_hex(case["nonce"]), inner, frame[:DATA_HEADER]), case["frame"][2 * DATA_HEADER :])
    for case in vector["refused"]:
        frame = _hex(case["frame"])
        _refused(partial(_opened, _ends(vector["session"], "client")[1], frame), PeerFault)


def _opened(receiver: Epoch, frame: bytes) -> bytes:
    (plain,) = receiver.open([(parse_data(frame)[1], frame)])
    if isinstance(plain, bytes):
        return plain
    raise PeerFault(plain)


def _ends(session: dict[str, str], by: str) -> tuple[Epoch, Epoch]:
    """Return the vector's epochs of who sends and of who receives."""
    path = Path(Carrier.UDP, 0, Endpoint(bytes(16), 0), Endpoint(bytes(16), 0))
    up, down = _secret(session["k_up"]), _secret(session["k_down"])
    client, gateway = (int.from_bytes(_hex(session[f"{end}_index"]), "little") for end in ("client", "gateway"))
    ends = Epoch(client, gateway, (up, down), path, 0, Instant(0)), Epoch(gateway, client, (down, up), path, 0, Instant(0))
    return ends if by == "client" else ends[::-1]


def _replay() -> None:
    """Each verdict once, and that a refusal changes nothing."""
    verdict, top, bitmap = step(0, 0, 5)
    require((verdict, top) == (Verdict.ACCEPT, 5), "a new counter is accepted")
    require(step(top, bitmap, 5) == (Verdict.REPLAY, top, bitmap), "the same one is a replay")
    require(step(top, bitmap, 4)[0] is Verdict.ACCEPT, "one that was overtaken is accepted")
    _, far, map_ = step(top, bitmap, 5_000)
    require(step(far, map_, 5_000 - 1_024) == (Verdict.STALE, far, map_), "one below the window is stale")
    require(step(far, map_, COUNTER_LIMIT)[0] is Verdict.LIMIT, "a used-up key is refused")


def _equal(found: bytes, wanted: str) -> None:
    require(found == _hex(wanted), "the known answer comes out")


def _refused(call: Callable[[], object], refusal: type[Exception]) -> None:
    try:
        call()
    except refusal:
        return
    require(False, "what is forged or malformed is refused")  # noqa: FBT003 - reads as a sentence


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def _secret(text: str) -> Secret:
    return Secret(_hex(text))


def _joined(secrets: Iterable[Secret]) -> bytes:
    """Return the bytes of known answers; no key of this machine is loaded yet."""
    return b"".join(each.expose() for each in secrets)


@cache
def _vector(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SCHEMAS / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
    return document


FLOORS: Final = {"cryptography": (50, 0), "PyNaCl": (1, 6)}
TESTS: Final[tuple[tuple[str, str, Callable[[], None]], ...]] = (
    ("versions of the libraries", "pyproject.toml", _versions),
    ("randomness", "SP 800-90B, 4.4; four draws differ", _entropy),
    ("SHA-256", "FIPS 180-4", _sha256),
    ("HMAC-SHA-256", "RFC 4231", _hmac),
    ("HKDF-SHA-256", "RFC 5869", _hkdf),
    ("comparison", "itself", _same),
    ("ChaCha20-Poly1305", "RFC 8439", _aead),
    ("AES-256", "FIPS 197", _aes),
    ("X25519", "RFC 7748", _x25519),
    ("Ed25519", "RFC 8032", _ed25519),
    ("ML-KEM-768", "itself, and the handshake's vector", _ml_kem),
    ("handshake IKhfs", "schemas/vectors/ikhfs.json", _ikhfs),
    ("reattach KKpsk0", "schemas/vectors/reattach.json", _kkpsk0),
    ("chain, locators, rows", "schemas/vectors/chain.json", _chain),
    ("packets", "schemas/vectors/data.json; libsodium", _packets),
    ("anti-replay window", "RFC 4303", _replay),
    ("SHA-256, random", "libsodium", second.sha256),
    ("comparison, random", "libsodium", second.comparison),
    ("ChaCha20-Poly1305, random", "libsodium", second.chacha20_poly1305),
    ("X25519, random", "libsodium", second.x25519),
    ("Ed25519, random", "libsodium", second.ed25519),
)
