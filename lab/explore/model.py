# ruff: noqa: N814 - the alphabets of two machines have the same names, and stand side by side here
"""The tables without engines: abstract ends that follow any table given, and what is claimed of every step by what was heard.

A session here is its facts and numbers: attempts for epochs, names for paths. Effects are performed in the order of the row, each as the
engines do it, so that an effect that is missing, added or out of order has its consequence.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, NamedTuple

from core.client import table as client_table
from core.client.states import Effect as CE
from core.client.states import Input as CI
from core.client.states import State as CS
from core.machine import Machine
from core.reasons import Event, Reason
from core.session import table as session_table
from core.session.states import Effect as GE
from core.session.states import Input as GI
from core.session.states import State as GS

ATTEMPTS: Final = 2
A_MACHINE = Machine[Any, Any, Any, Any]


class Session(NamedTuple):
    """A gateway's session. `active`, `draining`, `candidate`: attempts or None; `version`, `row`: of the binding, here and as read."""

    state: Any
    active: int | None = None
    draining: int | None = None
    candidate: int | None = None
    commit: bool = False
    suspended: bool = False
    recovery: bool = False
    volatile: bool = False
    chain: bool = True
    version: int = 0
    row: int = 0
    retry: bool = False
    ordered: bool = False
    said: tuple[str, ...] = ()


class Device(NamedTuple):
    """A client: whether it has a session and holds such keys; `trying`: what is under way."""

    state: Any
    session: bool = False
    committed: bool = False
    newborn: bool = False
    confirming: bool = False
    draining: bool = False
    trying: frozenset[str] = frozenset()
    said: tuple[str, ...] = ()


def gateway_facts(at: Session, version: int = 0) -> session_table.Facts:
    """Return the facts that the claims in production speak about."""
    return session_table.Facts(at.state, version, at.active is not None, at.candidate is not None, at.commit, at.suspended, at.recovery,
                               at.volatile, at.chain)  # fmt: skip


def client_facts(at: Device, version: int = 0) -> client_table.Facts:
    """Return the facts of a client."""
    return client_table.Facts(at.state, version, at.session, at.committed, at.newborn)


def gateway_effect(at: Session, effect: GE, offer: int) -> Session:  # noqa: C901, PLR0911, PLR0912 - one case an effect
    """Return a session after one effect, as `core.session.session` performs it."""
    match effect:
        case GE.HOLD_CANDIDATE:
            return at._replace(candidate=offer, commit=False)
        case GE.DROP_CANDIDATE:
            return at._replace(candidate=None, commit=False)
        case GE.ASK_CREATE | GE.ASK_MOVE:
            held = at.candidate is not None
            return at._replace(commit=held, said=(*at.said, effect.name if held else "ASKED FOR NOTHING"))
        case GE.ASK_ROW:
            return at._replace(retry=True, said=(*at.said, effect.name))
        case GE.ASK_TOMBSTONE | GE.ASK_END | GE.ASK_AGAIN:
            ordered = at.ordered if effect is GE.ASK_AGAIN else effect is GE.ASK_TOMBSTONE
            return at._replace(retry=True, ordered=ordered, said=(*at.said, "END IT" if ordered else "END MINE"))
        case GE.PROMOTE:
            if at.candidate is None:
                return at._replace(said=(*at.said, "PROMOTED NOTHING"))
            version = at.version + 1
            at = at._replace(active=at.candidate, draining=at.active, candidate=None, commit=False)
            return at._replace(version=version, row=version, said=(*at.said, "ROUTE UP"))
        case GE.ACKNOWLEDGE:
            return at._replace(said=(*at.said, f"ACK {at.active}"))
        case GE.UNBIND:
            told = ("ROUTE DOWN",) if at.active is not None else ()
            return at._replace(active=None, draining=None, said=(*at.said, *told))
        case GE.ADOPT_ROW:
            return at._replace(version=at.row)
        case GE.SUSPEND:
            return at._replace(suspended=True)
        case GE.RESUME:
            return at._replace(suspended=False, retry=False)
        case GE.ARM_RECOVERY | GE.DISARM_RECOVERY:
            return at._replace(recovery=effect is GE.ARM_RECOVERY, said=armed(at, effect))
        case GE.ARM_VOLATILE | GE.DISARM_VOLATILE:
            return at._replace(volatile=effect is GE.ARM_VOLATILE, said=armed(at, effect))
        case GE.SAY_CLOSE:
            speaks = at.active is not None or (at.candidate == 0 and at.chain)
            return at._replace(said=(*at.said, "CLOSE")) if speaks else at
        case GE.WIPE:
            down = ("ROUTE DOWN",) if at.active is not None else ()
            return Session(at.state, chain=False, version=at.version, row=at.row, ordered=at.ordered, said=(*at.said, *down))
    raise ValueError(effect)


