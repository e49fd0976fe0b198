"""The gateway's table, cell by cell: a filled cell does what it says, an empty one refuses and changes nothing."""

from typing import Any, Final

import pytest

from core.crypto.secret import Secret
from core.errors import Invariant
from core.machine import index
from core.reasons import Carrier, Cause, Event
from core.session.session import Candidate, Session
from core.session.states import DECIDES_WHILE_ASKED, PRIORITY, Input, State
from core.session.table import EVIDENCE, MACHINE, ROWS, TABLE
from core.values import Ask, CompareAndSet, Create, Endpoint, Fact, Instant, Path, Record, Tombstone
from core.wire.epoch import Epoch
from core.wire.layout import Change
from lab.sim.frames import v4
from lab.sim.ways import SESSION_WAYS
from lab.sim.world import GATEWAY_AT, World

STATES: Final = {
    "pending": State.PENDING,
    "attached": State.ATTACHED,
    "volatile": State.VOLATILE,
    "recovering": State.RECOVERING,
    "degraded": State.DEGRADED,
    "unbound": State.DEGRADED,
    "suspended": State.DEGRADED,
    "terminated": State.TERMINATED,
}
BOUND_ONLY: Final = {Input.PATH_CLOSED, Input.PATH_SILENT, Input.KEY_EXPIRED, Input.QUALITY_STABLE}
NEEDS_CANDIDATE: Final = {Input.CONFIRM_PROVEN, Input.CANDIDATE_EXPIRED, Input.COMMIT_WON, Input.COMMIT_LOST, Input.STORE_LOST}
NEEDS_COMMIT: Final = {Input.COMMIT_WON, Input.COMMIT_LOST, Input.STORE_LOST}
ORDERS: Final = {Input.OPERATOR_CLOSE, Input.KEY_REVOKED, Input.PEER_CLOSED}
EMPTY: Final = [(way, heard) for way, state in STATES.items() for heard in Input if (state, heard) not in TABLE]


def offer(session: Session, now: Instant) -> Candidate:
    """Return a candidate such as a proven REATTACH makes."""
    path = Path(Carrier.UDP, 0, GATEWAY_AT, Endpoint(v4(77), 7_777))
    epoch = Epoch(session.desk.new_index(), 1, (Secret(bytes(32)), Secret(bytes(32))), path, session.next, now)
    return Candidate(epoch, Instant(now + 5 * 10**9), Change.MOVE, Cause.PATH_DEAD, 0)


def way_to(state: State, heard: Input) -> str:
    """Return the way to `state` on which `heard` can come."""
    if state is State.DEGRADED:
        return "suspended" if heard is Input.OWNERSHIP_CERTAIN else "degraded" if heard in BOUND_ONLY else "unbound"
    return next(way for way, reached in STATES.items() if reached is state)


def everything(session: Session) -> dict[str, Any]:
    """Return all that a session is, objects by identity."""
    names = {name for name in Session.__slots__ if name not in {"desk", "device"}}
    shared = tuple(map(repr, (session.desk.indices, session.desk.routes, session.desk.sessions, session.desk.tickets, session.desk.out)))
    return {name: repr(getattr(session, name)) for name in sorted(names)} | {"shared": shared}


@pytest.mark.parametrize("way", STATES)
def test_an_empty_cell_refuses_and_changes_nothing(way: str) -> None:
    """What a state does not hear would change a key, a deadline, a version, or leave a record."""
    world = SESSION_WAYS[way]()
    session = world.session
    assert session.state is STATES[way]
    for heard in (heard for of, heard in EMPTY if of == way):
        before = everything(session)
        assert not session.hear(heard, world.now), heard
        assert everything(session) == before, heard
    world.desk.changed.clear()


def prepared(state: State, heard: Input) -> World:
    """Return a world in which `heard` can come in `state`."""
    world = SESSION_WAYS[way_to(state, heard)]()
    session = world.session
    if heard in NEEDS_CANDIDATE and not session.candidate and state is not State.TERMINATED:
        assert session.hear(Input.REATTACH_PROVEN, world.now, offer=offer(session, world.now))
    if heard in NEEDS_COMMIT and state is not State.TERMINATED:
        assert session.hear(Input.CONFIRM_PROVEN, world.now)
    world.store.silent = True
    world.gateway_does(lambda: world.gateway.tick(world.now))
    return world


def asked_for(world: World) -> list[Fact]:
    """Return the record that went to the store with the commit that is asked."""
    operations = [ask.operation for ask in world.store.asked if ask.ticket == world.session.commit_ticket]
    return [operation.fact for operation in operations if isinstance(operation, Create | CompareAndSet)]


