"""The schedules: each one fault, by name. What the list of C.3 has, and this machine can do; `SCHEDULES` has them all."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from lab.endure import mounts
from lab.endure.records import HOUR_NS
from lab.endure.world import Between, World

Steps = Iterator[float]
NEAR: Final = 0.02  # seconds, within which a process that was just given work is killed
MET_S: Final = 20.0  # how long a fault waits for a request to meet it


@dataclass(frozen=True, slots=True)
class Schedule:
    """`story`: what happens. `steps` does it, and yields how long it wants to wait. `mounted`: it needs a small disk."""

    name: str
    story: str
    steps: Callable[[Any], Steps]
    mounted: bool = False


SCHEDULES: Final[dict[str, Schedule]] = {}
ON_THE_WAY: Final = {
    "reset": "Connections are reset before the node hears anything.",
    "hang": "Requests are taken and nothing is said, until the shipper's patience is over.",
    "answer_lost": "The node stores the events, and its answer is lost: nobody knows.",
    "half_answer": "The node stores the events, and the answer ends in its middle.",
    "slow_answer": "The answer comes a byte at a time.",
    "garbage": "The node stores the events, and what comes back is no answer: HTML, half a JSON, the items of nothing.",
    "too_many": "429 for the whole request: the node is overloaded.",
    "too_many_items": "429 for half of the items of each request, the others are stored.",
    "unavailable": "503 with an error in JSON: the cluster has no manager.",
    "too_large": "413 for what is larger than 60 kB, with an empty body.",
    "refused_in_company": "400 for an event as long as it comes with others.",
}


W = TypeVar("W", bound=Between)


def schedule(*, mounted: bool = False) -> Callable[[Callable[[W], Steps]], Callable[[W], Steps]]:
    """Note a function as the schedule of its name; its docstring is the story."""

    def note(steps: Callable[[W], Steps]) -> Callable[[W], Steps]:
        SCHEDULES[steps.__name__] = Schedule(steps.__name__, (steps.__doc__ or "").strip(), steps, mounted)
        return steps

    return note


def on_the_way(fault: str) -> Callable[[Between], Steps]:
    """Return what switches a fault of the proxy on for a while."""

    def steps(world: Between) -> Steps:
        before, end = world.proxy.met[fault], time.monotonic() + MET_S
        world.proxy.fault = fault
        while world.proxy.met[fault] == before and time.monotonic() < end:
            yield NEAR
        yield from world.during(world.seconds)
        world.proxy.fault = ""

    return steps


SCHEDULES.update({name: Schedule(name, story, on_the_way(name)) for name, story in ON_THE_WAY.items()})


def kill(world: World, whom: str) -> Steps:
    """Kill -9 writer or shipper at a random moment soon after it was given work."""
    process = world.feed if whom == "writer" else world.shipping
    while True:
        if whom == "shipper" or world.feed.ready:
            world.feed.feed(world.burst)
        yield from world.during(NEAR if whom == "writer" else NEAR * 10)
        if process.kill(whom):
            return


@schedule()
def refused(world: Between) -> Steps:
    """Nobody listens where the node was."""
    world.proxy.refuse(on=True)
    yield from world.during(world.seconds)
    world.proxy.refuse(on=False)


@schedule()
def answer_lost_and_rolled_over(world: World) -> Steps:
    """The answer is lost, and the stream rolls over before the shipper sends again: ids of the old index protect no more."""
    world.proxy.fault = "answer_lost"
    before = world.proxy.met["answer_lost"]
    while world.proxy.met["answer_lost"] == before:
        world.feed.feed(world.burst)
        yield from world.during(NEAR)
    yield from world.elsewhere(world.roll_over)
    world.proxy.fault = ""


@schedule()
def rolled_over(world: World) -> Steps:
    """The stream rolls over in the middle of it all."""
    yield from world.elsewhere(world.roll_over)


@schedule()
def read_only(world: Between) -> Steps:
    """The node's disk is over its flood stage: each index refuses writes, with 429 and a block that is none of overload."""
    yield from world.elsewhere(lambda: world.block("read_only_allow_delete", on=True))
    yield from world.during(world.seconds)
    yield from world.elsewhere(lambda: world.block("read_only_allow_delete", on=False))


@schedule()
def node_killed(world: Between) -> Steps:
    """Kill -9 of the node; it is started again on what its disk has."""
    world.node.kill()
    world.killed_nodes += 1
    yield from world.elsewhere(world.node.start)


@schedule()
def node_stopped(world: Between) -> Steps:
    """SIGSTOP of the node: it hangs; what it was sent is done after SIGCONT."""
    world.node.pause()
    yield from world.during(world.seconds)
    world.node.resume()


