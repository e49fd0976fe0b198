"""Projection to an OpenTelemetry log record, in OTLP's JSON form (opentelemetry-proto `LogsData`): one event, one record.

The own event stands in the attributes, a leaf each, named by its path (`jvp.session.pseudonym`); own names hold no dot, so the way back is
plain. 64-bit integers are strings in this form, as protobuf's JSON mapping says.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from observability.projections.own import NAMESPACE, NotRestorable, Restored, beside, epoch_us, sentence
from observability.projections.own import restored as own_event
from observability.projections.table import table

SCOPE: Final = "jvpn.audit"
TRACE_CHARS: Final = 32  # hex digits of 16 bytes, W3C trace context


def project(event: Mapping[str, Any], event_hash: str) -> dict[str, Any]:
    """Return ``LogsData`` with the one record of a valid own event. Pure; KeyError for a type or reason that the registry does not have.

    ``observedTimeUnixNano`` is the event's own time: the gateway saw it itself.
    """
    words = table()
    severity = words.severities[event["severity"]]
    time = str(epoch_us(event["time"]) * 1_000)
    record: dict[str, Any] = {
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": severity.otlp,
        "severityText": severity.otlp_text,
        "eventName": name_of(event),
        "body": {"stringValue": sentence(event, words.meanings[event["reason_code"]])},
        "attributes": [_pair(*leaf) for leaf in leaves(NAMESPACE, beside(event, event_hash))],
    }
    if len(trace := event.get("session", {}).get("correlation_id", "")) == TRACE_CHARS:
        record["traceId"] = trace
    resource = {"attributes": [_pair(*leaf) for leaf in resource_of(event).items()]}
    scope = {"name": SCOPE, "version": event["schema"].rpartition("/")[2]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [record]}]}]}


def restore(projected: Mapping[str, Any]) -> Restored:
    """Return the own event of ``LogsData`` with one record. Raises ``NotRestorable``."""
    try:
        ((resource,),) = (projected["resourceLogs"],)
        ((scope,),) = (resource["scopeLogs"],)
        ((record,),) = (scope["logRecords"],)
        pairs = [(pair["key"], pair["value"]) for pair in record["attributes"]]
        return own_event(_nested(pairs))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, NotRestorable):
            raise
        raise NotRestorable(f"not one log record in OTLP's JSON form: {type(error).__name__}") from None


def name_of(event: Mapping[str, Any]) -> str:
    """Return OpenTelemetry's event name: lower case, in our name space."""
    return f"{NAMESPACE}.{event['event_type'].lower()}"


def resource_of(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of who recorded it (semantic conventions of `service`)."""
    return {"service.namespace": "jvpn", "service.name": f"jvpn-{event['role']}", "service.instance.id": event["node_id"]}


def leaves(at: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str | int]]:
    """Yield path and value of each leaf, in order of paths' names."""
    for name, below in sorted(value.items()):
        path = f"{at}.{name}"
        if isinstance(below, Mapping):
            yield from leaves(path, below)
        else:
            yield path, below


def _pair(key: str, value: str | int) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}


def _nested(pairs: list[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        first, *path = key.split(".")
        if first != NAMESPACE or not path:
            continue
        into = made
        for name in path[:-1]:
            into = into.setdefault(name, {})
        into[path[-1]] = int(value["intValue"]) if "intValue" in value else value["stringValue"]
    return made
