"""What a gateway counts: by event and reason, summaries in full, carriers of one kind together, and nobody's name."""

import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from audit.record import RECORD_BYTES
from core.reasons import Carrier, Event, Reason
from core.values import Fact, Instant, Record
from jvpn.shell import figures
from jvpn.shell.audit_link import PIPE_BYTES
from jvpn.shell.driver import Driver
from jvpn.shell.pump import Pump
from jvpn.shell.stores.base import Health
from jvpn.shell.transports.base import Counters, Transport
from lab.sim.world import World


def carrier(kind: Carrier, received: int) -> Transport:
    """A carrier that has received so many frames."""
    return cast("Transport", SimpleNamespace(carrier=kind, counters=Counters(received=received)))


def test_two_addresses_of_one_carrier_are_added_up() -> None:
    """A gateway that listens on two addresses would be shown with the traffic of the last one."""
    told = figures.frames([carrier(Carrier.UDP, 3), carrier(Carrier.UDP, 4), carrier(Carrier.TCP, 5)])
    assert told["received"] == {"UDP": 7, "TCP": 5}
    assert set(told) == set(Counters.__slots__)


def test_a_summary_counts_for_all_that_it_sums(tmp_path: Path) -> None:
    """[O-28] A flood of a million frames would be one refusal on the dashboard."""
    port = Pump(tmp_path / "pump.sock")
    driver = Driver(World().connected().gateway, [], port, None)
    refused = Fact(Event.TRAFFIC_REFUSED, Reason.MAC1_WRONG, 1, 0, Instant(0))
    driver.execute([Record(refused._replace(times=1_000)), Record(refused)])
    told = figures.events(driver.recorded, Counter({("SESSION_BORN", "HANDSHAKE_COMPLETED"): 2}))
    assert told == {"TRAFFIC_REFUSED": {"MAC1_WRONG": 1_001}, "SESSION_BORN": {"HANDSHAKE_COMPLETED": 2}}
    driver.close()
    port.close()


def test_sessions_by_state_and_carrier() -> None:
    """[O-29] Sessions would be counted where none is, or told by name."""
    world = World().connected()
    assert figures.sessions(world.gateway.desk) == {"state": {"ATTACHED": 1}, "carrier": {"UDP": 1}}


def test_a_store_that_fails_says_since_when() -> None:
    """A store that fails would look like one that is well, or as failing since 1970."""
    assert figures.store(Health(None, "", "", 0, 1, 2)) == {"well": True, "failed": 0, "waiting": 1, "evidence": 2}
    failing = figures.store(Health(1_790_000_000_000_000_000, "no room", "", 3, 1, 2))
    assert (failing["well"], failing["failing_since"]) == (False, 1_790_000_000)
    assert "no room" not in str(failing)


def test_how_a_reload_ended() -> None:
    """A revoked device would stay in, and no alert say that the list was not read."""
    assert figures.reload(None) == {"well": True}
    failed = figures.reload({"at": "2026-11-22T10:00:00+00:00", "outcome": "failed", "error": "devices.json: laptop"})
    assert failed == {"well": False, "at": 1_795_341_600}


def test_keys_are_counted_and_not_named() -> None:
    """[O-29] A public key would be told: it names the device for life."""
    told = figures.states({b"k" * 32: "ACTIVE", b"l" * 32: "ACTIVE"}, {"ACTIVE": 4}, [None])
    assert told == {"gateway": {"ACTIVE": 2}, "devices": {"ACTIVE": 4}, "offered_not_loaded": False}
    assert figures.states({}, {}, [b"m" * 32])["offered_not_loaded"] is True


def test_how_full_the_way_to_the_log_is_and_how_old_its_signature(tmp_path: Path) -> None:
    """A log that nobody signs any more would look like one that is; or a pipe that runs over like one at rest."""
    link = {"waiting": PIPE_BYTES // RECORD_BYTES, "writer": "running", "lost": 0}
    assert figures.audit(link, tmp_path, 0) == link | {"writer": True, "fill": PIPE_BYTES // RECORD_BYTES * RECORD_BYTES / PIPE_BYTES}
    (tmp_path / "checkpoint").touch()
    os.utime(tmp_path / "checkpoint", (1_000, 1_000))
    told = figures.audit(link | {"writer": "missing", "waiting": 0}, tmp_path, 1_900_000_000_000)
    assert (told["checkpoint_age"], told["writer"], told["fill"]) == (900.0, False, 0.0)
