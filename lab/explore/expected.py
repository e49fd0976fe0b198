# ruff: noqa: N814 - the alphabets of two machines have the same names, and stand side by side here
"""What each input has to lead to, written by hand from the specification and not made from the tables: the other half of a comparison.

`gateway` and `client` return the end after an input, with what is said in order, or None where it has to be refused; `record` the event and
the reason. A table and this must agree in every situation that can be reached; each field that may differ has a claim with a name.
"""

from typing import Final

from core.client.states import Input as CI
from core.client.states import State as CS
from core.reasons import Event, Reason
from core.session.states import Input as GI
from core.session.states import State as GS
from lab.explore.model import Device, Session

P, A, V, R, D, T = GS
CLAIMS: Final = {
    "state": "states follow what was heard",
    "active": "only the store's WON binds, the candidate and nothing else; a path that is lost is dropped with its keys",
    "draining": "the epoch before drains, and goes with the path",
    "candidate": "a proven attempt is held until it is committed, replaced, refused by the store, too old, or the session ends",
    "commit": "a commit is asked by CONFIRM alone and decided by the store alone",
    "suspended": "ownership is uncertain from the store's silence until its row is read",
    "recovery": "RECOVERING is bounded by its deadline",
    "volatile": "VOLATILE is bounded by its deadline",
    "chain": "the chain lives exactly as long as the session",
    "version": "the binding version changes exactly with the binding, or is read from the row",
    "row": "what is known of the row is what the store said",
    "retry": "what the store has not confirmed is asked again",
    "ordered": "only operator, allow list and client end a session wherever it is; all else ends what this gateway owns",
    "said": "what is said, asked and routed is what this input means, in the order in which keys allow it",
    "session": "a session is adopted by a birth and lives until an end",
    "committed": "the client speaks under what was committed",
    "newborn": "keys of a handshake live until it is born or given up",
    "confirming": "a proven attempt is confirmed until it is committed or given up",
    "trying": "what is under way is what can still lead to a session",
    "event": "evidence is what binds and ends; everything else is telemetry",
    "reason": "the reason says what was heard",
    "refused": "an input that means nothing in a state is refused",
    "heard": "a row stands only where something can be heard",
    "idle": "each effect of a row shows in some situation",
}
"""The claims of steps: by the field that differs."""

ENDS: Final = {
    GI.INVARIANT_BROKEN: Reason.INVARIANT_BROKEN, GI.OPERATOR_CLOSE: Reason.CLOSED_BY_OPERATOR, GI.KEY_REVOKED: Reason.KEY_REVOKED,
    GI.LIFETIME_OVER: Reason.LIFETIME_OVER, GI.TRANSPORT_LOST: Reason.TRANSPORT_LOST, GI.PEER_CLOSED: Reason.CLOSED_BY_PEER,
    GI.SUPERSEDED: Reason.SUPERSEDED, GI.KEY_OUTDATED: Reason.KEY_OUTDATED,
}  # fmt: skip
ORDERS: Final = frozenset((GI.OPERATOR_CLOSE, GI.KEY_REVOKED, GI.PEER_CLOSED))
LOSES_THE_PATH: Final = {GI.PATH_CLOSED: Reason.PATH_CLOSED, GI.PATH_SILENT: Reason.PATH_SILENT, GI.KEY_EXPIRED: Reason.KEY_EXPIRED}
CHANGED: Final = Event.SESSION_CHANGED
OTHERS: Final = {
    GI.REATTACH_PROVEN: Reason.REATTACH_ACCEPTED, GI.OWNERSHIP_CERTAIN: Reason.OWNERSHIP_CERTAIN, GI.QUALITY_LOW: Reason.QUALITY_LOW,
    GI.VOLATILE_OVER: Reason.QUALITY_DEGRADED, GI.QUALITY_STABLE: Reason.QUALITY_STABLE, GI.RECOVERY_OVER: Reason.RECOVERY_OVER,
    GI.OWNER_FENCED: Reason.OWNER_FENCED, GI.TOMBSTONE_LATE: Reason.TOMBSTONE_UNCONFIRMED,
}  # fmt: skip


