"""A gateway's static key is stolen (T-32).

ATTACK
    A thief has a copy of the gateway's static key and is on the path. They answer clients in the gateway's place, keep the list that
    revokes the key from a client, and put old documents back.

EXPECTED REFUSAL
    A client begins nothing under a key that its documents do not vouch for [K-39]; a session under a key that is revoked ends, and the
    key is given up for good [K-40]. Without fresh documents no handshake and no jump leaves the client [K-39].

EXPECTED EVIDENCE
    KEY_CHANGED / KEY_REVOKED
    CLIENT_ENDED / KEY_REVOKED
    DOCUMENT_JUDGED / REVOCATIONS_STALE
"""

import hashlib
from pathlib import Path

from core.client.states import State
from core.reasons import Event, Reason
from core.values import Admission
from jvpn.keys import limits as bounds
from jvpn.shell.admission import Peer
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import let_pass, withhold
from tests.jvpn.keys import making
from tests.jvpn.keys.making import NOW
from tests.jvpn.shell.trusting import NOW_, Place


class Reader:
    """A client that reads documents: its world, and what the documents say of the world's gateway."""

    def __init__(self, folder: Path) -> None:
        self.world, self.place = World(), Place(folder).whole()
        key = making.text(self.world.static.public)
        entry = making.keyset()["gateways"][1] | {"public": key}
        self.place.put("keyset", making.set_of(making.keyset() | {"gateways": [entry]}))
        self.peer = Peer(self.place.documents, self.world.static.public, self.place.serial, self.place.told.append, stale="keep")

    def obey(self, wall_s: int = NOW) -> Admission:
        """Do as the client's process does: withhold what begins anything, and tell the engine."""
        order = self.peer.admission(wall_s, NOW_, wall_s)
        if order.refusal:
            withhold(self.world, "INIT", "REATTACH")
        else:
            let_pass(self.world)
        self.world.host.does(lambda: self.world.client.command(order, self.world.now))
        return order

    def revoke(self) -> None:
        """Put the gateway's key on the list."""
        entry = {
            "fingerprint": hashlib.sha256(self.world.static.public).hexdigest(),
            "kind": "gateway",
            "since": NOW - 1,
            "reason": "compromised",
        }
        self.place.put(
            "revocations", making.revoking(making.changed(making.revocations(2), lambda fields: fields["revoked"].append(entry)))
        )

    def recorded(self) -> list[tuple[Event, Reason]]:
        """Return what the client recorded."""
        return [(fact.event, fact.reason) for fact in [*self.place.told, *self.world.host.facts]]


def test_a_session_ends_when_the_key_is_revoked(tmp_path: Path) -> None:
    """The thief reads on in every session until it ends by itself, hours later."""
    client = Reader(tmp_path)
    assert client.obey().refusal is None
    world = client.world.connected()
    client.revoke()
    client.obey()
    assert world.client.state is State.CLOSED
    assert world.client.life is None
    assert {(Event.KEY_CHANGED, Reason.KEY_REVOKED), (Event.CLIENT_ENDED, Reason.KEY_REVOKED)} <= set(client.recorded())


def test_no_handshake_under_a_revoked_key(tmp_path: Path) -> None:
    """The thief is taken for the gateway by each client that starts, for as long as they like; or an old list brings the key back."""
    client = Reader(tmp_path)
    old = (client.place.dir / "revocations.signed").read_text()
    client.revoke()
    assert client.obey().refusal is Reason.KEY_REVOKED
    client.place.put("revocations", old)
    assert client.obey(NOW - 60).refusal is Reason.KEY_REVOKED
    client.world.host.connect(3_000)
    assert not client.world.attached()
    assert not client.world.desk.sessions


def test_withholding_the_list_opens_no_door(tmp_path: Path) -> None:
    """Who keeps the documents away keeps the stolen key in use: for new sessions, and for those that jump into their arms."""
    client = Reader(tmp_path)
    client.obey()
    world = client.world.connected()
    binding = world.session.binding_version
    assert client.obey(NOW + 3_600 + bounds.CLOCK_TOLERANCE_S).refusal is Reason.REVOCATIONS_STALE
    assert (Event.DOCUMENT_JUDGED, Reason.REVOCATIONS_STALE) in client.recorded()
    world.host.move(v4(99))
    world.run(3_000)
    assert not world.attached()
    assert world.session.binding_version == binding
    client.place.put("revocations", making.revoking(making.revocations(2) | {"expires": NOW + 9_000}))
    assert client.obey(NOW + 3_600 + bounds.CLOCK_TOLERANCE_S).refusal is None
    world.run(5_000, world.host.chat)
    assert world.attached(), "the session was kept, and goes on under a fresh list"
