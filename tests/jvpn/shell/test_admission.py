"""Who a gateway is told to let in, by the documents and the clock, and what is recorded of its keys."""

import hashlib
from pathlib import Path

import pytest

from core.reasons import Reason
from jvpn.keys import limits
from jvpn.shell.config import TrustConfig
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW
from tests.jvpn.shell.trusting import FOUND, LOST, NODE, NOW_, OWN, Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty place."""
    return Place(tmp_path)


def test_a_revoked_device_ends_and_is_recorded(place: Place) -> None:
    """[K-34] [K-31] A device on the list of revocations stays in, or leaves without a record; or the others leave, too."""
    order = place.whole().keys.admission([OWN], [LOST, FOUND], NOW, NOW_)
    assert (order.refusal, dict(order.ended)) == (None, {LOST: Reason.KEY_REVOKED})
    assert (LOST, Reason.KEY_REVOKED) in place.changes()
    assert FOUND not in dict(place.changes())
    count = len(place.told)
    place.keys.admission([OWN], [LOST, FOUND], NOW, NOW_)
    assert len(place.told) == count
    assert (place.keys.own(), place.keys.devices()) == ({OWN: "ACTIVE"}, {"ACTIVE": 1, "COMPROMISED": 1})


def test_devices_that_come_and_go_are_recorded(place: Place) -> None:
    """A device that is enrolled or taken off while the gateway runs leaves no event; or 65,000 that were there before each leave two."""
    place.whole().keys.admission([OWN], [FOUND], NOW, NOW_)
    newcomer = making.static("newcomer")
    place.keys.admission([OWN], [FOUND, newcomer], NOW, NOW_)
    place.keys.admission([OWN], [newcomer], NOW, NOW_)
    assert [each for each in place.changes() if each[0] != OWN] == [
        (newcomer, Reason.KEY_LISTED), (newcomer, Reason.KEY_VALID), (FOUND, Reason.KEY_WITHDRAWN),
    ]  # fmt: skip
    order = place.keys.admission([OWN], [FOUND], NOW, NOW_)
    assert FOUND not in order.ended


@pytest.mark.parametrize("stale", ["keep", "end"])
def test_a_list_that_is_stale_shuts_the_door(tmp_path: Path, stale: str) -> None:
    """[K-30] Policy decides about live sessions, and never about new ones."""
    place = Place(tmp_path, stale).whole()
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_).refusal is None
    late = NOW + 3_600 + limits.CLOCK_TOLERANCE_S
    order = place.keys.admission([OWN], [FOUND], late, NOW_)
    assert order.refusal is Reason.REVOCATIONS_STALE
    assert dict(order.ended) == ({} if stale == "keep" else {OWN: Reason.KEY_OUTDATED})
    stales = [fact for fact in place.told if fact.reason is Reason.REVOCATIONS_STALE]
    place.keys.admission([OWN], [FOUND], late + 30, NOW_)
    assert [fact for fact in place.told if fact.reason is Reason.REVOCATIONS_STALE] == stales != []


@pytest.mark.parametrize(
    ("own", "days", "ended", "path"),
    [
        ("old", 0, None, [Reason.KEY_VALID, Reason.KEY_SUCCEEDED]),
        ("new", 0, None, [Reason.KEY_VALID]),
        ("old", 2, Reason.KEY_OUTDATED, [Reason.KEY_OUTDATED]),
        ("new", -1.5, Reason.KEY_OUTDATED, []),
        ("stranger", 0, Reason.KEY_OUTDATED, []),
    ],
)
def test_a_gateway_s_own_key_has_its_time(place: Place, own: str, days: float, ended: Reason | None, path: list[Reason]) -> None:
    """[K-33] During a rotation both keys are accepted; before and after its time, or unlisted, a key opens nothing."""
    wall = NOW + int(days * DAY)
    place.whole()
    place.put("root.1", making.ROOT)
    keyset = making.keyset() | {"created": NOW - 2 * DAY}
    revocations = making.revocations() | {"created": wall - 60, "expires": wall + 60}
    place.put("keyset", making.set_of(keyset))
    place.put("revocations", making.revoking(revocations))
    if days < 0:
        early = making.document("root", making.body(making.root() | {"created": NOW - 9 * DAY}), "root a", "root b")
        place.put("root.1", early)
        pin = hashlib.sha256(making.body(making.root() | {"created": NOW - 9 * DAY})).digest()
        place.config = TrustConfig(dir=place.dir, root=pin, stale="keep")
        place.open()
    public = making.static(own)
    order = place.keys.admission([public], [], wall, NOW_)
    assert (order.refusal, order.ended.get(public)) == (ended, ended)
    assert [reason for _, reason in place.changes() if reason is not Reason.KEY_LISTED] == path


def test_a_gateway_s_next_key_waits_for_the_keyset(place: Place) -> None:
    """[K-33] A gateway that has its next key before the keyset has it gives that key up, and clients that follow the keyset find nobody."""
    following = making.static("following")
    order = place.whole().keys.admission([following, OWN], [], NOW, NOW_)
    assert (order.refusal, dict(order.ended)) == (None, {following: Reason.KEY_OUTDATED})
    assert place.keys.own() == {following: "PRE_ACTIVE", OWN: "ACTIVE"}
    entry = {"node": NODE.hex(), "public": making.text(following), "not_before": NOW, "not_after": NOW + DAY}
    place.put("keyset", making.set_of(making.changed(making.keyset(2), lambda fields: fields["gateways"].append(entry))))
    order = place.keys.admission([following, OWN], [], NOW, NOW_)
    assert (order.refusal, dict(order.ended)) == (None, {})
    assert place.keys.own() == {following: "ACTIVE", OWN: "RETIRING"}
    place.put("keyset", making.set_of(making.keyset(3)))
    assert dict(place.keys.admission([following, OWN], [], NOW, NOW_).ended) == {following: Reason.KEY_OUTDATED}
    assert (following, Reason.KEY_WITHDRAWN) in place.changes()


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({}, True),
        ({"node": "ff" * 8}, False),
        ({"not_before": NOW + 1}, False),
        ({"not_after": NOW}, False),
        ({"not_before": NOW - 2 * DAY}, False),
        ({"public": making.text(LOST)}, False),
    ],
)
def test_an_offered_key_that_is_not_here_is_known(place: Place, change: dict[str, object], missing: bool) -> None:
    """[K-33] Clients ask under a key that the gateway does not have, and it does not know; or it tells of a key that nobody uses."""
    following = making.static("following")
    entry = {"node": NODE.hex(), "public": making.text(following), "not_before": NOW, "not_after": NOW + DAY} | change
    place.whole().put("keyset", making.set_of(making.changed(making.keyset(), lambda fields: fields["gateways"].append(entry))))
    place.keys.admission([OWN], [], NOW, NOW_)
    assert place.keys.unloaded == (following if missing else None)
    place.keys.admission([following, OWN], [], NOW, NOW_)
    assert place.keys.unloaded is None


def test_a_keyset_that_is_gone_frees_nobody(tmp_path: Path) -> None:
    """[K-33] Who takes the keyset away, and waits for a restart, has the gateway serve under a key that was taken off it."""
    place = Place(tmp_path).whole()
    place.put("keyset", making.set_of(making.keyset()))
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_).refusal is None
    (place.dir / "keyset.signed").unlink()
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_).refusal is None, "as long as the process knows its times"
    place.open()
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_).refusal is Reason.KEY_OUTDATED


def test_without_a_keyset_only_revocation_counts(place: Place) -> None:
    """A gateway whose operator makes no keyset would let nobody in."""
    place.whole()
    (place.dir / "keyset.signed").unlink()
    assert place.keys.admission([OWN], [], NOW, NOW_).refusal is None
    assert place.keys.admission([LOST], [], NOW, NOW_).refusal is Reason.KEY_REVOKED


@pytest.mark.parametrize("stale", ["keep", "end"])
def test_a_clock_that_is_set_forward_ends_nothing(tmp_path: Path, stale: str) -> None:
    """[K-35] Whoever sets a gateway's clock forward, a broken time server too, ends all sessions for good; or lets outdated keys serve."""
    place = Place(tmp_path, stale).whole()
    place.keys.admission([OWN], [FOUND], NOW, NOW_)
    order = place.keys.admission([OWN], [FOUND], NOW + 61 * DAY, NOW_, NOW + 60)
    assert (order.refusal, dict(order.ended)) == (Reason.REVOCATIONS_STALE, {})
    assert (place.keys.own(), place.keys.devices()) == ({OWN: "ACTIVE"}, {"ACTIVE": 1})
    old = making.static("old")
    place.open()
    then = making.revocations() | {"created": NOW + 2 * DAY - 60, "expires": NOW + 2 * DAY + 60}
    place.keys.admission([old], [], NOW, NOW_)
    place.put("revocations", making.revoking(then | {"version": 2}))
    order = place.keys.admission([old], [], NOW + 2 * DAY, NOW_, NOW + 60)
    assert (order.refusal, dict(order.ended)) == (Reason.KEY_OUTDATED, {})
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_, NOW).refusal is None, "a list that was signed then says that it is then"


def test_a_gateway_is_served_under_the_key_that_is_valid(tmp_path: Path) -> None:
    """[K-34] In the time of a rotation one revoked key of two closes the gateway for everybody, or is served on."""
    place = Place(tmp_path).whole()
    order = place.keys.admission([OWN, LOST], [], NOW, NOW_)
    assert order.refusal is None
    assert dict(order.ended) == {LOST: Reason.KEY_REVOKED}
