"""The three closed alphabets of a key's life, after SP 800-57 part 1, section 7, and the order in which simultaneous inputs win."""

from enum import Enum, IntEnum
from typing import Final

State = IntEnum("State", "PRE_ACTIVE ACTIVE RETIRING DEACTIVATED COMPROMISED DESTROYED")
"""Where a key is; the codes, 1 to 6 in this order, are recorded. A key only goes forward in it."""

Kind = IntEnum("Kind", "DEVICE GATEWAY ROLE")
"""What a key is for; the codes are recorded. ROLE: it signs documents."""

Input = Enum("Input", "INVARIANT_BROKEN DESTROY_ORDERED REVOKED WITHDRAWN VALID_UNTIL VALID_FROM SUCCEEDED EXPORTED")
"""Everything that a key can hear: verdicts of documents and clock, and orders."""

PRIORITY: Final = tuple(Input)
"""Which of several inputs at one instant is heard first: the order of their definition."""

Effect = Enum("Effect", "OFFER WITHDRAW REFUSE ERASE")
"""What a transition does with the key: use it for what is new, stop that, stop accepting it at all, drop its secret."""
