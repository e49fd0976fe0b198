"""The search: breadth first, so that the first counter-example is a shortest one; and fair runs, to see that worlds can recover."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from core.client.client import Client
from core.client.states import State as ClientState
from core.limits import SECOND
from lab.explore.claims import OF_CLIENT, OF_GATEWAY, STEPS_OF_CLIENT, STEPS_OF_GATEWAY, same_twice, sessions
from lab.explore.copying import watched
from lab.explore.parts import Did
from lab.explore.together import OF_WORLD, a_nonce_is_used_once, the_store_only_grows
from lab.explore.world import Action, Bounds, Scene, Stage
from lab.searching import Found
from lab.sim.frames import there

FAIR_STEPS: Final = 3_000
FAIR_NS: Final = 120 * SECOND
"""Longer than any wait that a client imposes on itself, and shorter than its patience with a lost session."""
EVERY: Final = 7  # of this many new steps one is made twice


class Report(NamedTuple):
    """What a search has seen. `complete`: everything within the bounds, not only the number of worlds that was allowed."""

    bounds: Bounds
    worlds: int
    edges: int
    depth: int
    parts: int
    steps: int
    recovered: int
    seconds: float
    complete: bool
    found: Found[Action] | None


class Search:
    """One search within bounds. `recover`: from every so-manieth world a fair run must lead to a session or to an explicit end; 0: none.

    `only`: names of the claims that are judged; all, if there are none.
    """

    def __init__(self, bounds: Bounds, recover: int = 0, only: frozenset[str] = frozenset()) -> None:
        """Build the first world."""
        self.stage, self.recover, self.only = Stage(bounds), recover, only
        self._worlds: dict[Scene, int] = {self.stage.start: 0}
        self._came: list[tuple[int, Action]] = [(0, ())]
        self._judged: dict[int, str] = {}
        self._steps: dict[tuple[int, int, object], str] = {}
        self._fair: set[tuple[object, ...]] = set()
        self.edges = self.recovered = 0

    def run(self) -> Report:
        """Search until a claim breaks, nothing is new, or the bound of worlds is reached."""
        before, bounds = time.monotonic(), self.stage.bounds
        waiting, depth = deque([(self.stage.start, 0)]), 0
        claim = self.judge_world(self.stage.start)
        found: Found[Action] | None = Found(claim, ()) if claim else None
        while waiting and not found and len(self._worlds) < bounds.worlds:
            scene, depth = waiting.popleft()
            number = self._worlds[scene]
            for action, after, claim in self.steps(scene):
                self.edges += 1
                if claim:
                    found = Found(claim, (*self.way(number), action))
                    break
                if after not in self._worlds:
                    self._worlds[after] = len(self._came)
                    self._came.append((number, action))
                    waiting.append((after, depth + 1))
        taken = time.monotonic() - before
        return Report(bounds, len(self._worlds), self.edges, depth, len(self.stage.parts.known), self.stage.parts.steps, self.recovered,
                      taken, not waiting and not found, found)  # fmt: skip

    def way(self, number: int) -> tuple[Action, ...]:
        """Return the actions that lead to a world."""
        actions = list[Action]()
        while number:
            number, action = self._came[number]
            actions.append(action)
        return tuple(reversed(actions))

    def steps(self, scene: Scene) -> Iterator[tuple[Action, Scene, str]]:
        """Yield each action, where it leads, and the claim that it breaks, if any."""
        for action in self.stage.actions(scene):
            after, did = self.stage.after(scene, action)
            if after is scene or after == scene:
                if did:
                    yield action, scene, self.judge_step(scene, action, did)
                continue
            claim = self.judge_step(scene, action, did) if did else ""
            if not claim and did and self._judges(a_nonce_is_used_once) and not a_nonce_is_used_once(self.stage, scene, did):
                claim = a_nonce_is_used_once.__name__
            if not claim and self._judges(the_store_only_grows) and not the_store_only_grows(scene.store, after.store):
                claim = the_store_only_grows.__name__
            if not claim and after not in self._worlds:
                if not self._within(after):
                    continue
                claim = self.judge_world(after)
            yield action, after, claim

    def _judges(self, claim: Callable[..., bool]) -> bool:
        return not self.only or claim.__name__ in self.only

    def _within(self, scene: Scene) -> bool:
        """Tell whether a world is inside those bounds that are not counted by what is spent."""
        client: Client = self.stage.part(scene.client).engine
        asked = max(len(queue.asks) + len(queue.answers) for queue in scene.queues)
        return (client.life.next - 1 if client.life else 0) <= self.stage.bounds.attempts and asked <= self.stage.bounds.asks

    def judge_step(self, scene: Scene, action: Action, did: Did) -> str:
        """Return the name of the first claim that a step of a part breaks, or nothing. Each step of a part is judged once."""
        side, at, heard, _ = self.stage.input_of(scene, action)
        number = scene.gateways[at] if side == "gateway" else scene.client
        if (number, did.part, heard) not in self._steps:
            before, after = self.stage.part(number), self.stage.part(did.part)
            claims = STEPS_OF_GATEWAY if side == "gateway" else STEPS_OF_CLIENT
            broken = next((claim.__name__ for claim in claims if self._judges(claim) and not claim(before, heard, did, after)), "")
            if not broken and self._judges(same_twice) and len(self._steps) % EVERY == 0:
                again = self.stage.parts.fresh_step(number, heard)
                broken = "" if same_twice(did, again, after, self.stage.part(again.part)) else same_twice.__name__
            self._steps[number, did.part, heard] = broken
        return self._steps[number, did.part, heard]

    def judge_world(self, scene: Scene) -> str:
        """Return the name of the first claim that a world breaks, or nothing."""
        for number in (*scene.gateways, scene.client):
            if broken := self._judge_part(number):
                return broken
        for claim in OF_WORLD:
            if self._judges(claim) and not claim(self.stage, scene):
                return claim.__name__
        if self.recover and len(self._worlds) % self.recover == 0 and not self.recovers(scene):
            return Search.recovers.__name__
        return ""

    def _judge_part(self, number: int) -> str:
        if number not in self._judged:
            part = self.stage.part(number)
            claims: Iterable[Callable[[Any, int], bool]] = OF_CLIENT if isinstance(part.engine, Client) else OF_GATEWAY
            broken = (claim.__name__ for claim in claims if self._judges(claim) and not claim(part.engine, part.now))
            self._judged[number] = next(broken, "")
        return self._judged[number]

    def recovers(self, scene: Scene) -> bool:
        """From every world, once the adversary stops, the client gets a session that works, or is told that it has none."""
        self.recovered += 1
        return all(self._recovers_with(scene, at) for at in range(len(scene.gateways)))

    def _recovers_with(self, scene: Scene, at: int) -> bool:
        """Run on with one gateway, on an honest network and an honest store; clocks of both ends go alike."""
        scene = scene._replace(spent=(-(10**6),) * len(scene.spent))
        up, down, met, owed = list[int](), list[int](), list[tuple[object, ...]](), list[Action]()
        waited = 0
        for _ in range(FAIR_STEPS):
            client: Client = self.stage.part(scene.client).engine
            waited += owed[0][1] if owed and owed[0][0] == "client waits" else 0
            if waited > FAIR_NS:
                return False
            if client.state is ClientState.CLOSED or self._works(scene, at):
                self._fair.update(met)
                return True
            here = (scene.gateways[at], scene.client, scene.store, scene.queues[at], tuple(up), tuple(down), scene.dials, tuple(owed))
            if here in self._fair:
                self._fair.update(met)
                return True
            met.append((at, *here))
            owed = owed or self._fair_actions(scene, at, up, down)
            action = owed.pop(0)
            seen = scene.up, scene.down
            scene, did = self.stage.after(scene, action)
            if did:
                numbers = [self.stage.number(frame, there(path) if action[0] in OF_CLIENTS else path) for frame, path in did.sent]
                (up if action[0] in OF_CLIENTS else down).extend(numbers)
            scene = scene._replace(up=seen[0], down=seen[1])
        return False

    def _works(self, scene: Scene, at: int) -> bool:
        """Tell whether client and gateway speak under one epoch."""
        client: Client = self.stage.part(scene.client).engine
        if client.state is not ClientState.ATTACHED or client.committed is None or client.committed.path not in client.paths.values():
            return False
        active = [each.active for each in sessions(self.stage.part(scene.gateways[at])).values() if each.active]
        return any((each.index, each.peer_index) == (client.committed.peer_index, client.committed.index) for each in active)

    def _fair_actions(self, scene: Scene, at: int, up: list[int], down: list[int]) -> list[Action]:
        """Return what happens next: the store answers, what is on its way arrives, or time passes, for both ends alike."""
        queue, client, gateway = scene.queues[at], self.stage.part(scene.client), self.stage.part(scene.gateways[at])
        if client.engine.state is ClientState.IDLE:
            return [("connect",)]
        if queue.asks or queue.answers:
            return [("perform", at, "done") if queue.asks else ("answer", at)]
        if up:
            return [("up", at, up.pop(0), False)]
        while down:
            number = down.pop(0)
            for path in client.engine.paths.values():
                if there(path) == self.stage.frames[number][1]:
                    return [("down", number, path)]
        if scene.dials:
            return [("dial works", scene.dials[0])]
        due = [max(0, then - part.now) for part in (client, gateway) if (then := part.engine.deadline()) is not None]
        return [("gateway waits", at, min(due)), ("client waits", min(due))]


OF_CLIENTS: Final = frozenset(("down", "connect", "client waits", "dial works"))


def search(bounds: Bounds, recover: int = 0) -> Report:
    """Search within bounds, and say what was seen."""
    with watched():
        return Search(bounds, recover).run()
