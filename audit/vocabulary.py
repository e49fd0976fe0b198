"""The registry as audit uses it: which event may say what (clauses A-12, A-13). Read once from `schemas/registry.toml`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

SCHEMAS: Final = Path(__file__).resolve().parent.parent / "schemas"  # beside this package in a checkout and in an installation
SEVERITIES: Final = MappingProxyType(
    {"unknown": 0, "informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5, "fatal": 6}
)  # OCSF
FIRST_FREE_CARRIER, LAST_FREE_CARRIER = 16, 31
INTEGER_MAX: Final = 2**53 - 1  # beyond it readers that use doubles would round (RFC 7493 section 2.2)


class Judgement(NamedTuple):
    """How an event with a certain reason is to be read: OCSF severity, and success, failure or unknown."""

    severity: int
    outcome: str


class Kind(NamedTuple):
    """One event type. `fields` may be there, `required` must; `role` is gateway, client, both or writer."""

    name: str
    event_class: str
    role: str
    fields: frozenset[str]
    required: frozenset[str]
    measures: tuple[str, ...]
    reasons: Mapping[str, Judgement]


class Vocabulary(NamedTuple):
    """The registry: event types and carriers by name, and what identifies it; `before` are older schemas whose events are read."""

    schema: str
    before: tuple[str, ...]
    protocol: int
    kinds: Mapping[str, Kind]
    carriers: Mapping[int, str]
    digest: str


def parse(registry: Mapping[str, Any], digest: str) -> Vocabulary:
    """Return the vocabulary of a registry as tomllib reads it; `digest` is the SHA-256 of its file in hex."""
    reasons = {reason["name"]: reason for reason in registry["reason"]}
    kinds = {
        event["name"]: Kind(
            name=event["name"],
            event_class=event["class"],
            role=event["role"],
            fields=frozenset(event["fields"]),
            required=frozenset(event["required"]),
            measures=tuple(event["measures"]),
            reasons=MappingProxyType({name: _judge(event, reasons[name]) for name in event["reasons"]}),
        )
        for event in registry["event"]
    }
    carriers = {number: f"CARRIER_{number}" for number in range(FIRST_FREE_CARRIER, LAST_FREE_CARRIER + 1)}
    carriers |= {carrier["code"]: carrier["name"] for carrier in registry["carrier"]}
    head = registry["registry"]
    return Vocabulary(
        head["schema"], tuple(head.get("before", ())), head["protocol"], MappingProxyType(kinds), MappingProxyType(carriers), digest
    )


def _judge(event: Mapping[str, Any], reason: Mapping[str, Any]) -> Judgement:
    by_fault = "success" if reason["fault"] == "none" else "failure"
    return Judgement(SEVERITIES[reason["severity"]], event.get("outcome") or reason.get("outcome") or by_fault)


@cache
def vocabulary() -> Vocabulary:
    """Return the registry of this installation."""
    data = (SCHEMAS / "registry.toml").read_bytes()
    return parse(tomllib.loads(data.decode()), sha256(data).hexdigest())
