"""Keys of devices have their time: who is over by which clock, what that ends, and that no clock brings anybody back."""

from pathlib import Path
from typing import Final

import pytest

from core.keys.states import State
from core.reasons import Event, Reason
from core.values import Admission, Fact, Instant
from jvpn.keys.life import Times
from jvpn.shell import keyfile
from jvpn.shell.admission import Keys
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW
from tests.jvpn.shell.trusting import NODE, NOW_, OWN, Place

LAPTOP, OTHER = making.static("laptop"), making.static("other")
UNTIL: Final = {LAPTOP: Times(NOW - DAY, NOW + DAY)}


class Listed:
    """A gateway that goes by its allow list alone, and what it recorded."""

    def __init__(self) -> None:
        self.told = list[Fact]()
        self.keys = Keys(None, NODE, lambda: len(self.told) + 1, self.told.append)

    def at(self, wall_s: int, sure_s: int | None = None, times: dict[bytes, Times] = UNTIL) -> Admission:
        """Judge the keys at this time."""
        return self.keys.admission([OWN], [LAPTOP, OTHER], wall_s, Instant(1), sure_s, times)

    def of(self, public: bytes) -> list[Reason]:
        """Return what was recorded of a key."""
        return [fact.reason for fact in self.told if fact.device == public]


@pytest.mark.parametrize(
    ("wall_s", "out"), [(NOW - DAY - 1, True), (NOW - DAY, False), (NOW + DAY - 1, False), (NOW + DAY, True), (NOW + 9 * DAY, True)]
)
def test_a_device_s_key_is_accepted_in_its_time(wall_s: int, out: bool) -> None:
    """[K-41] A device whose time is over, or has not begun, comes in; or one that has none does not."""
    order = Listed().at(wall_s)
    assert order.refusal is None
    assert dict(order.ended) == ({LAPTOP: Reason.KEY_OUTDATED} if out else {})
    assert not order.shut


def test_what_ends_is_recorded_once() -> None:
    """[K-41] A key's end leaves no record, or one each half minute."""
    gateway = Listed()
    for _ in range(2):
        gateway.at(NOW)
    for _ in range(3):
        gateway.at(NOW + DAY)
    assert gateway.of(LAPTOP) == [Reason.KEY_OUTDATED]
    assert gateway.of(OTHER) == []
    assert gateway.keys.devices() == {"ACTIVE": 1, "DEACTIVATED": 1}
    later = Listed()
    later.at(NOW - 2 * DAY)
    later.at(NOW)
    assert later.of(LAPTOP) == [Reason.KEY_VALID]


def test_a_clock_that_is_set_back_brings_nobody_back() -> None:
    """[K-42] Whoever sets the gateway's clock back, a time server too, lets a device in again whose time is over."""
    gateway = Listed()
    gateway.at(NOW)
    gateway.at(NOW + DAY)
    for wall_s in (NOW, NOW - DAY, 0):
        order = gateway.at(wall_s)
        assert order.ended.get(LAPTOP) is Reason.KEY_OUTDATED
        assert OTHER not in order.ended
    assert gateway.of(LAPTOP) == [Reason.KEY_OUTDATED]


def test_a_clock_that_is_set_forward_ends_nothing() -> None:
    """[K-35] A clock that jumps ahead for a moment throws each device with a time out for good; or lets in whose time is over by it."""
    gateway = Listed()
    gateway.at(NOW)
    order = gateway.at(NOW + 40 * DAY, NOW + 60)
    assert (dict(order.ended), dict(order.shut)) == ({}, {LAPTOP: Reason.KEY_OUTDATED})
    order = gateway.at(NOW + 60)
    assert (dict(order.ended), dict(order.shut)) == ({}, {})
    assert gateway.of(LAPTOP) == []
    early = Listed()
    early.at(NOW - 2 * DAY)
    assert early.at(NOW, NOW - 2 * DAY).ended.get(LAPTOP) is Reason.KEY_OUTDATED, "by the wall alone nobody new comes in"


def test_who_lists_a_key_with_another_time_lists_it_anew() -> None:
    """[K-42] An operator prolongs the time of a key that is over, and it comes back without a record, or only after a restart."""
    gateway = Listed()
    gateway.at(NOW)
    gateway.at(NOW + DAY)
    longer = {LAPTOP: Times(NOW - DAY, NOW + 9 * DAY)}
    assert not gateway.at(NOW + DAY + 30, times=longer).ended
    assert gateway.of(LAPTOP) == [Reason.KEY_OUTDATED, Reason.KEY_LISTED, Reason.KEY_VALID]
    other = Listed()
    other.at(NOW)
    assert not other.at(NOW + 60, times=longer).ended, "a time may be changed while it runs"
    assert other.of(LAPTOP) == []


@pytest.mark.parametrize(("reason", "state"), [("lost", State.COMPROMISED), ("retired", State.DEACTIVATED)])
def test_a_longer_time_does_not_bring_a_revoked_key_back(tmp_path: Path, reason: str, state: State) -> None:
    """[K-31] [K-42] Who may write the allow list takes a key off the list of revocations."""
    place = Place(tmp_path).whole()
    lost = making.static("lost")
    place.put(
        "revocations", making.revoking(making.changed(making.revocations(), lambda fields: fields["revoked"][0].update(reason=reason)))
    )
    for until in (NOW + DAY, NOW + 9 * DAY):
        order = place.keys.admission([OWN], [lost], NOW, NOW_, NOW, {lost: Times(0, until)})
        assert dict(order.ended) == {lost: Reason.KEY_REVOKED}
    assert [fact.state_to for fact in place.told if fact.device == lost and fact.event is Event.KEY_CHANGED] == [state]


def test_the_hour_in_the_key_file_has_passed(tmp_path: Path) -> None:
    """[K-42] After a restart with a clock that was set back, a device is in again whose time was over before."""
    path, hour = tmp_path / "gateway.key", 500_000
    keyfile.create_gateway(path, lambda n: bytes(range(n)), hour * keyfile.HOUR_NS + 5)
    later = (hour + 30) * keyfile.HOUR_NS + 5
    assert keyfile.seen_hour(keyfile.load_gateway(path, later).kek_hour) == hour + 30
    back = keyfile.load_gateway(path, later - 20 * keyfile.HOUR_NS)
    assert keyfile.seen_hour(back.kek_hour) == hour + 30
