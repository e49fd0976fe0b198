# ruff: noqa: N814 - the alphabets of two machines have the same names, and stand side by side here
"""For each claim a fault that it is seen to catch: a row of a table changed, or something around the rows broken on purpose.

The search judges that claim alone, so that no other is quicker. A claim that nothing here breaks would be a claim that shows nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from core.client.states import Effect as CE
from core.client.states import Input as CI
from core.client.states import State as CS
from core.errors import given
from core.machine import Machine
from core.reasons import Event
from core.session.states import Effect, Input, State
from core.values import Outcome
from lab.coupled import claims, device, process, session, store
from lab.coupled.search import Search
from lab.coupled.words import Answer, Ask, Frame, Name, Record
from lab.coupled.world import Bounds, Tables

SMALL: Final = Bounds(gateways=1, says=1, worlds=30_000)
CLOCKED: Final = Bounds(gateways=1, clocks=1, timers=1, worlds=30_000)
ENDED: Final = Bounds(gateways=1, clocks=1, orders=1, faults=1, moves=0, worlds=30_000)
FAILING: Final = Bounds(gateways=1, faults=1, says=1, worlds=30_000)
TWO: Final = Bounds(moves=2, attacker=0, says=1, worlds=100_000)
TWO_FAILING: Final = TWO._replace(faults=1, says=0)
CARRIERS: Final = Bounds(gateways=1, moves=0, others=1, timers=1, worlds=30_000)


class Fault(NamedTuple):
    """What is broken and in which bounds its shortest counter-example lies. `put` breaks what is around the rows, `tables` the rows."""

    bounds: Bounds
    tables: Tables
    put: Callable[[ExitStack], None] = lambda _stack: None


def gateway(clause: str, **change: Any) -> Tables:
    """Return the tables with one row of the gateway's changed in all its cells; `add` and `lack` change its effects."""
    return Tables(gateway=changed(process.SHIPPED, clause, **change))


def client(clause: str, **change: Any) -> Tables:
    """Return the tables with one row of the client's changed."""
    return Tables(client=changed(device.SHIPPED, clause, **change))


def changed(
    machine: Machine[Any, Any, Any, Any], clause: str, *, add: tuple[Any, ...] = (), lack: tuple[Any, ...] = (), **fields: Any
) -> Machine[Any, Any, Any, Any]:  # fmt: skip
    """Return a machine with one row changed."""
    cells = dict(machine.cells)
    for cell, row in cells.items():
        if row.clause == clause:
            effects = tuple(each for each in row.effects if each not in lack) + add
            cells[cell] = row._replace(**{"effects": effects, **fields})
    return machine._replace(cells=MappingProxyType(cells))


def without(machine: Machine[Any, Any, Any, Any], *cells: tuple[Any, Any]) -> Machine[Any, Any, Any, Any]:
    """Return a machine without some cells."""
    return machine._replace(cells=MappingProxyType({cell: row for cell, row in machine.cells.items() if cell not in cells}))


# --- what is around the rows, broken ---


def blind_store(stack: ExitStack) -> None:
    """The store replaces a row whatever its version and its state are."""
    perform = store.performed

    def careless(rows: store.Rows, ask: Ask, most: int) -> tuple[store.Rows, Answer]:
        known = dict(rows)
        if ask.kind == "MOVE" and ask.name in known:
            known[ask.name] = known[ask.name]._replace(live=True)
            after, answer = perform(tuple(known.items()), ask._replace(expect=known[ask.name].version), most)
            return after, answer._replace(ask=ask)
        return perform(rows, ask, most)

    stack.enter_context(patch.object(store, "performed", careless))


