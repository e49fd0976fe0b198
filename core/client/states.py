"""The closed alphabets of the client's machine, and the order in which simultaneous inputs win."""

from enum import Enum, IntEnum, auto
from typing import Final


class State(IntEnum):
    """Where the client is; the codes are recorded."""

    IDLE = 1
    CONNECTING = 2
    ATTACHED = 3
    SEEKING = 4
    CLOSED = 5


class Input(Enum):
    """Everything that a client can hear: verdicts, not messages."""

    INVARIANT_BROKEN = auto()
    OPERATOR_CLOSE = auto()
    LIFETIME_OVER = auto()
    TRANSPORT_LOST = auto()
    KEY_EXPIRED = auto()
    ADDRESS_CHANGED = auto()
    PATH_CLOSED = auto()
    PATH_SILENT = auto()
    PEER_CLOSED = auto()
    BORN = auto()
    COMMITTED = auto()
    ATTEMPT_PROVEN = auto()
    ANSWER_PROVEN = auto()
    REFUSED = auto()
    HANDSHAKE_OVER = auto()
    CONFIRM_OVER = auto()
    LAST_CHANCE_OVER = auto()
    FRESH_DUE = auto()
    HINT_MOVE = auto()
    KEY_DUE = auto()
    BETTER_DUE = auto()
    CONNECT = auto()


PRIORITY: Final = tuple(Input)  # [C-41]


class Effect(Enum):
    """Everything that a transition of the client can do."""

    OPEN_PATHS = auto()
    SHAKE_HANDS = auto()
    CONFIRM_BIRTH = auto()
    ADOPT_BIRTH = auto()
    SEEK = auto()
    ATTEMPT_HERE = auto()
    ATTEMPT_BETTER = auto()
    LAST_CHANCE = auto()
    CONFIRM_MOVE = auto()
    COMMIT = auto()
    DROP_CONFIRMED = auto()
    SAY_CLOSE = auto()
    WIPE = auto()
