"""The anti-replay window (RFC 4303, 3.4.3) as one pure function on integers.

Called twice for each packet: before the AEAD, to refuse cheaply, and after it, to keep the new state [W-2]. It uses only comparisons,
subtraction, shifts, `|` and `&`, so that a solver can run this very text on symbolic integers.
"""

from enum import Enum

from core.limits import COUNTER_LIMIT, WINDOW_PACKETS

Verdict = Enum("Verdict", "ACCEPT STALE REPLAY LIMIT")
"""What the window says of a counter: new; below the window, so that nobody knows; seen [W-5]; not of this key, which is used up."""

ACCEPT, STALE, REPLAY, LIMIT = Verdict  # looked up once: a member of an Enum costs a look-up as much as a shift


def step(top: int, bitmap: int, counter: int, width: int = WINDOW_PACKETS) -> tuple[Verdict, int, int]:
    """Return the verdict on `counter` and the window after it, which a refusal leaves as it was [W-1].

    `top` is the highest counter accepted; bit i of `bitmap` tells whether top - i was. The start (0, 0) means nothing seen.
    """
    if counter >= COUNTER_LIMIT:  # [W-3]
        return LIMIT, top, bitmap
    if counter > top:
        shift = counter - top
        if shift >= width:  # compared before shifting: a far jump must not make an integer of that many bits [W-4]
            return ACCEPT, counter, 1
        return ACCEPT, counter, ((bitmap << shift) & ((1 << width) - 1)) | 1
    age = top - counter
    if age >= width:
        return STALE, top, bitmap
    if (bitmap >> age) & 1 > 0:
        return REPLAY, top, bitmap
    return ACCEPT, top, bitmap | (1 << age)