def armed(at: Session, effect: GE) -> tuple[str, ...]:
    """Return what was said, and that a deadline begins: one that runs already would be put off."""
    return (*at.said, effect.name) if effect in {GE.ARM_RECOVERY, GE.ARM_VOLATILE} else at.said


def client_effect(at: Device, effect: CE) -> Device:  # noqa: C901, PLR0911 - one case an effect
    """Return a client after one effect, as `core.client` performs it."""
    match effect:
        case CE.OPEN_PATHS:
            return at._replace(trying=at.trying | {"paths"})
        case CE.SHAKE_HANDS:
            return at._replace(trying=at.trying | {"hand"}, said=(*at.said, "INIT"))
        case CE.CONFIRM_BIRTH:
            return at._replace(said=(*at.said, "CONFIRM BIRTH" if at.newborn else "NO KEYS"))
        case CE.ADOPT_BIRTH:
            born = Device(at.state, session=True, committed=True, said=(*at.said, "ADOPTED"))
            return born if at.newborn else at._replace(said=(*at.said, "NO KEYS"))
        case CE.SEEK:
            return at._replace(trying=at.trying | {"attempt", "fresh"}, said=(*at.said, "SEEK"))
        case CE.ATTEMPT_HERE | CE.ATTEMPT_BETTER:
            return at._replace(trying=at.trying | {"attempt"}, said=(*at.said, f"REATTACH {effect.name}"))
        case CE.LAST_CHANCE:
            told = "LAST CHANCE" if at.newborn else "NO KEYS"
            return at._replace(trying=at.trying | {"attempt", "last chance"}, said=(*at.said, told))
        case CE.CONFIRM_MOVE:
            return at._replace(confirming=True, trying=at.trying - {"last chance"}, said=(*at.said, "CONFIRM"))
        case CE.COMMIT:
            moved = at._replace(committed=True, newborn=False, confirming=False, draining=at.committed, trying=frozenset())
            return moved._replace(said=(*at.said, "COMMITTED" if at.confirming else "NO KEYS"))
        case CE.DROP_CONFIRMED:
            return at._replace(confirming=False, said=(*at.said, "DROPPED"))
        case CE.SAY_CLOSE:
            return at._replace(said=(*at.said, "CLOSE")) if at.committed else at
        case CE.WIPE:
            down = ("ROUTE DOWN",) if at.session else ()
            return Device(at.state, said=(*at.said, *down))
    raise ValueError(effect)


class Step(NamedTuple):
    """One transition: before, what was heard, after (with what was said in order), and the record that it leaves."""

    before: Any
    heard: Enum
    after: Any
    event: Event | None
    reason: Reason | None


def gateway_step(machine: A_MACHINE, at: Session, heard: GI, offer: int = 0) -> Step | None:
    """Return what a session does with an input, or None where the cell is empty."""
    row = machine.cells.get((at.state, heard))
    if row is None:
        return None
    after = at._replace(state=row.goes_to or at.state, said=())
    for effect in row.effects:
        after = gateway_effect(after, effect, offer)
    return Step(at, heard, after, row.event, row.reason)


def client_step(machine: A_MACHINE, at: Device, heard: CI) -> Step | None:
    """Return what a client does with an input, or None."""
    row = machine.cells.get((at.state, heard))
    if row is None:
        return None
    at = at._replace(newborn=True) if heard is CI.ANSWER_PROVEN else at
    after = at._replace(state=row.goes_to or at.state, said=())
    for effect in row.effects:
        after = client_effect(after, effect)
    return Step(at, heard, after, row.event, row.reason)


def newest(at: Session) -> int:
    """Return the highest attempt that a session knows."""
    return max(at.active or 0, at.candidate or 0)


