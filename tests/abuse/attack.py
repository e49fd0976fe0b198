"""An attacker's tools, and the judgement of what an attack achieved."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from core.reasons import Carrier, Event, Reason
from core.session.session import Session
from core.values import Endpoint, Path, Settle
from core.wire.epoch import Epoch
from lab.sim.frames import Sent, v4
from lab.sim.world import GATEWAY_AT, Host, World
from tests.core.exposed import laid_open

ELSEWHERE: Final = Endpoint(v4(66, 6), 6_666)
REFUSALS: Final = (Event.TRAFFIC_REFUSED, Event.SESSION_REFUSED, Event.HANDSHAKE_REFUSED, Event.CLIENT_REFUSED)


def from_elsewhere(path: Path, source: Endpoint = ELSEWHERE) -> Path:
    """Return the path over which the gateway sees an attacker's frame."""
    return Path(path.carrier, 0, GATEWAY_AT, source)


def own_path(host: Host, carrier: int = Carrier.UDP) -> Path:
    """Return a host's path as the gateway sees it: an attacker on the path can use it too."""
    mine = host.paths[carrier]
    return Path(carrier, mine.serial, GATEWAY_AT, mine.local)


def captured(world: World, kind: str, sender: str = "client") -> list[bytes]:
    """Return every frame of a kind that one end ever sent: the attacker kept them all."""
    return [sent.frame for sent in world.sent if (sent.sender, sent.kind) == (sender, kind)]


def flipped(frame: bytes, place: int, bit: int = 0) -> bytes:
    """Return a frame with one bit changed."""
    return frame[:place] + bytes((frame[place] ^ 1 << bit,)) + frame[place + 1 :]


def withhold(world: World, *kinds: str) -> None:
    """Keep frames of these kinds from arriving."""
    world.network = lambda _sender, kind, _frame: () if kind in kinds else (0,)


def let_pass(world: World) -> None:
    """Carry everything again."""
    world.network = lambda _sender, _kind, _frame: (0,)


class Seen:
    """What an attack brought about: `answers` of the end under attack, and its refusals by reason."""

    def __init__(self, world: World, host: Host | None) -> None:
        """Look from now on at the gateway, or at a host's client."""
        self.world, self.host = world, host
        self._facts, self._sent = len(self._all()), len(world.sent)

    def answers(self) -> list[Sent]:
        """Return what was sent since."""
        sender = "client" if self.host else "gateway"
        return [sent for sent in self.world.sent[self._sent :] if sent.sender == sender]

    def refusals(self, *events: Event) -> dict[Reason, int]:
        """Return how often what was refused since, in records of these events or any; sums that are not yet recorded are, now."""
        order = Settle()
        if self.host:
            host = self.host
            host.does(lambda: host.client.command(order, self.world.now))
        else:
            self.world.gateway_does(lambda: self.world.gateway.command(order, self.world.now))
        counted: Counter[Reason] = Counter()
        for fact in self._all()[self._facts :]:
            if fact.event in (events or REFUSALS):
                counted[fact.reason] += fact.times
        return dict(counted)

    def _all(self) -> list[Any]:
        return self.host.facts if self.host else self.world.facts


@contextmanager
def untouched(world: World, host: Host | None = None) -> Iterator[Seen]:
    """Fail when, after the attack inside, anything about the gateway's sessions, or the host's client, is not as it was."""
    before = picture(world, host)
    seen = Seen(world, host)
    yield seen
    assert picture(world, host) == before


def picture(world: World, host: Host | None = None) -> list[Any]:
    """Return all that an attacker may want to change."""
    if host:
        client = host.client
        epochs = (client.committed, client.draining, *(each.epoch for each in client.confirming))
        life = client.life
        mine = (life.chain.expose(), life.next, life.binding_version, dict(life.locators), life.addresses) if life else None
        return [client.facts(), mine, [_epoch(epoch) for epoch in epochs], client.newborn, list(client.attempts.values()), list(host.down)]
    sessions = [_session(session) for session in world.desk.sessions.values()]
    routes = {address: session.handle for address, session in world.desk.routes.items()}
    return [sessions, routes, dict(world.store.rows), list(world.store.outbox), list(world.delivered), set(world.desk.indices)]


def _session(session: Session) -> tuple[Any, ...]:
    candidate = session.candidate
    return (session.handle, session.facts(), session.binding_version, session.next, laid_open(session.secrets), session.expires,
            _epoch(session.active), _epoch(session.draining), _epoch(candidate.epoch if candidate else None),
            list(candidate.held) if candidate else None, list(session.moves))  # fmt: skip


def _epoch(epoch: Epoch | None) -> tuple[Any, ...] | None:
    return (epoch.index, epoch.path, epoch.attempt, epoch.top, epoch.bitmap, epoch.received) if epoch else None
