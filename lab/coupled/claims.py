"""What is claimed of the coupled model. A function's name is the claim's name, its docstring the claim; what it is given is what it reads.

The numbers in brackets are those of the list of claims in `docs/proofs/README.md`.
"""

from collections.abc import Callable
from typing import Any, Final

from core.client.states import State as ClientState
from core.reasons import Event
from core.session.states import Input, State
from core.values import Outcome
from lab.coupled import device as of_device
from lab.coupled import process as of_process
from lab.coupled.device import Device
from lab.coupled.device import Did as ClientDid
from lab.coupled.process import Did, Process
from lab.coupled.store import Rows
from lab.coupled.words import UNDER_KEYS, Row

BINDS: Final = (Event.SESSION_BORN, Event.SESSION_MOVED)

# --- of the store, and of a step of it -------------------------------------------------------------------------------------------


def evidence_is_one_story(rows: Rows) -> bool:
    """[2a, 3] A session's evidence is one birth, moves with growing attempts, and at most one end, which is last: one record a version."""
    for _, row in rows:
        events = [each.event for each in row.story]
        moves = events[1:] if row.live else events[1:-1]
        attempts = [each.attempt for each in row.story if each.event in BINDS]
        if events[0] is not Event.SESSION_BORN or set(moves) - {Event.SESSION_MOVED} or attempts != sorted(set(attempts)):
            return False
        if row.version != len(events) or row.live == (events[-1] is Event.SESSION_ENDED):
            return False
    return True


def the_store_only_grows(before: Rows, after: Rows) -> bool:
    """[2a, 5] Nobody resurrects a session: a tombstone stays; versions grow by one, and what an attempt has reached is never undone."""
    now = dict(after)
    for name, row in before:
        if name not in now or (now[name] != row and (not row.live or now[name].version != row.version + 1)):
            return False
        if now[name].attempt < row.attempt or now[name].next < row.next:
            return False
    return True


# --- of a process, alone and with the store ----------------------------------------------------------------------------------------


def every_wait_ends(process: Process) -> bool:
    """[6] Each session has a clock that runs: to a deadline, to the next question about its row, or to the next try to write its end."""
    return all(at.gone or (at.retry if at.suspended else of_process.clocks(at)) for _, at in process.sessions)


def a_candidate_is_newer(process: Process) -> bool:
    """[5] A candidate's attempt is higher than that of the active epoch, which is higher than that of the draining one."""
    for _, at in process.sessions:
        numbers = [each.attempt for each in (at.candidate, at.active, at.draining) if each]
        if numbers != sorted(set(numbers), reverse=True):
            return False
    return True


def a_binding_was_written(process: Process, rows: Rows) -> bool:
    """[2a] What a process has bound is what it has written: in the store is the birth or move of that version, attempt and process."""
    for name, at in process.sessions:
        if at.active and not (at.owned and written(dict(rows).get(name), at.version) == (at.active.attempt, process.boot)):
            return False
    return True


def the_chain_is_not_behind(process: Process, rows: Rows) -> bool:
    """[5] A live session that goes by the row of now knows every attempt that the row knows to be burnt."""
    now = dict(rows)
    return all(at.next >= now[name].next for name, at in process.sessions if at.chain and name in now and at.row == now[name].version)


def uncertainty_suspends(process: Process, rows: Rows, waiting: bool) -> bool:
    """[8] A bound session to which the store owes no answer knows its row's version, as long as the row is its own and live."""
    now = dict(rows)
    mine = [(at, now[name]) for name, at in process.sessions if at.active and name in now and now[name].boot == process.boot]
    return waiting or all(row.version == at.version for at, row in mine if row.live)


def an_end_reaches_the_store(process: Process, rows: Rows, waiting: bool) -> bool:
    """[5] Once a process has nothing more to ask, a row that it wrote last is live only while it holds the session [G-55]."""
    held = {name for name, at in process.sessions if not at.gone}
    return waiting or not any(row.live and row.boot == process.boot and name not in held for name, row in rows)


def one_binding_the_store_agrees_with(processes: tuple[Process, ...], rows: Rows) -> bool:
    """[2a] No two processes are bound under one version of a session, and at most one is bound under the version of its row."""
    bound = [(name, at.version) for each in processes for name, at in each.sessions if at.active]
    return len(set(bound)) == len(bound) and all(name in dict(rows) and version <= dict(rows)[name].version for name, version in bound)


# --- of a client with the store and with processes ------------------------------------------------------------------------------


def the_client_believes_only_the_store(client: Device, rows: Rows) -> bool:
    """[2b] The epoch that the client takes for committed was bound in the store, by the process that holds its keys."""
    epoch = client.committed
    if epoch is None:
        return True
    row = dict(rows).get(epoch.name)
    return row is not None and any((each.attempt, each.boot) == (epoch.attempt, epoch.boot) and each.event in BINDS for each in row.story)


