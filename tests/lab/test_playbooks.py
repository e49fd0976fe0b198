"""Playbooks that the explorer prints: whoever pastes one into a test gets, on the world of the playbooks, what the search has seen."""

from collections import deque
from functools import cache
from typing import Any

import pytest

from core.client.client import Client
from core.session.session import Session
from core.values import Row
from lab.explore.claims import sessions
from lab.explore.copying import watched
from lab.explore.playbook import Writer
from lab.explore.world import Action, Bounds, Scene, Stage
from lab.searching import Found
from lab.sim.world import World

EVERYTHING = Bounds(born=0, tcp=1, waits=2, moves=2, crashes=1, client_crashes=1, store_faults=1, says=1, orders=1, attacker=0)
CARRIERS = Bounds(tcp=1, waits=2, moves=2, memory=0, attacker=0)
TWO = Bounds(gateways=2, moves=1, waits=0, says=1, client_crashes=1, orders=1, crashes=1, memory=0)
LOOKED_AT = 1_500  # worlds of each search
KINDS = {
    EVERYTHING: {"connect", "client crashes", "crash", "perform", "answer", "dial works", "dial fails", "client waits", "gateway waits",
                 "up", "down", "move", "tell", "close", "client closes"},
    CARRIERS: {"client waits", "dial works", "dial fails", "close path", "move", "up", "down"},
    TWO: {"move", "up", "down", "say", "tell", "close", "client closes", "crash", "client crashes", "connect"},
}  # fmt: skip


@cache
def walked(bounds: Bounds) -> dict[str, tuple[Stage, tuple[Action, ...], Scene]]:
    """Return for each kind of action, and each two that follow each other, the first walk that ends so, with the scene that it leads to."""
    with watched():
        stage = Stage(bounds)
        known, waiting = {stage.start}, deque([(stage.start, tuple[Action, ...]())])
        found: dict[str, tuple[Stage, tuple[Action, ...], Scene]] = {}
        while waiting and len(known) < LOOKED_AT:
            scene, way = waiting.popleft()
            for action in stage.actions(scene):
                after = stage.after(scene, action)[0]
                if after not in known:
                    known.add(after)
                    waiting.append((after, (*way, action)))
                    name = f"{way[-1][0]}, {action[0]}" if way else str(action[0])
                    found.setdefault(name, (stage, (*way, action), after))
        return found


def of_session(session: Session) -> tuple[object, ...]:
    """Return what a session is, without what differs because other numbers were drawn."""
    epochs = (session.active, session.draining, session.candidate.epoch if session.candidate else None)
    return session.facts()._replace(version=0), session.binding_version, session.next, [each and each.attempt for each in epochs]


def of_client(client: Client) -> tuple[object, ...]:
    """The same of a client."""
    epochs = (client.committed, client.draining, client.newborn and client.newborn.epoch, *(each.epoch for each in client.confirming))
    life = client.life and (client.life.next, client.life.binding_version)
    return (
        client.state,
        life,
        [each and (each.attempt, each.path.carrier) for each in epochs],
        sorted(client.attempts),
        sorted(client.paths),
    )


def of_row(row: Row) -> tuple[int, ...]:
    """The same of the store's row."""
    return row.binding_version, row.state, row.attempt, row.next


def played(stage: Stage, way: tuple[Action, ...]) -> World:
    """Run the playbook of a walk as a person would, and return its world."""
    with watched():
        text = Writer(stage).text(Found("nothing", way), "a walk")
    namespace: dict[str, Any] = {}
    exec(compile(text, "playbook", "exec"), namespace)  # noqa: S102 - printed by the explorer itself
    world: World = namespace["found"]()
    return world


@pytest.mark.parametrize("bounds", KINDS, ids=("everything", "carriers", "two gateways"))
def test_every_kind_of_action_is_walked(bounds: Bounds) -> None:
    """Playbooks would be compared that never dial a stream and never crash."""
    assert {action[0] for _, way, _ in walked(bounds).values() for action in way} >= KINDS[bounds]


@pytest.mark.parametrize("bounds", KINDS, ids=("everything", "carriers", "two gateways"))
def test_a_playbook_leads_where_the_search_was(bounds: Bounds) -> None:
    """A person would paste a playbook that does something else than what was found, or that does not run at all."""
    for name, (stage, way, scene) in walked(bounds).items():
        world = played(stage, way)
        host = world.hosts[-1]
        assert of_client(host.client) == of_client(stage.part(scene.client).engine), (name, way)
        rows = sorted(map(of_row, world.store.rows.values()))
        assert rows == sorted(map(of_row, scene.store.rows)), (name, way)
        if way and way[-1][0] in {"up", "answer", "gateway waits", "close", "tell"}:  # then the world has turned to that gateway
            held = sorted(map(str, map(of_session, world.desk.sessions.values())))
            wanted = sessions(stage.part(scene.gateways[way[-1][1]])).values()
            assert held == sorted(map(str, map(of_session, wanted))), (name, way)