def gateway(at: Session, heard: GI, offer: int) -> Session | None:  # noqa: C901, PLR0911, PLR0912 - one case an input
    """Return the session after an input, or None where it has to be refused."""
    if at.state is T:
        late = heard in {GI.COMMIT_WON, GI.TOMBSTONE_LATE}
        return at._replace(retry=True, said=("END IT" if at.ordered else "END MINE",)) if late else None
    born, bound = at.state is not P, at.active is not None
    down = ("ROUTE DOWN",) if bound else ()
    close = ("CLOSE",) if bound or at.candidate == 0 else ()
    over = Session(T, chain=False, version=at.version, row=at.row)
    match heard:
        case GI.PEER_CLOSED:
            return over._replace(retry=True, ordered=True, said=(*down, "END IT"))
        case GI.SUPERSEDED:
            return over._replace(said=(*close, *down)) if born else None
        case GI.OWNER_FENCED:
            return over._replace(said=down) if born else None
        case GI.TRANSPORT_LOST | GI.LIFETIME_OVER if not born or (heard is GI.TRANSPORT_LOST and at.state not in {R, D}):
            return None
        case _ if heard in ENDS:
            ordered = heard in ORDERS
            return over._replace(retry=True, ordered=ordered, said=(*close, *down, "END IT" if ordered else "END MINE"))
        case GI.STORE_LOST if not born:
            return over._replace(retry=True, said=(*close, "END MINE"))
        case GI.STORE_LOST:
            return Session(D, suspended=True, retry=True, version=at.version, row=at.row, said=(*down, "ASK_ROW"))
        case GI.COMMIT_LOST if not born:
            return over._replace(said=close)
        case GI.COMMIT_LOST:
            return at._replace(candidate=None, commit=False, version=at.row, said=())
        case GI.CANDIDATE_EXPIRED:
            return at._replace(candidate=None, said=()) if born else over
        case GI.CONFIRM_PROVEN:
            return at._replace(commit=True, said=("ASK_MOVE" if born else "ASK_CREATE",))
        case GI.COMMIT_WON:
            return Session(A, active=at.candidate, draining=at.active, version=at.version + 1, row=at.version + 1, retry=at.retry,
                           said=("ROUTE UP", f"ACK {at.candidate}"))  # fmt: skip
        case _:
            pass
    return live(at, heard, offer, down) if born else None


def live(at: Session, heard: GI, offer: int, down: tuple[str, ...]) -> Session | None:
    """Return a session that is born after an input that neither ends it nor answers for the store."""
    if heard in LOSES_THE_PATH and at.state is not R:
        return at._replace(state=R, active=None, draining=None, recovery=True, volatile=False, said=(*down, "ARM_RECOVERY"))
    match heard, at.state:
        case GI.REATTACH_PROVEN, _:
            return at._replace(candidate=offer, commit=False, said=())
        case GI.OWNERSHIP_CERTAIN, GS.DEGRADED:
            return at._replace(state=R, suspended=False, retry=False, recovery=True, version=at.row, said=("ARM_RECOVERY",))
        case GI.QUALITY_LOW, GS.ATTACHED:
            return at._replace(state=V, volatile=True, said=("ARM_VOLATILE",))
        case GI.VOLATILE_OVER, GS.VOLATILE:
            return at._replace(state=D, volatile=False, said=())
        case GI.QUALITY_STABLE, GS.VOLATILE | GS.DEGRADED:
            return at._replace(state=A, volatile=False, said=())
        case GI.RECOVERY_OVER, GS.RECOVERING:
            return at._replace(state=D, recovery=False, said=())
        case _:
            return None


def gateway_record(at: Session, heard: GI) -> tuple[Event, Reason | None]:  # noqa: PLR0911 - one case an input
    """Return the event and the reason of a transition; None for the reason that the client states."""
    born = at.state is not P
    if at.state is T and heard is GI.COMMIT_WON:
        return CHANGED, Reason.LATE_COMMIT
    if heard in ENDS:
        return Event.SESSION_ENDED, ENDS[heard]
    if heard in LOSES_THE_PATH:
        return CHANGED, LOSES_THE_PATH[heard]
    match heard:
        case GI.COMMIT_WON:
            return (Event.SESSION_MOVED, None) if born else (Event.SESSION_BORN, Reason.HANDSHAKE_COMPLETED)
        case GI.COMMIT_LOST:
            return CHANGED, Reason.VERSION_STALE if born else Reason.BIRTH_LOST
        case GI.STORE_LOST:
            return (CHANGED, Reason.STORE_LOST) if born else (Event.SESSION_ENDED, Reason.STORE_UNREACHABLE)
        case GI.CANDIDATE_EXPIRED:
            return CHANGED, Reason.CANDIDATE_EXPIRED if born else Reason.PENDING_EXPIRED
        case GI.CONFIRM_PROVEN:
            return CHANGED, Reason.MOVE_ASKED if born else Reason.BIRTH_ASKED
        case _:
            return CHANGED, OTHERS[heard]


