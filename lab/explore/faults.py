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
from core.session import reattach
from core.session.desk import Desk
from core.session.session import Session
from core.session.states import Effect, Input, State
from core.values import CompareAndSet
from core.wire.epoch import Epoch
from core.wire.messages import parse_data
from lab.explore.world import Bounds, QuietStore
from tests.core.twins import Store

SMALL: Final = Bounds(worlds=20_000)
FAILING: Final = Bounds(store_faults=1, worlds=30_000)
TWO: Final = Bounds(gateways=2, waits=1, worlds=30_000)


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

    def careless(session: Session, *rest: Any) -> None:  # noqa: ANN401 - as given
        kept = dict(vars(session))
        judge(session, *rest)
        if session.state is not State.TERMINATED:
            session.next, session.exchange = kept["next"], None
            for name in ("chain", "secrets"):
                if name in kept:
                    setattr(session, name, kept[name])

    stack.enter_context(patch.object(core.engine.gateway, "judge_reattach", careless))


def commit_on_reattach(stack: ExitStack) -> None:
    """A proven REATTACH asks for the commit; nobody waits for CONFIRM."""
    judge = reattach.judge_reattach

    def hasty(session: Session, frame: bytes, message: Any, attempt: int, path: Any, now: Any) -> None:  # noqa: ANN401, PLR0913, PLR0917 - as given
        judge(session, frame, message, attempt, path, now)
        if session.candidate and not session.commit_ticket:
            session.hear(Input.CONFIRM_PROVEN, now)

    stack.enter_context(patch.object(core.engine.gateway, "judge_reattach", hasty))


def ignore_the_path(stack: ExitStack) -> None:
    """DATA is heard from anywhere, and where it came from is the session's path then."""
    data = DataPlane.data

    def roaming(self: DataPlane, frame: bytes, path: Any, packets: Any, now: Any) -> None:  # noqa: ANN401 - as given
        known = self.desk.indices.get(parse_data(frame)[0])
        if known:
            known[1].path = path
        data(self, frame, path, packets, now)

    stack.enter_context(patch.object(DataPlane, "data", roaming))


def forget_unbind(stack: ExitStack) -> None:
    """A silent path is not given up."""
    table(without("G-21", Effect.UNBIND), stack)


def resume_without_certainty(stack: ExitStack) -> None:
    """Whatever the row says, it is called ours."""

    def sure(_self: Gateway, session: Session, answer: Any) -> bool:  # noqa: ANN401 - as given
        session.row = answer.row
        return answer.row is not None

    stack.enter_context(patch.object(Gateway, "_certain", sure))


def tombstone_by_a_fenced_owner(stack: ExitStack) -> None:
    """Who has lost a session ends it for everybody."""
    cells = Session.machine.cells.items()
    table({at: row._replace(effects=(*row.effects, Effect.ASK_TOMBSTONE)) for at, row in cells if row.clause == "G-37"}, stack)


def no_suspension(stack: ExitStack) -> None:
    """A store that does not answer is taken for one that has refused."""
    cells = Session.machine.cells.items()
    table({at: row._replace(goes_to=None, effects=(Effect.DROP_CANDIDATE,)) for at, row in cells if row.clause == "G-15"}, stack)


def late_commit_ignored(stack: ExitStack) -> None:
    """A commit that is won after the end leaves the session alive in the store."""
    answered = Gateway._commit_answered  # noqa: SLF001 - what is broken on purpose

    def deaf(self: Gateway, session: Session, operation: Any, answer: Any, now: Any) -> None:  # noqa: ANN401 - as given
        if session.state is not State.TERMINATED:
            answered(self, session, operation, answer, now)

    def forgetful(session: Session, now: Any) -> None:  # noqa: ANN401 - as given
        wipe(session, now)
        session.desk.tickets = {number: each for number, each in session.desk.tickets.items() if isinstance(each[1], CompareAndSet)}

    wipe = Session._wipe  # noqa: SLF001 - as above
    stack.enter_context(patch.object(Gateway, "_commit_answered", deaf))
    del forgetful