def store_ends_twice(stack: ExitStack) -> None:
    """Each order to end leaves a record, also of what has ended."""
    perform = store.performed

    def eager(rows: store.Rows, ask: Ask, most: int) -> tuple[store.Rows, Answer]:
        rows, answer = perform(rows, ask, most)
        known = dict(rows)
        if ask.kind == "END" and answer.outcome is Outcome.WON:
            row = known[ask.name]
            known[ask.name] = row._replace(story=(*row.story, Record(Event.SESSION_ENDED, 0, ask.boot)))
        return tuple(sorted(known.items())), answer

    stack.enter_context(patch.object(store, "performed", eager))


def attempts_are_not_burnt(stack: ExitStack) -> None:
    """A proven attempt may be used again."""
    judge = process.Turn.reattach

    def careless(self: process.Turn, frame: Frame, at: session.Session) -> None:
        judge(self, frame, at)
        name = frame.epoch.name
        self.sessions[name] = self.sessions[name]._replace(next=at.next, exchange=None)

    stack.enter_context(patch.object(process.Turn, "reattach", careless))


def rows_are_read_over_what_is_held(stack: ExitStack) -> None:
    """A row that was asked for replaces the session that has been here all the time, or has come meanwhile."""
    loaded = process.Turn.loaded

    def careless(self: process.Turn, ask: Ask, row: Any) -> None:
        held = self.sessions.pop(ask.name, None)
        loaded(self, ask, row)
        if held and ask.name not in self.sessions:
            self.sessions[ask.name] = held

    stack.enter_context(patch.object(process.Turn, "loaded", careless))


def every_row_is_certain(stack: ExitStack) -> None:
    """Whatever a row says, it is called ours, as it was known."""

    def sure(self: process.Turn, name: Name, row: Any) -> bool:
        self.sessions[name] = self.sessions[name]._replace(row=given(row, "there is a row").version, owned=True)
        return True

    stack.enter_context(patch.object(process.Turn, "certain", sure))


def sources_are_ignored(stack: ExitStack) -> None:
    """What comes under keys is heard from anywhere."""
    data = process.Turn.data
    stack.enter_context(patch.object(process.Turn, "data", lambda self, frame, _source: data(self, frame, frame.epoch.path)))


def acknowledges_the_version_before(stack: ExitStack) -> None:
    """An ACK names the version that the store was asked to replace."""
    perform = session.performed

    def late(at: session.Session, effect: Effect, *rest: Any) -> tuple[session.Session, session.Said]:
        after, said = perform(at, effect, *rest)
        old = tuple(each._replace(version=each.version - 1) if each.kind == "ACK" else each for each in said.frames)
        return after, said._replace(frames=old)

    stack.enter_context(patch.object(process, "performed", late))


def older_attempts_still_count(stack: ExitStack) -> None:
    """A commit leaves the attempts before it to be committed later."""
    perform = device.Turn.perform

    def careless(self: device.Turn, effect: CE, offer: Any) -> None:
        kept = tuple(each for each in self.at.confirming if each != offer)
        perform(self, effect, offer)
        if effect is CE.COMMIT:
            self.at = self.at._replace(confirming=kept)

    stack.enter_context(patch.object(device.Turn, "perform", careless))