CLIENT_REASONS: Final = {
    CI.CONNECT: Reason.CONNECT_ORDERED, CI.ANSWER_PROVEN: Reason.HANDSHAKE_PROVEN, CI.HANDSHAKE_OVER: Reason.HANDSHAKE_UNANSWERED,
    CI.REFUSED: Reason.HANDSHAKE_REFUSED, CI.PATH_SILENT: Reason.PATH_SILENT, CI.PATH_CLOSED: Reason.PATH_CLOSED,
    CI.ADDRESS_CHANGED: Reason.PATH_CLOSED, CI.KEY_EXPIRED: Reason.KEY_EXPIRED, CI.HINT_MOVE: Reason.HINT_OBEYED,
    CI.KEY_DUE: Reason.KEY_AGED, CI.BETTER_DUE: Reason.ATTEMPT_STARTED, CI.ATTEMPT_PROVEN: Reason.ATTEMPT_PROVEN, CI.COMMITTED: None,
    CI.CONFIRM_OVER: Reason.PATH_MTU_TOO_SMALL, CI.FRESH_DUE: Reason.ATTEMPT_UNANSWERED, CI.LAST_CHANCE_OVER: Reason.SESSION_LOST,
    CI.PEER_CLOSED: Reason.CLOSED_BY_PEER, CI.OPERATOR_CLOSE: Reason.CLOSED_BY_OPERATOR, CI.LIFETIME_OVER: Reason.LIFETIME_OVER,
    CI.TRANSPORT_LOST: Reason.TRANSPORT_LOST, CI.INVARIANT_BROKEN: Reason.INVARIANT_BROKEN, CI.KEY_REVOKED: Reason.KEY_REVOKED,
    CI.KEY_OUTDATED: Reason.KEY_OUTDATED,
}  # fmt: skip
GIVES_NOTICE: Final = frozenset((CI.OPERATOR_CLOSE, CI.LIFETIME_OVER, CI.INVARIANT_BROKEN, CI.KEY_REVOKED, CI.KEY_OUTDATED))
CLIENT_ENDS: Final = GIVES_NOTICE | {CI.HANDSHAKE_OVER, CI.REFUSED, CI.PEER_CLOSED, CI.TRANSPORT_LOST}
SEEKS: Final = frozenset((CI.PATH_SILENT, CI.PATH_CLOSED, CI.ADDRESS_CHANGED, CI.KEY_EXPIRED))


def client(at: Device, heard: CI) -> Device | None:  # noqa: C901, PLR0911, PLR0912 - one case an input
    """Return the client after an input, or None where it has to be refused."""
    if at.state is CS.IDLE or heard is CI.CONNECT:
        first = heard is CI.CONNECT and at.state is CS.IDLE
        return Device(CS.CONNECTING, trying=frozenset(("paths", "hand")), said=("INIT",)) if first else None
    if at.state is CS.CLOSED:
        return None
    connecting, seeking = at.state is CS.CONNECTING, at.state is CS.SEEKING
    if heard in CLIENT_ENDS:
        if (heard in {CI.HANDSHAKE_OVER, CI.REFUSED} and not connecting) or (heard is CI.TRANSPORT_LOST and not seeking):
            return None
        said = ("CLOSE",) if heard in GIVES_NOTICE and at.committed else ()
        return Device(CS.CLOSED, said=(*said, "ROUTE DOWN") if at.session else said)
    match heard:
        case CI.ANSWER_PROVEN if connecting:
            return at._replace(newborn=True, said=("CONFIRM BIRTH",))
        case CI.ANSWER_PROVEN if seeking:
            return at._replace(newborn=True, trying=at.trying | {"attempt", "last chance"}, said=("LAST CHANCE",))
        case CI.BORN if connecting or seeking:
            return Device(CS.ATTACHED, session=True, committed=True, said=("ADOPTED",))
        case CI.LAST_CHANCE_OVER if seeking:
            return at._replace(said=("CONFIRM BIRTH",))
        case CI.FRESH_DUE if seeking:
            return at._replace(trying=at.trying | {"hand"}, said=("INIT",))
        case _ if connecting:
            return None
        case _ if heard in SEEKS and not seeking:
            return at._replace(state=CS.SEEKING, trying=at.trying | {"attempt", "fresh"}, said=("SEEK",))
        case CI.HINT_MOVE | CI.KEY_DUE if not seeking:
            return at._replace(trying=at.trying | {"attempt"}, said=("REATTACH ATTEMPT_HERE",))
        case CI.BETTER_DUE if not seeking:
            return at._replace(trying=at.trying | {"attempt"}, said=("REATTACH ATTEMPT_BETTER",))
        case CI.ATTEMPT_PROVEN:
            return at._replace(confirming=True, trying=at.trying - {"last chance"}, said=("CONFIRM",))
        case CI.COMMITTED:
            return Device(CS.ATTACHED, session=True, committed=True, draining=True, said=("COMMITTED",))
        case CI.CONFIRM_OVER:
            return at._replace(confirming=False, said=("DROPPED",))
        case _:
            return None


def client_record(at: Device, heard: CI) -> tuple[Event, Reason | None]:
    """Return the event and the reason of a transition; None for the cause that the attempt states."""
    if heard is CI.BORN:
        return Event.CLIENT_ATTACHED, Reason.SESSION_LOST if at.state is CS.SEEKING else Reason.HANDSHAKE_COMPLETED
    event = Event.CLIENT_MOVED if heard is CI.COMMITTED else Event.CLIENT_ENDED if heard in CLIENT_ENDS else Event.CLIENT_CHANGED
    return event, CLIENT_REASONS[heard]
