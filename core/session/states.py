"""The three closed alphabets of the gateway's session machine, and the order in which simultaneous inputs win."""

from enum import IntEnum
from typing import Final

State = IntEnum("State", "PENDING ATTACHED VOLATILE RECOVERING DEGRADED TERMINATED")
"""Where a session is; the codes, 1 to 6 in this order, are recorded."""

Input = IntEnum("Input", """
    INVARIANT_BROKEN OWNER_FENCED COMMIT_WON COMMIT_LOST STORE_LOST OWNERSHIP_CERTAIN OPERATOR_CLOSE KEY_REVOKED KEY_OUTDATED
    SUPERSEDED LIFETIME_OVER TRANSPORT_LOST RECOVERY_OVER KEY_EXPIRED CANDIDATE_EXPIRED TOMBSTONE_LATE PATH_CLOSED PATH_SILENT PEER_CLOSED
    CONFIRM_PROVEN REATTACH_PROVEN QUALITY_LOW VOLATILE_OVER QUALITY_STABLE
""")  # fmt: skip
"""Everything that a session can hear: verdicts, not messages."""

PRIORITY: Final = tuple(Input)
"""Which of several inputs at one instant is heard first: the order of their definition, a total order by construction [G-51]."""

DECIDES_WHILE_ASKED: Final = frozenset(PRIORITY[: PRIORITY.index(Input.LIFETIME_OVER)])
"""What is heard while a commit is asked of the store: its answer, operator and security. The rest waits for the answer."""

Effect = IntEnum("Effect", """
    HOLD_CANDIDATE DROP_CANDIDATE ASK_CREATE ASK_MOVE ASK_END ASK_TOMBSTONE ASK_AGAIN ASK_ROW PROMOTE ACKNOWLEDGE UNBIND ADOPT_ROW SUSPEND
    RESUME ARM_RECOVERY DISARM_RECOVERY ARM_VOLATILE DISARM_VOLATILE SAY_CLOSE WIPE
""")  # fmt: skip
"""Everything that a transition can do; the session performs each on real keys and paths.

ASK_END ends a session only where it is still this gateway's [G-55]; ASK_TOMBSTONE wherever it is; ASK_AGAIN repeats whichever it was.
"""
