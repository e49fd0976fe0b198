"""What the client process does when the kernel tells of addresses and routes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.client.states import State
from core.reasons import Carrier
from core.values import Path
from jvpn.shell.client import ClientProcess
from jvpn.shell.netwatch import NetEvent, NetKind
from jvpn.shell.transports.base import endpoint

HOME = Path(Carrier.UDP, 0, endpoint("10.9.0.1", 4_000), endpoint("10.9.0.2", 51_820))


class Carriers:
    """A carrier that notes what it is told."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier, self.closed, self.dialled = carrier, list[Path](), 0

    def close_path(self, path: Path) -> None:
        """Note it."""
        self.closed.append(path)

    def dial(self, now: int) -> None:
        """Count it."""
        self.dialled += 1


def told(state: State, paths: dict[int, Path], *events: NetEvent, there: frozenset[bytes] = frozenset()) -> tuple[Carriers, Carriers]:
    """Let a client in a state, with these paths, hear events; `there` is what the machine has. Return its two carriers."""
    udp, tcp = Carriers(Carrier.UDP), Carriers(Carrier.TCP)
    process = SimpleNamespace(
        _watch=SimpleNamespace(read=lambda: list(events), addresses=lambda: there),
        _transports=[udp, tcp],
        engine=SimpleNamespace(state=state, paths=paths),
    )
    ClientProcess._network(cast("Any", process))
    return udp, tcp


def test_a_path_whose_address_is_gone_is_closed() -> None:
    """The client would wait for silence to prove what the kernel has told it."""
    udp, _ = told(State.ATTACHED, {Carrier.UDP: HOME}, NetEvent(NetKind.ADDRESS_REMOVED, "eth0", HOME.local.address))
    assert (udp.closed, udp.dialled) == ([HOME], 0)
    udp, _ = told(State.ATTACHED, {Carrier.UDP: HOME}, NetEvent(NetKind.ADDRESS_REMOVED, "eth0", endpoint("10.9.0.7", 0).address))
    assert not udp.closed


def test_after_an_overflow_the_machine_is_asked() -> None:
    """The notice that the address is gone may be among those that were lost: the session would wait on a dead path."""
    overflow = NetEvent(NetKind.OVERFLOW)
    udp, _ = told(State.ATTACHED, {Carrier.UDP: HOME}, overflow, there=frozenset({endpoint("10.9.0.7", 0).address}))
    assert udp.closed == [HOME]
    udp, _ = told(State.ATTACHED, {Carrier.UDP: HOME}, overflow, there=frozenset({HOME.local.address}))
    assert (udp.closed, udp.dialled) == ([], 0)


@pytest.mark.parametrize("kind", [NetKind.ADDRESS_ADDED, NetKind.ROUTES_CHANGED, NetKind.OVERFLOW])
@pytest.mark.parametrize("state", [State.SEEKING, State.CONNECTING])
def test_a_way_that_comes_back_is_tried_at_once(kind: NetKind, state: State) -> None:
    """After a change of address the session would stand still for half a second, until the next dial is due."""
    udp, tcp = told(state, {}, NetEvent(kind))
    assert (udp.dialled, tcp.dialled) == (1, 0)


@pytest.mark.parametrize(("state", "paths"), [(State.ATTACHED, {}), (State.CLOSED, {}), (State.SEEKING, {Carrier.UDP: HOME})])
def test_no_path_is_opened_that_nobody_needs(state: State, paths: dict[int, Path]) -> None:
    """Each route that changes on a busy machine would cost a socket, and the oldest ones would be closed for it."""
    udp, tcp = told(state, paths, NetEvent(NetKind.ROUTES_CHANGED), NetEvent(NetKind.LINK_DOWN))
    assert (udp.dialled, tcp.dialled) == (0, 0)
