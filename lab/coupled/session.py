"""A gateway's session as its facts and numbers, and its effects, each as `core.session.session` performs it."""

from typing import NamedTuple

from core.session.states import Effect, Input, State
from core.session.table import Facts
from lab.coupled.words import Ask, Epoch, Frame, Name


class Session(NamedTuple):
    """`version`: of the binding, as known here; `row`: of the store's row, as last heard (None: none); `owned`: this process wrote it.

    `exchange`: attempt and path that were answered last; `held`: what came under the candidate while the store was asked; `waits`: inputs
    that wait for the store's answer, with the path that was active; `owed`: unanswered asks; `gone`: it has ended and is forgotten, but for
    the answers that it is owed.
    """

    state: State
    version: int = 0
    row: int | None = None
    owned: bool = False
    next: int = 1
    active: Epoch | None = None
    draining: Epoch | None = None
    candidate: Epoch | None = None
    held: frozenset[str] = frozenset()
    exchange: tuple[int, int] | None = None
    commit: Ask | None = None
    suspended: bool = False
    recovery: bool = False
    volatile: bool = False
    chain: bool = True
    retry: bool = False
    ordered: bool = False
    ending: bool = False
    waits: frozenset[tuple[Input, int]] = frozenset()
    owed: int = 0
    gone: bool = False


class Said(NamedTuple):
    """What an effect says: frames to the client, asks to the store."""

    frames: tuple[Frame, ...] = ()
    asks: tuple[Ask, ...] = ()


SILENCE = Said()
NOTHING_HELD: frozenset[str] = frozenset()


def facts(at: Session, version: int = 0) -> Facts:
    """Return what the claims in production speak about."""
    return Facts(at.state, version, at.active is not None, at.candidate is not None, at.commit is not None, at.suspended, at.recovery,
                 at.volatile, at.chain)  # fmt: skip


def dropped(at: Session) -> Session:
    """Return a session without its candidate, its commit and the answer that it would repeat."""
    return at._replace(candidate=None, held=NOTHING_HELD, commit=None, exchange=None)


def commit_of(at: Session, name: Name, boot: int, kind: str) -> Ask:
    """Return the one durable write of a birth or a move [R-21]; a session without a candidate has none to ask."""
    attempt = at.candidate.attempt if at.candidate else 0
    return Ask(kind, name, boot, at.version if kind == "MOVE" else None, attempt, at.next)


def performed(at: Session, effect: Effect, name: Name, boot: int, offer: Epoch | None) -> tuple[Session, Said]:  # noqa: C901, PLR0911, PLR0912 - one case an effect
    """Return a session after one effect, and what was said."""
    match effect:
        case Effect.HOLD_CANDIDATE:
            return dropped(at)._replace(candidate=offer), SILENCE
        case Effect.DROP_CANDIDATE:
            return dropped(at), SILENCE
        case Effect.ASK_CREATE | Effect.ASK_MOVE:
            ask = commit_of(at, name, boot, effect.name.removeprefix("ASK_"))
            return at._replace(commit=ask), Said(asks=(ask,))
        case Effect.ASK_ROW:
            return at._replace(retry=True), Said(asks=(Ask("GET", name, boot),))
        case Effect.ASK_END | Effect.ASK_TOMBSTONE | Effect.ASK_AGAIN:
            at = at._replace(retry=True, ordered=at.ordered if effect is Effect.ASK_AGAIN else effect is Effect.ASK_TOMBSTONE)
            expect = None if at.ordered else 1 if at.row is None else at.version
            return at, Said(asks=(Ask("END", name, boot, expect),))
        case Effect.PROMOTE:
            version = at.version + 1
            return dropped(at)._replace(active=at.candidate, draining=at.active, version=version, row=version, owned=True), SILENCE
        case Effect.ACKNOWLEDGE:
            return at, Said((Frame("ACK", at.active, at.version),)) if at.active else SILENCE
        case Effect.UNBIND:
            return at._replace(active=None, draining=None), SILENCE
        case Effect.ADOPT_ROW:
            return at._replace(version=at.version if at.row is None else at.row), SILENCE
        case Effect.SUSPEND | Effect.RESUME:
            return at._replace(suspended=effect is Effect.SUSPEND, retry=at.retry and effect is Effect.SUSPEND), SILENCE
        case Effect.ARM_RECOVERY | Effect.DISARM_RECOVERY:
            return at._replace(recovery=effect is Effect.ARM_RECOVERY), SILENCE
        case Effect.ARM_VOLATILE | Effect.DISARM_VOLATILE:
            return at._replace(volatile=effect is Effect.ARM_VOLATILE), SILENCE
        case Effect.SAY_CLOSE:
            under = at.active or (at.candidate if at.candidate and at.candidate.attempt == 0 else None)
            return at, Said((Frame("CLOSE", under),)) if under else SILENCE
        case Effect.WIPE:
            at = dropped(at)._replace(active=None, draining=None, chain=False, suspended=False, recovery=False, volatile=False)
            return at._replace(retry=False), SILENCE
    raise ValueError(effect)
