"""Public values that make a shared secret known to all (T-15).

ATTACK
    A stranger sends an INIT, and a device with a live session a REATTACH, whose ephemeral key is a point of low order, so that the
    result of the key agreement is all zeros whatever the gateway's key is.

EXPECTED REFUSAL
    The result is checked [H-6]; the message is refused like any other that proves nothing, and burns no attempt.

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / HANDSHAKE_BAD_PROOF
    SESSION_REFUSED / REATTACH_BAD_PROOF
"""

import pytest

from core.crypto.chain import attempt_keys
from core.reasons import Event, Reason
from core.wire.layout import INIT_MAC1
from core.wire.macs import k1, mac
from core.wire.messages import init_header, reattach_header
from tests.abuse.attack import own_path, untouched
from tests.core.world import World

P = 2**255 - 19
POINTS = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P - 1,
    P,
    P + 1,
]


@pytest.mark.parametrize("point", POINTS)
def test_in_init(point: int) -> None:
    """Anybody could make a handshake whose keys they know, in the name of any gateway."""
    world = World().connected()
    head = init_header(9) + point.to_bytes(32, "little") + world.entropy(INIT_MAC1 - 40)
    with untouched(world) as seen:
        world.inject(head + mac(k1(world.static.public), head) + bytes(16), own_path(world.host))
        assert not seen.answers()
        assert seen.refusals() == {Reason.HANDSHAKE_BAD_PROOF: 1}


@pytest.mark.parametrize("point", POINTS)
def test_in_reattach(point: int) -> None:
    """A device could make keys that are known to all, and have them accepted as its own."""
    world = World().connected()
    life = world.client.life
    assert life
    head = reattach_header(9, life.locators[1]) + point.to_bytes(32, "little") + world.entropy(32)
    with untouched(world) as seen:
        world.inject(head + mac(attempt_keys(life.chain).mac, head), own_path(world.host))
        assert not seen.answers()
        assert seen.refusals(Event.SESSION_REFUSED) == {Reason.REATTACH_BAD_PROOF: 1}
