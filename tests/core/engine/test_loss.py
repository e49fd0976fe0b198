"""Every message may be lost, doubled, late or out of order: the session comes to be, moves, and stays the same session."""

from collections.abc import Sequence
from random import Random

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.reasons import Carrier, Event, Reason
from core.session.states import State
from lab.sim.frames import v4
from lab.sim.world import MS, STRAIGHT, World
from tests.core.exposed import laid_open

UDP_ONLY = ClientPolicy((Carrier.UDP,))
TIMES = (1, 2, 4, 8)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("kind", ["INIT", "RESP", "CONFIRM", "ACK"])
@pytest.mark.parametrize("policy", [UDP_ONLY, ClientPolicy()], ids=["udp", "udp and tcp"])
def test_a_handshake_survives_losses(kind: str, times: int, policy: ClientPolicy) -> None:
    """One lost datagram would cost the user his session."""
    world = World(client_policy=policy)
    world.drop(kind, min(times, limits.HANDSHAKE_TRIES - 1) if kind in {"INIT", "RESP"} else times)
    world.host.connect(30_000)
    assert world.attached()
    world.host.chat()
    world.run(10)
    assert world.delivered
    assert world.host.down


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("kind", ["REATTACH", "REATTACH_RESP", "CONFIRM", "ACK"])
@pytest.mark.parametrize("policy", [UDP_ONLY, ClientPolicy()], ids=["udp", "udp and tcp"])
def test_a_move_survives_losses(kind: str, times: int, policy: ClientPolicy) -> None:
    """One lost datagram would cost the user his session, or leave the two ends with different ideas of it."""
    world = World(client_policy=policy).connected()
    correlation = world.session.correlation
    world.drop(kind, times)
    world.host.move(v4(99))
    world.run(15_000, world.host.chat, step_ms=100)
    assert world.attached()
    assert world.session.correlation == correlation
    assert world.session.state is State.ATTACHED
    assert world.client.life
    assert world.client.life.binding_version == world.session.binding_version
    before = len(world.delivered), len(world.host.down)
    world.host.chat()
    world.run(10)
    assert (len(world.delivered), len(world.host.down)) == (before[0] + 1, before[1] + 1)


def chaos(world: World, seed: int, loss: int, double: int, late_ms: int) -> None:
    """Lose, double and delay frames in both directions by seeded dice."""
    dice = Random(seed)

    def network(_who: str, _kind: str, _frame: bytes) -> Sequence[int]:
        if dice.randrange(100) < loss:
            return ()
        copies = 2 if dice.randrange(100) < double else 1
        return [dice.randrange(late_ms * MS) for _ in range(copies)]

    world.network = network


@pytest.mark.parametrize("seed", range(6))
def test_in_chaos_a_session_stays_itself(seed: int) -> None:
    """Packets would be delivered twice, a session would be lost or doubled, or the ends would disagree when the storm is over."""
    world = World(f"chaos {seed}").connected()
    host, numbers, correlation = world.host, iter(range(10**6)), world.session.correlation
    dice = Random(seed)

    def live() -> None:
        host.say(next(numbers).to_bytes(4, "big"))
        host.tell(next(numbers).to_bytes(4, "big"))
        if dice.randrange(300) == 0:
            host.move(v4(dice.randrange(90, 120)))
        if dice.randrange(300) == 0:
            world.cut ^= {dice.choice((Carrier.UDP, Carrier.TCP))}

    chaos(world, seed, loss=15, double=10, late_ms=40)
    world.run(30_000, live, step_ms=40)
    world.cut, world.network = set(), lambda _sender, _kind, _frame: STRAIGHT
    world.run(20_000, host.chat, step_ms=100)
    assert world.attached()
    session = world.desk.routes[host.device.inner4]
    assert world.client.life
    assert world.client.life.session_id.expose() == laid_open(session.secrets)[0]
    assert session.correlation == correlation or Reason.SESSION_LOST in world.client_reasons(Event.CLIENT_ATTACHED)
    up, down = [inner for _, inner in world.delivered if len(inner) == 24], [inner for inner in host.down if len(inner) == 24]
    assert len(set(up)) == len(up) > 100
    assert len(set(down)) == len(down) > 100
