"""Reading a log as events, for people and programs that look at it. This does not verify; `audit.verify` does."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audit.canonical import LINE_BYTES_MAX, parse, split
from audit.errors import EventRefused, LineMalformed
from audit.files import segments_in
from audit.schema import check
from audit.vocabulary import SEVERITIES

SEVERITY_NAMES: Final = {number: name for name, number in SEVERITIES.items()}
Bad = Callable[[str, int, str], None]  # file, line, what is wrong with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events to show; None and 0 want all.

    `session` is a pseudonym or a correlation id. `since` (included) and `until` (not included) are times as in events, or beginnings.
    """

    event_types: frozenset[str] | None = None
    reasons: frozenset[str] | None = None
    classes: frozenset[str] | None = None
    session: str | None = None
    device: str | None = None
    severity: int = 0
    since: str | None = None
    until: str | None = None
    first_seq: int = 0
    last_seq: int | None = None

    def takes(self, event: Mapping[str, Any]) -> bool:
        """Return whether the event is wanted."""
        for named, key in ((self.event_types, "event_type"), (self.reasons, "reason_code"), (self.classes, "event_class")):
            if named is not None and event[key] not in named:
                return False
        if self.session is not None and self.session not in event.get("session", {}).values():
            return False
        if self.device is not None and self.device != event.get("device"):
            return False
        late = self.until is not None and event["time"] >= self.until
        early = self.since is not None and event["time"] < self.since
        beyond = event["seq"] < self.first_seq or (self.last_seq is not None and event["seq"] > self.last_seq)
        return not (late or early or beyond) and event["severity"] >= self.severity


EVERYTHING: Final = Wanted()


def events(path: Path, wanted: Wanted = EVERYTHING, bad: Bad | None = None) -> Iterator[dict[str, Any]]:
    """Yield the wanted events of a log or of one file, in order, each with its `hash` beside it. OSError when it cannot be read.

    A line that is no valid event is told to `bad` and passed over.
    """
    for file, number, line in _lines(path):
        try:
            data, told = split(line)
            event = parse(data)
            check(event)
        except (LineMalformed, EventRefused) as error:
            if bad is not None:
                bad(file, number, str(error))
            continue
        if wanted.takes(event):
            yield event | {"hash": told}


def _lines(path: Path) -> Iterator[tuple[str, int, bytes]]:
    for file in segments_in(path) if path.is_dir() else [path]:
        with file.open("rb") as lines:
            number = 0
            while line := lines.readline(LINE_BYTES_MAX):
                number += 1
                yield file.name, number, line


def one_line(event: Mapping[str, Any]) -> str:
    """Return the event as a person reads it: when, how bad, what, why, who or which key or document, from where to where."""
    parts = [event["time"], SEVERITY_NAMES[event["severity"]], event["event_type"], event["reason_code"]]
    if session := event.get("session"):
        parts.append(f"session {session.get('pseudonym') or session['correlation_id']}")
    if key := event.get("key"):
        parts.append(f"key {key['kind']} {key['pseudonym']}")
    if document := event.get("document"):  # of one that was refused nobody knows the version
        parts.append(f"document {document['role']}" + (f" {document['version']}" if document["version"] else ""))
    parts += [_arrow(event[name]) for name in ("state", "transport") if name in event]
    if binding := event.get("binding"):
        parts.append(f"binding {binding['version']} attempt {binding['attempt']}")
    parts += [f"{name} {event[name]}" for name in ("device", "peer") if name in event]
    if "count" in event:
        parts.append(f"{event['count']} times")
    parts += [f"{name}={value}" for name, value in event.get("metrics", {}).items()]
    if offending := event.get("offending"):
        parts.append(offending["error"])
    return "  ".join(parts)


def _arrow(ends: Mapping[str, Any]) -> str:
    before, after = ends.get("from"), ends.get("to")
    return str(after or before) if before in (None, after) or after is None else f"{before}->{after}"
