"""Replayed INIT (T-08).

ATTACK
    Somebody on the path keeps the INITs of a device and sends them again, at once and when they are forgotten; many of them while the
    device itself wants to connect.

EXPECTED REFUSAL
    A repeat within 120 s is dropped before any public-key operation [H-21]. Later it makes a pending session, which nobody can confirm
    and which touches no other [H-22] [H-27]; the oldest pending one of the device makes room, so that the device is never locked out.

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / INIT_REPEATED
    SESSION_CHANGED / PENDING_EXPIRED
"""

from core import limits
from core.client.attempts import Hand
from core.reasons import Carrier, Event, Reason
from core.session.states import State
from core.values import Connect
from lab.sim.world import World
from tests.abuse.attack import captured, from_elsewhere, own_path, untouched


def test_at_once() -> None:
    """One recorded message would keep a processor busy, or the device's places full."""
    world = World().connected()
    (init,) = captured(world, "INIT")
    with untouched(world) as seen:
        for _ in range(100):
            world.inject(init, from_elsewhere(own_path(world.host)))
        assert not seen.answers()
        assert seen.refusals() == {Reason.INIT_REPEATED: 100}


def test_when_it_is_forgotten() -> None:
    """A recorded message would end, move or imitate the device's session."""
    world = World().connected()
    (init,), session = captured(world, "INIT"), world.session
    world.run(limits.INIT_MEMORY_NS / limits.MILLISECOND, world.host.chat, step_ms=1_000)
    before = session.facts(), session.binding_version, dict(world.store.rows)
    world.inject(init, from_elsewhere(own_path(world.host)))
    (pending,) = set(world.desk.sessions.values()) - {session}
    assert pending.state is State.PENDING
    world.run(limits.PENDING_NS / limits.MILLISECOND + 10, world.host.chat)
    assert set(world.desk.sessions.values()) == {session}
    assert world.reasons(Event.SESSION_CHANGED)[-1] is Reason.PENDING_EXPIRED
    assert (session.facts(), session.binding_version, dict(world.store.rows)) == before
    assert world.gateway.session_for(world.host.device.inner4) == session.handle


def test_while_the_device_connects() -> None:
    """Who recorded a device for a day could keep it out for as long as the recordings last."""
    world = World(latency_ms=40)
    host = world.host
    host.dial(Carrier.UDP)
    recorded = [Hand(host.client.keys, world.entropy, host.paths[Carrier.UDP], world.now).frame for _ in range(40)]
    for _ in range(limits.PENDING_PER_DEVICE):
        world.inject(recorded.pop(), from_elsewhere(own_path(host)))
    host.does(lambda: host.client.command(Connect(), world.now))
    world.run(1_000, lambda: world.inject(recorded.pop(), from_elsewhere(own_path(host))), step_ms=100)
    assert host.client.life
    pending = [session for session in world.desk.sessions.values() if session.state is State.PENDING]
    assert len(pending) == limits.PENDING_PER_DEVICE
