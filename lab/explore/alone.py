"""For each claim about the engines a fault that it catches when it is judged alone, so that no other is quicker.

Production checks the claims of its tables itself; where a fault has to get past that, it is put in with a machine that checks nothing.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

import core.engine.gateway
from core.client.client import Client
from core.client.contact import Contact
from core.client.states import Effect as ClientEffect
from core.client.states import Input as ClientInput
from core.client.states import State as ClientState
from core.client.table import CHANGED
from core.client.table import MACHINE as CLIENT
from core.client.table import Row as ClientRow
from core.reasons import Event, Reason
from core.session import reattach
from core.session.desk import Desk
from core.session.session import Session
from core.session.states import Effect, State
from core.session.table import MACHINE as SESSION
from lab.explore import claims, faults, together
from lab.explore.faults import BIRTH, FAILING, ORDERED, SMALL, TWO, UNWRITTEN, Fault
from lab.explore.search import Search
from lab.explore.world import Bounds, QuietStore

MOVING: Final = Bounds(waits=0, memory=0, attacker=0, worlds=20_000)
ENDING: Final = Bounds(orders=1, moves=0, waits=0, memory=0, worlds=5_000)


def unchecked(actor: type, machine: Any, stack: ExitStack, clause: str, **change: Any) -> None:
    """Let an actor follow its table with one row changed, and check none of its claims."""
    cells = {at: row._replace(**change) if row.clause == clause else row for at, row in machine.cells.items()}
    stack.enter_context(patch.object(actor, "machine", machine._replace(cells=MappingProxyType(cells), always=(), step=())))


def after(owner: type, name: str, then: Callable[[Any], None], stack: ExitStack) -> None:
    """Let something happen each time that a method has run."""
    method = getattr(owner, name)

    def both(self: Any, *rest: Any) -> Any:
        result = method(self, *rest)
        then(self)
        return result

    stack.enter_context(patch.object(owner, name, both))


def bound_without_a_path(stack: ExitStack) -> None:
    """A silent path is not given up, and nobody looks."""
    unchecked(Session, SESSION, stack, "G-21", effects=(Effect.ARM_RECOVERY, Effect.DISARM_VOLATILE))


def born_without_a_session(stack: ExitStack) -> None:
    """A client calls itself attached and adopts nothing, and nobody looks."""
    unchecked(Client, CLIENT, stack, "C-3", effects=())


def the_dead_come_back(stack: ExitStack) -> None:
    """A session whose end is not yet written begins anew."""
    unchecked(Session, SESSION, stack, "G-41", goes_to=State.RECOVERING)


def closed_opens_again(stack: ExitStack) -> None:
    """An order to connect begins a client anew that is over."""
    row = ClientRow("new", (ClientState.CLOSED,), ClientInput.CONNECT, ClientState.CONNECTING, (ClientEffect.SHAKE_HANDS,), CHANGED,
                    Reason.CONNECT_ORDERED)  # fmt: skip
    cells = MappingProxyType({**CLIENT.cells, (ClientState.CLOSED, ClientInput.CONNECT): row})
    stack.enter_context(patch.object(Client, "machine", CLIENT._replace(cells=cells, always=(), step=())))


def bind_with_the_question(stack: ExitStack) -> None:
    """CONFIRM binds; the store is asked, and its answer awaited by nobody."""
    unchecked(Session, SESSION, stack, "G-11", effects=(Effect.ASK_MOVE, Effect.PROMOTE))


def forget_whose_row_it_is(stack: ExitStack) -> None:
    """A session does not know that it has written its row."""
    after(Session, "_promote", lambda session: setattr(session, "owned", False), stack)


def forget_what_is_burnt(stack: ExitStack) -> None:
    """A commit lets all attempts count again."""
    after(Session, "_promote", lambda session: setattr(session, "next", 1), stack)


def file_under_another_name(stack: ExitStack) -> None:
    """A commit makes another session of it, for the log."""
    after(Session, "_promote", lambda session: setattr(session, "correlation", bytes(len(session.correlation))), stack)


def forget_every_clock(stack: ExitStack) -> None:
    """A client that has settled probes no more."""
    after(Contact, "_settled", lambda client: client.at.clear(), stack)


def count_backwards(stack: ExitStack) -> None:
    """A client that has moved uses a number again."""
    after(Contact, "commit", lambda client: setattr(client.life, "next", client.life.next - 1), stack)


def take_another_for_its_own(stack: ExitStack) -> None:
    """A move brings a client into a session that it has never been in."""
    after(Contact, "commit", lambda client: setattr(client.life, "correlation", bytes(16)), stack)


def tell_everything_twice(stack: ExitStack) -> None:
    """Each transition of a client leaves two records."""
    after(Client, "take", lambda client: client.out.append(client.out[-1]), stack)


def answer_where_it_was(stack: ExitStack) -> None:
    """A REATTACH is answered where the session is bound, and the candidate is held there."""
    judge = reattach.judge_reattach

    def astray(session: Session, frame: bytes, attempt: int, path: Any, now: Any) -> None:
        judge(session, frame, attempt, session.active.path if session.active else path, now)

    stack.enter_context(patch.object(core.engine.gateway, "judge_reattach", astray))


def draw_at_random(stack: ExitStack) -> None:
    """What comes of a step depends on what came before it, elsewhere."""
    numbers = itertools.count(1)
    stack.enter_context(patch.object(Desk, "new_index", lambda _self: next(numbers)))


def record_moves_twice(stack: ExitStack) -> None:
    """The store keeps the evidence of a move twice."""
    after(QuietStore, "keep", lambda store: store.outbox.extend(store.outbox[-1:] * (store.outbox[-1].event is Event.SESSION_MOVED)), stack)


ALONE: Final[Mapping[str, Fault]] = MappingProxyType({
    claim.__name__: Fault(frozenset((claim.__name__,)), bounds, put)
    for claim, bounds, put in (
        (claims.claims_of_the_table_hold, SMALL, bound_without_a_path),
        (claims.candidate_is_newer, MOVING, faults.accept_replayed_reattach),
        (claims.keys_exist_exactly_while_used, SMALL, faults.index_outlives_its_epoch),
        (claims.every_wait_ends, SMALL, faults.candidate_for_ever),
        (claims.a_bound_session_owns_its_row, BIRTH, forget_whose_row_it_is),
        (claims.client_claims_of_the_table_hold, BIRTH, born_without_a_session),
        (claims.every_wait_of_the_client_ends, BIRTH, forget_every_clock),
        (claims.no_invariant_breaks, SMALL, faults.forget_unbind),
        (claims.reattach_alone_moves_nothing, SMALL, faults.commit_on_reattach),
        (claims.only_a_confirm_asks, SMALL, faults.commit_on_reattach),
        (claims.only_the_store_binds, SMALL, bind_with_the_question),
        (claims.foreign_paths_change_nothing, SMALL, faults.ignore_the_path),
        (claims.a_candidate_is_held_where_it_was_challenged, SMALL, answer_where_it_was),
        (claims.an_attempt_is_accepted_once, SMALL, faults.accept_replayed_reattach),
        (claims.numbers_never_go_back, MOVING, forget_what_is_burnt),
        (claims.terminated_stays, UNWRITTEN._replace(waits=1), the_dead_come_back),
        (claims.only_owners_end_a_session, TWO, faults.tombstone_by_a_fenced_owner),
        (claims.each_transition_has_one_record, ORDERED, faults.end_without_tombstone),
        (claims.the_client_commits_on_data_alone, SMALL, faults.believe_the_answer),
        (claims.the_client_never_goes_back, MOVING, count_backwards),
        (claims.a_new_session_needs_a_handshake, MOVING, take_another_for_its_own),
        (claims.closed_stays, ENDING, closed_opens_again),
        (claims.each_step_of_the_client_has_one_record, BIRTH, tell_everything_twice),
        (claims.same_twice, SMALL, draw_at_random),
        (together.the_client_believes_only_the_store, SMALL, faults.believe_the_answer),
        (together.one_binding_over_all_gateways, TWO, faults.blind_store),
        (together.chain_is_not_behind_the_row, TWO, faults.resume_without_certainty),
        (together.both_ends_have_the_same_keys, SMALL, file_under_another_name),
        (together.uncertainty_suspends, FAILING, faults.no_suspension),
        (together.an_end_reaches_the_store, UNWRITTEN, faults.failed_end_is_forgotten),
        (together.evidence_is_one_story, MOVING, record_moves_twice),
        (together.a_nonce_is_used_once, faults.SPEAKING, faults.counter_stands_still),
        (together.the_store_only_grows, TWO, faults.blind_store),
        (Search.recovers, SMALL, faults.attempts_are_never_made),
    )
})  # fmt: skip
"""By the claim that has to catch it."""


def every_claim() -> Iterator[str]:
    """Yield the names of all claims that a search judges."""
    judged = (*claims.OF_GATEWAY, *claims.OF_CLIENT, *claims.STEPS_OF_GATEWAY, *claims.STEPS_OF_CLIENT, *together.OF_WORLD)
    besides = (claims.same_twice, together.a_nonce_is_used_once, together.the_store_only_grows, Search.recovers)
    yield from (each.__name__ for each in (*judged, *besides))
