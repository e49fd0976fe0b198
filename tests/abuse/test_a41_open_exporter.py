"""An exporter that is open to strangers, or taken over (T-41).

ATTACK
    Somebody scrapes metrics that were made open to others, to see who is connected. Somebody else takes the exporter's process over, and
    says to the gateway's socket whatever they like, many at once and without an end. Or a gateway of another version, or one that was
    taken over, says names of its own, to bring them into a database that keeps them for years, or to fill its memory.

EXPECTED REFUSAL
    The socket of figures answers one order, with numbers; every other one changes nothing [O-29]. What is scraped names no session,
    device, address or key: labels come from closed sets, and what is beyond them is counted and not told. Others than this host can ask
    only where the operator said so.

EXPECTED EVIDENCE
    none: the socket of figures changes nothing, so there is nothing to record
"""

import socket as sockets
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import generate_latest

from jvpn.shell import figures
from jvpn.shell.control import ASKERS_MAX, FIGURES, GROUP, Control, ask
from jvpn.shell.transports.base import Poll
from lab.sim.world import World
from observability.metrics import Collector
from observability.metrics_server import AddressRefused, address

TURN_NS = 20_000_000


@pytest.fixture
def world() -> World:
    """A gateway with a session of one device."""
    return World().connected()


@pytest.fixture
def socket(world: World, tmp_path: Path) -> Iterator[Path]:
    """The socket of figures of that gateway."""
    poll, ending = Poll(), threading.Event()
    told = lambda request: figures.answer(request, lambda: said(world))  # noqa: E731 - as the gateway's process has it
    control = Control(tmp_path, poll, told, "figures.sock", GROUP)

    def turns() -> None:
        while not ending.is_set():
            poll.turn(TURN_NS)

    loop = threading.Thread(target=turns)
    loop.start()
    yield tmp_path / "figures.sock"
    ending.set()
    loop.join()
    control.close()
    poll.close()


def said(world: World) -> dict[str, Any]:
    """What the process of this gateway would say of its engine."""
    return {"sessions": figures.sessions(world.gateway.desk), "admits": world.gateway.desk.admission.refusal is None}


def names(world: World) -> list[str]:
    """Everything by which the session or its device could be known."""
    (session,) = world.gateway.desk.sessions.values()
    assert session.active
    remote = session.active.path.remote.address
    keys = [session.correlation, session.device.public, session.device.inner4, session.static.public, remote]
    return [each.hex() for each in keys] + [str(ip_address(session.device.inner4)), str(ip_address(remote[-4:])), str(session.handle)]


def test_no_order_but_one(world: World, socket: Path) -> None:
    """Who has the exporter would end everybody's sessions."""
    (session,) = world.gateway.desk.sessions.values()
    before = session.state, session.version
    for order in ({"order": "close", "session": session.correlation.hex()}, {"order": "status"}, {"order": "reload"}, {}):
        assert ask(socket, order) == {"error": "unknown order; known is figures"}
    assert (session.state, session.version) == before
    assert list(world.gateway.desk.sessions.values()) == [session]


def test_nobody_is_named(world: World, socket: Path) -> None:
    """Who sees the dashboard would know who is connected from where."""
    answer = ask(socket, FIGURES)
    assert sum(answer["sessions"]["state"].values()) == 1
    scraped = generate_latest(Collector({"gateway": lambda: answer}).registry()).decode()
    assert 'jvpn_gateway_sessions{state="ATTACHED"} 1.0' in scraped
    for name in names(world):
        assert name not in orjson.dumps(answer).decode()
        assert name not in scraped


def test_names_that_are_smuggled_in_stay_out(world: World) -> None:
    """One gateway that lies would fill the memory of the Prometheus that watches all of them."""
    states: dict[str, int] = {f"{number:032x}": 1 for number in range(10_000)} | dict.fromkeys(names(world), 1)
    lie = {"sessions": {"state": states, "carrier": names(world)[0]}, "events": {"SESSION_ENDED": states}}
    scraped = generate_latest(Collector({"gateway": lambda: lie}).registry()).decode()
    assert len(scraped.splitlines()) < 200
    assert not [name for name in names(world)[:5] if name in scraped]
    assert f'jvpn_source_unknown_names{{source="gateway"}} {2 * len(states) + 1}.0' in scraped


def test_many_who_ask_without_end(socket: Path) -> None:
    """Who has the exporter would keep out who watches, or take the gateway's last descriptor."""
    with ExitStack() as silent:
        for _ in range(2 * ASKERS_MAX):
            connection = silent.enter_context(_connected(socket))
            connection.sendall(b"{")
        assert "sessions" in ask(socket, FIGURES)


def _connected(path: Path) -> sockets.socket:
    connection = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    connection.connect(str(path))
    return connection


def test_others_ask_only_where_the_operator_said_so() -> None:
    """A mistyped address would open the metrics to the internet."""
    for text in ("0.0.0.0:9184", "[::]:9184", "192.0.2.1:9184", "[2001:db8::1]:9184"):
        with pytest.raises(AddressRefused, match="--allow-remote"):
            address(text, remote=False)
        assert address(text, remote=True)[1] == 9184
    assert [address(text, remote=False)[0] for text in ("127.0.0.1:1", "[::1]:1")] == ["127.0.0.1", "::1"]
