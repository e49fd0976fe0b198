"""Counters that jump, and counters at the limit (T-16).

ATTACK
    A stranger who saw an index sends DATA with huge counters; a device with keys skips almost all of them at once, and uses its keys to
    the last.

EXPECTED REFUSAL
    Without the keys nothing moves the window [W-2] [D-2]. With them a jump costs a comparison, however far it is [W-4]; at the limit
    the counter is refused before the AEAD [W-3], and nothing is sealed beyond it [D-1].

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / DATA_TAG_WRONG
    TRAFFIC_REFUSED / COUNTER_LIMIT
"""

import pytest

from core import limits
from core.errors import PeerFault
from core.reasons import Reason
from core.wire.inner import encode_ip
from core.wire.messages import data_header
from lab.sim.frames import packet
from lab.sim.world import INNER_GATEWAY, World
from tests.abuse.attack import own_path, untouched


def test_without_the_keys() -> None:
    """One forged packet with a far counter would make the gateway refuse all that the device sends from then on."""
    world = World().connected()
    epoch = world.session.active
    assert epoch
    with untouched(world) as seen:
        for counter in (epoch.top + 1, 2**32, 2**63, limits.COUNTER_LIMIT - 1, limits.COUNTER_LIMIT, 2**64 - 1):
            world.inject(data_header(epoch.index, counter) + world.entropy(48), own_path(world.host))
        assert not seen.answers()
        assert seen.refusals() == {Reason.DATA_TAG_WRONG: 4, Reason.COUNTER_LIMIT: 2}


def test_with_the_keys() -> None:
    """A device could make the gateway allocate memory for each packet that it skipped, or reuse nonces at the end."""
    world = World().connected()
    mine, theirs, before = world.client.committed, world.session.active, world.session.facts()
    assert mine
    assert theirs
    inner = encode_ip(packet(world.host.device.inner4, INNER_GATEWAY))
    for counter in (2**20, 2**40, limits.COUNTER_LIMIT - 1):
        mine.counter = counter
        for frame in mine.seal([inner])[0].frames:
            world.inject(frame, own_path(world.host))
        assert (theirs.top, theirs.bitmap) == (counter, 1)
    assert len(world.delivered) == 3
    with pytest.raises(PeerFault, match="KEY_EXPIRED"):
        mine.seal([inner])
    assert world.session.facts() == before
    mine.counter = 2**41  # the window is where it was left
    with untouched(world) as seen:
        world.inject(mine.seal([inner])[0].frames[0], own_path(world.host))
        assert seen.refusals() == {Reason.COUNTER_STALE: 1}
