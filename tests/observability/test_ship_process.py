"""The shipper as a process: signals, and deaths at any moment."""

import time
from pathlib import Path

from tests.observability.ship import ShipProcess
from tests.observability.stub import Stub, hang
from tests.observability.synthetic import Scribe, health


def test_sigterm_ends_it_in_good_order_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """Each restart of the machine would repeat events, or be reported as a failure."""
    with Stub() as stub:
        scribe = Scribe(tmp_path / "log")
        with ShipProcess(tmp_path / "log", tmp_path / "state", stub.url) as process:
            scribe.write([health(number) for number in range(1, 50)])
            scribe.log.write_head()
            process.until(lambda status: status["created"] == 50)
            assert process.stop() == 0
        scribe.write([health(number) for number in range(50, 60)])
        scribe.close()
        with ShipProcess(tmp_path / "log", tmp_path / "state", stub.url, follow=False) as process:
            assert process.wait() == 0
            assert (process.status()["read"], process.status()["created"]) == (62, 62)
        assert sorted(stub.stored.values()) == [1] * 62


def test_killed_at_any_moment_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """A crash of the shipper would leave a hole in the SIEM that nobody sees."""
    scribe = Scribe(tmp_path / "log", segment_bytes=50_000)
    scribe.write_together(health(number) for number in range(1, 400))
    scribe.close()
    with Stub() as stub:
        for _ in range(5):
            before = len(stub.requests)
            with ShipProcess(tmp_path / "log", tmp_path / "state", stub.url, batch=20) as process:
                end = time.monotonic() + 60
                while len(stub.requests) < before + 3 and time.monotonic() < end:
                    time.sleep(0.001)
                process.kill()
        with ShipProcess(tmp_path / "log", tmp_path / "state", stub.url, follow=False) as process:
            assert process.wait() == 0
            status = process.status()
        assert status["read"] == 402 == status["created"] + status["duplicate"]
        assert sorted(stub.stored.values()) == [1] * 402


def test_at_rest_its_status_says_how_far_it_is(tmp_path: Path) -> None:
    """An operator would see events that wait, for ever, where everything is in the cluster."""
    with Stub() as stub:
        scribe = Scribe(tmp_path / "log")
        scribe.close()
        with ShipProcess(tmp_path / "log", tmp_path / "state", stub.url) as process:
            process.until(lambda status: status.get("settled_up_to") == 3 and status["unsettled_bytes"] == 0, seconds=20)


def test_sigterm_during_an_outage_ends_it_too(tmp_path: Path) -> None:
    """A machine would not shut down while the cluster is away."""
    scribe = Scribe(tmp_path / "log")
    scribe.close()
    with Stub([hang]) as stub:
        url = stub.url
    with ShipProcess(tmp_path / "log", tmp_path / "state", url) as process:
        process.until(lambda status: status["pending"] == 3)
        assert process.stop() == 0
        assert process.status()["pending"] == 3
