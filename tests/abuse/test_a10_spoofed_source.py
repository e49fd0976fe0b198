"""An inner packet with somebody else's source address (T-10).

ATTACK
    A device that is allowed seals inner packets whose source is another device's, the gateway's or nobody's.

EXPECTED REFUSAL
    The packet is dropped; the session goes on [I-20]. Frames that are no packets are refused as such [I-2] [I-3].

EXPECTED EVIDENCE
    SESSION_REFUSED / INNER_SOURCE_SPOOFED
    SESSION_REFUSED / INNER_MALFORMED
"""

import pytest

from core.reasons import Event, Reason
from core.wire.layout import Kind
from lab.sim.frames import packet
from lab.sim.world import INNER_GATEWAY, World
from tests.abuse.attack import Seen, own_path

V6_HEAD = b"\x60\0\0\0\0\0\x3b\x40"


def sealed(world: World, inner: bytes) -> bytes:
    """Return DATA that carries these bytes, whatever the client's own checks would say."""
    epoch = world.client.committed
    assert epoch
    (run,) = epoch.seal([inner])
    return run.frames[0]


@pytest.mark.parametrize("source", [bytes((10, 77, 0, 3)), INNER_GATEWAY, bytes((8, 8, 8, 8)), bytes(4), b"\xff" * 4])
def test_ipv4(source: bytes) -> None:
    """A device would speak in another's name to everything behind the gateway."""
    world = World().connected()
    seen, before = Seen(world, None), world.session.facts()
    world.host.say(b"trust me", source=source)
    world.run(10)
    assert not world.delivered
    assert seen.refusals() == {Reason.INNER_SOURCE_SPOOFED: 1}
    assert world.session.facts() == before


def test_ipv6() -> None:
    """The same with the other version of IP."""
    world = World().connected()
    seen = Seen(world, None)
    own, other = world.host.device.inner6, bytes(15) + b"\x09"
    for source in (own, other):
        world.inject(sealed(world, frame_of(V6_HEAD + source + other)), own_path(world.host))
    assert world.delivered == [(world.session.handle, V6_HEAD + own + other)]
    assert seen.refusals(Event.SESSION_REFUSED) == {Reason.INNER_SOURCE_SPOOFED: 1}


@pytest.mark.parametrize(
    "inner",
    [
        bytes(16),
        b"\x0a\0\0" + bytes(13),
        b"\1\x14\0" + bytes(29),
        b"\1\x14\0" + packet(bytes((10, 77, 0, 2)), INNER_GATEWAY)[:20] + b"\1" + bytes(8),
        b"\1\x15\0" + packet(bytes((10, 77, 0, 2)), INNER_GATEWAY) + bytes(9),
    ],
    ids=["kind 0", "kind 10", "no packet", "padding", "longer than its packet"],
)
def test_what_is_no_packet(inner: bytes) -> None:
    """Bytes that nobody checked would reach the network behind the gateway."""
    world = World().connected()
    seen, before = Seen(world, None), world.session.facts()
    world.inject(sealed(world, inner), own_path(world.host))
    assert not world.delivered
    assert seen.refusals() == {Reason.INNER_MALFORMED: 1}
    assert world.session.facts() == before


def frame_of(inner: bytes) -> bytes:
    """Return an inner frame of kind IP around anything."""
    head = bytes((Kind.IP,)) + len(inner).to_bytes(2, "little")
    return (head + inner).ljust(-(-(3 + len(inner)) // 16) * 16, b"\0")
