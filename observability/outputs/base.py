"""What an output is, and what it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Verdict(Enum):
    """What became of the events of one sending."""

    TAKEN = auto()  # all of them, as far as the destination says
    WAIT = auto()  # not taken, or nobody knows; and not the events' fault: send again later
    SPLIT = auto()  # too much at once: send less
    UNFIT = auto()  # the destination does not like one of them: find out which


class Answer(NamedTuple):
    """A verdict, and in words what it rests on."""

    verdict: Verdict
    why: str = ""


TAKEN = Answer(Verdict.TAKEN)


class Parcel(NamedTuple):
    """One event on its way, with its hash (64 hex digits)."""

    event: dict[str, Any]
    hash: str


class Output(Protocol):
    """A destination."""

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Send these events, once, in order. Whatever happens is an ``Answer``: nothing is raised."""

    def close(self) -> None:
        """Let go of what is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an output sends to and how. Secrets are named by file, never given as values.

    ``kind``: http, syslog or otlp. ``form``: what an event looks like (ocsf, ecs, own); OTLP has its own. ``body``, of HTTP: lines, array.
    ``confirm``: what proves that a syslog receiver has read all: its close_notify, or any orderly end. ``ca_file``: PEM certificates that
    may have signed the destination's. ``credentials_file``: one line, the value of the header Authorization, readable by its owner only.
    """

    kind: str
    url: str
    form: str = "ocsf"
    body: str = "lines"
    confirm: str = "notify"
    ca_file: Path | None = None
    credentials_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    request_seconds: float = 10.0
