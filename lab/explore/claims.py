"""What is claimed of one engine that runs, in each state and step. A function's name is the claim's name, its docstring the claim."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from core import limits
from core.client.client import Client
from core.client.states import State as ClientState
from core.client.table import MACHINE as CLIENT
from core.engine.gateway import Gateway
from core.reasons import Event, Reason
from core.session.session import Session
from core.session.states import State
from core.session.table import MACHINE as SESSION
from core.session.timers import deadlines
from core.values import CompareAndSet, Create, Fact, Outcome, Tombstone
from core.wire.epoch import Epoch
from core.wire.layout import DATA_HEADER, Kind
from core.wire.messages import parse_data
from lab.explore.copying import Heard, digest
from lab.explore.parts import Did, Input, Part

BINDS: Final = (Event.SESSION_BORN, Event.SESSION_MOVED)
NOT_A_TRANSITION: Final = (Reason.HANDSHAKE_PROVEN, Reason.TAKEN_OVER)
DATA, REATTACH = 4, 5
OF_TRANSITION: Final = (Event.CLIENT_CHANGED, Event.CLIENT_ATTACHED, Event.CLIENT_MOVED, Event.CLIENT_ENDED)
NOT_OWNERS: Final = (Reason.OWNER_FENCED, Reason.VERSION_STALE)


def sessions(part: Part) -> dict[int, Session]:
    """Return a gateway's sessions by handle."""
    known: dict[int, Session] = part.engine.desk.sessions
    return known


# --- of a gateway in one state -------------------------------------------------------------------------------------------------


def claims_of_the_table_hold(gateway: Gateway, now: int) -> bool:
    """GI-1 to GI-5 hold of every session."""
    return all(claim(session.facts()) for session in gateway.desk.sessions.values() for claim in SESSION.always)


def candidate_is_newer(gateway: Gateway, now: int) -> bool:
    """A candidate's attempt is higher than that of the active epoch."""
    every = gateway.desk.sessions.values()
    return all(each.candidate.epoch.attempt > each.active.attempt for each in every if each.candidate and each.active)


def keys_exist_exactly_while_used(gateway: Gateway, now: int) -> bool:
    """An index is answered exactly while its epoch is active, candidate or draining of a live session."""
    used = {epoch.index for each in gateway.desk.sessions.values() for epoch in epochs(each)}
    return used == set(gateway.desk.indices)


def every_wait_ends(gateway: Gateway, now: int) -> bool:
    """Every state that is not final, every candidate, every commit and every unconfirmed end has a deadline, and none is far away."""
    for session in gateway.desk.sessions.values():
        due = {at - now for at, _ in deadlines(session)}
        if not due or min(due) > 24 * 3_600 * limits.SECOND:
            return False
        if session.commit_ticket and min(due) > limits.STORE_TIMEOUT_NS:
            return False
        if session.state is State.PENDING and min(due) > limits.PENDING_NS:
            return False
        if session.candidate and session.candidate.deadline - now > limits.PENDING_NS:
            return False
        if session.state is State.RECOVERING and min(due) > limits.RECOVERY_WINDOW_NS:
            return False
        if session.suspended and (session.retry_at is None or session.retry_at - now > limits.RELOAD_RETRY_NS):
            return False
    return True


def a_bound_session_owns_its_row(gateway: Gateway, now: int) -> bool:
    """A session with an active epoch was the last to write its row, as far as it knows, and goes by that row's version."""
    return all(each.owned and each.stored == each.binding_version for each in gateway.desk.sessions.values() if each.active)


def client_claims_of_the_table_hold(client: Client, now: int) -> bool:
    """CI-1 and CI-2 hold."""
    return all(claim(client.facts()) for claim in CLIENT.always)


def every_wait_of_the_client_ends(client: Client, now: int) -> bool:
    """A client that is neither IDLE nor CLOSED has something to do at a time that is not far away."""
    due = client.deadline()
    return client.state in {ClientState.IDLE, ClientState.CLOSED} or (due is not None and due - now <= limits.SECOND * 60)


# --- of a step -----------------------------------------------------------------------------------------------------------------


