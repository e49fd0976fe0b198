"""What keeps a connection: a session that is bound to it, and nothing less; for as long as its key may be used, and no longer."""

import socket
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core import limits
from core.client.attempts import Hand, Newborn
from core.reasons import Carrier
from core.values import Instant, Path, PathEvent, Route
from core.wire.epoch import Epoch
from core.wire.messages import parse
from core.wire.records import Resp
from jvpn.shell import gateway as process
from jvpn.shell.gateway import GatewayProcess
from jvpn.shell.transports.framing import framed
from jvpn.shell.transports.tcp import PROVEN_NS, UNPROVEN_NS
from lab.sim.device import confirm
from lab.sim.frames import there
from lab.sim.world import World
from tests.jvpn.shell.transports.test_tcp import Gateway, gateway  # noqa: F401 - the fixture of the tests below

LATE = Instant(UNPROVEN_NS)


def test_a_proof_holds_no_longer_than_a_key(gateway: Gateway) -> None:  # noqa: F811 - the fixture
    """D-15: a device could fill the gateway with connections, each proven once, years ago."""
    quiet, busy = gateway.peer()[1], gateway.peer()[1]
    gateway.server.prove(quiet, Instant(0))
    gateway.server.prove(busy, Instant(0))
    gateway.server.prove(quiet, Instant(1))
    gateway.server.prove(busy, Instant(9))
    assert gateway.server.deadline() == PROVEN_NS + 1
    gateway.server.tick(Instant(PROVEN_NS))
    assert gateway.paths(PathEvent.CLOSED) == []
    gateway.server.tick(Instant(PROVEN_NS + 8))
    assert gateway.paths(PathEvent.CLOSED) == [quiet]
    assert gateway.server.deadline() == PROVEN_NS + 9
    gateway.server.close_path(busy)
    gateway.settle()
    gateway.paths(PathEvent.CLOSED)
    assert gateway.server.deadline() is None, "what is closed is forgotten"


class Listening:
    """A real listener before an engine, joined as the gateway's process joins them; the clock is the test's."""

    def __init__(self, side: Gateway) -> None:
        self.gateway, self.world = side, World()
        self.process = cast("Any", SimpleNamespace(engine=self.world.gateway, _streams={0: side.server}))
        self.process._prove = lambda path: GatewayProcess._prove(self.process, path)

    def sends(self, peer: socket.socket, path: Path, frame: bytes) -> list[bytes]:
        """Let a peer send one frame, and the engine hear what comes out of the listener; return the engine's answers."""
        before = len(self.world.sent)
        peer.send(framed([frame]))
        self.gateway.settle()
        for each in self.gateway.frames.pop(path):
            self.world.inject(each, path)
            GatewayProcess._prove(self.process, path)
        self.world.run(10)
        return [sent.frame for sent in self.world.sent[before:] if sent.sender == "gateway"]

    def hand(self, path: Path) -> Hand:
        """Return a fresh handshake on a connection."""
        return Hand(self.world.client.keys, self.world.entropy, there(path), self.world.now)

    def born(self, peer: socket.socket, path: Path) -> Epoch:
        """Let a peer make a session on its connection."""
        hand = self.hand(path)
        (answer,) = self.sends(peer, path, hand.frame)
        message = parse(answer)
        assert isinstance(message, Resp)
        newborn = hand.answer(message, self.world.now)
        assert isinstance(newborn, Newborn)
        ((frame,),) = [run.frames for run in newborn.epoch.seal([confirm(self.world)])]
        self.sends(peer, path, frame)
        (session,) = (each for each in self.world.desk.sessions.values() if each.active)
        GatewayProcess._bound(self.process, Route(session.handle, (), up=True))
        return newborn.epoch


def test_a_handshake_that_nobody_confirms_keeps_no_connection(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    """D-15: whoever recorded one INIT, or has one device's key, could fill the gateway's places with connections that never end."""
    monkeypatch.setattr(process, "boottime", lambda: Instant(5))
    listening = Listening(gateway)
    paths = []
    for _ in range(3):
        peer, path = gateway.peer()
        assert listening.sends(peer, path, listening.hand(path).frame), "a RESP"
        paths.append(path)
    gateway.server.tick(LATE)
    assert gateway.paths(PathEvent.CLOSED) == paths
    world = listening.world
    for path in paths:
        world.gateway_does(partial(world.gateway.path_event, path, PathEvent.CLOSED, world.now))
    assert world.desk.streams == {}


def test_a_session_keeps_its_connection_while_it_is_bound(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    """D-15: a session on TCP would end after eight seconds; or its connection would stay for ever when it has left."""
    monkeypatch.setattr(process, "boottime", lambda: Instant(5))
    listening = Listening(gateway)
    peer, path = gateway.peer()
    listening.born(peer, path)
    session = listening.world.session
    assert [each.active and each.active.path for each in (session,)] == [path]
    assert path.carrier == Carrier.TCP
    gateway.server.tick(LATE)
    assert gateway.server.serves(path), "no frame came since the store's answer"
    listening.world.run(limits.REJECT_AFTER_NS / limits.MILLISECOND)
    assert listening.world.session.active is None
    assert listening.world.desk.streams == {}
    monkeypatch.setattr(process, "boottime", lambda: Instant(PROVEN_NS))
    listening.sends(peer, path, b"\x04 what a peer says that has left")
    gateway.server.tick(Instant(PROVEN_NS + 5))
    assert gateway.paths(PathEvent.CLOSED) == [path]
