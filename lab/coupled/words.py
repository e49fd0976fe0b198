"""What is said and stored: names, frames, asks, answers, rows. All of it is values; equal values are the same thing."""

from typing import Final, NamedTuple

from core.reasons import Event
from core.values import Outcome

ATTACKER: Final = -1  # a path: an address of the adversary


class Name(NamedTuple):
    """A session: the handshake of the client that began it, and the process that answered."""

    hand: int
    boot: int


class Epoch(NamedTuple):
    """Traffic keys: of which attempt (0: the handshake), made with which process, on which path of the client."""

    name: Name
    attempt: int
    boot: int
    path: int


class Frame(NamedTuple):
    """What is sent. `epoch` says for handshakes and attempts what they are about; their process is 0 until one has answered."""

    kind: str  # INIT RESP REATTACH ANSWER REFUSAL, and under an epoch's keys CONFIRM ACK CLOSE HINT IP
    epoch: Epoch
    version: int = 0  # of an ACK


UNDER_KEYS: Final = frozenset(("CONFIRM", "ACK", "CLOSE", "HINT", "IP"))


class Record(NamedTuple):
    """A piece of evidence: what happened, which attempt it was, and which process wrote it."""

    event: Event
    attempt: int
    boot: int


class Row(NamedTuple):
    """A session in the store, with its evidence; who wrote it last, and what of the chain it knows."""

    version: int
    boot: int
    attempt: int
    next: int
    story: tuple[Record, ...]
    live: bool = True


class Ask(NamedTuple):
    """An operation. `expect`: of which version, None for any; `frame`: the REATTACH that waits for a row; `ends`: what a birth ends."""

    kind: str  # CREATE MOVE END GET LOAD
    name: Name
    boot: int
    expect: int | None = None
    attempt: int = 0
    next: int = 0
    frame: Frame | None = None
    ends: tuple[tuple[Name, int], ...] = ()


class Answer(NamedTuple):
    """What the store says to an ask: the outcome and the row; with FULL the names of the device's live sessions and their rows."""

    ask: Ask
    outcome: Outcome
    row: Row | None = None
    full: tuple[tuple[Name, Row], ...] = ()
