"""The handshakes against cacophony's vectors, our own, an independent implementation, and what they must refuse."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.crypto import chain
from core.crypto.noise import IKHFS, KKPSK0, VECTORS_ONLY, Handshake, Pattern, SymmetricState
from core.crypto.primitives import BadPublicKey, Kem, MlKem768, PrivateKey, TagMismatch, hmac_sha256, new_cipher, nonce
from core.errors import Invariant
from tests.core.crypto import independent
from tests.core.crypto.independent import DerandomisedKem, DerandomisedKey, seed

ROOT = Path(__file__).parents[3]
PATTERNS = {pattern.name.decode(): pattern for pattern in (KKPSK0, *VECTORS_ONLY)}
CACOPHONY = json.loads((ROOT / "tests/vectors/noise/cacophony-selection.json").read_text())["vectors"]
IKHFS_VECTOR = json.loads((ROOT / "schemas/vectors/ikhfs.json").read_text())
REATTACH_VECTORS = json.loads((ROOT / "schemas/vectors/reattach.json").read_text())["cases"]

CLIENT, GATEWAY = PrivateKey(seed("client static")), PrivateKey(seed("gateway static"))
PAYLOAD = b"sixteen bytes..."


def unhex(values: dict[str, str]) -> dict[str, bytes]:
    """Return a vector's fields as bytes."""
    return {name: bytes.fromhex(value) for name, value in values.items()}


def drawn(*values: bytes) -> Callable[[int], bytes]:
    """Return an entropy source that gives exactly these values, each to a request of its own length."""
    left = list(values)

    def entropy(n: int) -> bytes:
        value = left.pop(0)
        assert len(value) == n
        return value

    return entropy


def init(prologue: bytes = b"p", static: PrivateKey = CLIENT, remote: bytes = GATEWAY.public, kem: Kem | None = None) -> Handshake:
    """Return the client's side of the first handshake."""
    entropy = drawn(seed("e"), seed("e1", 64))
    return Handshake(IKHFS, initiator=True, prologue=prologue, static=static, remote=remote, kem=kem or MlKem768(), entropy=entropy)


def resp(prologue: bytes = b"p", static: PrivateKey = GATEWAY) -> Handshake:
    """Return the gateway's side of the first handshake."""
    entropy = drawn(seed("f"))
    return Handshake(IKHFS, initiator=False, prologue=prologue, static=static, remote=None, kem=MlKem768(), entropy=entropy)


def move(*, initiator: bool, psk: bytes = bytes(32), prologue: bytes = b"p") -> Handshake:
    """Return one side of a reattach."""
    static, remote = (CLIENT, GATEWAY) if initiator else (GATEWAY, CLIENT)
    entropy = drawn(seed("e" if initiator else "f"))
    return Handshake(KKPSK0, initiator=initiator, prologue=prologue, static=static, remote=remote.public, psk=psk, entropy=entropy)


PAIRS = {"IKhfs": lambda: (init(), resp()), "KKpsk0": lambda: (move(initiator=True), move(initiator=False))}


