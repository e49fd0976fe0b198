"""Live interoperability: the interpreter of `core/crypto/noise.py` against foreign Noise implementations, each in its own process.

The peers are `github.com/flynn/noise` (Go, with Go's own primitives) and `noiseprotocol` (Python; its primitives are ours, from
`cryptography`, so it judges the protocol and not them). Both draw their keys; so do we.

Not shown here: IKhfs with its KEM tokens, as neither peer has the hfs extension. test_noise_recorded.py holds those against a recording
of a third implementation; what is shown here is that the pattern without them is IK, and that IK is everybody's.
"""

import os
import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from core.crypto.noise import IKHFS, KKPSK0, Handshake, Pattern
from core.crypto.primitives import BadPublicKey, PrivateKey, TagMismatch
from core.crypto.secret import Secret
from core.errors import PeerFault
from core.values import Endpoint, Instant, Path
from core.wire.epoch import Epoch
from core.wire.messages import data_header
from jvpn.shell.published import VECTORS_ONLY
from lab.sim.frames import opened
from tests.interop.peers import ModulesError, Peer, RefusedError, built, noiseprotocol
from tests.support import MISSING, requires

pytestmark = pytest.mark.timeout(900)  # the first test builds a Go program, in a fresh checkout with the Go library too

PATTERNS = {pattern.name.split(b"_")[1].decode(): pattern for pattern in (*VECTORS_ONLY, KKPSK0)}
REFUSALS = (TagMismatch, BadPublicKey, RefusedError)
PAYLOADS = (b"sixteen bytes...", b"a reply of another length")
EACH_WAY = 120
COUNTERS = {"from 0": 0, "across 2^32": 2**32 - EACH_WAY // 2, "the last": 2**64 - 2**13 - 1 - EACH_WAY}
OUR_INDEX, THEIR_INDEX = 0x01020304, 0xA0B0C0D0


class Side(NamedTuple):
    """What one side of a handshake is told; the sides agree unless a test says otherwise."""

    prologue: bytes
    psk: bytes
    remote: bytes


@pytest.fixture(scope="module", params=[pytest.param("flynn", marks=requires("go")), "noiseprotocol"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A foreign implementation, running; it is told to begin anew for each handshake."""
    try:
        command = built("flynn", tmp_path_factory.mktemp("flynn")) if request.param == "flynn" else noiseprotocol()
    except ModulesError as error:
        pytest.skip(f"{MISSING}go: {error}")
    with Peer(command) as running:
        yield running


@pytest.fixture(params=[True, False], ids=["we initiate", "we respond"])
def initiator(request: pytest.FixtureRequest) -> bool:
    """Whether our side begins."""
    return bool(request.param)


on_each_pattern = pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS.keys())


def meet(peer: Peer, pattern: Pattern, *, initiator: bool, **differing: bytes) -> tuple[Handshake, Side]:
    """Begin a handshake on both sides with fresh keys; return ours and what it was told. `differing` replaces what the peer is told."""
    static = PrivateKey(os.urandom(32))
    ours = Side(b"jumping-vpn/1 handshake" + os.urandom(8), os.urandom(32), peer.public)
    theirs = ours._replace(remote=static.public)._replace(**differing)
    has_psk, sends_static = "psk" in pattern.request + pattern.reply, "s" in pattern.request
    handshake = Handshake(
        pattern,
        initiator=initiator,
        prologue=ours.prologue,
        static=static,
        remote=ours.remote if initiator or not sends_static else None,
        psk=Secret(ours.psk) if has_psk else None,
        entropy=os.urandom,
    )
    peer.begin(
        pattern.name,
        initiator=not initiator,
        prologue=theirs.prologue,
        psk=theirs.psk if has_psk else None,
        remote=theirs.remote if not initiator or not sends_static else None,
    )
    return handshake, ours


def in_order(ours: Handshake, peer: Peer, *, initiator: bool) -> tuple[Handshake | Peer, Handshake | Peer]:
    """Return who writes first, and the other."""
    return (ours, peer) if initiator else (peer, ours)


def finished(peer: Peer, pattern: Pattern, *, initiator: bool) -> Handshake:
    """Complete a handshake with payloads in both messages and return our side."""
    ours, told = meet(peer, pattern, initiator=initiator)
    first, second = in_order(ours, peer, initiator=initiator)
    assert second.read(first.write(PAYLOADS[0])) == PAYLOADS[0]
    assert first.read(second.write(PAYLOADS[1])) == PAYLOADS[1]
    assert ours.remote == told.remote
    return ours


def epoch(ours: Handshake, *, initiator: bool) -> Epoch:
    """Return the traffic side of our finished handshake, as the product makes it."""
    up, down = ours.split()
    path = Path(1, 0, Endpoint(bytes(16), 1), Endpoint(bytes(16), 2))
    return Epoch(OUR_INDEX, THEIR_INDEX, (up, down) if initiator else (down, up), path, 0, Instant(0))


def changed(message: bytes) -> list[bytes]:
    """Return the message with one bit flipped, in each of its bytes, and with wrong lengths."""
    flipped = [message[:place] + bytes((message[place] ^ 1 << place % 8,)) + message[place + 1 :] for place in range(len(message))]
    return [*flipped, message[:-1], message + b"\0"]


def test_the_live_pattern_is_the_spoken_one_without_its_kem() -> None:
    """[H-1] [R-1] What is shown with other implementations would say nothing about what is spoken."""
    kem = ("e1", "ekem1")
    without = IKHFS._replace(
        name=IKHFS.name.replace(b"hfs", b"").replace(b"+MLKEM768", b""),
        request=tuple(token for token in IKHFS.request if token not in kem),
        reply=tuple(token for token in IKHFS.reply if token not in kem),
    )
    assert without == PATTERNS["IK"]
    assert PATTERNS["KKpsk0"] is KKPSK0


@on_each_pattern
def test_a_handshake_gives_both_the_same(peer: Peer, pattern: Pattern, *, initiator: bool) -> None:
    """[R-1] [K-1] The handshake would be Noise in name only: nobody else's implementation could complete it."""
    ours = finished(peer, pattern, initiator=initiator)
    assert ours.hash == peer.hash


@on_each_pattern
@pytest.mark.parametrize("start", COUNTERS.values(), ids=COUNTERS.keys())
def test_data_is_read_by_the_other(peer: Peer, pattern: Pattern, start: int, *, initiator: bool) -> None:
    """[R-2] [K-4] [D-1] The keys of the two directions would be exchanged, or the nonce of DATA not be Noise's."""
    traffic = epoch(finished(peer, pattern, initiator=initiator), initiator=initiator)
    if start:
        traffic.counter = start
        peer.count_from(start)
    dice = random.Random(start)
    sizes = [0, 1, 1380, *(dice.randrange(1400) for _ in range(EACH_WAY - 3))]
    directions = ["up", "down"] * EACH_WAY
    dice.shuffle(directions)
    up, down = iter(enumerate(sizes, start)), iter(enumerate(reversed(sizes), start))
    for direction in directions:
        if direction == "up":
            counter, size = next(up)
            plain = dice.randbytes(size)
            [[_, [frame]]] = traffic.seal([plain])
            assert frame[:16] == data_header(THEIR_INDEX, counter)
            assert peer.open(frame[:16], frame[16:]) == plain
        else:
            counter, size = next(down)
            plain, header = dice.randbytes(size), data_header(OUR_INDEX, counter)
            assert opened(traffic, header + peer.seal(header, plain), counter) == plain
    assert traffic.counter == start + EACH_WAY
    assert traffic.received == EACH_WAY


@on_each_pattern
def test_changed_data_is_refused_by_both(peer: Peer, pattern: Pattern, *, initiator: bool) -> None:
    """[D-1] One of the two would not authenticate traffic, or the header before it, and agreement would prove little."""
    traffic = epoch(finished(peer, pattern, initiator=initiator), initiator=initiator)
    plain = b"sixteen bytes..."
    [[_, [frame]]] = traffic.seal([plain])
    header = data_header(OUR_INDEX, 0)
    answer = header + peer.seal(header, plain)
    for bad in changed(frame):
        with pytest.raises(RefusedError):
            peer.open(bad[:16], bad[16:])
    for bad in changed(answer):
        with pytest.raises(PeerFault):
            opened(traffic, bad, 0)
    assert peer.open(frame[:16], frame[16:]) == plain
    assert opened(traffic, answer, 0) == plain


@on_each_pattern
@pytest.mark.parametrize("number", [0, 1], ids=["request", "reply"])
def test_a_changed_message_is_refused(peer: Peer, pattern: Pattern, number: int, *, initiator: bool) -> None:
    """[H-5] A byte of a handshake message would be covered by one implementation and not by the other."""
    sealed = 16 + len(PAYLOADS[number])
    length = 32 + sealed + (48 if "s" in (pattern.request, pattern.reply)[number] else 0)
    for case in range(length + 3):
        ours, _ = meet(peer, pattern, initiator=initiator)  # anew for each case, as a refusal ends a handshake
        writer, reader = in_order(ours, peer, initiator=initiator)
        if number:
            reader.read(writer.write(PAYLOADS[0]))
            writer, reader = reader, writer
        message = writer.write(PAYLOADS[number])
        assert len(message) == length
        with pytest.raises(REFUSALS):
            reader.read([*changed(message), b""][case])


@on_each_pattern
def test_another_prologue_is_refused(peer: Peer, pattern: Pattern, *, initiator: bool) -> None:
    """[H-2] [R-5] A message made for another index would be taken by one of the two."""
    ours, _ = meet(peer, pattern, initiator=initiator, prologue=b"another")
    first, second = in_order(ours, peer, initiator=initiator)
    request = first.write(PAYLOADS[0])
    with pytest.raises(REFUSALS):
        second.read(request)


@pytest.mark.parametrize(
    ("name", "initiator"),
    [*((name, False) for name in PATTERNS), ("KK", True), ("KKpsk0", True)],  # a responder of IK is told no key
)
def test_another_key_is_refused(peer: Peer, name: str, *, initiator: bool) -> None:
    """[R-1] A static key that is known beforehand would be mixed in by one of the two only."""
    ours, _ = meet(peer, PATTERNS[name], initiator=initiator, remote=PrivateKey(os.urandom(32)).public)
    first, second = in_order(ours, peer, initiator=initiator)
    request = first.write(PAYLOADS[0])
    with pytest.raises(REFUSALS):
        second.read(request)


@pytest.mark.parametrize("name", ["KKpsk0", "IKpsk2"])
def test_another_psk_is_refused(peer: Peer, name: str, *, initiator: bool) -> None:
    """[R-1] The key of the chain would not be mixed in where Noise says, or not at all."""
    ours, _ = meet(peer, PATTERNS[name], initiator=initiator, psk=os.urandom(32))
    first, second = in_order(ours, peer, initiator=initiator)
    request = first.write(PAYLOADS[0])
    if name == "KKpsk0":
        with pytest.raises(REFUSALS):
            second.read(request)
        return
    assert second.read(request) == PAYLOADS[0]  # psk2: it counts from the end of the second message on
    reply = second.write(PAYLOADS[1])
    with pytest.raises(REFUSALS):
        first.read(reply)
