"""The closed alphabets of the client's machine, and the order in which simultaneous inputs win."""

from enum import Enum, IntEnum
from typing import Final

State = IntEnum("State", "IDLE CONNECTING ATTACHED SEEKING CLOSED")
"""Where the client is; the codes, 1 to 5 in this order, are recorded."""

Input = Enum("Input", """
    INVARIANT_BROKEN OPERATOR_CLOSE KEY_REVOKED KEY_OUTDATED LIFETIME_OVER TRANSPORT_LOST KEY_EXPIRED ADDRESS_CHANGED PATH_CLOSED
    PATH_SILENT PEER_CLOSED BORN COMMITTED ATTEMPT_PROVEN ANSWER_PROVEN REFUSED HANDSHAKE_OVER CONFIRM_OVER LAST_CHANCE_OVER FRESH_DUE
    HINT_MOVE KEY_DUE BETTER_DUE CONNECT
""")  # fmt: skip
"""Everything that a client can hear: verdicts, not messages."""

PRIORITY: Final = tuple(Input)  # [C-41]

Effect = Enum("Effect", """
    OPEN_PATHS SHAKE_HANDS CONFIRM_BIRTH ADOPT_BIRTH SEEK ATTEMPT_HERE ATTEMPT_BETTER LAST_CHANCE CONFIRM_MOVE COMMIT
    DROP_CONFIRMED SAY_CLOSE WIPE
""")  # fmt: skip
"""Everything that a transition of the client can do."""