@pytest.mark.parametrize("vector", CACOPHONY, ids=lambda v: v["protocol_name"])
def test_cacophony(vector: dict[str, Any]) -> None:
    """Our handshakes are not Noise: another implementation cannot speak with us, and Noise's proofs are not about us."""
    sides = []
    for role in ("init", "resp"):
        remote, psks = vector.get(f"{role}_remote_static"), vector.get(f"{role}_psks")
        side = Handshake(
            PATTERNS[vector["protocol_name"]],
            initiator=role == "init",
            prologue=bytes.fromhex(vector[f"{role}_prologue"]),
            static=PrivateKey(bytes.fromhex(vector[f"{role}_static"])),
            remote=bytes.fromhex(remote) if remote else None,
            psk=bytes.fromhex(psks[0]) if psks else None,
            entropy=drawn(bytes.fromhex(vector[f"{role}_ephemeral"])),
        )
        sides.append(side)
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]]
    assert len(messages) == 6
    for turn, (payload, ciphertext) in enumerate(messages[:2]):
        assert sides[turn].write(payload) == ciphertext
        assert sides[1 - turn].read(ciphertext) == payload
    assert sides[0].hash.hex() == sides[1].hash.hex() == vector["handshake_hash"]
    assert sides[0].split() == sides[1].split()
    ciphers = [new_cipher(key) for key in sides[0].split()]
    for index, (payload, ciphertext) in enumerate(messages[2:]):
        assert ciphers[index % 2].encrypt(nonce(index // 2), payload, b"") == ciphertext


def test_all_four_published_patterns_are_run() -> None:
    """A vector was dropped from the selection, and its pattern is no longer checked."""
    assert {vector["protocol_name"] for vector in CACOPHONY} == set(PATTERNS)


def test_ikhfs_vector() -> None:
    """[H-1] [H-10] [H-11] [H-12] Wire format or keys of the handshake changed: old and new versions no longer understand each other."""
    given, expected = unhex(IKHFS_VECTOR["inputs"]), unhex(IKHFS_VECTOR["outputs"])
    message, reply = expected["init"][8:-32], expected["resp"][12:]
    client_key, gateway_key = PrivateKey(given["client_static_seed"]), PrivateKey(given["gateway_static_seed"])
    client = Handshake(
        IKHFS,
        initiator=True,
        prologue=expected["prologue"],
        static=client_key,
        remote=gateway_key.public,
        kem=MlKem768(),
        entropy=drawn(given["client_ephemeral_seed"], given["client_kem_seed"]),
    )
    gateway = Handshake(
        IKHFS,
        initiator=False,
        prologue=expected["prologue"],
        static=gateway_key,
        remote=None,
        kem=DerandomisedKem(given["encapsulation_m"]),
        entropy=drawn(given["gateway_ephemeral_seed"]),
    )
    assert client.write(given["init_payload"]) == message
    assert gateway.read(message) == given["init_payload"]
    assert gateway.remote == client_key.public
    assert gateway.write(given["resp_payload"]) == reply
    assert client.read(reply) == given["resp_payload"]
    assert (len(expected["init"]), len(expected["resp"])) == (1352, 1180)
    for side in (client, gateway):
        birth = chain.born(side)
        assert side.hash == expected["handshake_hash"]
        assert (birth.k_up, birth.k_down, birth.session_id, birth.chain) == tuple(
            expected[name] for name in ("k_up", "k_down", "session_id", "chain_1")
        )


def test_ikhfs_vector_by_the_independent_implementation() -> None:
    """The vector only repeats what our code does, right or wrong."""
    assert independent.handshake(unhex(IKHFS_VECTOR["inputs"])) == unhex(IKHFS_VECTOR["outputs"])


@pytest.mark.parametrize("case", REATTACH_VECTORS, ids=("attempt 1", "attempt 3"))
def test_reattach_vector(case: dict[str, dict[str, str]]) -> None:
    """[R-1] [R-2] The wire format of a move or rekey, or its keys, changed: a client cannot move between gateways of two versions."""
    given, expected = unhex(case["inputs"]), unhex(case["outputs"])
    keys = chain.attempt_keys(given["chain"])
    assert (keys.mac, keys.psk, keys.next) == (expected["mac_key"], expected["psk"], expected["chain_next"])
    client_key, gateway_key = (PrivateKey(given[f"{role}_static_seed"]) for role in ("client", "gateway"))
    client, gateway = (
        Handshake(
            KKPSK0,
            initiator=role == "client",
            prologue=expected["prologue"],
            static=mine,
            remote=other.public,
            psk=keys.psk,
            entropy=drawn(given[f"{role}_ephemeral_seed"]),
        )
        for role, mine, other in (("client", client_key, gateway_key), ("gateway", gateway_key, client_key))
    )
    request, reply = expected["reattach"][24:-16], expected["reattach_resp"][12:]
    assert hmac_sha256(keys.mac, expected["reattach"][:-16])[:16] == expected["reattach"][-16:]
    assert client.write(given["reattach_payload"]) == request
    assert gateway.read(request) == given["reattach_payload"]
    assert gateway.write(given["resp_payload"]) == reply
    assert client.read(reply) == given["resp_payload"]
    assert (len(expected["reattach"]), len(expected["reattach_resp"])) == (104, 84)
    for side in (client, gateway):
        assert (side.hash, *side.split()) == (expected["handshake_hash"], expected["k_up"], expected["k_down"])


@pytest.mark.parametrize("case", REATTACH_VECTORS, ids=("attempt 1", "attempt 3"))
def test_reattach_vector_by_the_independent_implementation(case: dict[str, dict[str, str]]) -> None:
    """The vector only repeats what our code does, right or wrong."""
    assert independent.reattach(unhex(case["inputs"])) == unhex(case["outputs"])


@pytest.mark.parametrize("pair", PAIRS)
def test_every_changed_byte_and_length_is_refused(pair: str) -> None:
    """Someone on the path changes, cuts or extends a handshake message, and it is taken for the peer's."""
    client, gateway = PAIRS[pair]()
    request = client.write(PAYLOAD)
    listening = gateway.copy()
    gateway.read(request)
    reply = gateway.write(PAYLOAD)
    for receiver, message in ((listening, request), (client, reply)):
        changed = [message[:i] + bytes((message[i] ^ 1 << i % 8,)) + message[i + 1 :] for i in range(len(message))]
        lengths = [message[:n] for n in range(0, len(message), 13)] + [message[:-1], message + b"\0"]
        for bad in changed + lengths:
            with pytest.raises((TagMismatch, BadPublicKey)):
                receiver.copy().read(bad)
        assert receiver.copy().read(message) == PAYLOAD


@pytest.mark.parametrize("pair", PAIRS)
def test_a_bad_reply_leaves_the_attempt_pending(pair: str) -> None:
    """[H-9] One forged reply, which anybody can send, ends the attempt of an honest client."""
    client, gateway = PAIRS[pair]()
    gateway.read(client.write(PAYLOAD))
    reply = gateway.write(PAYLOAD)
    with pytest.raises(TagMismatch):
        client.copy().read(reply[:-1] + bytes((reply[-1] ^ 1,)))
    twin = client.copy()
    assert twin.read(reply) == PAYLOAD
    assert twin.split() == gateway.split()
    with pytest.raises(Invariant):
        client.split()


@pytest.mark.parametrize("pair", PAIRS)
def test_a_refused_message_spoils_the_object(pair: str) -> None:
    """A handshake goes on, or gives keys, after a message that did not authenticate."""
    client, gateway = PAIRS[pair]()
    request = client.write(PAYLOAD)
    spoiled = gateway.copy()
    with pytest.raises(TagMismatch):
        spoiled.read(request[:-1])
    gateway.read(request)
    reply = gateway.write(PAYLOAD)
    with pytest.raises(TagMismatch):
        client.read(reply[:-1])
    uses: list[Callable[[Handshake], object]] = [lambda h: h.read(reply), lambda h: h.write(b""), Handshake.split, Handshake.split3]
    for use in uses:
        for side in (spoiled, client):
            with pytest.raises(Invariant):
                use(side)


@pytest.mark.parametrize("pair", PAIRS)
def test_turns(pair: str) -> None:
    """A message is written twice under one nonce, out of order, or keys come before the end."""
    client, gateway = PAIRS[pair]()

    def refuses(side: Handshake, *uses: Callable[[Handshake], object]) -> None:
        for use in uses:
            with pytest.raises(Invariant, match=r"order|finished"):
                use(side.copy())

    def write(side: Handshake) -> bytes:
        return side.write(PAYLOAD)

    def read(side: Handshake) -> bytes:
        return side.read(request)

    request = client.copy().write(PAYLOAD)
    refuses(client, read, Handshake.split, Handshake.split3)
    refuses(gateway, write, Handshake.split, Handshake.split3)
    client, gateway = PAIRS[pair]()
    gateway.read(client.write(PAYLOAD))
    refuses(client, write, Handshake.split)
    refuses(gateway, read, Handshake.split)
    client.read(gateway.write(PAYLOAD))
    refuses(client, read, write)
    refuses(gateway, read, write)
    assert client.split3()[:2] == client.split() == gateway.split()
    assert client.split3() == gateway.split3()
    assert len(set(client.split3())) == 3


def test_admit_sees_the_device_before_its_key_is_used() -> None:
    """[H-4] A revoked device costs a key agreement and gets an answer, or an unknown one is admitted without being asked for."""

    class RevokedError(Exception):
        pass

    seen: list[bytes] = []

    def refuse(device: bytes) -> None:
        seen.append(device)
        raise RevokedError

    request = init().write(PAYLOAD)
    gateway = resp()
    with pytest.raises(RevokedError):
        gateway.read(request, refuse)
    assert seen == [CLIENT.public]
    with pytest.raises(Invariant):
        gateway.write(b"")

    end_of_s = 32 + 1200 + 48
    after_s = request[:end_of_s] + bytes(len(request) - end_of_s)
    with pytest.raises(RevokedError):  # asked although what follows `s` is garbage: so it is asked before `ss` and the payload
        resp().read(after_s, refuse)
    before_s = request[: end_of_s - 1] + bytes((request[end_of_s - 1] ^ 1,)) + request[end_of_s:]
    with pytest.raises(TagMismatch):
        resp().read(before_s, refuse)
    assert seen == [CLIENT.public] * 2
    admitted: list[bytes] = []
    assert resp().read(request, admitted.append) == PAYLOAD
    assert admitted == [CLIENT.public]


@pytest.mark.parametrize(
    "gateway", [resp(prologue=b"q"), resp(static=CLIENT), move(initiator=False, psk=b"\1" * 32), move(initiator=False, prologue=b"q")]
)
def test_another_context_is_refused(gateway: Handshake) -> None:
    """[H-2] [R-5] A message made for another session, attempt, index or gateway is accepted."""
    request = (init() if gateway.remote == b"" else move(initiator=True)).write(PAYLOAD)
    with pytest.raises(TagMismatch):
        gateway.read(request)


def test_psk_alone_is_not_enough() -> None:
    """Whoever steals the chain can move the session without the device's key."""
    thief = Handshake(
        KKPSK0,
        initiator=True,
        prologue=b"p",
        static=PrivateKey(seed("thief")),
        remote=GATEWAY.public,
        psk=bytes(32),
        entropy=drawn(seed("e")),
    )
    with pytest.raises(TagMismatch):
        move(initiator=False).read(thief.write(PAYLOAD))


class HostileKem(DerandomisedKem):
    """A peer that offers an encapsulation key of the right length whose coefficients are above the modulus."""

    def generate(self, seed: bytes) -> DerandomisedKey:
        """Return a key whose public part is malformed."""
        key = super().generate(seed)
        key.public = b"\xff" * 1184
        return key


def test_malformed_kem_key_is_refused() -> None:
    """An authenticated device sends an encapsulation key that FIPS 203 forbids, and the gateway uses it or falls over."""
    gateway = resp()
    gateway.read(init(kem=HostileKem(bytes(32))).write(PAYLOAD))
    with pytest.raises(BadPublicKey):
        gateway.write(PAYLOAD)
    with pytest.raises(Invariant):
        gateway.split()


def test_low_order_ephemeral_is_refused() -> None:
    """A peer makes the shared secret known to everybody."""
    request = move(initiator=True).write(PAYLOAD)
    with pytest.raises(BadPublicKey):
        move(initiator=False).read(bytes(32) + request[32:])
    with pytest.raises(BadPublicKey):
        init(remote=bytes(32)).write(PAYLOAD)


def test_entropy_is_drawn_once_for_each_key() -> None:
    """[H-8] A key is made of something else than what was drawn for it, or two keys of one draw: runs cannot be repeated."""
    asked: list[int] = []

    def entropy(n: int) -> bytes:
        asked.append(n)
        return seed(f"draw {len(asked)}", n)

    client = Handshake(IKHFS, initiator=True, prologue=b"", static=CLIENT, remote=GATEWAY.public, kem=MlKem768(), entropy=entropy)
    gateway = Handshake(IKHFS, initiator=False, prologue=b"", static=GATEWAY, remote=None, kem=MlKem768(), entropy=entropy)
    request = client.write(PAYLOAD)
    assert request[:32] == PrivateKey(seed("draw 1")).public
    gateway.read(request)
    assert asked == [32, 64]
    client.read(gateway.write(PAYLOAD))
    assert asked == [32, 64, 32]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_short_entropy_is_refused(length: int) -> None:
    """A failing entropy source makes a guessable ephemeral key."""
    client = Handshake(
        KKPSK0, initiator=True, prologue=b"", static=CLIENT, remote=GATEWAY.public, psk=bytes(32), entropy=lambda _: bytes(length)
    )
    with pytest.raises(ValueError, match="32"):
        client.write(PAYLOAD)


@pytest.mark.parametrize(
    ("pattern", "initiator", "remote", "psk", "kem"),
    [
        (IKHFS, True, None, None, MlKem768()),  # whom to call?
        (IKHFS, False, CLIENT.public, None, MlKem768()),  # the message says who calls
        (IKHFS, True, GATEWAY.public[:31], None, MlKem768()),
        (IKHFS, True, GATEWAY.public, None, None),
        (IKHFS, True, GATEWAY.public, bytes(32), MlKem768()),
        (KKPSK0, False, None, bytes(32), None),
        (KKPSK0, True, GATEWAY.public, None, None),
        (KKPSK0, True, GATEWAY.public, bytes(31), None),
        (KKPSK0, True, GATEWAY.public, bytes(32), MlKem768()),
    ],
)
def test_wrong_inputs_of_our_own(pattern: Pattern, initiator: bool, remote: bytes | None, psk: bytes | None, kem: Kem | None) -> None:
    """A programming error turns a handshake into a weaker one, without a psk, a KEM or the right peer."""
    with pytest.raises(Invariant):
        Handshake(pattern, initiator=initiator, prologue=b"", static=CLIENT, remote=remote, psk=psk, kem=kem, entropy=drawn())


def test_a_new_key_starts_at_nonce_zero() -> None:
    """After a psk our messages are sealed with other nonces than Noise's, which only another pattern than today's would show."""
    state, reference = SymmetricState(b"x"), SymmetricState(b"x")
    state.mix_key(b"a")
    reference.mix_key(b"a")
    state.n = 7
    state.mix_key_and_hash(b"b")
    reference.mix_key_and_hash(b"b")
    assert state.encrypt_and_hash(PAYLOAD) == reference.encrypt_and_hash(PAYLOAD)


def test_nothing_is_sent_in_the_clear() -> None:
    """[H-5] A mistake in a pattern's row sends an identity or a payload before there is a key."""
    careless = Pattern(b"Noise_NX_25519_ChaChaPoly_SHA256", "r", ("e",), ("e",))
    with pytest.raises(ValueError, match="32"):
        Handshake(careless, initiator=True, prologue=b"", static=CLIENT, remote=GATEWAY.public, entropy=drawn(seed("e"))).write(PAYLOAD)


def test_handshakes_are_not_stored() -> None:
    """Ephemeral keys reach a disk, and with them goes the secrecy of what was said before."""
    client = init()
    client.write(PAYLOAD)
    with pytest.raises(TypeError):
        pickle.dumps(client)
    assert seed("client static").hex() not in repr(vars(client))
