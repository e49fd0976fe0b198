"""A successor of the gateway's key is forged (T-34).

ATTACK
    Somebody who can write to a client's directory of documents, is on the path, and has a copy of the gateway's old key puts there: a
    keyset that lists a key of theirs as the successor, signed by themselves or by the key of the revocations, and the keyset of before
    the rotation. They drop each REATTACH, so that the client shakes hands with them under the old key. Or they keep the new keyset back.

EXPECTED REFUSAL
    Only a keyset with the signatures of its role, of no older version, and of now brings a key in [K-44]. A client does not go back to
    the key of before [K-29]. Under a key that is not offered any more no INIT leaves it, also where its REATTACH is withheld [K-45].
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

from core.client.states import State
from core.reasons import Event, Reason
from core.values import Admission
from core.wire.layout import Type
from jvpn.keys import limits as bounds
from jvpn.shell.trust import Peer
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import let_pass, withhold
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW
from tests.jvpn.shell.test_trust import NOW_, Place

MINE: Final = making.static("mine")
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
        kept = self.peer.withheld(self.world.client.keys.gateway)
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
    successor = making.static("successor")
    client.place.put("keyset", making.set_of(keyset(3, entry(client.own), entry(successor, -1))))
    client.obey()
    client.place.put("keyset", before)
    assert client.obey() == Admission()
    assert (client.peer.public, client.judged()[-1]) == (successor, Reason.DOCUMENT_ROLLED_BACK)
    assert (client.own, Reason.KEY_SUCCEEDED) in client.place.changes()
    client.place.open()  # a restart
    again = Peer(client.place.documents, client.own, client.place.serial, client.place.told.append, stale="keep")
    assert again.admission(NOW, NOW_, NOW).refusal is Reason.KEY_OUTDATED
    assert again.withheld(client.own) == {Type.INIT, Type.REATTACH}


def test_no_handshake_under_a_key_that_retires(tmp_path: Path) -> None:
    """The thief of the old key drops each REATTACH in the overlap, until the client shakes hands with them under that key."""
    client = Reader(tmp_path)
    client.place.put("keyset", making.set_of(keyset(3, entry(client.own), entry(making.static("successor"), -1))))
    client.obey()
    assert client.peer.withheld(client.own) == {Type.INIT}
    world, kept, arrived = client.world, {kind.name for kind in client.peer.withheld(client.own)}, list[str]()

    def thief(sender: str, kind: str, _frame: bytes) -> Sequence[int]:
        if sender == "client" and kind in kept:
            return ()  # it never left
        arrived.append(kind)
        return () if kind == "REATTACH" else (0,)

    world.network, before = thief, len(world.sent)
    world.host.move(v4(99))
    world.run(20_000)
    assert "INIT" in {sent.kind for sent in world.sent[before:]}, "the engine would"
    assert set(arrived) == {"REATTACH"}
    assert world.client.state is State.SEEKING
    client.obey()
    world.run(5_000, world.host.chat)
    assert world.attached(), "the session was kept, and goes on without the thief"


def test_withholding_the_keyset_opens_no_door(tmp_path: Path) -> None:
    """Who keeps the rotation from a client keeps it with the stolen key for ever."""
    client = Reader(tmp_path)
    late = NOW + 90 * DAY + bounds.CLOCK_TOLERANCE_S
    client.place.put("revocations", making.revoking(making.revocations(2) | {"created": late - 60, "expires": late + 3_600}))
    assert client.obey(late).refusal is Reason.KEY_OUTDATED
    assert client.peer.withheld(client.own) == {Type.INIT, Type.REATTACH}
