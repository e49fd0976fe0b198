"""The abstract record of a session that the claims speak about, and what each effect does to it."""

from typing import Final, NamedTuple

from core.session.states import Effect, State
from core.session.table import Row


class Facts(NamedTuple):
    """What is true of a session, without keys, clocks and paths."""

    state: State
    state_version: int
    bound: bool
    candidate: bool
    commit: bool
    suspended: bool
    recovery: bool
    volatile: bool
    chain: bool


CHANGES: Final[dict[Effect, dict[str, bool]]] = {
    Effect.HOLD_CANDIDATE: {"candidate": True},
    Effect.DROP_CANDIDATE: {"candidate": False, "commit": False},
    Effect.ASK_CREATE: {"commit": True},
    Effect.ASK_MOVE: {"commit": True},
    Effect.PROMOTE: {"bound": True, "candidate": False, "commit": False},
    Effect.UNBIND: {"bound": False},
    Effect.SUSPEND: {"suspended": True},
    Effect.RESUME: {"suspended": False},
    Effect.ARM_RECOVERY: {"recovery": True},
    Effect.DISARM_RECOVERY: {"recovery": False},
    Effect.ARM_VOLATILE: {"volatile": True},
    Effect.DISARM_VOLATILE: {"volatile": False},
    Effect.WIPE: dict.fromkeys(("bound", "candidate", "commit", "suspended", "recovery", "volatile", "chain"), False),
}
"""Effects that are not named here change no fact: they only speak to the peer or to the store."""


def apply(facts: Facts, row: Row) -> Facts:
    """Return the facts after an accepted transition by `row`."""
    changed = facts._replace(state=row.goes_to or facts.state, state_version=facts.state_version + 1)
    for effect in row.effects:
        changed = changed._replace(**CHANGES.get(effect, {}))  # type: ignore[arg-type]  # the keys above are names of boolean facts
    return changed
