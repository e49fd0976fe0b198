"""Forged answers to the client (T-25).

ATTACK
    Somebody on the path sends the client COOKIEs, RESPs, REATTACH_RESPs, CLOSEs and hints of their own, and old genuine ones.

EXPECTED REFUSAL
    What does not prove the gateway changes nothing and is not answered [H-9] [D-2]. A COOKIE proves only that its sender saw the INIT;
    it costs a fresh INIT, at most three times a handshake [H-25], and nothing else.

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / REPLY_BAD_PROOF
    TRAFFIC_REFUSED / UNEXPECTED_MESSAGE
    TRAFFIC_REFUSED / DATA_TAG_WRONG
    TRAFFIC_REFUSED / COUNTER_REPLAYED
"""

import pytest

from core import limits
from core.client.contact import ClientPolicy
from core.reasons import Carrier, Reason
from core.values import Connect
from core.wire.layout import SIZES, Type
from core.wire.macs import cookie_proof, k1
from core.wire.messages import data_header, encode
from core.wire.records import Cookie
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import captured, let_pass, untouched, withhold


def test_to_a_client_that_is_attached() -> None:
    """One forged datagram would close or move anybody's session."""
    world = World().connected()
    world.host.chat()
    world.run(20)
    host, path, epoch = world.host, world.host.paths[1], world.client.committed
    assert epoch
    forged = [bytes((kind, 1, 0, 0)) + world.entropy(SIZES[kind] - 4) for kind in (Type.RESP, Type.COOKIE, Type.REATTACH_RESP)]
    forged += [data_header(epoch.index, epoch.top + 1) + world.entropy(32)]
    old = captured(world, "DATA", "gateway") + captured(world, "ACK", "gateway")
    with untouched(world, host) as seen:
        host.does(lambda: host.client.receive([*forged, *old], path, world.now))
        assert not seen.answers()
        assert seen.refusals() == {Reason.UNEXPECTED_MESSAGE: 3, Reason.DATA_TAG_WRONG: 1, Reason.COUNTER_REPLAYED: len(old)}


def test_to_a_client_that_waits() -> None:
    """The first to answer would decide whether a device connects or moves."""
    world = World().connected()
    withhold(world, "REATTACH")
    world.host.move(v4(77))
    world.run(10)
    host, reattach = world.host, captured(world, "REATTACH")[-1]
    answer = bytes((Type.REATTACH_RESP, 1, 0, 0)) + bytes(4) + reattach[4:8] + world.entropy(72)
    with untouched(world, host) as seen:
        host.does(lambda: host.client.receive([answer] * 10, host.paths[1], world.now))
        assert not seen.answers()
        assert seen.refusals() == {Reason.REPLY_BAD_PROOF: 10}
    let_pass(world)
    world.run(1_000)
    assert world.attached()


@pytest.mark.parametrize("answered", [True, False])
def test_cookies_without_end(answered: bool) -> None:
    """A client could be kept busy with fresh handshakes, and never connect."""
    world = World(client_policy=ClientPolicy(carriers=(Carrier.UDP,)))
    host = world.host

    def demand(sender: str, kind: str, frame: bytes) -> tuple[int, ...]:
        if (sender, kind) == ("client", "INIT"):
            cookie, mac1 = world.entropy(16), frame[1_320:1_336]
            forged = encode(Cookie(int.from_bytes(frame[4:8], "little"), cookie, cookie_proof(k1(world.static.public), mac1, cookie)))
            world.later(lambda: host.does(lambda: host.client.receive([forged], host.paths[1], world.now)))
        return (5 * limits.MILLISECOND,) if answered or kind != "RESP" else ()

    world.network = demand
    host.dial(1)
    host.does(lambda: host.client.command(Connect(), world.now))
    world.run(20_000)
    inits = len(captured(world, "INIT"))
    if answered:
        assert world.attached()
        assert inits == 2
    else:
        assert inits == limits.HANDSHAKE_TRIES + limits.COOKIES_PER_HANDSHAKE
