"""The abstract record of a client that the claims speak about, what each effect does to it, and the claims."""

from typing import Final, NamedTuple

from core.client.states import Effect, State
from core.client.table import Row
from core.errors import require


class Facts(NamedTuple):
    """What is true of a client, without keys, clocks and paths."""

    state: State
    version: int
    session: bool
    committed: bool
    newborn: bool


CHANGES: Final[dict[Effect, dict[str, bool]]] = {
    Effect.ADOPT_BIRTH: {"session": True, "committed": True, "newborn": False},
    Effect.COMMIT: {"committed": True, "newborn": False},
    Effect.WIPE: {"session": False, "committed": False, "newborn": False},
}
"""Effects that are not named here change no fact of this record, or one that ANSWER_PROVEN brought along."""


def apply(facts: Facts, row: Row) -> Facts:
    """Return the facts after an accepted transition by `row`."""
    changed = facts._replace(state=row.goes_to or facts.state, version=facts.version + 1)
    for effect in row.effects:
        changed = changed._replace(**CHANGES.get(effect, {}))  # type: ignore[arg-type]  # the keys above are names of boolean facts
    return changed


def session_while_live(at: Facts) -> bool:
    """CI-1: there is a session exactly in ATTACHED and SEEKING, and with it an epoch to speak under."""
    return at.session == (at.state in {State.ATTACHED, State.SEEKING}) and at.committed == at.session


def newborn_only_before_attached(at: Facts) -> bool:
    """CI-2: keys of a handshake that is answered but not born are held only while CONNECTING or SEEKING."""
    return not at.newborn or at.state in {State.CONNECTING, State.SEEKING}


def closed_absorbs(before: Facts, after: Facts) -> bool:
    """CI-3: nothing leads out of CLOSED, and each step adds one to the version."""
    return before.state is not State.CLOSED and after.version == before.version + 1


def check(before: Facts, after: Facts) -> None:
    """Raise Invariant naming the first claim that this step breaks."""
    for claim in (session_while_live, newborn_only_before_attached):
        require(claim(after), claim.__doc__ or claim.__name__)
    require(closed_absorbs(before, after), closed_absorbs.__doc__ or "")
