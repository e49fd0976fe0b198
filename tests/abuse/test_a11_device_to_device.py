"""One device speaks to another through the gateway (T-11).

ATTACK
    A device that is allowed, and has been taken over, addresses inner packets to another device.

EXPECTED REFUSAL
    The packet is dropped unless the policy allows it [I-20].

EXPECTED EVIDENCE
    SESSION_REFUSED / INNER_DESTINATION_FORBIDDEN
"""

import pytest

from core.reasons import Reason
from core.session.desk import Policy
from lab.sim.world import World
from tests.abuse.attack import Seen


@pytest.mark.parametrize("allowed", [False, True])
def test_it_depends_on_the_policy(allowed: bool) -> None:
    """One device that is taken over would be enough to reach all others; or the policy's permission would do nothing."""
    world = World(policy=Policy(device_to_device=allowed)).connected()
    other = world.new_host()
    other.connect()
    seen, before = Seen(world, None), [session.facts() for session in world.desk.sessions.values()]
    world.host.say(b"let me in", destination=other.device.inner4)
    world.run(10)
    assert len(world.delivered) == allowed
    assert seen.refusals() == ({} if allowed else {Reason.INNER_DESTINATION_FORBIDDEN: 1})
    assert [session.facts() for session in world.desk.sessions.values()] == before