def hears(at: Session) -> Iterator[tuple[GI, Session]]:  # noqa: C901, PLR0912 - one line a source of inputs
    """Yield what a session can hear in this situation, and what it knows by then: the environment, as the engines make it [G-50]."""
    live = at.state not in {GS.PENDING, GS.TERMINATED}
    asked = at.commit
    yield GI.INVARIANT_BROKEN, at
    yield GI.OPERATOR_CLOSE, at
    yield GI.KEY_REVOKED, at
    yield GI.KEY_OUTDATED, at
    if asked:
        yield GI.COMMIT_WON, at
        yield GI.COMMIT_LOST, at
        yield GI.COMMIT_LOST, at._replace(row=at.version + 1)
        yield GI.STORE_LOST, at
        yield GI.OWNER_FENCED, at._replace(row=at.version + 1)
    if live:
        yield GI.SUPERSEDED, at
    if at.suspended:
        yield GI.OWNERSHIP_CERTAIN, at
        yield GI.OWNERSHIP_CERTAIN, at._replace(row=at.version + 1)
        yield GI.OWNER_FENCED, at._replace(row=at.version + 1)
    if at.state is GS.TERMINATED:
        yield GI.COMMIT_WON, at
        if at.retry:
            yield GI.TOMBSTONE_LATE, at
    if asked:
        return
    if at.candidate is not None:
        yield GI.CANDIDATE_EXPIRED, at
        yield GI.CONFIRM_PROVEN, at
    yield GI.PEER_CLOSED, at
    if live:
        yield GI.LIFETIME_OVER, at
        if not at.suspended and newest(at) < ATTEMPTS:
            yield GI.REATTACH_PROVEN, at
        if at.active is None:
            yield GI.TRANSPORT_LOST, at
        else:
            yield from ((heard, at) for heard in (GI.KEY_EXPIRED, GI.PATH_CLOSED, GI.PATH_SILENT, GI.QUALITY_LOW, GI.QUALITY_STABLE))
    if at.recovery:
        yield GI.RECOVERY_OVER, at
    if at.volatile:
        yield GI.VOLATILE_OVER, at


def client_hears(at: Device) -> Iterator[CI]:
    """Yield what a client can hear in this situation."""
    yield from (CI.INVARIANT_BROKEN, CI.OPERATOR_CLOSE, CI.KEY_REVOKED, CI.KEY_OUTDATED, CI.CONNECT)
    if at.session:
        yield CI.LIFETIME_OVER
        yield from (CI.PEER_CLOSED, CI.ADDRESS_CHANGED, CI.PATH_CLOSED)
        if at.state is CS.SEEKING:
            yield CI.TRANSPORT_LOST
        else:
            yield from (CI.KEY_EXPIRED, CI.PATH_SILENT, CI.HINT_MOVE, CI.KEY_DUE, CI.BETTER_DUE)
    if "attempt" in at.trying:
        yield CI.ATTEMPT_PROVEN
    if at.confirming:
        yield from (CI.COMMITTED, CI.CONFIRM_OVER)
    if "hand" in at.trying:
        yield CI.HANDSHAKE_OVER
        yield CI.REFUSED
        if not at.newborn:
            yield CI.ANSWER_PROVEN
    if at.newborn:
        yield CI.BORN
        if at.state is CS.CONNECTING:
            yield CI.PEER_CLOSED
        if "last chance" in at.trying:
            yield CI.LAST_CHANCE_OVER
    if "fresh" in at.trying and not at.newborn:
        yield CI.FRESH_DUE


FIRST_SESSIONS: Final = (Session(GS.PENDING, candidate=0), Session(GS.RECOVERING, recovery=True, version=1, row=1))


def gateways() -> dict[Session, None]:
    """Return every session that the shipped table reaches, whatever is heard when, with so many attempts."""
    machine: A_MACHINE = session_table.MACHINE
    known = dict.fromkeys(FIRST_SESSIONS)
    waiting = list(known)
    while waiting:
        at = waiting.pop()
        for heard, then in hears(at):
            step = gateway_step(machine, then, heard, newest(then) + 1)
            after = step and step.after._replace(said=())
            if after and after.version <= ATTEMPTS + 1 and after not in known:
                known[after] = None
                waiting.append(after)
    return known


def clients() -> dict[Device, None]:
    """Return every client that the shipped table reaches."""
    machine: A_MACHINE = client_table.MACHINE
    known = {Device(CS.IDLE): None}
    waiting = list(known)
    while waiting:
        at = waiting.pop()
        for heard in client_hears(at):
            step = client_step(machine, at, heard)
            after = step and step.after._replace(said=())
            if after and after not in known:
                known[after] = None
                waiting.append(after)
    return known


Cell = tuple[str, Any, Any]
"""Which table, which state, which input."""


def situations() -> dict[Cell, list[Any]]:
    """Return for each cell in which something can be heard the ends that can hear it there."""
    found: dict[Cell, list[Any]] = {}
    for at in gateways():
        for heard, then in hears(at):
            found.setdefault(("gateway", at.state, heard), []).append(then)
    for device in clients():
        for said in client_hears(device):
            found.setdefault(("client", device.state, said), []).append(device)
    return found
