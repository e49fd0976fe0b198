"""An old list of revocations is served, or none (T-29).

ATTACK
    The thief of a device writes to the directory of documents: puts back the list of before the revocation, takes the list away,
    restarts the gateway meanwhile, and waits.

EXPECTED REFUSAL
    A version never goes down, after a restart neither [K-29]; the revoked key stays revoked [K-31]. Without a fresh list nobody new
    comes in and nobody jumps [K-30]. The device's session ends, in the store, too [K-34].

EXPECTED EVIDENCE
    DOCUMENT_JUDGED / DOCUMENT_ROLLED_BACK
    DOCUMENT_JUDGED / REVOCATIONS_STALE
    KEY_CHANGED / KEY_REVOKED
    SESSION_ENDED / KEY_REVOKED
    TRAFFIC_REFUSED / REVOCATIONS_STALE
"""

import hashlib
from pathlib import Path

from core.reasons import Event, Reason
from core.values import ROW_TOMBSTONE
from lab.sim.world import World
from tests.jvpn.keys import making
from tests.jvpn.keys.making import NOW
from tests.jvpn.shell.trusting import NOW_, OWN, Place


def judged(place: Place) -> list[Reason]:
    """Return how documents were judged."""
    return [fact.reason for fact in place.told if fact.event is Event.DOCUMENT_JUDGED]


def obey(world: World, place: Place, wall_s: int = NOW) -> None:
    """Let the gateway do what the documents say."""
    order = place.keys.admission([OWN], world.desk.devices, wall_s, NOW_)
    world.gateway_does(lambda: world.gateway.command(order, world.now))
    world.run(50)


def revoked(world: World, place: Place) -> None:
    """Revoke the first host's key, with version 2 of the list."""
    stolen = hashlib.sha256(world.host.device.public).hexdigest()
    entry = {"fingerprint": stolen, "kind": "device", "since": NOW - 1, "reason": "compromised"}
    place.put("revocations", making.revoking(making.changed(making.revocations(2), lambda fields: fields["revoked"].append(entry))))


def test_a_device_that_was_revoked_stays_out(tmp_path: Path) -> None:
    """A thief would be in again as soon as the list of yesterday is back."""
    world, place = World().connected(), Place(tmp_path).whole()
    obey(world, place)
    assert world.attached()
    old = (place.dir / "revocations.signed").read_text()
    revoked(world, place)
    obey(world, place)
    assert world.reasons(Event.SESSION_ENDED) == [Reason.KEY_REVOKED]
    assert [row.state for row in world.store.rows.values()] == [ROW_TOMBSTONE]
    assert (world.host.device.public, Reason.KEY_REVOKED) in [
        (fact.device, fact.reason) for fact in place.told if fact.event is Event.KEY_CHANGED
    ]
    place.put("revocations", old)
    obey(world, place)
    assert judged(place)[-1] is Reason.DOCUMENT_ROLLED_BACK
    world.new_host(like=world.host).connect(1_000)
    assert not world.desk.sessions
    place.open()  # a restart
    world.start_gateway()
    obey(world, place)
    assert judged(place)[-2:] == [Reason.DOCUMENT_ROLLED_BACK, Reason.REVOCATIONS_STALE]
    world.new_host(like=world.host).connect(1_000)
    assert not world.desk.sessions


def test_waiting_for_the_list_to_expire_opens_no_door(tmp_path: Path) -> None:
    """A list that nobody can renew would be as good as none."""
    world, place = World(), Place(tmp_path).whole()
    obey(world, place)
    (place.dir / "revocations.signed").unlink()
    obey(world, place, NOW + making.DAY)
    world.host.connect(1_000)
    world.run(11_000)
    assert not world.store.rows
    assert Reason.REVOCATIONS_STALE in judged(place)
    assert set(world.reasons(Event.TRAFFIC_REFUSED)) == {Reason.REVOCATIONS_STALE}
