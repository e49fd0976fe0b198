"""The search: breadth first, so that the first counter-example is a shortest one; and honest runs, to see that worlds can recover."""

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from core.client.states import Input as ClientInput
from core.client.states import State as ClientState
from core.session.states import Input, State
from lab.coupled import claims
from lab.coupled import device as of_device
from lab.coupled import process as of_process
from lab.coupled.words import Frame
from lab.coupled.world import SPENT, Action, Bounds, Stage, Step, Tables, World
from lab.searching import Found

HONEST_STEPS: Final = 400

TURNS: Final = (
    "reload", "late", "silent", "repeat", str(ClientInput.PATH_SILENT), "again", str(ClientInput.CONFIRM_OVER), "fresh", "chance",
    "handshake",
)  # fmt: skip


class Report(NamedTuple):
    """What a search has seen. `complete`: everything within the bounds. `took`: how often each cell of each table was followed."""

    bounds: Bounds
    worlds: int
    edges: int
    depth: int
    parts: int
    recovered: int
    seconds: float
    complete: bool
    found: Found[Action] | None
    took: Counter[tuple[str, str, str]]


class Search:
    """One search within bounds. `only`: names of the claims that are judged, all if empty; `recover`: whether honest runs are made."""

    def __init__(self, bounds: Bounds, tables: Tables | None = None, only: frozenset[str] = frozenset(), *, recover: bool = True) -> None:
        """Build the first world."""
        self.stage, self.only, self.recover = Stage(bounds, tables), only, recover
        self.judged = {name: self._chosen(getattr(claims, name)) for name in dir(claims) if name.startswith("OF_")}
        self._holds: dict[tuple[Any, ...], str] = {}
        self._worlds: dict[World, tuple[World, Action] | None] = {self.stage.forgetful(self.stage.start): None}
        self._good: set[tuple[int, ...]] = set()
        self.took = Counter[tuple[str, str, str]]()

    def _chosen(self, every: tuple[claims.Claim, ...]) -> tuple[claims.Claim, ...]:
        return tuple(each for each in every if not self.only or each.__name__ in self.only)

    def run(self) -> Report:
        """Search until a claim breaks, nothing is new, or the bound of worlds is reached."""
        began, bounds, edges, depth = time.monotonic(), self.stage.bounds, 0, 0
        start = next(iter(self._worlds))
        waiting, found = deque([(start, 0)]), self._found(self.judge_world(start), start)
        while waiting and not found and len(self._worlds) < bounds.worlds:
            world, depth = waiting.popleft()
            for action in self.stage.actions(world):
                step = self.stage.after(world, action)
                edges += 1
                claim = self.judge_step(world, step)
                after = self.stage.forgetful(step.after)
                new = not claim and after not in self._worlds
                if new and within(self.stage, after):
                    self._worlds[after] = world, action
                    waiting.append((after, depth + 1))
                    if claim := self.judge_world(after):
                        found = self._found(claim, after)
                        break
                elif claim:
                    found = self._found(claim, world, action)
                    break
        parts = len(self.stage.processes.values) + len(self.stage.clients.values) + len(self.stage.stores.values)
        return Report(bounds, len(self._worlds), edges, depth, parts, len(self._good), time.monotonic() - began,
                      not waiting and not found, found, self.took)  # fmt: skip

    def _found(self, claim: str, world: World, *last: Action) -> Found[Action] | None:
        actions = list[Action](last)
        while claim and (came := self._worlds[world]):
            world, action = came
            actions.insert(0, action)
        return Found(claim, tuple(actions)) if claim else None

    # --- claims ---

    def _broken(self, every: str, key: tuple[Any, ...], parts: Callable[[], tuple[Any, ...]]) -> str:
        """Return the first of some claims that does not hold of some parts, or nothing; each combination is judged once."""
        known = self._holds.get((every, *key))
        if known is None:
            given = parts()
            known = next((each.__name__ for each in self.judged[every] if not each(*given)), "")
            self._holds[(every, *key)] = known
        return known

    def judge_world(self, world: World) -> str:
        """Return the name of a claim that a world breaks, or nothing."""
        stage, rows = self.stage, self.stage.stores.values[world.store]
        client, processes = stage.clients.values[world.client], [stage.processes.values[each] for each in world.gateways]
        broken = self._broken("OF_STORE", (world.store,), lambda: (rows,))
        broken = broken or self._broken("OF_CLIENT", (world.client,), lambda: (client,))
        broken = broken or self._broken("OF_CLIENT_AND_STORE", (world.client, world.store), lambda: (client, rows))
        for number, queue in zip(world.gateways, world.queues, strict=True):
            broken = broken or self._judge_process(number, world.store, queue)
        broken = broken or self._broken("OF_PROCESSES_AND_STORE", (world.gateways, world.store), lambda: (tuple(processes), rows))
        return broken or (Search.can_recover.__name__ if self._wants_recovery() and not self.can_recover(world) else "")

    def _judge_process(self, number: int, store: int, queue: int) -> str:
        process, rows, waits = self.stage.processes.values[number], self.stage.stores.values[store], self.stage.queues.values[queue]
        owed = bool(waits.asks or waits.answers)
        broken = self._broken("OF_PROCESS", (number,), lambda: (process,))
        broken = broken or self._broken("OF_PROCESS_AND_STORE", (number, store), lambda: (process, rows))
        return broken or self._broken("OF_PROCESS_STORE_AND_QUEUE", (number, store, owed), lambda: (process, rows, owed))

    def _wants_recovery(self) -> bool:
        return self.recover and (not self.only or Search.can_recover.__name__ in self.only)

    def judge_step(self, world: World, step: Step) -> str:
        """Return the name of a claim that a step breaks, or nothing."""
        stage = self.stage
        if step.did is None:
            rows = stage.stores.values
            return self._broken("OF_STORE_STEP", (world.store, step.after.store), lambda: (rows[world.store], rows[step.after.store]))
        for taken in step.did.took:
            self.took[step.side, taken.state.name, taken.heard.name] += 1
        key = step.before, step.heard
        if step.side == "client":
            before = stage.clients.values[step.before]
            return self._broken("OF_CLIENT_STEP", key, lambda: (before, step.heard, step.did))
        process, rows_now = stage.processes.values[step.before], stage.stores.values[world.store]
        broken = self._broken("OF_PROCESS_STEP", key, lambda: (process, step.heard, step.did))
        with_store = (*key, world.store)
        return broken or self._broken("OF_PROCESS_STEP_AND_STORE", with_store, lambda: (process, step.did, rows_now))

    # --- recovery ---

    def can_recover(self, world: World) -> bool:
        """[9] Once the adversary stops, the client gets a session that works at both ends, or hears it has none; and ends are written."""
        return all(self._recovers(world, at) for at in range(len(world.gateways)))

    def _recovers(self, world: World, at: int) -> bool:
        """Run on with one process, an honest network and store; what is on its way is lost, what is sent from now on arrives in order."""
        world = world._replace(spent=(0,) * len(SPENT))
        met, flying, turns = list[tuple[int, ...]](), deque[tuple[str, Frame]](), deque(TURNS)
        for _ in range(HONEST_STEPS):
            here = at, world.client, world.gateways[at], world.store, world.queues[at]
            if (not flying and here in self._good) or self._works(world, at):
                self._good.update(met)
                return True
            met += [] if flying else [here]
            step = self.stage.after(world, self._honest(world, at, flying, turns))
            flying.extend(("down" if step.side == "gateway" else "up", frame) for frame in (step.did.frames if step.did else ()))
            world = step.after._replace(spent=world.spent, up=world.up, down=world.down)
        return False

    def _works(self, world: World, at: int) -> bool:
        """Tell whether client and process speak under one epoch, or the client was told that it is over; and no end is unwritten."""
        client, process = self.stage.clients.values[world.client], self.stage.processes.values[world.gateways[at]]
        if any(session.state is State.TERMINATED and session.retry for _, session in process.sessions):
            return False
        if client.state is ClientState.CLOSED:
            return True
        bound = {session.active for _, session in process.sessions if session.active and session.state is State.ATTACHED}
        return client.state is ClientState.ATTACHED and client.committed in bound and client.committed.path in {client.path, client.other}

    def _honest(self, world: World, at: int, flying: deque[tuple[str, Frame]], turns: deque[str]) -> Action:
        """Return what happens next: the store answers, what was sent arrives, or else a clock comes; the first that is useful."""
        queue, client = self.stage.queues.values[world.queues[at]], self.stage.clients.values[world.client]
        if client.state is ClientState.IDLE:
            return ("connect",)
        if queue.asks or queue.answers:
            return ("perform", at, 0, "done") if queue.asks else ("answer", at)
        if flying:
            way, frame = flying.popleft()
            return ("up", at, frame, frame.epoch.path) if way == "up" else ("down", frame)
        return self._clock(world, at, turns)

    def _clock(self, world: World, at: int, turns: deque[str]) -> Action:
        """Return the next clock in turn that runs; each kind has its turn, so that none keeps the others from coming."""
        client, process = self.stage.clients.values[world.client], self.stage.processes.values[world.gateways[at]]
        due: dict[str, Action] = {str(heard[1]): ("timer", *heard) for heard in of_device.clocks(client)}
        due["repeat"] = "timer", "clock", "repeat"
        for name, session in process.sessions:
            if session.suspended and session.retry:
                due["reload"] = "reload", at, name
            elif Input.TOMBSTONE_LATE in of_process.clocks(session) and not session.gone:
                due["late"] = "clock", at, name, Input.TOMBSTONE_LATE
            elif session.active and session.active not in {
                *client.confirming,
                client.committed if client.state is ClientState.ATTACHED else None,
            }:
                due["silent"] = "clock", at, name, Input.PATH_SILENT
        while turns[0] not in due:  # the client can always repeat itself
            turns.rotate(-1)
        turns.rotate(-1)
        return due[turns[-1]]


def within(stage: Stage, world: World) -> bool:
    """Tell whether a world is inside those bounds that are not counted by what is spent."""
    bounds, client = stage.bounds, stage.clients.values[world.client]
    waiting = (stage.queues.values[number] for number in world.queues)
    return (
        client.next - 1 <= bounds.attempts
        and client.made <= bounds.hands
        and all(len(each.asks) + len(each.answers) <= bounds.asks for each in waiting)
    )
