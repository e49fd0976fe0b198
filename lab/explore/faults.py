"""Faults that are put into the engines on purpose, one at a time: a search that finds none of them would show nothing.

Each replaces one function or one row of a table; `bounds` are those in which its shortest counter-example lies.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import core.engine.gateway
from core import limits
from core.client.client import Client
from core.client.contact import Contact
from core.client.states import Input as ClientInput
from core.engine.data import DataPlane
from core.engine.gateway import Gateway
from core.machine import Machine
from core.reasons import Event
from core.session import reattach
from core.session.session import Session
from core.session.states import Effect, Input, State
from core.values import CompareAndSet, Outcome
from core.wire.epoch import Epoch
from lab.explore import claims, together
from lab.explore.copying import watched
from lab.explore.playbook import Writer
from lab.explore.search import Search
from lab.explore.world import Bounds, QuietStore
from lab.sim.twins import Store

SMALL: Final = Bounds(worlds=20_000)
BIRTH: Final = Bounds(born=0, moves=0, waits=1, worlds=5_000)
SPEAKING: Final = Bounds(born=0, moves=0, waits=0, says=1, worlds=5_000)
FAILING: Final = Bounds(store_faults=1, waits=0, worlds=30_000)
ORDERED: Final = Bounds(orders=1, waits=0, worlds=30_000)
UNWRITTEN: Final = Bounds(orders=1, store_faults=1, moves=0, waits=0, memory=0, worlds=5_000)
TWO: Final = Bounds(gateways=2, moves=2, attempts=2, waits=0, attacker=0, memory=0, worlds=150_000)


class Fault(NamedTuple):
    """What is broken, the claim that has to catch it, within which bounds, and how it is put in."""

    claims: frozenset[str]
    bounds: Bounds
    put: Callable[[ExitStack], None]


def table(cells: Mapping[tuple[State, Input], Any], stack: ExitStack) -> None:
    """Let sessions follow another table."""
    machine = Session.machine
    stack.enter_context(patch.object(Session, "machine", Machine(MappingProxyType({**machine.cells, **cells}), *machine[1:])))


def without(clause: str, *effects: Effect) -> dict[tuple[State, Input], Any]:
    """Return the cells of a row that lacks effects."""
    cells = Session.machine.cells.items()
    return {
        at: row._replace(effects=tuple(each for each in row.effects if each not in effects)) for at, row in cells if row.clause == clause
    }


def accept_replayed_reattach(stack: ExitStack) -> None:
    """A proven attempt is not burnt, and its bytes are not remembered."""
    judge = reattach.judge_reattach

    def careless(session: Session, *rest: Any) -> None:
        following, secrets = session.next, session.secrets
        judge(session, *rest)
        if session.state is not State.TERMINATED:
            session.next, session.exchange = following, None
            session.secrets = secrets

    stack.enter_context(patch.object(core.engine.gateway, "judge_reattach", careless))


def commit_on_reattach(stack: ExitStack) -> None:
    """A proven REATTACH asks for the commit; nobody waits for CONFIRM."""
    judge = reattach.judge_reattach

    def hasty(session: Session, frame: bytes, attempt: int, path: Any, now: Any) -> None:
        judge(session, frame, attempt, path, now)
        if session.candidate and not session.commit_ticket:
            session.hear(Input.CONFIRM_PROVEN, now)

    stack.enter_context(patch.object(core.engine.gateway, "judge_reattach", hasty))


def ignore_the_path(stack: ExitStack) -> None:
    """DATA is heard from anywhere, and where it came from is the session's path then."""
    data = DataPlane.data

    def roaming(self: DataPlane, runs: Any, path: Any, packets: Any, now: Any) -> None:
        for index in runs:
            if known := self.desk.indices.get(index):
                known[1].path = path
        data(self, runs, path, packets, now)

    stack.enter_context(patch.object(DataPlane, "data", roaming))


def forget_unbind(stack: ExitStack) -> None:
    """A silent path is not given up."""
    table(without("G-21", Effect.UNBIND), stack)


def resume_without_certainty(stack: ExitStack) -> None:
    """Whatever the row says, it is called ours."""

    def sure(_self: Gateway, session: Session, answer: Any) -> bool:
        session.stored, session.owned = answer.row.binding_version, True
        return True

    stack.enter_context(patch.object(Gateway, "_certain", sure))


def tombstone_by_a_fenced_owner(stack: ExitStack) -> None:
    """Who has lost a session ends it for everybody."""
    cells = Session.machine.cells.items()
    ended = {at: row._replace(event=Event.SESSION_ENDED) for at, row in cells if row.clause == "G-37"}
    table({at: row._replace(effects=(*row.effects, Effect.ASK_TOMBSTONE)) for at, row in ended.items()}, stack)


def no_suspension(stack: ExitStack) -> None:
    """A store that does not answer is taken for one that has refused."""
    cells = Session.machine.cells.items()
    table({at: row._replace(goes_to=None, effects=(Effect.DROP_CANDIDATE,)) for at, row in cells if row.clause == "G-15"}, stack)


def failed_end_is_forgotten(stack: ExitStack) -> None:
    """An end that the store has failed to write is taken for written."""
    ended = Gateway._ended  # noqa: SLF001 - what is broken on purpose

    def content(self: Gateway, session: Session, operation: Any, answer: Any, now: Any) -> None:
        ended(self, session, operation, answer._replace(outcome=Outcome.WON), now)

    stack.enter_context(patch.object(Gateway, "_ended", content))


