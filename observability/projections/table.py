"""What is called what in the projections: `schemas/projections.toml`, checked against the registry when it is read.

A table that lacks an event type, names a reason that its event cannot have, or an activity without a caption is refused as a whole: an
event that has no projection would be a hole that nobody sees.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from audit.vocabulary import SCHEMAS, SEVERITIES, Kind, vocabulary

FILE: Final = SCHEMAS / "projections.toml"
OUTCOMES: Final = frozenset({"success", "failure", "unknown"})


class TableWrong(ValueError):
    """The table does not fit the registry; the message says where."""


class Severity(NamedTuple):
    """One of our severities: OCSF's caption, OpenTelemetry's number and text, syslog's level."""

    ocsf: str
    otlp: int
    otlp_text: str
    syslog: int


class Class(NamedTuple):
    """One OCSF class: `schema` is its name in the published schema, the others are captions."""

    uid: int
    schema: str
    name: str
    category: int
    category_name: str
    activities: Mapping[int, str]

    def __hash__(self) -> int:
        """Go by the number; there is one class of it."""
        return hash(self.uid)


class Told(NamedTuple):
    """How an event of one type and reason is told. `denied`: OCSF disposition or 0; `duration`: name of a measure in us, or empty."""

    ocsf: Class
    activity: int
    denied: int
    kind: str
    category: tuple[str, ...]
    type: tuple[str, ...]
    duration: str


class Table(NamedTuple):
    """The whole table; `told` by event type and reason, `meanings` by reason."""

    product: Mapping[str, str]
    version: str
    version_with_integrity: str
    severities: Mapping[int, Severity]
    outcomes: Mapping[str, tuple[int, str]]
    dispositions: Mapping[int, str]
    told: Mapping[tuple[str, str], Told]
    meanings: Mapping[str, str]


@cache
def table() -> Table:
    """Return the table of this installation."""
    registry = tomllib.loads((SCHEMAS / "registry.toml").read_text(encoding="utf-8"))
    return parse(tomllib.loads(FILE.read_text(encoding="utf-8")), {each["name"]: each["meaning"] for each in registry["reason"]})


def parse(file: Mapping[str, Any], meanings: Mapping[str, str]) -> Table:
    """Return the table that a file (as tomllib reads it) holds; `meanings` of all reasons. Raises ``TableWrong``."""
    kinds = vocabulary().kinds
    _same("event", set(file["event"]), set(kinds))
    _same("severity", {int(name) for name in file["severity"]}, set(SEVERITIES.values()))
    _same("outcome", set(file["outcome"]), OUTCOMES)
    classes = {int(uid): _class(int(uid), each) for uid, each in file["ocsf"]["class"].items()}
    dispositions = {int(number): name for number, name in file["ocsf"]["disposition"].items()}
    told: dict[tuple[str, str], Told] = {}
    for name, entry in file["event"].items():
        told |= {(name, reason): one for reason, one in _event(kinds[name], entry, classes).items()}
    for (name, _), one in told.items():
        if one.denied and one.denied not in dispositions:
            raise TableWrong(f"event.{name}: disposition {one.denied} has no caption")
    return Table(
        product=MappingProxyType(file["product"]),
        version=file["ocsf"]["version"],
        version_with_integrity=file["ocsf"]["version_with_integrity"],
        severities=MappingProxyType({int(number): Severity(**each) for number, each in file["severity"].items()}),
        outcomes=MappingProxyType({name: (each["status"], each["text"]) for name, each in file["outcome"].items()}),
        dispositions=MappingProxyType(dispositions),
        told=MappingProxyType(told),
        meanings=MappingProxyType(dict(meanings)),
    )


def _class(uid: int, entry: Mapping[str, Any]) -> Class:
    activities = MappingProxyType({int(number): name for number, name in entry["activities"].items()})
    return Class(uid, entry["schema"], entry["name"], entry["category"], entry["category_name"], activities)


def _event(kind: Kind, entry: Mapping[str, Any], classes: Mapping[int, Class]) -> dict[str, Told]:
    """Return how each reason of one event type is told."""
    at = f"event.{kind.name}"
    special = entry.get("reasons", {})
    if strange := set(special) - set(kind.reasons):
        raise TableWrong(f"{at}.reasons: {', '.join(sorted(strange))} is no reason of it")
    duration = entry.get("duration", "")
    if duration and duration not in kind.measures:
        raise TableWrong(f"{at}: duration: {duration} is no measure of it")
    ocsf, ecs = classes.get(entry["ocsf"]["class"]), entry["ecs"]
    if ocsf is None:
        raise TableWrong(f"{at}: class {entry['ocsf']['class']} is not in ocsf.class")
    made = {}
    for reason in kind.reasons:
        own = special.get(reason, {})
        activity = own.get("activity", entry["ocsf"]["activity"])
        if activity not in ocsf.activities:
            raise TableWrong(f"{at}: {reason}: activity {activity} of class {ocsf.uid} has no caption")
        types = tuple(own.get("type", ecs["type"]))
        made[reason] = Told(ocsf, activity, entry.get("denied", 0), ecs["kind"], tuple(ecs["category"]), types, duration)
    return made


def _same(what: str, found: set[Any], wanted: set[Any] | frozenset[str]) -> None:
    if found != wanted:
        missing, strange = (", ".join(sorted(map(str, each))) or "none" for each in (wanted - found, found - wanted))
        raise TableWrong(f"{what}: missing: {missing}; unknown: {strange}")
