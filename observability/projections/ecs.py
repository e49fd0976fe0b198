"""Projection to the Elastic Common Schema, as nested objects; the fields in use and their types are in `schemas/ecs/fields.json`."""

from collections.abc import Mapping
from typing import Any, Final

from observability.projections.own import NAMESPACE, Restored, beside, carrier, sentence
from observability.projections.own import restored as own_event
from observability.projections.table import table

VERSION: Final = "8.12.0"
DATASET: Final = "jvpn.audit"


def project(event: Mapping[str, Any], event_hash: str) -> dict[str, Any]:
    """Return the ECS document of a valid own event. Pure; KeyError for an event type or reason that the registry does not have."""
    words = table()
    told = words.told[event["event_type"], event["reason_code"]]
    meaning = words.meanings[event["reason_code"]]
    about: dict[str, Any] = {
        "kind": told.kind,
        "category": list(told.category),
        "type": list(told.type),
        "action": event["event_type"],
        "code": event["reason_code"],
        "reason": meaning,
        "outcome": event["outcome"],
        "severity": event["severity"],
        "sequence": event["seq"],
        "id": event["event_id"],
        "hash": event_hash,
        "module": "jvpn",
        "dataset": DATASET,
        "provider": "jvpn",
    }
    if told.duration:
        about["duration"] = event["metrics"][told.duration] * 1_000  # ns
    made: dict[str, Any] = {
        "@timestamp": event["time"],
        "ecs": {"version": VERSION},
        "message": sentence(event, meaning),
        "tags": ["jvpn", event["event_class"]],
        "event": about,
        "observer": {"name": event["node_id"], "type": "vpn", "product": words.product["name"], "vendor": words.product["vendor"]},
        NAMESPACE: beside(event, event_hash),
    }
    if "device" in event:
        made["device"] = {"id": event["device"]}
    if correlation := event.get("session", {}).get("correlation_id"):
        made["trace"] = {"id": correlation}
    if network := _network(event):
        made["network"] = network
    return made


def restore(projected: Mapping[str, Any]) -> Restored:
    """Return the own event. Raises ``NotRestorable``."""
    return own_event(projected.get(NAMESPACE))


def _network(event: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"transport": name} if (name := carrier(event)) else {}
    measured = event.get("metrics", {})
    if "received_bytes" in measured:
        made |= {what: measured[f"received_{what}"] + measured[f"sent_{what}"] for what in ("bytes", "packets")}
    return made
