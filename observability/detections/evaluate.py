"""Our own executor: all rules and correlations over events, offline, with exact windows.

    alerts(load(), events_in_log(Path("/var/log/jvpn/audit")))

Events are read once, in any order; of what rules match only a few fields are kept. Memory grows with what matches, not with the log.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from observability.detections.load import Named, Ruleset
from observability.detections.match import Event, value_of
from observability.detections.windows import Hit, truths

LEVELS: Final = ("informational", "low", "medium", "high", "critical")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


class Alert(NamedTuple):
    """A rule matched one event, or a correlation became true at one: event `seq` of the log `chain_id`.

    `events`: ids, for a correlation of its whole window.
    """

    name: str
    title: str
    level: str
    time: str
    session: str
    device: str
    events: tuple[str, ...]
    response: str
    chain_id: str
    seq: int

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**self._asdict(), "events": list(self.events)}


class _Seen(NamedTuple):
    """What an alert says of the event at which it became true."""

    time: str
    session: str
    device: str
    chain_id: str
    seq: int


def alerts(rules: Ruleset, events: Iterable[Event], *, level: str = "low") -> list[Alert]:
    """Return what is true of these events, from a level on, in the order of time."""
    least, found = LEVELS.index(level), list[tuple[int, Alert]]()
    hits: defaultdict[str, list[Hit]] = defaultdict(list)
    seen: dict[str, _Seen] = {}
    wanted = {name: [each for each in rules.correlations.values() if name in each.rules] for name in rules.rules}
    for event in events:
        matched = matching(rules, event)
        if not matched:
            continue
        said, at, name = _seen(event), microseconds(event["time"]), id_of(event)
        found += [(at, _alert(rules.rules[rule], said, (name,))) for rule in matched]
        for correlation in {each.name: each for rule in matched for each in wanted[rule]}.values():
            group = tuple(value_of(event, field) for field in correlation.group_by)
            if None not in group:
                place = (said.chain_id, said.seq)
                value = value_of(event, correlation.field) if correlation.field else None
                hits[correlation.name].append(Hit(at, place, matched & set(correlation.rules), group, value, name))
                seen[name] = said
    for name, of_it in hits.items():
        for true in truths(rules.correlations[name], of_it):
            if true.first:
                last = true.window[-1]
                found.append((last.at, _alert(rules.correlations[name], seen[last.event], tuple(hit.event for hit in true.window))))
    return [alert for _, alert in sorted(found, key=lambda each: each[0]) if LEVELS.index(alert.level) >= least]


def matching(rules: Ruleset, event: Event) -> frozenset[str]:
    """Return the names of the rules that match one event."""
    some = rules.by_type.get(event.get("event_type", ""), rules.by_type[""])
    return frozenset(rule.name for rule in some if rule.matches(event))


def names(found: Iterable[Alert]) -> Iterator[str]:
    """Yield the names of what came true."""
    return (alert.name for alert in found)


def id_of(event: Event) -> str:
    """Return what names an event, or a finding."""
    return str(event.get("event_id") or event["finding_id"])


def microseconds(time: str) -> int:
    """Return an event's time as microseconds since 1970."""
    return (datetime.fromisoformat(time) - EPOCH) // MICROSECOND


def _seen(event: Event) -> _Seen:
    session = event.get("session", {})
    name = session.get("pseudonym") or session.get("correlation_id") or ""
    return _Seen(event["time"], name, event.get("device", ""), str(event.get("chain_id", "")), int(event.get("seq", 0)))


def _alert(of: Named, said: _Seen, ids: tuple[str, ...]) -> Alert:
    return Alert(of.name, of.title, of.level, said.time, said.session, said.device, ids, of.response, said.chain_id, said.seq)
