"""One bit of a message is flipped (T-06).

ATTACK
    Somebody on the path changes any one bit of any message, in both directions.

EXPECTED REFUSAL
    Silence at the gateway, no answer and no change at the client, whichever byte it is [F-4] [F-5] [H-20] [R-12] [D-2]. Answers are
    read on a copy, so that the genuine one still counts [H-9]. The one exception is mac2, which nothing but a demanded cookie gives a
    meaning [M-4].

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / TYPE_UNKNOWN
    TRAFFIC_REFUSED / VERSION_UNKNOWN
    TRAFFIC_REFUSED / RESERVED_NOT_ZERO
    TRAFFIC_REFUSED / MAC1_WRONG
    TRAFFIC_REFUSED / REATTACH_MAC_WRONG
    TRAFFIC_REFUSED / DATA_TAG_WRONG
    TRAFFIC_REFUSED / REPLY_BAD_PROOF
"""

from functools import partial

import pytest

from core.client.contact import ClientPolicy
from core.reasons import Carrier, Reason
from core.values import Connect
from core.wire.layout import INIT_MAC1, INIT_MAC2
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import captured, flipped, let_pass, own_path, untouched, withhold

SILENT = {Reason.LENGTH_WRONG, Reason.TYPE_UNKNOWN, Reason.UNEXPECTED_MESSAGE, Reason.VERSION_UNKNOWN, Reason.RESERVED_NOT_ZERO}


def waiting(kind: str) -> tuple[World, bytes]:
    """Return a world in which a frame of this kind was sent and did not arrive."""
    world = World(client_policy=ClientPolicy(carriers=(Carrier.UDP,)))
    if kind in {"INIT", "RESP"}:
        withhold(world, kind)
        world.host.dial(Carrier.UDP)
        world.host.does(lambda: world.client.command(Connect(), world.now))
    else:
        world.connected()
        withhold(world, kind)
        if kind in {"REATTACH", "REATTACH_RESP"}:
            world.host.move(v4(77))
        else:
            world.host.chat()
    world.run(15)
    return world, captured(world, kind, "gateway" if kind in {"RESP", "REATTACH_RESP", "ACK"} else "client")[-1]


@pytest.mark.parametrize(("kind", "proof"), [("REATTACH", Reason.REATTACH_MAC_WRONG), ("DATA", Reason.DATA_TAG_WRONG)])
def test_towards_the_gateway(kind: str, proof: Reason) -> None:
    """Somebody on the path could change what is said, or end a session with a damaged message."""
    world, frame = waiting(kind)
    with untouched(world) as seen:
        for place in range(len(frame)):
            world.inject(flipped(frame, place, place % 8), own_path(world.host))
        assert not seen.answers()
        refused = seen.refusals()
    assert sum(refused.values()) == len(frame)
    assert proof in refused
    assert set(refused) <= SILENT | {proof, Reason.LOCATOR_WRONG, Reason.INDEX_UNKNOWN, Reason.COUNTER_LIMIT}
    let_pass(world)
    world.inject(frame, own_path(world.host))
    world.run(100)
    assert world.session.active
    assert world.delivered if kind == "DATA" else world.session.active.attempt


def test_init() -> None:
    """A damaged INIT would cost a key agreement, or make a pending session that nobody can confirm."""
    world, frame = waiting("INIT")
    with untouched(world) as seen:
        for place in range(INIT_MAC2):
            world.inject(flipped(frame, place, place % 8), own_path(world.host))
        assert not seen.answers()
        refused = seen.refusals()
    assert sum(refused.values()) == INIT_MAC2
    assert refused[Reason.MAC1_WRONG] >= INIT_MAC1 - 4
    assert {Reason.VERSION_UNKNOWN, Reason.RESERVED_NOT_ZERO, Reason.TYPE_UNKNOWN} <= set(refused) <= SILENT | {Reason.MAC1_WRONG}
    world.inject(frame, own_path(world.host))
    with untouched(world) as seen:
        for place in range(INIT_MAC2, len(frame)):
            world.inject(flipped(frame, place), own_path(world.host))
        assert seen.refusals() == {Reason.INIT_REPEATED: len(frame) - INIT_MAC2}


@pytest.mark.parametrize("kind", ["RESP", "REATTACH_RESP"])
def test_towards_the_client(kind: str) -> None:
    """One damaged answer would end the attempt that the genuine one belongs to."""
    world, frame = waiting(kind)
    host, path = world.host, world.host.paths[Carrier.UDP]
    with untouched(world, host) as seen:
        for place in range(len(frame)):
            damaged = flipped(frame, place, place % 8)
            host.does(partial(host.client.receive, [damaged], path, world.now))
        assert not seen.answers()
        refused = seen.refusals()
    assert refused[Reason.REPLY_BAD_PROOF] >= len(frame) - 12
    assert set(refused) <= SILENT | {Reason.REPLY_BAD_PROOF}
    let_pass(world)
    host.does(lambda: host.client.receive([frame], path, world.now))
    world.run(100)
    assert world.session.active
