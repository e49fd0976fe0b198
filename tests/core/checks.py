"""What must be true of every world when its test is over, whatever the test was about."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from core.client.table import MACHINE as CLIENT
from core.reasons import Event, Reason
from core.session.table import MACHINE as SESSION
from core.values import Fact
from core.wire.messages import parse_data
from lab.sim.recorded import contradictions
from lab.sim.world import WORLDS, World


@pytest.fixture(autouse=True)
def sound_worlds() -> Iterator[None]:
    """Check every world that the test made. A conftest.py that names this has the check for all tests beside and below it."""
    WORLDS.clear()
    yield
    for world in WORLDS:
        sound(world)
    WORLDS.clear()


def sound(world: World) -> None:
    """Fail when something is wrong that no playbook may bring about."""
    world.gateway_does(lambda: world.gateway.tick(world.now))  # what a test told a session without the engine
    nonces_are_used_once(world)
    evidence_goes_on(world)
    records_are_consistent(world)
    if world.broken:
        return
    memory_is_bounded(world)
    for session in world.desk.sessions.values():
        for claim in SESSION.always:
            assert claim(session.facts()), claim.__doc__
    for host in world.hosts:
        for promise in CLIENT.always:
            assert promise(host.client.facts()), promise.__doc__


def nonces_are_used_once(world: World) -> None:
    """Two frames under one key and counter would show the difference of their contents. An index belongs to one key."""
    data = [(sent.sender, *parse_data(sent.frame)) for sent in world.sent if sent.frame[0] == 4]
    assert len(data) == len(set(data)), "a pair of key and counter was used twice"


def evidence_goes_on(world: World) -> None:
    """The evidence of a session would tell of two bindings with one version, or of life after death."""
    stories: dict[int, list[Fact]] = {}
    for fact in world.store.outbox:
        stories.setdefault(fact.handle, []).append(fact)
    for story in stories.values():
        versions = [fact.binding_version for fact in story if fact.event is not Event.SESSION_ENDED]
        assert versions == list(range(1, len(versions) + 1))
        assert Event.SESSION_ENDED not in [fact.event for fact in story[:-1]]
        assert all(before.attempt <= after.attempt for before, after in pairwise(story) if after.event is Event.SESSION_MOVED)
        assert len({fact.correlation for fact in story if any(fact.correlation)}) == 1


def memory_is_bounded(world: World) -> None:
    """Something that strangers or time can fill would grow without end."""
    desk = world.desk
    live = len(desk.sessions)
    assert len(desk.indices) <= 3 * live
    assert {session for session, _ in desk.indices.values()} <= set(desk.sessions.values())
    assert len(desk.routes) <= 2 * live
    for path, on in desk.streams.items():
        assert on
        for session in on:
            assert path in {epoch.path for epoch in (session.active, session.candidate and session.candidate.epoch) if epoch}
            assert desk.sessions[session.handle] is session
    assert sum(map(len, desk.by_device.values())) == live
    assert not desk.out
    assert not desk.changed


def records_are_consistent(world: World) -> None:
    """The log's verifier would find a contradiction in what an untouched machine recorded, or two events with one name."""
    if not world.broken:
        assert Reason.INVARIANT_BROKEN not in {
            fact.reason for fact in [*world.facts, *(each for host in world.hosts for each in host.facts)]
        }
        assert not contradictions(world.story(), "gateway")
        assert not any(contradictions(host.facts, "client") for host in world.hosts)
    for host in world.hosts:
        assert len({fact.serial for fact in host.facts}) == len(host.facts)
    telemetry = [(boot, fact.serial) for boot, fact in zip(world.boots_of, world.facts, strict=True)]
    evidence = [(1, fact.serial) for fact in world.store.outbox] if world.boots == 1 else []
    assert len({*telemetry, *evidence}) == len(telemetry) + len(evidence), "two events would have one name"