@pytest.mark.parametrize(("state", "heard"), TABLE, ids=lambda each: each.name)
def test_a_filled_cell_does_what_it_says(state: State, heard: Input) -> None:
    """A transition would end in another state, change facts that its row does not name, or leave no record or two."""
    world = prepared(state, heard)
    session, row = world.session, TABLE[state, heard]
    before, asked = session.facts(), asked_for(world)
    assert session.hear(heard, world.now, offer=offer(session, world.now) if heard is Input.REATTACH_PROVEN else None)
    assert session.facts() == MACHINE.apply(before, row)
    told = [output.fact for output in world.desk.out if isinstance(output, Record)]
    told += [output.operation.fact for output in world.desk.out if isinstance(output, Ask) and isinstance(output.operation, Tombstone)]
    told += asked if heard is Input.COMMIT_WON else []
    told = [fact for fact in told if (fact.event, fact.state_version) == (row.event, session.version)]
    assert len(told) == (heard is not Input.SUPERSEDED)  # whose record is in the store with what superseded it
    assert all((fact.state_from, fact.state_to) == (state, session.state) for fact in told)
    assert row.reason is None or all(fact.reason is row.reason for fact in told)
    world.gateway_does(lambda: world.gateway.tick(world.now))


@pytest.mark.parametrize("heard", [heard for heard in Input if heard not in DECIDES_WHILE_ASKED], ids=lambda heard: heard.name)
def test_while_a_commit_is_asked_the_rest_waits(heard: Input) -> None:
    """A deadline would decide over a session whose owner the store is just deciding [G-50]."""
    world = prepared(State.ATTACHED, Input.COMMIT_WON)
    session = world.session
    before = session.facts()
    assert not session.hear(heard, world.now)
    assert session.facts() == before


@pytest.mark.parametrize(
    ("state", "heard"), [cell for cell, row in TABLE.items() if row.event is Event.SESSION_ENDED], ids=lambda each: each.name
)
def test_only_orders_end_what_another_owns(state: State, heard: Input) -> None:
    """G-55: a gateway's own clocks or faults would end a session for the one that has it now; or an order would not."""
    world = prepared(state, heard)
    assert world.session.hear(heard, world.now)
    asked = [output.operation for output in world.desk.out if isinstance(output, Ask) and isinstance(output.operation, Tombstone)]
    expected = world.session.binding_version or 1  # a birth that nobody answered is version 1
    assert [each.expect for each in asked] == ([] if heard is Input.SUPERSEDED else [None if heard in ORDERS else expected])
    world.session.hear(Input.TOMBSTONE_LATE, world.now)
    again = [output.operation for output in world.desk.out if isinstance(output, Ask) and isinstance(output.operation, Tombstone)]
    assert [each.expect for each in again[len(asked) :]] == [None if heard in ORDERS else expected]
    world.gateway_does(lambda: world.gateway.tick(world.now))


def test_one_row_a_cell() -> None:
    """Two rows would claim one cell, and the order of the file would decide."""
    with pytest.raises(Invariant, match="one row a cell"):
        index((*ROWS, ROWS[0]._replace(clause="G-99")))
    assert index(ROWS) == TABLE


def test_clauses_are_names() -> None:
    """A record's clause would name two rows."""
    assert len({row.clause for row in ROWS}) == len(ROWS)


def test_every_input_is_heard_somewhere_and_has_its_place_in_the_order() -> None:
    """A verdict would never have an effect, or two at one instant would have no order."""
    assert {row.heard for row in ROWS} == set(Input) == set(PRIORITY)
    assert len(PRIORITY) == len(Input)


def test_evidence_is_what_changes_the_binding() -> None:
    """A birth, a move or an end would be recorded only as telemetry, which may be lost."""
    binding = {Input.COMMIT_WON, Input.LIFETIME_OVER, Input.TRANSPORT_LOST, Input.OPERATOR_CLOSE, Input.KEY_REVOKED, Input.PEER_CLOSED}
    assert all(row.event in EVIDENCE for row in ROWS if row.heard in binding and row.states != (State.TERMINATED,))
    assert frozenset((Event.SESSION_BORN, Event.SESSION_MOVED, Event.SESSION_ENDED)) == EVIDENCE


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (Input.INVARIANT_BROKEN, Input.COMMIT_WON),
        (Input.COMMIT_WON, Input.OPERATOR_CLOSE),
        (Input.OPERATOR_CLOSE, Input.LIFETIME_OVER),
        (Input.LIFETIME_OVER, Input.PATH_SILENT),
        (Input.KEY_EXPIRED, Input.PATH_SILENT),
        (Input.PEER_CLOSED, Input.REATTACH_PROVEN),
    ],
)
def test_the_stronger_input_is_heard_first(first: Input, then: Input) -> None:
    """An operator's order would be recorded as a time-out, or an expired session would first look for a path."""
    assert PRIORITY.index(first) < PRIORITY.index(then)
