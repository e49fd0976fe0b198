"""The coupled model: it follows the shipped tables, each claim of it can fail, and what it leaves out makes no difference."""

import json
from collections import Counter, deque
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.client import table as client_table
from core.reasons import Event, Reason
from core.session import table as session_table
from core.session.states import Input, State
from core.values import ROW_LIVE, CompareAndSet, Create, Fact, Get, Instant, Operation, Tombstone
from core.values import Ask as RealAsk
from core.values import Row as RealRow
from lab.coupled import __main__ as command
from lab.coupled import claims, models, store
from lab.coupled.faults import ALONE, NEEDED, Fault, caught, without
from lab.coupled.process import SHIPPED
from lab.coupled.search import Report, Search, within
from lab.coupled.words import Answer, Ask, Name
from lab.coupled.world import Bounds, Stage, Tables, World
from lab.explore.world import QuietStore

FACT = Fact(Event.SESSION_CHANGED, Reason.HEALTH_SAMPLED, 0, 0, Instant(0))


@cache
def searched(bounds: Bounds) -> Report:
    """Return what a search of the shipped tables has seen; each is made once."""
    return Search(bounds).run()


@pytest.mark.parametrize("bounds", models.MODELS, ids=command.named)
def test_every_claim_holds_and_every_world_recovers(bounds: Bounds) -> None:
    """Two tables, each in order, would not be so together: two owners, a burnt attempt accepted, a client without a way on."""
    report = searched(bounds)
    assert report.found is None, command.said(report)
    assert report.complete
    assert report.recovered > 10


def test_the_searches_follow_every_row() -> None:
    """A row would be called sound that nothing has ever followed."""
    took = sum((searched(bounds).took for bounds in models.MODELS), Counter[tuple[str, str, str]]())
    assert models.unfollowed(took) == models.NEVER.keys()
    assert all(models.NEVER.values())


def test_the_model_reads_the_shipped_tables() -> None:
    """The model would stay sound while the tables change."""
    shipped = Tables()
    assert shipped.gateway is session_table.MACHINE
    assert shipped.client is client_table.MACHINE
    lacking = Tables(gateway=without(SHIPPED, (State.ATTACHED, Input.REATTACH_PROVEN)))
    took = Search(Bounds(gateways=1), lacking).run().took
    assert ("gateway", "ATTACHED", "REATTACH_PROVEN") not in took
    assert ("gateway", "ATTACHED", "REATTACH_PROVEN") in Search(Bounds(gateways=1)).run().took


@pytest.mark.parametrize("claim", ALONE)
def test_each_claim_alone_is_seen_to_fail(claim: str) -> None:
    """A claim that nothing can break would show nothing."""
    steps, _ = caught(claim, ALONE[claim])
    assert steps


def test_no_claim_is_without_a_fault() -> None:
    """A claim could be added that cannot fail."""
    judged = {each.__name__ for name in dir(claims) if name.startswith("OF_") for each in getattr(claims, name)}
    assert judged | {Search.can_recover.__name__} == ALONE.keys()


@pytest.mark.parametrize("claim", ALONE)
def test_without_its_fault_each_claim_holds(claim: str) -> None:
    """A claim would be broken by its bounds and not by its fault."""
    assert caught(claim, Fault(ALONE[claim].bounds._replace(worlds=3_000), Tables()))[0] == 0


@pytest.mark.parametrize("name", NEEDED)
def test_a_row_that_looks_idle_is_needed(name: str) -> None:
    """A row would stand in the table for nothing, or be dropped in good faith."""
    claim, fault = NEEDED[name]
    assert caught(claim.__name__, fault)[0]
    assert not caught(claim.__name__, Fault(fault.bounds, Tables()))[0]