ALONE: Final[Mapping[str, Fault]] = MappingProxyType({
    claim.__name__: Fault(bounds, tables, *put)
    for claim, bounds, tables, *put in (
        (claims.evidence_is_one_story, ENDED, Tables(), store_ends_twice),
        (claims.the_store_only_grows, TWO, Tables(), blind_store),
        (claims.every_wait_ends, FAILING, gateway("G-15", lack=(Effect.ASK_ROW,))),
        (claims.a_candidate_is_newer, SMALL, Tables(), attempts_are_not_burnt),
        (claims.a_binding_was_written, SMALL, gateway("G-11", add=(Effect.PROMOTE,))),
        (claims.the_chain_is_not_behind, TWO_FAILING, Tables(), every_row_is_certain),
        (claims.uncertainty_suspends, FAILING, gateway("G-15", goes_to=None, effects=(Effect.DROP_CANDIDATE,))),
        (claims.an_end_reaches_the_store, ENDED, gateway("G-32", lack=(Effect.ASK_TOMBSTONE,))),
        (claims.one_binding_the_store_agrees_with, TWO, Tables(), blind_store),
        (claims.the_client_believes_only_the_store, SMALL, client("C-20", add=(CE.COMMIT,))),
        (claims.both_ends_know_one_version, SMALL, Tables(), acknowledges_the_version_before),
        (claims.the_client_has_a_way_on, SMALL._replace(born=0), client("C-1", lack=(CE.SHAKE_HANDS,))),
        (claims.the_table_holds, CLOCKED, gateway("G-21", lack=(Effect.UNBIND,))),
        (claims.a_reattach_alone_moves_nothing, SMALL, gateway("G-10", add=(Effect.ASK_MOVE,))),
        (claims.only_a_confirm_asks, CLOCKED, gateway("G-14", effects=(Effect.ASK_MOVE,))),
        (claims.only_the_store_binds, SMALL, gateway("G-11", add=(Effect.PROMOTE,))),
        (claims.an_attempt_is_accepted_once, SMALL, Tables(), attempts_are_not_burnt),
        (claims.numbers_never_go_back, TWO, Tables(), rows_are_read_over_what_is_held),
        (claims.terminated_absorbs, ENDED, gateway("G-41", goes_to=State.RECOVERING)),
        (claims.only_the_bound_deliver, FAILING, gateway("G-15", lack=(Effect.UNBIND,))),
        (claims.who_is_fenced_ends_nothing, TWO, gateway("G-37", add=(Effect.ASK_TOMBSTONE,))),
        (claims.elsewhere_changes_nothing, SMALL, Tables(), sources_are_ignored),
        (claims.evidence_is_in_the_store, SMALL, gateway("G-12", event=Event.SESSION_CHANGED)),
        (claims.the_client_table_holds, SMALL._replace(born=0), client("C-3", lack=(CE.ADOPT_BIRTH,))),
        (claims.the_client_commits_on_data_alone, SMALL, client("C-20", add=(CE.COMMIT,))),
        (claims.the_client_never_goes_back, CARRIERS, Tables(), older_attempts_still_count),
        (claims.closed_absorbs, SMALL._replace(closes=1), client("C-31", lack=(CE.WIPE,))),
        (Search.can_recover, CLOCKED, Tables(client=without(device.SHIPPED, (CS.SEEKING, CI.FRESH_DUE)))),
    )
})  # fmt: skip
"""By the claim that has to catch it."""

NEEDED: Final[Mapping[str, tuple[Callable[..., bool], Fault]]] = MappingProxyType({
    "without G-40, on a store that performs in any order, a late WON leaves a session that nobody holds": (
        claims.an_end_reaches_the_store,
        Fault(Bounds(gateways=1, born=0, moves=0, clocks=1, unordered=1),
              Tables(gateway=without(process.SHIPPED, (State.TERMINATED, Input.COMMIT_WON)))),
    ),
    "without G-41 an end that the store has failed to write is never written": (
        Search.can_recover, Fault(ENDED, Tables(gateway=without(process.SHIPPED, (State.TERMINATED, Input.TOMBSTONE_LATE)))),
    ),
})  # fmt: skip
"""Rows that look as if nobody needed them, and the claim that breaks without."""


def caught(claim: str, fault: Fault) -> tuple[int, int]:
    """Return in how many steps, after how many worlds a claim catches a fault, judged alone; (0, worlds) when it does not."""
    with planted(fault):
        report = Search(
            fault.bounds, fault.tables, frozenset((claim,) if claim else ()), recover=claim == Search.can_recover.__name__
        ).run()
    return (max(1, len(report.found.actions)) if report.found else 0), report.worlds


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Put what is around the rows in, and take it out again."""
    with ExitStack() as stack:
        fault.put(stack)
        yield
