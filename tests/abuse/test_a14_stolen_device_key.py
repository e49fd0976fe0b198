"""A device key is stolen, and nothing else (T-14).

ATTACK
    A thief has copied the key of a device, but nothing of its session. They try to move the session, and then make one of their own, to
    draw off what is sent to the device.

EXPECTED REFUSAL
    Without the chain no REATTACH has a right mac [R-12]. A session of their own is another session: the live one is neither ended nor
    moved [H-22], and what is sent to the device goes on to the older session while that is in use, however much theirs speaks, probes
    and moves [D-7]. Revoking the key ends both [G-33].

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / REATTACH_MAC_WRONG
    SESSION_ENDED / KEY_REVOKED
"""

import pytest

from core import limits
from core.client.attempts import Attempt, Life
from core.crypto.chain import Birth
from core.crypto.secret import Secret
from core.reasons import Cause, Event, Reason
from core.values import AllowList
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.records import Probe, pack
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import ELSEWHERE, from_elsewhere, own_path, untouched


def test_it_moves_nothing() -> None:
    """A key that was copied once would be enough to take over each session that the device will ever have."""
    world = World().connected()
    life = Life(Birth(*map(Secret, (b"", b"", world.entropy(16), world.entropy(32)))), world.now, world.static.public)
    life.locators = {1: world.client.life.locators[1] if world.client.life else b""}
    path = world.host.paths[1]._replace(local=ELSEWHERE)
    attempt = Attempt(world.client.keys, world.entropy, life, path, Change.MOVE, Cause.PATH_DEAD, 0, world.now)
    with untouched(world) as seen:
        world.inject(attempt.frame, from_elsewhere(own_path(world.host)))
        assert not seen.answers()
        assert seen.refusals() == {Reason.REATTACH_MAC_WRONG: 1}


@pytest.mark.parametrize("milliseconds", [0, 3_000])
def test_a_session_of_their_own_draws_nothing_off(milliseconds: int) -> None:
    """What is sent to the device would reach the thief, and the device would go deaf."""
    world = World().connected()
    world.run(milliseconds, world.host.chat)
    session, before = world.session, world.session.facts()
    thief = world.new_host(like=world.host)
    thief.connect()
    (theirs,) = set(world.desk.sessions.values()) - {session}
    assert (session.facts(), theirs.device) == (before, session.device)
    world.run(100, world.host.chat)
    told, mine = len(thief.down), len(world.host.down)

    def all_talk() -> None:
        epoch = thief.client.committed
        assert epoch
        world.host.chat()
        thief.does(lambda: [*epoch.seal([encode(Kind.PROBE, pack(Probe(1, world.now)))])])
        thief.say()

    world.run(1_000, all_talk)
    thief.move(v4(99))
    world.run(1_000, all_talk)
    assert theirs.active
    assert theirs.active.attempt
    assert len(thief.down) == told
    assert len(world.host.down) - mine > 390
    assert (session.facts(), session.binding_version) == (before, 1)


def test_each_birth_of_theirs_draws_off_until_the_owner_probes() -> None:
    """More would be drawn off than the model says remains."""
    world = World().connected()
    world.run(3_000)
    for _ in range(3):
        thief = world.new_host(like=world.host)
        thief.connect(20)
        world.run(2_000, world.host.chat, step_ms=10)
        assert len(thief.down) * 10 <= 2 * limits.PROBE_NS // limits.MILLISECOND
        thief.off = True


def test_revocation_ends_it() -> None:
    """A key that is known to be stolen would go on working."""
    world = World().connected()
    thief = world.new_host(like=world.host)
    thief.connect()
    world.gateway_does(lambda: world.gateway.command(AllowList({}), world.now))
    world.run(100)
    assert not world.desk.sessions
    assert world.reasons(Event.SESSION_ENDED) == [Reason.KEY_REVOKED] * 2
    world.run(30_000)
    assert not world.desk.sessions
