"""A flood of garbage (T-07).

ATTACK
    A stranger sends bytes that mean nothing, of all lengths, with right and wrong first bytes, from thousands of addresses.

EXPECTED REFUSAL
    Silence to everything. What it costs in records is one for each reason in ten seconds, whatever comes [D-20]; memory does not grow,
    and the sessions of others go on.

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / LENGTH_WRONG
    TRAFFIC_REFUSED / TYPE_UNKNOWN
    TRAFFIC_REFUSED / VERSION_UNKNOWN
    TRAFFIC_REFUSED / RESERVED_NOT_ZERO
    TRAFFIC_REFUSED / MAC1_WRONG
    TRAFFIC_REFUSED / LOCATOR_WRONG
    TRAFFIC_REFUSED / INDEX_UNKNOWN
    TRAFFIC_REFUSED / UNEXPECTED_MESSAGE
"""

import random

from core.reasons import Reason
from core.values import Endpoint
from core.wire.layout import SIZES
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import from_elsewhere, own_path, untouched

FRAMES = 4_000


def garbage(dice: random.Random) -> bytes:
    """Return a frame that begins more or less like one of ours."""
    kind = dice.choice((*SIZES, 4, dice.randrange(256)))
    body = dice.randbytes(dice.choice((SIZES.get(kind, 48), 48, dice.randrange(1, 1_500))) - 1)
    frame = bytes((kind,)) + body
    return frame if dice.random() < 0.2 else frame[:1] + (b"\0\0\0" if kind == 4 else b"\1\0\0") + frame[4:]


def test_it_is_counted_and_nothing_else() -> None:
    """A stranger could fill log and memory, use the gateway against others, or cut people off."""
    world, dice = World().connected(), random.Random("a07")
    with untouched(world) as seen:
        records = len(world.facts)
        for number in range(FRAMES):
            source = Endpoint(v4(dice.randrange(256), number % 256), dice.randrange(1, 65_536))
            world.inject(garbage(dice), from_elsewhere(own_path(world.host), source))
        world.inject(b"", from_elsewhere(own_path(world.host)))
        assert not seen.answers()
        refused = seen.refusals()
        assert sum(refused.values()) == FRAMES + 1
        assert len(world.facts) - records <= 2 * len(refused)
    assert refused.keys() == {
        Reason.LENGTH_WRONG,
        Reason.TYPE_UNKNOWN,
        Reason.VERSION_UNKNOWN,
        Reason.RESERVED_NOT_ZERO,
        Reason.MAC1_WRONG,
        Reason.LOCATOR_WRONG,
        Reason.INDEX_UNKNOWN,
        Reason.UNEXPECTED_MESSAGE,
    }
    world.host.say(b"as if nothing had been")
    world.run(10)
    assert len(world.delivered) == 1