@schedule()
def shipper_stopped(world: World) -> Steps:
    """SIGSTOP of the shipper, and SIGCONT."""
    world.shipping.signal(signal.SIGSTOP)
    yield from world.during(world.seconds)
    world.shipping.signal(signal.SIGCONT)


@schedule()
def writer_stopped(world: World) -> Steps:
    """SIGSTOP of the writer while records keep coming: the pipe runs over, and each loss is counted."""
    world.feed.signal(signal.SIGSTOP)
    world.feed.pressing = True
    for _ in range(10):
        world.feed.feed(2 * world.burst)
        yield from world.during(world.seconds / 10)
    world.feed.pressing = False
    world.feed.signal(signal.SIGCONT)


def bad_disk(world: World, mode: str, seconds: float) -> Steps:
    """Replace the writer by one on a bad disk, for a while or until that killed it."""
    yield from kill(world, "writer")
    world.feed.disk = (mode, world.dice.randrange(1 << 30))
    for _ in range(20):
        world.feed.feed(world.burst // 4)
        yield from world.during(seconds / 20)
    if world.feed.disk:
        world.feed.disk = None  # first: a writer that cannot even open the log on that disk is never there to be killed
        yield from kill(world, "writer")


@schedule()
def disk_slow(world: World) -> Steps:
    """Each fdatasync of the log takes a second longer."""
    yield from bad_disk(world, "slow", 2 * world.seconds)


@schedule()
def disk_broken(world: World) -> Steps:
    """Every third fdatasync of the log fails with EIO."""
    yield from bad_disk(world, "broken", world.seconds)


@schedule()
def torn(world: World) -> Steps:
    """Kill -9 of the writer in the middle of a write: the log ends with half a line."""
    yield from bad_disk(world, "torn", 2 * world.seconds)


@schedule()
def power_lost(world: World) -> Steps:
    """Power is lost in a sync: of the bytes that were not durable only some are there. The shipper dies with the writer."""
    while not world.shipping.kill("shipper, power"):
        yield NEAR
    world.shipping.held = True  # what it would read meanwhile, no power can give back
    yield from bad_disk(world, "power", 2 * world.seconds)
    world.shipping.held = False


@schedule()
def clock_stepped(world: World) -> Steps:
    """The clock is an hour late, then an hour early."""
    for off in (-HOUR_NS, HOUR_NS):
        world.stream.clock_ns = off
        yield from world.during(world.seconds / 2)
    world.stream.clock_ns = 0


@schedule()
def epoch_ended_in_an_outage(world: World) -> Steps:
    """The log's keys change each second while nobody takes the events."""
    world.feed.options = ["--epoch-seconds", "1"]
    yield from kill(world, "writer")
    yield from refused(world)
    world.feed.options = []
    yield from kill(world, "writer")


@schedule()
def other_limits(world: World) -> Steps:
    """Writer and shipper are started again with small limits, then with large ones, then as before."""
    for segment, batch in (("50000", 20), ("100000000", 5_000), ("", 1_000)):
        world.feed.options, world.shipping.batch = (["--segment-bytes", segment] if segment else []), batch
        yield from kill(world, "writer")
        yield from kill(world, "shipper")
        yield from world.during(world.seconds / 3)


@schedule(mounted=True)
def state_disk_full(world: World) -> Steps:
    """The disk of the shipper's state is full: no cursor can be saved; and it is killed meanwhile."""
    mounts.fill(world.state)
    yield from world.during(world.seconds)
    yield from kill(world, "shipper")
    yield from world.during(world.seconds)
    mounts.free(world.state)


@schedule(mounted=True)
def log_disk_full(world: World) -> Steps:
    """The log's disk is full: what the writer put aside takes evidence, telemetry is counted."""
    yield from full(world, again=False)


@schedule(mounted=True)
def log_disk_gone(world: World) -> Steps:
    """The log's disk is full, and what was put aside is gone too: nothing can be written, evidence waits; a writer is killed meanwhile."""
    yield from full(world, again=True)


def full(world: World, *, again: bool) -> Steps:
    """Fill the log's disk, once or again and again, while records keep coming; make room."""
    if world.small is None:
        return
    world.feed.pressing = True
    for step in range(10):
        if again or not step:
            mounts.fill(world.small)
        world.feed.feed(world.burst // 2)
        yield from world.during(world.seconds / 10)
    if again and world.feed.kill("writer"):  # the next one cannot even open the log
        yield from world.during(world.seconds)
    world.feed.pressing = False
    mounts.free(world.small)
    yield from world.during(world.seconds / 2)


FOR_ANY: Final[dict[str, Callable[[Between], Steps]]] = {
    **{name: on_the_way(name) for name in ON_THE_WAY},
    "refused": refused,
    "read_only": read_only,
    "node_killed": node_killed,
    "node_stopped": node_stopped,
}
"""What any sender can meet."""
