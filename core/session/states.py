"""The three closed alphabets of the gateway's session machine, and the order in which simultaneous inputs win."""

from enum import Enum, IntEnum, auto
from typing import Final


class State(IntEnum):
    """Where a session is; the codes are recorded."""

    PENDING = 1
    ATTACHED = 2
    VOLATILE = 3
    RECOVERING = 4
    DEGRADED = 5
    TERMINATED = 6


class Input(Enum):
    """Everything that a session can hear: verdicts, not messages."""

    INVARIANT_BROKEN = auto()
    OWNER_FENCED = auto()
    COMMIT_WON = auto()
    COMMIT_LOST = auto()
    STORE_LOST = auto()
    OWNERSHIP_CERTAIN = auto()
    OPERATOR_CLOSE = auto()
    KEY_REVOKED = auto()
    SUPERSEDED = auto()
    LIFETIME_OVER = auto()
    TRANSPORT_LOST = auto()
    RECOVERY_OVER = auto()
    KEY_EXPIRED = auto()
    CANDIDATE_EXPIRED = auto()
    TOMBSTONE_LATE = auto()
    PATH_CLOSED = auto()
    PATH_SILENT = auto()
    PEER_CLOSED = auto()
    CONFIRM_PROVEN = auto()
    REATTACH_PROVEN = auto()
    QUALITY_LOW = auto()
    VOLATILE_OVER = auto()
    QUALITY_STABLE = auto()


PRIORITY: Final = tuple(Input)
"""Which of several inputs at one instant is heard first: the order of their definition, a total order by construction [G-51]."""

DECIDES_WHILE_ASKED: Final = frozenset(PRIORITY[: PRIORITY.index(Input.LIFETIME_OVER)])
"""What is heard while a commit is asked of the store: its answer, operator and security. The rest waits for the answer."""


class Effect(Enum):
    """Everything that a transition can do; the session performs each on real keys and paths."""

    HOLD_CANDIDATE = auto()
    DROP_CANDIDATE = auto()
    ASK_CREATE = auto()
    ASK_MOVE = auto()
    ASK_TOMBSTONE = auto()
    ASK_ROW = auto()
    PROMOTE = auto()
    ACKNOWLEDGE = auto()
    UNBIND = auto()
    ADOPT_ROW = auto()
    SUSPEND = auto()
    RESUME = auto()
    ARM_RECOVERY = auto()
    DISARM_RECOVERY = auto()
    ARM_VOLATILE = auto()
    DISARM_VOLATILE = auto()
    SAY_CLOSE = auto()
    WIPE = auto()