def end_without_tombstone(stack: ExitStack) -> None:
    """An operator's end is not written."""
    table(without("G-32", Effect.ASK_TOMBSTONE), stack)


def promote_before_the_answer(stack: ExitStack) -> None:
    """CONFIRM binds at once; the store may say later what it likes."""
    ask = Session.ask_commit

    def eager(self: Session, now: Any, *rest: Any) -> None:
        ask(self, now, *rest)
        self._promote(now)
        self.acknowledge()

    stack.enter_context(patch.object(Session, "ask_commit", eager))


def blind_store(stack: ExitStack) -> None:
    """The store replaces a row whatever its version is."""
    execute = Store.execute

    def careless(self: Store, ask: Any) -> Any:
        operation = ask.operation
        if isinstance(operation, CompareAndSet) and operation.row.handle in self.rows:
            ask = ask._replace(operation=operation._replace(expect=self.rows[operation.row.handle].binding_version))
        return execute(self, ask)

    stack.enter_context(patch.object(QuietStore, "execute", careless))
    stack.enter_context(patch.object(Store, "execute", careless))


def believe_the_answer(stack: ExitStack) -> None:
    """The client takes RESP of a reattach for the commit."""
    hear = Client.hear

    def credulous(self: Client, heard: Any, now: Any, offer: Any = None) -> bool:
        did = hear(self, heard, now, offer)
        if did and heard is ClientInput.ATTEMPT_PROVEN:
            hear(self, ClientInput.COMMITTED, now, offer)
        return did

    stack.enter_context(patch.object(Client, "hear", credulous))


def counter_stands_still(stack: ExitStack) -> None:
    """An epoch seals two runs under one counter."""
    seal = Epoch.seal

    def stuck(self: Epoch, inner: Any) -> Any:
        runs, self.counter = seal(self, inner), 0
        return runs

    stack.enter_context(patch.object(Epoch, "seal", stuck))


def candidate_for_ever(stack: ExitStack) -> None:
    """A candidate has no deadline that comes."""
    stack.enter_context(patch.object(limits, "CANDIDATE_NS", 10**9 * 3_600 * 10**3))


def attempts_are_never_made(stack: ExitStack) -> None:
    """The client never makes an attempt, and no handshake in its place."""

    def mute(self: Contact, *_rest: Any) -> None:
        self.at.pop("fresh", None)

    stack.enter_context(patch.object(Contact, "attempt", mute))


def index_outlives_its_epoch(stack: ExitStack) -> None:
    """A dropped epoch is still looked up."""
    stack.enter_context(patch.object(Session, "_drop", lambda *_rest: None))


def fact_without_transition(stack: ExitStack) -> None:
    """A transition is recorded twice."""
    take = Session.take

    def twice(self: Session, row: Any, now: Any, offer: Any) -> None:
        take(self, row, now, offer)
        if row.clause == "G-10":
            self.version += 1

    stack.enter_context(patch.object(Session, "take", twice))


def _claims(*names: Callable[..., bool]) -> frozenset[str]:
    return frozenset(each.__name__ for each in names)


FAULTS: Final[Mapping[str, Fault]] = MappingProxyType({
    put.__name__.replace("_", " "): Fault(_claims(*names), bounds, put)
    for put, bounds, *names in (
        (accept_replayed_reattach, SMALL, claims.an_attempt_is_accepted_once),
        (commit_on_reattach, SMALL, claims.reattach_alone_moves_nothing),
        (promote_before_the_answer, BIRTH, claims.no_invariant_breaks),
        (believe_the_answer, SMALL, claims.the_client_commits_on_data_alone),
        (ignore_the_path, SMALL, claims.foreign_paths_change_nothing),
        (forget_unbind, SMALL, claims.no_invariant_breaks),
        (index_outlives_its_epoch, SMALL, claims.keys_exist_exactly_while_used),
        (candidate_for_ever, SMALL, claims.every_wait_ends),
        (fact_without_transition, SMALL, claims.no_invariant_breaks),
        (counter_stands_still, SPEAKING, together.a_nonce_is_used_once),
        (attempts_are_never_made, SMALL, Search.recovers),
        (no_suspension, FAILING, together.uncertainty_suspends),
        (failed_end_is_forgotten, UNWRITTEN, together.an_end_reaches_the_store),
        (end_without_tombstone, ORDERED, claims.each_transition_has_one_record),
        (resume_without_certainty, TWO, together.chain_is_not_behind_the_row),
        (blind_store, TWO, together.the_store_only_grows),
        (tombstone_by_a_fenced_owner, TWO, claims.only_owners_end_a_session),
    )
})  # fmt: skip
"""What is put in, by name; the cheap ones first."""


def caught(fault: Fault, *, alone: bool = False) -> tuple[str, int, int, str]:
    """Return the claim that catches a fault, or nothing; in how many steps, after how many worlds; and the playbook.

    `alone`: only the fault's own claims are judged.
    """
    with planted(fault.put), watched():
        search = Search(fault.bounds, 1 if Search.recovers.__name__ in fault.claims else 0, fault.claims if alone else frozenset())
        report = search.run()
        if report.found is None:
            return "", 0, report.worlds, ""
        return (
            report.found.claim,
            len(report.found.actions),
            report.worlds,
            Writer(search.stage).text(report.found, fault.put.__doc__ or ""),
        )


@contextmanager
def planted(put: Callable[[ExitStack], None]) -> Iterator[None]:
    """Put one fault in, and take it out again."""
    with ExitStack() as stack:
        put(stack)
        yield