def no_invariant_breaks(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """No claim that production checks is ever broken: nothing is recorded as INVARIANT_BROKEN."""
    return Reason.INVARIANT_BROKEN not in {fact.reason for fact in facts_of(did)}


def reattach_alone_moves_nothing(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """A REATTACH changes no active epoch and no binding version, and asks for no commit."""
    if heard[0] != "frame" or heard[1][0] != REATTACH:
        return True
    same = all(binding(each) == binding(sessions(after).get(handle))
               for handle, each in sessions(before).items() if each.state is not State.TERMINATED)  # fmt: skip
    return same and not any(isinstance(ask.operation, Create | CompareAndSet) for ask in did.asks)


def only_a_confirm_asks(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """A commit is asked only by a CONFIRM under the candidate's keys, from the path that was challenged, or again after FULL."""
    for ask in did.asks:
        if not isinstance(ask.operation, Create | CompareAndSet) or (isinstance(ask.operation, Create) and ask.operation.supersede):
            continue
        known = sessions(before).get(ask.operation.row.handle)
        if heard[0] != "frame" or heard[1][0] != DATA or known is None or known.candidate is None:
            return False
        epoch = known.candidate.epoch
        if parse_data(heard[1])[0] != epoch.index or heard[2] != epoch.path or kind_of_data(heard[1]) is not Kind.CONFIRM:
            return False
    return True


def only_the_store_binds(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """An epoch becomes active only when the store has answered WON, as it was held: same keys, same path; and the version grows by one."""
    for handle, session in sessions(after).items():
        known = sessions(before).get(handle)
        if session.active and (known is None or known.active is None or known.active.index != session.active.index):
            won = heard[0] == "answer" and heard[1].outcome is Outcome.WON
            held = known.candidate.epoch if known and known.candidate else None
            if not (won and known and held and (held.index, held.path) == (session.active.index, session.active.path)):
                return False
            if session.binding_version != known.binding_version + 1:
                return False
    return True


def foreign_paths_change_nothing(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """DATA from another path than its epoch's changes nothing: no window, no binding, no delivery; at most a hint is sent."""
    if heard[0] != "frame" or heard[1][0] != DATA:
        return True
    found = before.engine.desk.indices.get(parse_data(heard[1])[0])
    if found is None or found[1].path == heard[2]:
        return True
    was, now = sessions(before), sessions(after)
    return was.keys() == now.keys() and not did.asks and all(state_of(was[handle]) == state_of(now[handle]) for handle in was)


def a_candidate_is_held_where_it_was_challenged(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """A new candidate has the path from which its request came, and the answer went there and nowhere else."""
    for handle, session in sessions(after).items():
        known = sessions(before).get(handle)
        held = session.candidate
        if held and (known is None or known.candidate is None or known.candidate.epoch.index != held.epoch.index):
            asked = heard[2] if heard[0] == "frame" else next((load.path for load in loads(before) if load.path == held.epoch.path), None)
            if held.epoch.path != asked or held.epoch.path not in {path for _, path in did.sent}:
                return False
    return True


def an_attempt_is_accepted_once(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """One process accepts an attempt at most once: a new candidate's attempt was not burnt, and is burnt now."""
    for handle, session in sessions(after).items():
        known, held = sessions(before).get(handle), session.candidate
        if held and held.epoch.attempt and (known is None or known.candidate is None or known.candidate.epoch.index != held.epoch.index):
            read = heard[1].row if heard[0] == "answer" else None
            burnt = known.next if known else read.next if read else 1
            if held.epoch.attempt < burnt or session.next != held.epoch.attempt + 1:
                return False
    return True


def numbers_never_go_back(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """Binding version, next attempt and the active epoch's attempt never get smaller in one process."""
    for handle, session in sessions(after).items():
        known = sessions(before).get(handle)
        if known is None or session.state is State.TERMINATED:
            continue
        if session.binding_version < known.binding_version or session.next < known.next:
            return False
        if known.active and session.active and session.active.attempt < known.active.attempt:
            return False
    return True


def terminated_stays(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """What is TERMINATED stays so until it is forgotten."""
    over = [handle for handle, each in sessions(before).items() if each.state is State.TERMINATED]
    return all(handle not in sessions(after) or sessions(after)[handle].state is State.TERMINATED for handle in over)


def each_transition_has_one_record(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """Each accepted transition of a session adds one to its version and leaves one record with a reason."""
    for handle, (start, end) in did.versions.items():
        session, known = sessions(after).get(handle), sessions(before).get(handle)
        told = [fact.state_version for fact in did.facts if fact.handle == handle and fact.event is Event.SESSION_CHANGED
                and fact.reason not in NOT_A_TRANSITION and not repeats_an_end(known, fact)]  # fmt: skip
        ends = [ask.operation for ask in did.asks if isinstance(ask.operation, Tombstone) and ask.operation.handle == handle]
        told += [each.fact.state_version for each in ends if known is None or known.state is not State.TERMINATED]
        if known and known.commit_ticket and heard[0] == "answer" and heard[1][:2] == (known.commit_ticket, Outcome.WON):
            told.append(start + 1)  # its record was made when the commit was asked
        if sorted(told) != list(range(start + 1, end + 1)) and not (session and superseded(session, did)):
            return False
    return True


def only_owners_end_a_session(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """Who learns that somebody else owns a session asks the store for nothing and says no CLOSE."""
    fenced = any(fact.reason is Reason.OWNER_FENCED for fact in facts_of(did))
    said = any(frame[0] == DATA and kind_of_data(frame) is Kind.CLOSE for frame, _ in did.sent)
    return not fenced or not (said or any(isinstance(ask.operation, Tombstone) for ask in did.asks))


def the_client_commits_on_data_alone(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """The client takes an epoch for committed only when DATA under it came on its path."""
    was, now = before.engine.committed, after.engine.committed
    if now is None or (was is not None and was.index == now.index):
        return True
    return bool(heard[0] == "frame" and heard[1][0] == DATA and parse_data(heard[1])[0] == now.index and heard[2] == now.path)


def the_client_never_goes_back(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """In one session the committed attempt, the next attempt and the version that the client knows never get smaller."""
    was, now = before.engine, after.engine
    if was.life is None or now.life is None or was.life.correlation != now.life.correlation:
        return True
    grows = was.committed.attempt <= now.committed.attempt and was.life.next <= now.life.next
    return bool(grows and was.life.binding_version <= now.life.binding_version)


def a_new_session_needs_a_handshake(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """The client's session id changes only to that of a handshake that it has proven itself."""
    was, now = before.engine, after.engine
    known = {each.correlation for each in (was.life, was.newborn.life if was.newborn else None) if each}
    return now.life is None or now.life.correlation in known


def closed_stays(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """Nothing leads out of CLOSED."""
    return before.engine.state is not ClientState.CLOSED or after.engine.state is ClientState.CLOSED


def each_step_of_the_client_has_one_record(before: Part, heard: Input, did: Did, after: Part) -> bool:
    """Each accepted transition of the client adds one to its version and leaves one record with a reason."""
    told = [fact.state_version for fact in did.facts if fact.event in OF_TRANSITION]
    return told == list(range(did.versions[0][0] + 1, did.versions[0][1] + 1))


# --- words ---------------------------------------------------------------------------------------------------------------------


def epochs(session: Session) -> Iterator[Epoch]:
    """Yield the epochs of a session that can be heard."""
    yield from filter(None, (session.active, session.draining, session.candidate.epoch if session.candidate else None))


def binding(session: Session | None) -> tuple[int | None, int] | None:
    """Return which epoch is active, and the version."""
    return (session.active.index if session.active else None, session.binding_version) if session else None


def state_of(session: Session) -> tuple[Any, ...]:
    """Return what a frame from elsewhere must leave alone."""
    windows = tuple((epoch.index, epoch.top, epoch.bitmap) for epoch in epochs(session))
    return session.facts(), session.binding_version, session.next, session.commit_ticket, windows, session.heard_at


def kind_of_data(frame: bytes) -> Kind | None:
    """Return what a DATA frame carries, as whoever sealed it knows."""
    plain = Heard.plain.get(frame[DATA_HEADER:])
    return Kind(plain[0]) if plain else None


def facts_of(did: Did) -> list[Any]:
    """Return all facts of a step, telemetry and evidence of ends."""
    return [*did.facts, *(ask.operation.fact for ask in did.asks if isinstance(ask.operation, Tombstone))]


def loads(part: Part) -> list[Any]:
    """Return the requests that wait for a row."""
    return [asker for asker, _ in part.engine.desk.tickets.values() if hasattr(asker, "attempt") and hasattr(asker, "path")]


def repeats_an_end(known: Session | None, fact: Fact) -> bool:
    """Tell whether a record repeats the end of a session that the store has no row for."""
    return known is not None and known.state is State.TERMINATED and fact.state_from != State.TERMINATED


def superseded(session: Session, did: Did) -> bool:
    """Tell whether a session was ended by a birth: its record is in the store with that."""
    return session.state is State.TERMINATED and not did.asks


def same_twice(first: Did, again_: Did, one: Part, other: Part) -> bool:
    """Two runs of one step give the same bytes, asks, records and state."""
    return first == again_ and digest(one.engine, one.now) == digest(other.engine, other.now)


OF_GATEWAY: Final[tuple[Callable[[Gateway, int], bool], ...]] = (
    claims_of_the_table_hold, candidate_is_newer, keys_exist_exactly_while_used, every_wait_ends,
    a_bound_session_owns_its_row,
)  # fmt: skip
OF_CLIENT: Final[tuple[Callable[[Client, int], bool], ...]] = (client_claims_of_the_table_hold, every_wait_of_the_client_ends)
Step = Callable[[Part, Input, Did, Part], bool]
STEPS_OF_GATEWAY: Final[tuple[Step, ...]] = (
    no_invariant_breaks, reattach_alone_moves_nothing, only_a_confirm_asks, only_the_store_binds, foreign_paths_change_nothing,
    a_candidate_is_held_where_it_was_challenged, an_attempt_is_accepted_once, numbers_never_go_back, terminated_stays,
    only_owners_end_a_session, each_transition_has_one_record,
)  # fmt: skip
STEPS_OF_CLIENT: Final[tuple[Step, ...]] = (
    no_invariant_breaks, the_client_commits_on_data_alone, the_client_never_goes_back, a_new_session_needs_a_handshake, closed_stays,
    each_step_of_the_client_has_one_record,
)  # fmt: skip
