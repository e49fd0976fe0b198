"""A gateway process whose store fails, whose log lags behind, or whose store is taken away: what it says of it."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from jvpn.shell.control import ask
from tests.jvpn.cli.calling import Jvpn, Process, gateway_files, until
from tests.jvpn.cli.test_serving import endings, free_port


class Place(NamedTuple):
    """The files of a gateway and of one device, and the gateway's directory."""

    gateway: Path
    client: Path
    state: Path

    def store(self) -> dict[str, Any]:
        """Return what the gateway says of its store."""
        return dict(ask(self.state / "control.sock", {"order": "status"})["store"])

    def sessions(self) -> int:
        """Return how many sessions the gateway has."""
        return len(ask(self.state / "control.sock", {"order": "status"})["sessions"])


@pytest.fixture
def place(jvpn: Jvpn, tmp_path: Path) -> Place:
    """Return files with which both start on loopback."""
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{free_port()}"]\n')
    assert jvpn("enroll", "laptop", "--gateway-config", config, "--out", tmp_path / "laptop").status == 0
    client = tmp_path / "laptop" / "client.toml"
    client.write_text(client.read_text().replace("[tun]", '[tun]\nkind = "pump"'))
    return Place(config, client, tmp_path / "g")


@contextmanager
def no_room(process: Process) -> Iterator[None]:
    """Let no file of a running process grow, as a full disk does."""
    soft, hard = resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def stopped_writer(process: Process) -> Iterator[None]:
    """Stop the audit writer of a running gateway, as a log on a disk that hangs would."""
    (writer,) = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children").read_text().split()
    os.kill(int(writer), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(int(writer), signal.SIGCONT)


def test_a_store_that_cannot_write(jvpn: Jvpn, place: Place) -> None:
    """O-27: clients would wait for hours and the one command that an operator asks would say that all is well."""
    with Process("gateway", "--config", place.gateway) as one:
        until((place.state / "control.sock").exists, one)
        said = jvpn("status", "--config", place.gateway)
        assert (place.store()["state"], said.err) == ("well", "")
        with no_room(one), Process("client", "--config", place.client) as two:
            until(lambda: place.store()["state"] == "failing", one)
            said = jvpn("status", "--config", place.gateway, "--json")
            store = said.json["store"]
            assert store["operations_failed"] > 0
            assert store["error"].startswith("OperationalError: ")
            said = jvpn("status", "--config", place.gateway)
            assert said.status == 0
            assert f"error {store['error']}, failing_since {store['failing_since']}" in said.out
            assert said.err == (
                f"jvpn: the store fails since {store['failing_since']}: {store['error']}: "
                "no session is born or moves before this is mended\n"
            )
            two.end(signal.SIGKILL)
        with Process("client", "--config", place.client) as two:
            until(lambda: place.store()["state"] == "well", one)
            until(lambda: place.store()["evidence_waiting"] == 0, one)
            assert jvpn("status", "--config", place.gateway).err == ""
            two.end(signal.SIGTERM)
        one.end(signal.SIGTERM)


def test_evidence_that_waits(jvpn: Jvpn, place: Place) -> None:
    """O-27: a log that lacks the last hours would look complete to whoever asks the gateway."""
    with Process("gateway", "--config", place.gateway) as one:
        until((place.state / "control.sock").exists, one)
        with stopped_writer(one), Process("client", "--config", place.client) as two:
            until(lambda: place.store()["evidence_waiting"] > 0, one)
            waiting = jvpn("status", "--config", place.gateway, "--json").json["store"]["evidence_waiting"]
            assert f"evidence_waiting {waiting}" in jvpn("status", "--config", place.gateway).out
            assert jvpn("status", "--config", place.gateway, "--json").json["audit"]["waiting"] > 0
            until(lambda: place.sessions() == 1, two)
        until(lambda: place.store()["evidence_waiting"] == 0, one)
        one.end(signal.SIGTERM)


def remove(store: Path) -> None:
    """Remove the file, as somebody who tidies up does."""
    store.unlink()


def put_back(store: Path) -> None:
    """Put a copy in its place, as a restored backup does."""
    store.with_name("copy").write_bytes(store.read_bytes())
    store.with_name("copy").chmod(0o600)
    store.with_name("copy").rename(store)


@pytest.mark.parametrize(("take", "what"), [(remove, "was removed or moved away"), (put_back, "was replaced by another file")])
def test_a_store_that_is_taken_away_ends_the_gateway(jvpn: Jvpn, place: Place, take: Callable[[Path], None], what: str) -> None:
    """O-26: a gateway would bind sessions in a file without a name: after its end nobody knows them, and two gateways could own one."""
    with Process("gateway", "--config", place.gateway) as one:
        until((place.state / "control.sock").exists, one)
        take(place.state / "store.sqlite")
        ended = one.end()
    assert ended.status == 1
    last = ended.err.splitlines()[-1]
    assert last == (
        f"jvpn: {place.state}/store.sqlite {what} while this process used it; "
        "put it back, or start again: without it clients make new sessions"
    )
    assert "store_displaced" in {orjson.loads(line)["event"] for line in ended.err.splitlines()[:-1]}
    assert endings(jvpn, place.state / "audit") == ["STORE_DISPLACED"]
    assert jvpn("audit", "verify", place.state / "audit").status == 0
