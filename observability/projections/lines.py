"""Logs as lines of JSON, in a form of choice: `jvpn audit export`, and what goes to files and over HTTP."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from audit.canonical import canonical, line_of
from observability.projections import ecs, ocsf, otlp

Line = Callable[[dict[str, Any], str], bytes]  # a valid event and its hash; with a line feed


class HashWrong(ValueError):
    """An event does not have the hash that stands beside it."""


def own(event: Mapping[str, Any], event_hash: str) -> bytes:
    """Return the line as the log has it, which `jvpn audit verify` takes."""
    return line_of(canonical(dict(event)), event_hash)


def ocsf_line(event: Mapping[str, Any], event_hash: str) -> bytes:
    """Return the event in OCSF 1.8.0."""
    return canonical(ocsf.project(event, event_hash)) + b"\n"


def integrity_line(event: Mapping[str, Any], event_hash: str) -> bytes:
    """Return the event in OCSF 1.9.0 with the profile record_integrity."""
    return canonical(ocsf.project(event, event_hash, record_integrity=True)) + b"\n"


def ecs_line(event: Mapping[str, Any], event_hash: str) -> bytes:
    """Return the event in ECS."""
    return canonical(ecs.project(event, event_hash)) + b"\n"


def otlp_line(event: Mapping[str, Any], event_hash: str) -> bytes:
    """Return the event as OTLP's JSON lines, which a collector's file receiver reads."""
    return canonical(otlp.project(event, event_hash)) + b"\n"


FORMATS: Final[Mapping[str, Line]] = {"ocsf": ocsf_line, "ecs": ecs_line, "otlp": otlp_line, "own": own}


def checked(event: dict[str, Any], event_hash: str) -> dict[str, Any]:
    """Return the event. Raises ``HashWrong`` when the hash is not its own: what was changed is never projected as if it were not."""
    found = sha256(canonical(event)).hexdigest()
    if found != event_hash:
        raise HashWrong(f"event {event['seq']}: its hash is {found}, the line says {event_hash}")
    return event
