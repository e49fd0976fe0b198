"""The process is copied while it serves (T-28).

ATTACK
    Something in the process forks: a library, a debugger, a later change. Parent and child hold the same keys at the same counters; both
    go on, and seal different packets under one key and one nonce.

EXPECTED REFUSAL
    The child has forgotten the keys before it runs a line [D-9]: it neither seals nor opens. The parent's next counter is used once [D-1].

EXPECTED EVIDENCE
    none: the copy raises before it sends, and writes nothing.
"""

import os
from collections.abc import Callable
from functools import partial

import pytest

from core.errors import Invariant
from core.wire.inner import encode_ip
from jvpn.shell import forks
from lab.sim.frames import packet, v4
from lab.sim.world import INNER_GATEWAY, World

KEPT, LEFT, OTHERWISE = 10, 11, 12


def in_a_copy(act: Callable[[], object]) -> int:
    """Fork; in the child do something and leave. Return KEPT where it could, LEFT where the core refused."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = OTHERWISE
    try:
        act()
        code = KEPT
    except Invariant:
        code = LEFT
    finally:
        os._exit(code)


def guarded() -> World:
    """Return a session between two engines as the shell keeps them, with an attempt that is not confirmed yet."""
    world = World().connected()
    world.host.chat()
    forks.guard(world.gateway)
    forks.guard(world.client)
    return world


def sealing(world: World) -> dict[str, Callable[[], object]]:
    """Return everything that seals under the session's keys."""
    inner, session = packet(INNER_GATEWAY, world.host.device.inner4), world.session
    mine, theirs = world.client.committed, session.active
    assert mine
    assert theirs
    return {
        "the gateway sends": lambda: world.gateway.send(session.handle, [inner], world.now),
        "the client sends": lambda: world.client.send(0, [packet(world.host.device.inner4, INNER_GATEWAY)], world.now),
        "the gateway's epoch": lambda: theirs.seal([encode_ip(inner)]),
        "the client's epoch": lambda: mine.seal([encode_ip(inner)]),
    }


@pytest.mark.parametrize("way", ["the gateway sends", "the client sends", "the gateway's epoch", "the client's epoch"])
def test_the_copy_seals_nothing(way: str) -> None:
    """Two packets under one key and one nonce: their difference is that of the texts, and the key of the tags is known."""
    world = guarded()
    assert in_a_copy(sealing(world)[way]) == LEFT
    before = len(world.delivered), len(world.host.down)
    world.host.chat()
    world.run(50)
    assert (len(world.delivered), len(world.host.down)) > before
    sealing(world)[way]()


def test_the_copy_has_no_way_back() -> None:
    """A candidate that is not bound yet, or the epoch that drains, would still seal in the copy."""
    world = guarded()
    world.host.move(v4(77))
    world.run(200, world.host.chat)
    epochs = [epoch for _, epoch in world.desk.indices.values()] + world.client.epochs()
    assert len(epochs) > 2
    assert {in_a_copy(partial(epoch.seal, [b"\1"])) for epoch in epochs} == {LEFT}


def test_without_the_guard() -> None:
    """The cases above would prove nothing."""
    world = World().connected()
    assert {in_a_copy(act) for act in sealing(world).values()} == {KEPT}
