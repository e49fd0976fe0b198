"""Ctrl-C at programs for people: no traceback, exit status 130, and a word about what was stopped.

Python alone would show a traceback, also for a Ctrl-C in the half second in which a program is imported. So a program is quiet first, and
hears once it has something to end. What a shell started with SIGINT ignored (in the background) keeps it ignored.
"""

import signal
from typing import Final

STATUS: Final = 130  # 128 + SIGINT, as shells say it


def quiet() -> None:
    """Let Ctrl-C end this process without a word: nothing has begun yet."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def heard() -> None:
    """Make a KeyboardInterrupt of Ctrl-C from now on, so that what has begun can be ended."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def told(error: BaseException | None, program: str) -> str:
    """Return the line about an interruption: the notes that parts of the program left on it say what they stopped."""
    stopped = ", ".join(getattr(error, "__notes__", ()))
    return f"interrupted; stopped: {stopped or program}"
