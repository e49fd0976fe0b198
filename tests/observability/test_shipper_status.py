"""The shipper's status as who watches it needs it: told at rest too, and since when the oldest event waits."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from observability import shipper as module
from observability.bulk import document, recorded_s
from observability.connect import Cluster, connect
from observability.cursor import State
from observability.shipper import Shipper, ShipperConfig, to_cluster
from observability.tail import START, Line
from tests.observability.shipping import Ship, lines, write_log
from tests.observability.stub import Stub, hang_up


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed log of 12 events."""
    return write_log(tmp_path / "log")


def recorded(line: bytes) -> float:
    """When the event of a line was recorded."""
    return datetime.fromisoformat(orjson.loads(line)["event"]["time"]).timestamp()


def test_since_when_the_oldest_event_waits(log: Path) -> None:
    """An outage of an hour would look like one of a second: a few events wait in both."""
    with Stub([hang_up] * 9) as stub:
        ship = Ship(log, stub)
        ship.stop_after = 2
        ship()
        assert ship.status()["oldest_unsettled"] == recorded(lines(log)[0])
        ship.stop_after = None
        ship()
        assert (ship.status()["oldest_unsettled"], ship.status()["pending"]) == (None, 0)


def test_a_time_that_is_none_is_told_as_none(log: Path) -> None:
    """A forged line with a month that there is not would end the shipper."""
    made = document(Line(lines(log)[0], START))
    assert recorded_s(made) == recorded(lines(log)[0])
    assert recorded_s(made) == datetime.fromtimestamp(recorded(lines(log)[0]), UTC).timestamp()
    assert recorded_s(made._replace(body=made.body.replace(b'"@timestamp":"20', b'"@timestamp":"20-'))) is None


@pytest.mark.parametrize(("every", "told"), [(0.0, True), (3_600.0, False)])
def test_at_rest_it_says_that_it_lives(log: Path, monkeypatch: pytest.MonkeyPatch, every: float, told: bool) -> None:
    """One that hangs, or was killed in the night, would look like one at rest; or one at rest would write without a pause."""
    monkeypatch.setattr(module, "TELL_SECONDS", every)
    state, waits = State(log.parent / "state"), list[bool]()

    def wait(seconds: float) -> bool:
        """Remove the status at the first wait of a shipper at rest, and see at the third whether it is back."""
        if seconds:
            waits.append((state.directory / "status.json").exists())
            (state.directory / "status.json").unlink(missing_ok=True)
        return len(waits) == 3

    with Stub() as stub:
        cluster = Cluster(url=stub.url, request_seconds=5.0)
        client = connect(cluster)
        config = ShipperConfig(log=log, state=state.directory, cluster=cluster, batch_seconds=0.0)
        Shipper(config, to_cluster(client, config), state, wait).run()
        client.close()
    state.close()
    assert waits[1:] == [told, told]
