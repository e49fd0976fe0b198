"""Run a leg: feed, kill and break by a plan that follows from the seed, until the log has its events and the cluster has them all."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

from lab.endure.feed import Broken
from lab.endure.schedules import SCHEDULES, kill
from lab.endure.world import World

AHEAD: Final = 12_000  # events that the log may be ahead of the shipper, so that all of them work at the same time
PART: Final = 300  # records a turn
UNSEEN: Final = 8_000  # records that may be fed before the log is seen to have grown: head.json follows it within a second
SLEEP_S: Final = 0.002
LOOK_S: Final = 0.05
TELL_S: Final = 5.0
STUCK_S: Final = 240.0  # without any progress
BEGIN, END = 0.02, 0.97  # of the events, between which all is done
KILLS: Final = ("writer", "shipper")


class Due(NamedTuple):
    """What happens when so many events are behind the shipper; a schedule, or who is killed."""

    at: int
    name: str


@dataclass(slots=True)
class Lane:
    """Things of which one happens at a time."""

    plan: list[Due]
    running: Iterator[float] | None = None
    name: str = ""
    wake: float = 0.0
    done: Counter[str] = field(default_factory=Counter)

    @property
    def over(self) -> bool:
        """Whether all of it has happened."""
        return not self.plan and self.running is None

    def turn(self, world: World, settled: int) -> None:
        """Begin what is due, go on with what runs."""
        now = time.monotonic()
        if self.running is None and self.plan and settled >= self.plan[0].at:
            self.name = self.plan.pop(0).name
            self.running = kill(world, self.name) if self.name in KILLS else SCHEDULES[self.name].steps(world)
            self.wake = now
        if self.running is None or now < self.wake:
            return
        wait = next(self.running, None)
        if wait is None:
            self.running = None
            self.done[self.name] += 1
        else:
            self.wake = now + wait


def planned(names: Sequence[str], events: int, dice: Random) -> list[Due]:
    """Return these in a random order, at random places in the course of the events."""
    shuffled = list(names)
    dice.shuffle(shuffled)
    places = sorted(dice.randrange(int(events * BEGIN), max(int(events * END), 2)) for _ in shuffled)
    return [Due(at, name) for at, name in zip(places, shuffled, strict=True)]


def run(world: World, kills: Lane, faults: Lane, tell: Callable[[str], object]) -> float:
    """Run to the end; return the seconds it took. Raises Broken when nothing goes on any more, and what a schedule raises."""
    began = moved = told = looked = time.monotonic()
    events = settled = best = seen = 0
    unseen = max(PART, min(UNSEEN, world.events // 4))
    while not (events >= world.events and kills.over and faults.over):
        world.turn()
        now = time.monotonic()
        if now - looked >= LOOK_S:
            grown, looked, settled = world.feed.events(), now, world.shipping.settled()
            events, seen = grown, (world.stream.made if grown != events else seen)
        if events + settled > best or faults.running is not None:
            best, moved = max(best, events + settled), now
        if now - moved > STUCK_S:
            raise Broken(f"nothing goes on: {events} events, {settled} settled; {world.shipping.status()}")
        if events < world.events and events - settled < AHEAD and world.stream.made - seen < unseen:
            world.feed.feed(PART)
        for lane in (kills, faults):
            lane.turn(world, settled if events < world.events else world.events)
        if now - told >= TELL_S:
            told = now
            doing = faults.name if faults.running is not None else ""
            tell(f"{events:,} events, {settled:,} shipped, {sum(world.killed().values())} killed, {now - began:.0f} s {doing}")
        time.sleep(SLEEP_S)
    world.feed.close()
    drain(world, tell)
    return time.monotonic() - began


def drain(world: World, tell: Callable[[str], object]) -> None:
    """Wait until everything is settled, then end the shipper. Raises Broken."""
    best, moved, told = -1, time.monotonic(), time.monotonic()
    events = world.feed.events()  # by the log: a status may be of before its last events
    while True:
        world.shipping.turn()
        status, now = world.shipping.status(), time.monotonic()
        if int(status["settled_up_to"]) >= events and not status["unsettled_bytes"] and not status["pending"]:
            break
        if int(status["settled_up_to"]) > best:
            best, moved = int(status["settled_up_to"]), now
        if now - moved > STUCK_S:
            raise Broken(f"the shipper does not go on: {status}")
        if now - told > TELL_S:
            told = now
            tell(f"the log is closed; {best:,} shipped")
        time.sleep(LOOK_S)
    if ended := world.shipping.close():
        raise Broken(f"the shipper ended with {ended}")
