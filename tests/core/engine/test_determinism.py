"""Same inputs, clock readings, entropy and encapsulations give the same bytes: else no run could be repeated, and no fault found again."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from random import Random

from core.client.attempts import Hand
from core.reasons import Carrier
from core.values import CloseSession, PathEvent
from lab.sim.device import arrive, here
from lab.sim.frames import there, v4
from lab.sim.world import MS, World
from tests.support import ROOT

RUN = "from tests.core.engine.test_determinism import eventful, told; print(told(eventful('one')))"


def eventful(seed: str) -> World:
    """Return a world after a dozen seconds in which much happens to three devices."""
    world = World(seed).connected()
    others = [world.new_host(), world.new_host(like=world.host)]
    for host in others:
        host.connect(30)
    dice = Random(seed)

    def network(_who: str, _kind: str, _frame: bytes) -> Sequence[int]:
        return [dice.randrange(20 * MS) for _ in range(dice.choice((0, 1, 1, 1, 1, 1, 1, 2)))]

    def live() -> None:
        for host in world.hosts:
            host.chat()
        if dice.randrange(60) == 0:
            world.host.move(v4(dice.randrange(90, 120)))
        if dice.randrange(60) == 0:
            world.cut ^= {Carrier.UDP}

    world.network = network
    world.run(5_000, live, step_ms=40)
    crowded(world)
    world.start_gateway()
    world.run(5_000, live, step_ms=40)
    for handle in list(world.desk.sessions):
        world.gateway_does(partial(world.gateway.command, CloseSession(handle), world.now))
    world.run(1_000)
    return world


def crowded(world: World) -> None:
    """Let sessions of several devices share one stream, which then closes."""
    path = here(world.host, 900, Carrier.TCP, 900)
    for host in (*world.hosts, *(world.new_host() for _ in range(5))):
        arrive(world, Hand(host.client.keys, world.entropy, path, world.now).frame, path)
    world.gateway_does(lambda: world.gateway.path_event(there(path), PathEvent.CLOSED, world.now))


def told(world: World) -> str:
    """Return a digest of every frame, record, delivery and row of a world."""
    everything = (world.sent, world.facts, world.store.outbox, world.delivered, sorted(world.store.rows.items()))
    return sha256(repr((everything, [(host.facts, host.down) for host in world.hosts])).encode()).hexdigest()


def test_a_run_can_be_repeated() -> None:
    """A fault that one run shows could not be looked at in a second one."""
    first = eventful("one")
    assert len(first.sent) > 1_000
    assert told(first) == told(eventful("one"))
    assert told(first) != told(eventful("two"))


def test_another_process_gives_the_same_bytes() -> None:
    """What a process says would depend on addresses in its memory, or on its hash seed."""
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", RUN], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        digests.add(done.stdout)
    assert digests == {told(eventful("one")) + "\n"}
