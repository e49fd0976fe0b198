"""An epoch at rest, and one that was forgotten; what it seals and opens is tested where both ends are."""

import pytest

from core import limits
from core.crypto.secret import Secret
from core.errors import Invariant, PeerFault
from core.reasons import Reason
from core.values import Endpoint, Instant, Path
from core.wire.epoch import Epoch
from core.wire.layout import DATA_HEADER
from lab.sim.frames import opened, packet, v4
from lab.sim.world import INNER_GATEWAY, World

PATH = Path(1, 0, Endpoint(v4(1), 1), Endpoint(v4(2), 2))


def pair() -> tuple[Epoch, Epoch]:
    """Return the two ends of one epoch."""
    up, down = Secret(b"u" * 32), Secret(b"d" * 32)
    return Epoch(1, 2, (up, down), PATH, 0, Instant(0)), Epoch(2, 1, (down, up), PATH, 0, Instant(0))


def test_rest_changes_nothing_but_memory() -> None:
    """[D-1] An epoch that rested begins its counters anew, or does not open what was sealed before."""
    mine, theirs = pair()
    frames = [frame for inner in (b"one", b"two") for frame in mine.seal([inner])[0].frames]
    assert opened(theirs, frames[0], 0) == b"one"
    for each in (mine, theirs):
        each.rest()
        assert (each._send, each._receive) == (None, None)
    frames += mine.seal([b"three"])[0].frames
    assert [int.from_bytes(frame[8:DATA_HEADER], "little") for frame in frames] == [0, 1, 2]
    assert [opened(theirs, frame, counter) for counter, frame in enumerate(frames) if counter] == [b"two", b"three"]
    with pytest.raises(PeerFault, match="COUNTER_REPLAYED"):
        opened(theirs, frames[0], 0)
    assert (mine.counter, theirs.top) == (3, 2)


def test_what_was_forgotten_is_gone() -> None:
    """[D-9] A copy of the process seals under a counter that the original uses too."""
    mine, theirs = pair()
    (frame,) = mine.seal([b"one"])[0].frames
    for each in (mine, theirs):
        each.forget()
    with pytest.raises(Invariant, match="forgotten"):
        mine.seal([b"two"])
    with pytest.raises(Invariant, match="forgotten"):
        opened(theirs, frame, 0)


def test_an_idle_session_holds_no_ciphers() -> None:
    """Each idle session holds kilobytes of cipher contexts: ten thousand of them fill the gateway's memory."""
    world = World().connected()
    world.host.chat()
    world.run(2 * world.policy.health_ns // limits.MILLISECOND, step_ms=1_000)
    epoch = world.session.active
    assert epoch
    assert (epoch._send, epoch._receive) == (None, None)
    before = len(world.delivered), len(world.host.down)
    world.host.chat()
    world.run(50)
    world.gateway_does(lambda: world.gateway.send(world.session.handle, [packet(INNER_GATEWAY, world.host.device.inner4)], world.now))
    world.run(50)
    assert (len(world.delivered), len(world.host.down)) > before
    assert world.session.active is epoch
    heard = epoch.received
    world.run(limits.KEEPALIVE_NS // limits.MILLISECOND + 1_000)
    assert epoch.received > heard  # it was asked whether it is there, and its health was not sampled since
    assert (epoch._send, epoch._receive) == (None, None)


def test_a_key_is_used_up_exactly_at_its_limit() -> None:
    """[D-1] [W-3] A frame is sealed that every peer has to refuse, or the last good counters are given away."""
    mine, _ = pair()
    mine.counter = limits.COUNTER_LIMIT - 2
    assert len(mine.seal([b"one", b"two"])[0].frames) == 2
    with pytest.raises(PeerFault) as refused:
        mine.seal([b"three"])
    assert refused.value.reason is Reason.KEY_EXPIRED
    mine.counter = limits.COUNTER_LIMIT - 2
    with pytest.raises(PeerFault):
        mine.seal([b"one", b"two", b"three"])


def test_a_forged_frame_has_its_reason() -> None:
    """A refusal would be recorded without saying what was wrong."""
    mine, theirs = pair()
    (frame,) = mine.seal([b"one"])[0].frames
    with pytest.raises(PeerFault) as refused:
        opened(theirs, frame[:-1] + bytes((frame[-1] ^ 1,)), 0)
    assert refused.value.reason is Reason.DATA_TAG_WRONG


def test_traffic_is_counted_since_the_last_sample() -> None:
    """[G-23] Health records would show bytes twice, or those of one direction as the other's."""
    mine, theirs = pair()
    assert mine.traffic() == (0, 0, 0, 0)
    counter = 0
    for sent, expected in (([b"1", b"22"], (3, 2)), ([b"4444"], (4, 1)), ([b"333", b"1"], (4, 2))):
        for run in mine.seal(sent):
            for frame in run.frames:
                opened(theirs, frame, counter)
                counter += 1
        assert mine.traffic() == (0, expected[0], 0, expected[1])
        assert theirs.traffic() == (expected[0], 0, expected[1], 0)
        mine.sample()
        theirs.sample()
        assert mine.traffic() == theirs.traffic() == (0, 0, 0, 0)