def both_ends_know_one_version(client: Device, rows: Rows) -> bool:
    """[2] After an ACK the client's binding version is the one under which the store has the epoch that it speaks under."""
    epoch = client.committed
    return not (epoch and client.known) or written(dict(rows).get(epoch.name), client.known) == (epoch.attempt, epoch.boot)


def the_client_has_a_way_on(client: Device) -> bool:
    """[6] A client that is neither IDLE nor CLOSED has a clock that runs."""
    return client.state in {ClientState.IDLE, ClientState.CLOSED} or bool(of_device.clocks(client))


# --- of a step of a process ---------------------------------------------------------------------------------------------------


def the_table_holds(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[3, 5] GI-1 to GI-6 hold of every step, and what is real is what the row says."""
    return not did.broken


def a_reattach_alone_moves_nothing(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[4] A REATTACH, proven or not, changes no binding and no version, and asks for no commit."""
    if heard[0] != "frame" or heard[1].kind != "REATTACH":
        return True
    now = dict(did.after.sessions)
    same = all((at.active, at.version) == (now[name].active, now[name].version) for name, at in before.sessions if name in now)
    return same and not any(ask.kind in {"CREATE", "MOVE"} for ask in did.asks)


def only_a_confirm_asks(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[4] A commit is asked only by a CONFIRM under the candidate's keys, from its path; or again after FULL."""
    sessions = dict(before.sessions)
    for ask in did.asks:
        if ask.kind in {"CREATE", "MOVE"} and not ask.ends:
            held = sessions[ask.name].candidate if ask.name in sessions else None
            if held is None or heard[0] != "frame" or heard[1].kind != "CONFIRM" or (heard[1].epoch, heard[2]) != (held, held.path):
                return False
    return True


def only_the_store_binds(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[2a] An epoch becomes active only by the store's WON, as it was held; and the version grows by one."""
    was = dict(before.sessions)
    for name, at in did.after.sessions:
        known = was.get(name)
        if at.active and (known is None or known.active != at.active):
            won = heard[0] == "answer" and heard[1].outcome is Outcome.WON and heard[1].ask.name == name
            if not won or known is None or known.candidate != at.active or at.version != known.version + 1:
                return False
    return True


def an_attempt_is_accepted_once(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[5] A burnt attempt is never accepted: a new candidate's number was not burnt, and is burnt now."""
    was = dict(before.sessions)
    for name, at in did.after.sessions:
        held, known = at.candidate, was.get(name)
        if held and held.attempt and (known is None or known.candidate != held):
            burnt = known.next if known else heard[1].row.next
            if held.attempt < burnt or at.next != held.attempt + 1:
                return False
    return True


def numbers_never_go_back(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[5] In one process neither the binding version nor the next attempt gets smaller, and a version grows by one at most."""
    now = dict(did.after.sessions)
    pairs = [(at, now[name]) for name, at in before.sessions if name in now]
    return all(0 <= new.version - old.version <= 1 and new.next >= old.next for old, new in pairs)


def terminated_absorbs(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[5] What is TERMINATED stays so until it is forgotten, and then only a row that is live brings it back."""
    now = dict(did.after.sessions)
    return all(now[name].state is State.TERMINATED for name, at in before.sessions if at.state is State.TERMINATED and name in now)


def only_the_bound_deliver(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[8] Inner packets pass only under the active or the draining epoch, from its path, and never while unbound or suspended."""
    was, now = dict(before.sessions), dict(did.after.sessions)
    for epoch in did.delivered:
        at = was[epoch.name] if heard[0] == "frame" else now[epoch.name]
        if at.suspended or at.active is None or at.state not in {State.ATTACHED, State.VOLATILE, State.DEGRADED}:
            return False
        if epoch not in {at.active, at.draining} or (heard[0] == "frame" and heard[2] != epoch.path):
            return False
    return True


def who_is_fenced_ends_nothing(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[2c] Who learns that another owns a session asks the store for nothing about it, says nothing, and drops its keys."""
    fenced = {each.name for each in did.took if each.heard is Input.OWNER_FENCED}
    said = {ask.name for ask in did.asks} | {frame.epoch.name for frame in did.frames}
    return not fenced & said and all(not at.chain for name, at in did.after.sessions if name in fenced)


def elsewhere_changes_nothing(before: Process, heard: tuple[Any, ...], did: Did) -> bool:
    """[4] What came under keys from another path than theirs changes nothing; at most a hint is sent."""
    if heard[0] != "frame" or heard[1].kind not in UNDER_KEYS or heard[1].epoch.path == heard[2]:
        return True
    return did.after == before and not did.asks and not did.delivered and {each.kind for each in did.frames} <= {"HINT"}


# --- of a step of a process with the store, and of a step of the client ---------------------------------------------------------------


def evidence_is_in_the_store(before: Process, did: Did, rows: Rows) -> bool:
    """[3] What a row records as evidence is in the store exactly once: the birth or move of this binding, or this end when it is written.

    An end is written by who asks for it, or was written with the birth that superseded it. What a row does not record is not evidence.
    """
    now, was = dict(did.after.sessions), dict(before.sessions)
    for name, state, heard, event, asked in did.took:
        at, row = now.get(name), dict(rows).get(name)
        if heard is Input.COMMIT_WON and state is not State.TERMINATED:
            if at is None or row is None or row.story[was[name].version].event is not event:
                return False
        elif event in BINDS:
            return False
        else:
            over = heard is Input.SUPERSEDED or "END" in asked
            if state is not State.TERMINATED and over != (event is Event.SESSION_ENDED):
                return False
    return True


def the_client_table_holds(before: Device, heard: tuple[Any, ...], did: ClientDid) -> bool:
    """[3, 5] CI-1 to CI-3 hold of every step, and what is real is what the row says."""
    return not did.broken


def the_client_commits_on_data_alone(before: Device, heard: tuple[Any, ...], did: ClientDid) -> bool:
    """[2b] The client takes an epoch for committed only when something under its keys came on its path."""
    epoch = did.after.committed
    if epoch is None or epoch == before.committed:
        return True
    return heard[0] == "frame" and heard[1].epoch == epoch and heard[1].kind in UNDER_KEYS


def the_client_never_goes_back(before: Device, heard: tuple[Any, ...], did: ClientDid) -> bool:
    """[1, 5] In one session the committed attempt and the next one never get smaller; another session needs a handshake of its own."""
    old, new = before, did.after
    if new.name is None:
        return True
    if old.name != new.name:
        return new.committed is not None and new.committed.attempt == 0 and new.name.hand in {each[0] for each in (*old.hands, named(old))}
    return old.next <= new.next and bool(old.committed and new.committed and old.committed.attempt <= new.committed.attempt)


def closed_absorbs(before: Device, heard: tuple[Any, ...], did: ClientDid) -> bool:
    """[5] Nothing leads out of CLOSED, and who is CLOSED holds no keys and says nothing."""
    at = did.after
    keys = at.name or at.committed or at.draining or at.confirming or at.newborn
    return (before.state is not ClientState.CLOSED or (at.state is ClientState.CLOSED and not did.frames)) and not (
        at.state is ClientState.CLOSED and keys
    )


def written(row: Row | None, version: int) -> tuple[int, int] | None:
    """Return (attempt, process) of the binding that a row had at a version, or None."""
    if row is None or not 0 < version <= len(row.story) or row.story[version - 1].event not in BINDS:
        return None
    return row.story[version - 1].attempt, row.story[version - 1].boot


def named(at: Device) -> tuple[int, int]:
    """Return the handshake whose keys a client holds without a birth."""
    return (at.newborn.name.hand, 0) if at.newborn else (0, 0)


Claim = Callable[..., bool]
OF_STORE: Final[tuple[Claim, ...]] = (evidence_is_one_story,)
OF_PROCESS: Final[tuple[Claim, ...]] = (every_wait_ends, a_candidate_is_newer)
OF_PROCESS_AND_STORE: Final[tuple[Claim, ...]] = (a_binding_was_written, the_chain_is_not_behind)
OF_PROCESS_STORE_AND_QUEUE: Final[tuple[Claim, ...]] = (uncertainty_suspends, an_end_reaches_the_store)
OF_PROCESSES_AND_STORE: Final[tuple[Claim, ...]] = (one_binding_the_store_agrees_with,)
OF_CLIENT: Final[tuple[Claim, ...]] = (the_client_has_a_way_on,)
OF_CLIENT_AND_STORE: Final[tuple[Claim, ...]] = (the_client_believes_only_the_store, both_ends_know_one_version)
OF_STORE_STEP: Final[tuple[Claim, ...]] = (the_store_only_grows,)
OF_PROCESS_STEP: Final[tuple[Claim, ...]] = (
    the_table_holds, a_reattach_alone_moves_nothing, only_a_confirm_asks, only_the_store_binds, an_attempt_is_accepted_once,
    numbers_never_go_back, terminated_absorbs, only_the_bound_deliver, who_is_fenced_ends_nothing, elsewhere_changes_nothing,
)  # fmt: skip
OF_PROCESS_STEP_AND_STORE: Final[tuple[Claim, ...]] = (evidence_is_in_the_store,)
OF_CLIENT_STEP: Final[tuple[Claim, ...]] = (
    the_client_table_holds, the_client_commits_on_data_alone, the_client_never_goes_back, closed_absorbs,
)  # fmt: skip
