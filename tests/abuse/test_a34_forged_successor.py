"""A successor of the gateway's key is forged (T-34).

ATTACK
    Somebody who can write to a client's directory of documents, is on the path, and has a copy of the gateway's old key puts there: a
    keyset that lists a key of theirs as the successor, signed by themselves or by the key of the revocations, and the keyset of before
    the rotation. They drop each REATTACH, so that the client shakes hands with them under the old key. Or they keep the new keyset back.

EXPECTED REFUSAL
    Only a keyset with the signatures of its role, of no older version, and of now brings a key in [K-44]. A client does not go back to
    the key of before [K-29]. It makes no INIT under a key that is not offered any more, also beside jumps that nobody answers [K-45].
    Who keeps the new keyset back keeps the old key in use until the one that is there expires, and then nothing begins [K-39].

EXPECTED EVIDENCE
    DOCUMENT_JUDGED / DOCUMENT_UNSIGNED
    DOCUMENT_JUDGED / DOCUMENT_BAD_SIGNATURE
    DOCUMENT_JUDGED / DOCUMENT_ROLLED_BACK
    DOCUMENT_JUDGED / DOCUMENT_EQUIVOCATED
    KEY_CHANGED / KEY_SUCCEEDED
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest

from core import limits
from core.client.states import State
from core.crypto.primitives import PrivateKey
from core.reasons import Carrier, Event, Reason
from core.values import Admission, Endpoint, Keyring
from core.values import Path as Way
from core.wire.layout import INIT_MAC1, Type
from core.wire.macs import check_mac, k1
from jvpn.keys import limits as bounds
from jvpn.shell.admission import Peer
from lab.sim.frames import v4
from lab.sim.world import GATEWAY_AT, STRAIGHT, World
from tests.abuse.attack import let_pass, withhold
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW
from tests.jvpn.shell.trusting import NOW_, Place

MINE, SUCCESSOR = making.static("mine"), making.static("successor")
NODE: Final = "0011223344556677"


def entry(public: bytes, since: int = -60) -> making.Fields:
    """Return an entry of the gateway."""
    return {"node": NODE, "public": making.text(public), "not_before": NOW + since, "not_after": NOW + 60 * DAY}


def keyset(version: int, *gateways: making.Fields) -> making.Fields:
    """Return a keyset with these entries."""
    return making.keyset(version) | {"gateways": list(gateways)}


def signed(fields: making.Fields, *signers: str, over: str = "keyset") -> str:
    """Return the file of a keyset by these signers."""
    return making.document("keyset", making.body(fields), *signers, over=over)


class Reader:
    """A client in a session under the world's key, and the documents that it reads; version 2 of the keyset lists that key."""

    def __init__(self, folder: Path) -> None:
        self.world, self.place = World(), Place(folder).whole()
        self.own = self.world.static.public
        self.place.put("keyset", making.set_of(keyset(2, entry(self.own))))
        self.peer = Peer(self.place.documents, self.own, self.place.serial, self.place.told.append, stale="keep")
        self.obey()
        self.world.connected()

    def obey(self, wall_s: int = NOW) -> Admission:
        """Do as the client's process does: withhold what the session's key is not good for, and tell the engine."""
        order = self.peer.admission(wall_s, NOW_, wall_s)
        kept = self.peer.withheld(self.world.client.gateway())
        self.world.client.keys = self.world.client.keys._replace(gateway=self.peer.public)
        withhold(self.world, *(kind.name for kind in kept)) if kept else let_pass(self.world)
        self.world.host.does(lambda: self.world.client.command(order, self.world.now))
        return order

    def judged(self) -> list[Reason]:
        """Return how documents were judged."""
        return [fact.reason for fact in self.place.told if fact.event is Event.DOCUMENT_JUDGED]


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (lambda own: signed(keyset(3, own, entry(MINE, -1)), "mine"), Reason.DOCUMENT_UNSIGNED),
        (lambda own: signed(keyset(3, own, entry(MINE, -1)), "revocations"), Reason.DOCUMENT_UNSIGNED),
        (lambda own: signed(keyset(3, own, entry(MINE, -1)), "keyset", over="revocations"), Reason.DOCUMENT_BAD_SIGNATURE),
        (lambda own: signed(keyset(1, own, entry(MINE, -1)), "keyset"), Reason.DOCUMENT_ROLLED_BACK),
        (lambda own: signed(keyset(2, entry(MINE, -1)), "keyset"), Reason.DOCUMENT_EQUIVOCATED),
    ],
)
def test_no_forged_successor_is_followed(tmp_path: Path, forge: Callable[[making.Fields], str], reason: Reason) -> None:
    """Who can write to the directory of documents is the gateway of each client that reads it, without having stolen any key."""
    client = Reader(tmp_path)
    client.place.put("keyset", forge(entry(client.own)))
    assert client.obey() == Admission()
    assert (client.peer.public, client.judged()[-1]) == (client.own, reason)
    assert MINE not in dict(client.place.changes())
    assert client.world.attached()