def end_without_tombstone(stack: ExitStack) -> None:
    """An operator's end is not written."""
    table(without("G-32", Effect.ASK_TOMBSTONE), stack)


def promote_before_the_answer(stack: ExitStack) -> None:
    """CONFIRM binds at once; the store may say later what it likes."""
    ask = Session.ask_commit

    def eager(self: Session, now: Any, *rest: Any) -> None:  # noqa: ANN401 - as given
        ask(self, now, *rest)
        held = self.candidate
        self._promote(now)
        self.acknowledge()
        del held

    stack.enter_context(patch.object(Session, "ask_commit", eager))


def blind_store(stack: ExitStack) -> None:
    """The store replaces a row whatever its version is."""
    execute = Store.execute

    def careless(self: Store, ask: Any) -> Any:  # noqa: ANN401 - as given
        operation = ask.operation
        if isinstance(operation, CompareAndSet) and operation.row.handle in self.rows:
            ask = ask._replace(operation=operation._replace(expect=self.rows[operation.row.handle].binding_version))
        return execute(self, ask)

    stack.enter_context(patch.object(QuietStore, "execute", careless))
    stack.enter_context(patch.object(Store, "execute", careless))


def believe_the_answer(stack: ExitStack) -> None:
    """The client takes RESP of a reattach for the commit."""
    hear = Client.hear

    def credulous(self: Client, heard: Any, now: Any, offer: Any = None) -> bool:  # noqa: ANN401 - as given
        did = hear(self, heard, now, offer)
        if did and heard is ClientInput.ATTEMPT_PROVEN:
            hear(self, ClientInput.COMMITTED, now, offer)
        return did

    stack.enter_context(patch.object(Client, "hear", credulous))


def older_attempt_wins(stack: ExitStack) -> None:
    """The client goes back to an older epoch when DATA under it comes late."""
    commit = Contact.commit

    def nostalgic(self: Contact, offer: Any, now: Any) -> None:  # noqa: ANN401 - as given
        kept = list(self.confirming)
        commit(self, offer, now)
        self.confirming = kept

    stack.enter_context(patch.object(Contact, "commit", nostalgic))


def counter_stands_still(stack: ExitStack) -> None:
    """An epoch seals two runs under one counter."""
    seal = Epoch.seal

    def stuck(self: Epoch, inner: Any) -> Any:  # noqa: ANN401 - as given
        runs, self.counter = seal(self, inner), 1
        return runs

    stack.enter_context(patch.object(Epoch, "seal", stuck))


def candidate_for_ever(stack: ExitStack) -> None:
    """A candidate has no deadline that comes."""
    stack.enter_context(patch.object(limits, "CANDIDATE_NS", 10**9 * 3_600 * 10**3))


def locators_are_forgotten(stack: ExitStack) -> None:
    """The client loses what the ACK brought, and tries no handshake either."""

    def mute(self: Contact, *_rest: Any) -> None:  # noqa: ANN401 - as given
        self.at.pop("fresh", None)

    stack.enter_context(patch.object(Contact, "attempt", mute))


def index_outlives_its_epoch(stack: ExitStack) -> None:
    """A dropped epoch is still looked up."""
    stack.enter_context(patch.object(Session, "_drop", lambda *_rest: None))


def fact_without_transition(stack: ExitStack) -> None:
    """A transition is recorded twice."""
    take = Session.take

    def twice(self: Session, row: Any, now: Any, offer: Any) -> None:  # noqa: ANN401 - as given
        take(self, row, now, offer)
        if row.clause == "G-10":
            self.version += 1

    stack.enter_context(patch.object(Session, "take", twice))


FAULTS: Final[Mapping[str, Fault]] = MappingProxyType({})


@contextmanager
def planted(put: Callable[[ExitStack], None]) -> Iterator[None]:
    """Put one fault in, and take it out again."""
    with ExitStack() as stack:
        put(stack)
        yield


__all__ = ["Desk"]
