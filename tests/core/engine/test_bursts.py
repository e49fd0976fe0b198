"""A burst does what its DATA does one frame after the other: same deliveries, same refusals, same session, same answers."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.client.states import State as ClientState
from core.reasons import Carrier, CloseCode, Event, Reason
from core.session.states import State
from core.values import Settle
from core.wire.epoch import Epoch
from core.wire.inner import encode
from core.wire.layout import Kind
from core.wire.records import Close, Probe, pack
from lab.sim.device import arrive, confirm, here, inner_ip, knock, proven
from lab.sim.frames import packet, there
from lab.sim.world import INNER_GATEWAY, World

REFUSED: Final = {Event.SESSION_REFUSED, Event.TRAFFIC_REFUSED, Event.CLIENT_REFUSED}
INNER: Final[dict[str, Callable[[World], bytes]]] = {
    "packet": lambda world: inner_ip(world.host, b"up"),
    "spoofed": lambda world: inner_ip(world.host, b"up", source=bytes((10, 99, 0, 1))),
    "probe": lambda _: encode(Kind.PROBE, pack(Probe(1, 2))),
    "confirm": confirm,
    "close": lambda _: encode(Kind.CLOSE, pack(Close(CloseCode.GOING))),
    "malformed": lambda _: b"\x09" + bytes(15),
}
SPOILT: Final[dict[str, Callable[[bytes], bytes]]] = {
    "forged": lambda frame: frame[:-1] + bytes((frame[-1] ^ 1,)),
    "another index": lambda frame: frame[:4] + bytes(4) + frame[8:],
    "a reserved byte": lambda frame: frame[:1] + b"\1" + frame[2:],
    "cut": lambda frame: frame[:-16],
    "as it is": lambda frame: frame,
}
STEPS = st.tuples(st.sampled_from(("active", "candidate")), st.sampled_from(sorted(INNER)), st.sampled_from(("as it is", *sorted(SPOILT))))


def sealed(epoch: Epoch, inner: bytes) -> bytes:
    """Return one frame of an epoch."""
    ((frame,),) = [run.frames for run in epoch.seal([inner])]
    return frame


class Came(NamedTuple):
    """What came of some bursts."""

    delivered: list[tuple[int, bytes]]
    refused: Counter[Reason]
    sessions: Sequence[tuple[int, ...]]
    answers: list[str]
    rows: list[int]


def receives(world: World, bursts: Sequence[Sequence[bytes]]) -> Came:
    """Let a session that holds a candidate on its own path receive bursts; return everything that came of it."""
    path = there(here(world.host))
    for frames in bursts:
        world.gateway_does(partial(world.gateway.receive, frames, path, world.now))
    world.run(10)
    world.gateway_does(lambda: world.gateway.command(Settle(), world.now))
    refused = Counter[Reason]()
    for fact in world.facts:
        if fact.event in REFUSED:
            refused[fact.reason] += fact.times
    states = [(each.state, each.version, each.binding_version, each.heard_at) for each in world.desk.sessions.values()]
    answers = [sent.kind for sent in world.sent if sent.sender == "gateway"]
    return Came(world.delivered, refused, states, answers, sorted(world.store.rows))


def prepared(steps: Sequence[tuple[str, str, str]]) -> tuple[World, list[bytes]]:
    """Return a world with a candidate on the bound path, and the frames of the steps; each frame is there twice where it is spoilt."""
    world = World().connected()
    active = world.client.committed
    assert active
    epochs = {"active": active, "candidate": proven(world, here(world.host))}
    frames = []
    for name, inner, spoilt in steps:
        frame = sealed(epochs[name], INNER[inner](world))
        frames += [frame] if spoilt == "as it is" else [SPOILT[spoilt](frame), frame]
    return world, frames


@given(st.lists(STEPS, max_size=8))
def test_a_burst_is_its_frames_one_by_one(steps: list[tuple[str, str, str]]) -> None:
    """[D-2] Who can choose what arrives together decides what is delivered, refused or answered."""
    steps = sorted(steps, key=lambda step: step[0])  # a burst is taken index by index
    one, frames = prepared(steps)
    other, again = prepared(steps)
    assert frames == again
    together, apart = receives(one, [frames]), receives(other, [[frame] for frame in frames])
    if State.ATTACHED not in {state for state, *_ in apart.sessions}:  # what comes after the end is refused, for whichever fault it has
        assert together.refused.total() == apart.refused.total()
        together = together._replace(refused=apart.refused)
    assert together == apart


def test_nothing_of_a_burst_comes_after_the_end() -> None:
    """A packet behind the CLOSE of its burst is delivered for a session that is over."""
    world, frames = prepared([("active", "packet", "as it is"), ("active", "close", "as it is"), ("active", "packet", "as it is")])
    came = receives(world, [frames])
    assert [inner for _, inner in came.delivered] == [packet(world.host.device.inner4, INNER_GATEWAY, b"up")]
    assert came.refused == {Reason.INDEX_UNKNOWN: 1}


def test_data_goes_before_what_else_came_with_it() -> None:
    """A burst that begins with garbage keeps the packets behind it from the session."""
    world, (frame,) = prepared([("active", "packet", "as it is")])
    garbage = [bytes((5, 1, 0, 0)) + bytes(100), b"", b"\x04", bytes(48)]
    came = receives(world, [[garbage[0], garbage[1], frame, *garbage[2:]]])
    assert len(came.delivered) == 1
    assert came.refused == {Reason.LOCATOR_WRONG: 1, Reason.TYPE_UNKNOWN: 2, Reason.LENGTH_WRONG: 1}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda frame: b"\7" + frame[1:], Reason.TYPE_UNKNOWN),
        (lambda frame: frame[:1] + b"\2" + frame[2:], Reason.VERSION_UNKNOWN),
        (lambda frame: frame[:3] + b"\1" + frame[4:], Reason.RESERVED_NOT_ZERO),
        (lambda frame: frame + bytes(8), Reason.LENGTH_WRONG),
    ],
)
def test_what_only_resembles_an_attempt_is_none(spoil: Callable[[bytes], bytes], reason: Reason) -> None:
    """F-4, F-5: a frame of another version, or of another length, would be judged as an attempt, up to keys and the store."""
    world = World().connected()
    attempt = knock(world.host, here(world.host, 777))
    world.start_gateway()
    assert arrive(world, spoil(attempt.frame), attempt.path) == []
    assert world.reasons(Event.TRAFFIC_REFUSED) == [reason]
    assert not world.desk.tickets


def test_a_client_delivers_nothing_that_comes_after_the_end() -> None:
    """A packet behind the CLOSE of its burst reaches the TUN of a client that is closed, or one behind a forged frame does not."""
    world = World().connected()
    epoch = world.session.active
    assert epoch
    down = packet(INNER_GATEWAY, world.host.device.inner4, b"down")
    forged, first, close, last = (
        sealed(epoch, inner) for inner in [encode(Kind.IP, down)] * 2 + [INNER["close"](world), encode(Kind.IP, down)]
    )
    world.host.does(lambda: world.client.receive([SPOILT["forged"](forged), first, close, last], world.host.paths[Carrier.UDP], world.now))
    assert world.host.down == [down]
    assert world.client.state is ClientState.CLOSED
    assert [fact.reason for fact in world.host.facts if fact.event in REFUSED] == [Reason.DATA_TAG_WRONG, Reason.INDEX_UNKNOWN]
