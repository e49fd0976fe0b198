# ruff: noqa: E702, D101 - the names of the facts stand in one line and are described above it
"""The life of a key. Every transition is a row here; an empty cell changes nothing. The docstring of a claim is the claim."""

from typing import Final, NamedTuple

from core import machine
from core.keys.states import Effect, Input, State
from core.reasons import Event, Reason

Row = machine.Row[State, Input, Effect]
P, A, R, D, C, X = State
OPEN: Final = (P, A, R)
STAY = None
I, E, N = Input, Effect, Reason  # noqa: E741 - three letters that keep the columns readable
CHANGED: Final = Event.KEY_CHANGED

# fmt: off
ROWS: Final[tuple[Row, ...]] = (
    #   clause  states        heard               goes effects        event    reason
    Row("K-60", (P,),         I.VALID_FROM,       A,   (E.OFFER,),    CHANGED, N.KEY_VALID),
    Row("K-61", (A,),         I.SUCCEEDED,        R,   (E.WITHDRAW,), CHANGED, N.KEY_SUCCEEDED),
    Row("K-62", OPEN,         I.VALID_UNTIL,      D,   (E.REFUSE,),   CHANGED, N.KEY_OUTDATED),
    Row("K-63", OPEN,         I.WITHDRAWN,        D,   (E.REFUSE,),   CHANGED, N.KEY_WITHDRAWN),
    Row("K-64", (*OPEN, D),   I.REVOKED,          C,   (E.REFUSE,),   CHANGED, N.KEY_REVOKED),
    Row("K-65", (P, D, C),    I.DESTROY_ORDERED,  X,   (E.ERASE,),    CHANGED, N.KEY_DESTROYED),
    Row("K-66", (*OPEN, D),   I.EXPORTED,         STAY, (),           CHANGED, N.KEY_EXPORTED),
    Row("K-67", OPEN,         I.INVARIANT_BROKEN, D,   (E.REFUSE,),   CHANGED, N.INVARIANT_BROKEN),
)


# What is true of a key: what is new may use it, it is accepted, its private part is here (held).
class Facts(NamedTuple):
    state: State; version: int; offered: bool; accepted: bool; held: bool


CHANGES: Final[dict[Effect, dict[str, bool]]] = {
    E.OFFER: {"offered": True, "accepted": True}, E.WITHDRAW: {"offered": False},
    E.REFUSE: {"offered": False, "accepted": False}, E.ERASE: {"held": False},
}
# fmt: on


def accepted_while_valid(at: Facts) -> bool:
    """KI-1: a key is accepted exactly in ACTIVE and RETIRING."""
    return at.accepted == (at.state in {State.ACTIVE, State.RETIRING})


def offered_while_active(at: Facts) -> bool:
    """KI-2: a key is used for what is new exactly in ACTIVE."""
    return at.offered == (at.state is State.ACTIVE)


def destroyed_is_gone(at: Facts) -> bool:
    """KI-3: of a DESTROYED key no secret is here."""
    return not at.held or at.state is not State.DESTROYED


def only_forward(before: Facts, after: Facts) -> bool:
    """KI-4: a key only goes forward in the order of the states, so one that was given up is never accepted again; each step adds one."""
    return after.state >= before.state and after.version == before.version + 1


TABLE: Final = machine.index(ROWS)
ALWAYS: Final = (accepted_while_valid, offered_while_active, destroyed_is_gone)
MACHINE: Final = machine.Machine(TABLE, CHANGES, ALWAYS, (only_forward,), Input.INVARIANT_BROKEN)
