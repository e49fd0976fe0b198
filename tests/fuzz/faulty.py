"""Targets with a fault: what a careless line behind a check would do."""

from collections.abc import Callable, Mapping
from typing import Final

from core.engine.gateway import Gateway
from core.reasons import Reason
from core.values import Instant, Path
from core.wire.messages import Fixed, parse
from core.wire.records import Cookie, Data
from lab.fuzz import targets
from lab.fuzz.engines import gateway

INDEX: Final = 0x4A565031


def cookies() -> Callable[[bytes], None]:
    """Return the target of frames, with a parser that dies of a COOKIE for one index out of 2^32."""

    def faulty(frame: bytes) -> Fixed | Data:
        message = parse(frame)
        if isinstance(message, Cookie) and message.receiver_index == INDEX:
            raise IndexError("planted")
        return message

    vars(targets)["parse"] = faulty  # this process is here for it
    return targets.frames


def moves() -> Callable[[bytes], None]:
    """Return the gateway's target, with a gateway that dies of a proven attempt that states an outage."""
    target, knock = gateway(), Gateway._knock

    def faulty(self: Gateway, frame: bytes, path: Path, handle: int, attempt: int, now: Instant) -> Reason | None:
        reason = knock(self, frame, path, handle, attempt, now)
        if any(session.candidate and session.candidate.outage_ms for session in self.desk.sessions.values()):
            raise IndexError("planted")
        return reason

    Gateway._knock = faulty  # type: ignore[method-assign]  # this process is here for it
    return target


FAULTY: Final[Mapping[str, Callable[[], Callable[[bytes], None]]]] = {"parse": cookies, "gateway": moves}