def test_the_key_of_before_does_not_come_back(tmp_path: Path) -> None:
    """The thief of a key that was rotated away serves the old keyset, and is the gateway again."""
    client = Reader(tmp_path)
    before = (client.place.dir / "keyset.signed").read_text()
    client.place.put("keyset", making.set_of(keyset(3, entry(client.own), entry(SUCCESSOR, -1))))
    client.obey()
    client.place.put("keyset", before)
    assert client.obey() == Admission()
    assert (client.peer.public, client.judged()[-1]) == (SUCCESSOR, Reason.DOCUMENT_ROLLED_BACK)
    assert (client.own, Reason.KEY_SUCCEEDED) in client.place.changes()
    client.place.open()  # a restart
    again = Peer(client.place.documents, client.own, client.place.serial, client.place.told.append, stale="keep")
    assert again.admission(NOW, NOW_, NOW).refusal is Reason.KEY_OUTDATED
    assert again.withheld(client.own) == {Type.INIT, Type.REATTACH}


def test_no_handshake_under_a_key_that_retires(tmp_path: Path) -> None:
    """The thief of the old key drops each REATTACH in the overlap, until the client shakes hands with them under that key."""
    client = Reader(tmp_path)
    client.place.put("keyset", making.set_of(keyset(3, entry(client.own), entry(SUCCESSOR, -1))))
    client.obey()
    assert client.peer.withheld(client.own) == set()
    world, arrived = client.world, list[tuple[str, bytes]]()

    def thief(sender: str, kind: str, frame: bytes) -> Sequence[int]:
        if sender == "client":
            arrived.append((kind, frame))
        return () if kind == "REATTACH" else (0,)

    world.network = thief
    world.host.move(v4(99))
    world.run(20_000)
    asked = [frame for kind, frame in arrived if kind == "INIT"]
    assert asked, "beside jumps that nobody answers a handshake is tried"
    assert not any(check_mac(frame, INIT_MAC1, k1(client.own)) for frame in asked)
    assert all(check_mac(frame, INIT_MAC1, k1(SUCCESSOR)) for frame in asked)
    assert world.client.state is State.SEEKING
    client.obey()
    world.network = lambda _sender, _kind, _frame: STRAIGHT
    world.run(5_000, world.host.chat)
    assert world.attached(), "the session was kept under its key, and goes on without the thief"


@pytest.mark.parametrize("way", ["the answers are dropped", "one copy is faster"])
def test_a_burnt_jump_in_a_rotation_is_no_loss(tmp_path: Path, way: str) -> None:
    """Whoever drops answers, or copies one datagram, takes a client under the retiring key out for a quarter of an hour, for ever."""
    client = Reader(tmp_path)
    world, successor = client.world, PrivateKey(client.world.entropy(32))
    world.statics = (successor, world.static)
    world.gateway_does(lambda: world.gateway.command(Keyring(world.statics, (world.k_loc,)), world.now))
    client.place.put("keyset", making.set_of(keyset(3, entry(client.own), entry(successor.public, -1))))
    client.obey()
    life, until, copied = world.client.life, world.now + 8 * limits.SECOND, list[bytes]()

    def thief(sender: str, kind: str, frame: bytes) -> Sequence[int]:
        if way == "the answers are dropped":
            return () if (sender, kind) == ("gateway", "REATTACH_RESP") and world.now < until else STRAIGHT
        if (sender, kind) == ("client", "REATTACH") and not copied:
            copied.append(frame)
            world.inject(frame, Way(Carrier.UDP, 0, GATEWAY_AT, Endpoint(v4(250), 6_666)))
        return STRAIGHT

    world.network = thief
    world.host.move(v4(99))
    world.run(12_000, world.host.chat)
    assert world.attached()
    goes_on = way == "one copy is faster"  # a proven handshake gave it a new attempt; where each answer is lost, the next session begins
    assert (world.client.life is life, world.client.gateway()) == (goes_on, client.own if goes_on else successor.public)


def test_withholding_the_keyset_opens_no_door(tmp_path: Path) -> None:
    """Who keeps the rotation from a client keeps it with the stolen key for ever."""
    client = Reader(tmp_path)
    late = NOW + 90 * DAY + bounds.CLOCK_TOLERANCE_S
    client.place.put("revocations", making.revoking(making.revocations(2) | {"created": late - 60, "expires": late + 3_600}))
    assert client.obey(late).refusal is Reason.KEY_OUTDATED
    assert client.peer.withheld(client.own) == {Type.INIT, Type.REATTACH}
