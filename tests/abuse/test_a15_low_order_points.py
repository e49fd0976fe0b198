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

from core.client.attempts import Attempt, Hand, Keys
from core.crypto.primitives import PrivateKey
from core.crypto.secret import Secret
from core.reasons import Cause, Event, Reason
from core.wire.layout import Change
from lab.sim.world import World
from tests.abuse.attack import own_path, untouched

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


def low(monkeypatch: pytest.MonkeyPatch, point: int) -> None:
    """Make handshakes whose ephemeral key is this point, and whose maker knows what every agreement with it gives."""

    class Low:
        public = point.to_bytes(32, "little")

        def __init__(self, _seed: bytes) -> None:
            """Take no secret: there is none."""

        def exchange(self, _public: bytes) -> Secret:
            return Secret(bytes(32))

    monkeypatch.setattr("core.crypto.noise.PrivateKey", Low)


@pytest.mark.parametrize("point", POINTS)
def test_in_init(point: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody could make a handshake whose keys they know, and would be told whether a device is on the list."""
    world = World().connected()
    with monkeypatch.context() as patch:
        low(patch, point)
        keys = Keys(PrivateKey(world.entropy(32)), world.static.public, world.kem)
        init = Hand(keys, world.entropy, world.host.paths[1], world.now).frame
    assert init[8:40] == point.to_bytes(32, "little")
    with untouched(world) as seen:
        world.inject(init, own_path(world.host))
        assert not seen.answers()
        assert seen.refusals() == {Reason.HANDSHAKE_BAD_PROOF: 1}


@pytest.mark.parametrize("point", POINTS)
def test_in_reattach(point: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device could make keys that are known to all, and have them accepted as its own."""
    world = World().connected()
    life = world.client.life
    assert life
    with monkeypatch.context() as patch:
        low(patch, point)
        path = world.host.paths[1]
        reattach = Attempt(world.client.keys, world.entropy, life, path, Change.MOVE, Cause.PATH_DEAD, 0, world.now).frame
    assert reattach[24:56] == point.to_bytes(32, "little")
    with untouched(world) as seen:
        world.inject(reattach, own_path(world.host))
        assert not seen.answers()
        assert seen.refusals(Event.SESSION_REFUSED) == {Reason.REATTACH_BAD_PROOF: 1}
