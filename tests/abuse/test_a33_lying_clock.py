"""A clock lies (T-33).

ATTACK
    Somebody gives the gateway another time, over the network or at the machine: back, so that a device whose time is over comes in
    again, also after a restart; far ahead, so that sessions end and the keys of their rows are destroyed. Or they hold a client's clock,
    so that a list of revocations stays fresh for it, or set it back to before the gateway's newer key.

EXPECTED REFUSAL
    A key that was given up stays so, whatever the clock says, and no time before the hour in the key file counts [K-42]. By a clock that
    was set forward nobody new comes in, and nothing ends [K-35]. A start years after the last hour destroys nothing [K-43]. For
    a process time goes on from the newest document that it was given, whatever its clock says [K-46].

EXPECTED EVIDENCE
    KEY_CHANGED / KEY_OUTDATED
    SESSION_ENDED / KEY_OUTDATED
    TRAFFIC_REFUSED / KEY_OUTDATED
    DOCUMENT_JUDGED / REVOCATIONS_STALE
"""

from pathlib import Path

import pytest

from core.limits import SECOND
from core.reasons import Event, Reason
from core.values import ROW_LIVE, ROW_TOMBSTONE, Fact, Instant
from jvpn.keys.life import Times
from jvpn.shell import keyfile
from jvpn.shell.admission import Keys, Peer
from jvpn.shell.checked import Misconfigured
from lab.sim.world import World
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW
from tests.jvpn.shell.trusting import NOW_, Place

HOUR_S = 3_600


class Clocked:
    """A gateway whose first host has a day, and whose clocks somebody else sets."""

    def __init__(self, world: World) -> None:
        self.world, self.told = world, list[Fact]()
        self.keys = Keys(None, b"gateway1", lambda: len(self.told) + 1, self.told.append)
        self.times = {world.host.device.public: Times(0, NOW + DAY)}

    def obey(self, wall_s: int, sure_s: int) -> None:
        """Judge by these clocks, and do what follows."""
        world = self.world
        order = self.keys.admission([world.static.public], world.desk.devices, wall_s, Instant(1), sure_s, self.times)
        world.gateway_does(lambda: world.gateway.command(order, world.now))
        world.run(50)

    def comes_in(self) -> bool:
        """Tell whether the host can make another session."""
        before = len(self.world.store.rows)
        self.world.new_host(like=self.world.host).connect(2_000)
        return len(self.world.store.rows) > before


def test_no_clock_brings_a_device_back() -> None:
    """Who can set the clock decides how long each key is good."""
    gateway = Clocked(World().connected())
    world = gateway.world
    gateway.obey(NOW, NOW)
    assert world.attached()
    gateway.obey(NOW + DAY, NOW + DAY)
    assert world.reasons(Event.SESSION_ENDED) == [Reason.KEY_OUTDATED]
    assert [row.state for row in world.store.rows.values()] == [ROW_TOMBSTONE]
    assert [fact.reason for fact in gateway.told if fact.device == world.host.device.public] == [Reason.KEY_OUTDATED]
    gateway.obey(NOW, NOW)
    assert not gateway.comes_in()
    world.run(11_000)
    assert Reason.KEY_OUTDATED in world.reasons(Event.TRAFFIC_REFUSED)


def test_a_clock_that_is_set_forward_throws_nobody_out() -> None:
    """A false answer of a time server ends all sessions for good; or a device whose time is over makes use of the doubt."""
    gateway = Clocked(World().connected())
    gateway.obey(NOW, NOW)
    gateway.obey(NOW + 400 * DAY, NOW + 60)
    assert gateway.world.attached()
    assert [row.state for row in gateway.world.store.rows.values()] == [ROW_LIVE]
    assert not gateway.comes_in()
    gateway.obey(NOW + 120, NOW + 120)
    assert gateway.comes_in()


def test_the_keys_of_rows_outlive_a_wrong_start(tmp_path: Path) -> None:
    """One start with a clock that is years ahead ends every session in the store; or one with a clock of yesterday undoes the time."""
    path, hour = tmp_path / "gateway.key", NOW // HOUR_S
    keyfile.create_gateway(path, lambda n: bytes(range(n)), hour * keyfile.HOUR_NS)
    kek = keyfile.load_gateway(path, hour * keyfile.HOUR_NS).kek.expose()
    with pytest.raises(Misconfigured, match="the clock is wrong, or the gateway was off for long"):
        keyfile.load_gateway(path, (hour + 3 * 365 * 24) * keyfile.HOUR_NS)
    assert keyfile.load_gateway(path, hour * keyfile.HOUR_NS).kek.expose() == kek
    with pytest.raises(Misconfigured, match="this machine's clock is wrong, or was"):
        keyfile.load_gateway(path, (hour - 26) * keyfile.HOUR_NS)
    assert keyfile.seen_hour(keyfile.load_gateway(path, (hour - 20) * keyfile.HOUR_NS).kek_hour) == hour


def test_a_clock_that_is_held_wins_a_client_no_time(tmp_path: Path) -> None:
    """Who holds a client's clock and its list of today back has a revoked key of the gateway in use for ever."""
    place = Place(tmp_path).whole()
    place.put("keyset", making.set_of(making.keyset()))
    peer = Peer(place.documents, making.static("new"), place.serial, place.told.append, stale="keep")
    assert peer.admission(NOW, NOW_, NOW).refusal is None
    assert peer.admission(NOW, Instant(NOW_ + DAY * SECOND), NOW).refusal is Reason.REVOCATIONS_STALE
    assert (place.told[-1].event, place.told[-1].reason) == (Event.DOCUMENT_JUDGED, Reason.REVOCATIONS_STALE)