def reached(bounds: Bounds, *, forget: bool) -> set[tuple[object, ...]]:
    """Return what a search reaches, frames left aside."""
    stage = Stage(bounds)
    known, waiting = {stage.start}, deque([stage.start])
    while waiting:
        world = waiting.popleft()
        for action in stage.actions(world):
            after = stage.after(world, action).after
            after = stage.forgetful(after) if forget else after
            if after not in known and within(stage, after):
                known.add(after)
                waiting.append(after)
    return {parts(stage, world) for world in known}


def parts(stage: Stage, world: World) -> tuple[object, ...]:
    """Return the parts of a world as values; that a row is asked for an attempt that cannot be accepted is no difference."""
    gateways = tuple(stage.processes.values[each] for each in world.gateways)
    queues = []
    for asks, answers in (stage.queues.values[each] for each in world.queues):
        queues += [tuple(ask for ask in asks if ask.kind != "LOAD"), tuple(each for each in answers if each.ask.kind != "LOAD")]
    return stage.clients.values[world.client], gateways, stage.stores.values[world.store], tuple(queues), world.spent


@pytest.mark.parametrize(
    "bounds",
    [Bounds(gateways=1), Bounds(attempts=1, attacker=0, crashes=1, moves=0, clocks=1), Bounds(gateways=1, moves=0, timers=2, hands=2)],
    ids=command.named,
)
def test_forgetting_frames_loses_no_world(bounds: Bounds) -> None:
    """A frame would be forgotten that somebody can still react to, and what follows from it would never be seen."""
    assert reached(bounds, forget=True) == reached(bounds, forget=False)


NAMES = (Name(1, 1), Name(2, 1), Name(1, 2))
OPERATIONS = st.tuples(st.sampled_from(("CREATE", "MOVE", "END", "GET")), st.sampled_from(NAMES), st.integers(1, 3), st.booleans())


@given(st.lists(OPERATIONS, max_size=12))
def test_the_abstract_store_answers_as_the_twin_does(operations: list[tuple[str, Name, int, bool]]) -> None:
    """The model's store would win where the contract says LOST."""
    rows, twin = store.EMPTY, QuietStore()
    for number, (kind, name, version, wide) in enumerate(operations):
        handle = NAMES.index(name) + 1
        real = RealRow(handle, version + (kind == "MOVE"), ROW_LIVE, b"n" * 8, b"b" * 8, number, number + 1, b"d" * 32, b"g" * 32, 0, 10**9,
                       bytes(4), bytes(16), 0, b"s")  # fmt: skip
        expect = None if wide else version
        ask = Ask(kind, name, 1, version if kind == "MOVE" else expect, number, number + 1)
        did: Operation = Get(handle)
        if kind != "GET":
            did = Tombstone(handle, FACT, expect) if kind == "END" else CompareAndSet(real, version, FACT)
        if kind == "CREATE":
            did = Create(real._replace(binding_version=1), FACT)
        rows, answer = store.performed(rows, ask, 4)
        told = twin.execute(RealAsk(number, did))
        assert (answer.outcome, seen(answer)) == (told.outcome, told.row and (told.row.binding_version, told.row.state == ROW_LIVE))


def seen(answer: Answer) -> tuple[int, bool] | None:
    """Return what an answer tells of a row."""
    return (answer.row.version, answer.row.live) if answer.row else None


def test_a_bound_that_is_hit_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A search that was cut off would be called complete."""
    assert command.main(["--bounds", "worlds=50"]) == 3
    assert "NOT everything" in capsys.readouterr().out
    with pytest.raises(SystemExit) as wrong:
        command.main(["--bounds", "wishes=3"])
    assert wrong.value.code == 2


def test_a_counter_example_is_told_step_by_step(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is broken would be found, and nobody could follow how."""
    lacking = without(SHIPPED, (State.TERMINATED, Input.TOMBSTONE_LATE))
    monkeypatch.setattr(command, "Search", lambda bounds: Search(bounds, Tables(gateway=lacking)))
    assert command.main(["--bounds", "gateways=1,faults=1,orders=1,moves=0", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["found"] == "can_recover"
    assert any(step[0] == "order" for step in told["steps"])
