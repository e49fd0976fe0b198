"""What the handshakes must refuse, and in which order they may be used."""

import pickle
from collections.abc import Callable

import pytest

from core.crypto.noise import IKHFS, KKPSK0, Handshake, Pattern, SymmetricState
from core.crypto.primitives import BadPublicKey, Kem, MlKem768, PrivateKey, TagMismatch
from core.crypto.secret import Secret
from core.errors import Invariant
from tests.core.crypto.independent import DerandomisedKem, DerandomisedKey, seed
from tests.core.crypto.pairs import CLIENT, GATEWAY, PAIRS, PAYLOAD, drawn, init, move, resp
from tests.core.exposed import laid_open


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
    assert laid_open(twin.split()) == laid_open(gateway.split())
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
    uses: list[Callable[[Handshake], object]] = [lambda h: h.read(reply), lambda h: h.write(b""), Handshake.split, lambda h: h.split(3)]
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
    refuses(client, read, Handshake.split, lambda h: h.split(3))
    refuses(gateway, write, Handshake.split, lambda h: h.split(3))
    client, gateway = PAIRS[pair]()
    gateway.read(client.write(PAYLOAD))
    refuses(client, write, Handshake.split)
    refuses(gateway, read, Handshake.split)
    client.read(gateway.write(PAYLOAD))
    refuses(client, read, write)
    refuses(gateway, read, write)
    assert laid_open(client.split(3))[:2] == laid_open(client.split()) == laid_open(gateway.split())
    assert laid_open(client.split(3)) == laid_open(gateway.split(3))
    assert len(set(laid_open(client.split(3)))) == 3


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
        gateway.copy().read(request)


def test_psk_alone_is_not_enough() -> None:
    """Whoever steals the chain can move the session without the device's key."""
    thief = Handshake(
        KKPSK0,
        initiator=True,
        prologue=b"p",
        static=PrivateKey(seed("thief")),
        remote=GATEWAY.public,
        psk=Secret(bytes(32)),
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
        KKPSK0, initiator=True, prologue=b"", static=CLIENT, remote=GATEWAY.public, psk=Secret(bytes(32)), entropy=lambda _: bytes(length)
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
        Handshake(
            pattern,
            initiator=initiator,
            prologue=b"",
            static=CLIENT,
            remote=remote,
            psk=None if psk is None else Secret(psk),
            kem=kem,
            entropy=drawn(),
        )


def test_a_new_key_starts_at_nonce_zero() -> None:
    """After a psk our messages are sealed with other nonces than Noise's, which only another pattern than today's would show."""
    state, reference = SymmetricState(b"x"), SymmetricState(b"x")
    state.mix_key(Secret(b"a"))
    reference.mix_key(Secret(b"a"))
    state.n = 7
    state.mix_key_and_hash(Secret(b"b"))
    reference.mix_key_and_hash(Secret(b"b"))
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
