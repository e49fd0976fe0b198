"""The fields of a document in a cluster, made from the schemas of the events: an event that passes one fits the other.

One document is one event, its fields as they are in the log, with two in front: ``@timestamp`` (the event's own time) and ``event_hash``
(which names it in the log). The cluster adds ``ingest.received``, the time at which it took the event. Nothing else fits in
(``dynamic: strict``).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from audit.vocabulary import SCHEMAS

MAPPINGS: Final = SCHEMAS / "opensearch" / "mappings.json"
BYTES: Final = {"type": "keyword", "index": False, "doc_values": False}  # kept, not searched
FIELDS_MAX: Final = 128
OURS: Final = {"@timestamp": {"type": "date_nanos"}, "event_hash": {"type": "keyword"}}
THEIRS: Final = {"ingest": {"properties": {"received": {"type": "date_nanos"}}}}


def mappings() -> dict[str, Any]:
    """Return the mappings of this installation: the file in ``schemas/opensearch/``, without its note."""
    file: dict[str, Any] = json.loads(MAPPINGS.read_text(encoding="utf-8"))
    return {name: value for name, value in file.items() if name != "_meta"}


def mappings_text(schemas: Iterable[Mapping[str, Any]]) -> str:
    """Return the text of the file that ``mappings`` reads, for the JSON Schemas of all event types."""
    known = list(schemas)
    version = known[-1]["properties"]["schema"]["enum"][-1]
    properties = OURS | mappings_of(known) | THEIRS
    properties["offending"]["properties"]["record"] = BYTES
    made = {
        "_meta": {"description": "Audit events of Jumping VPN. Generated from schemas/registry.toml; do not edit.", "schema": version},
        "dynamic": "strict",
        "date_detection": False,
        "properties": properties,
    }
    return json.dumps(made, indent=2) + "\n"


def mappings_of(schemas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of an index for the events of these JSON Schemas, by name."""
    fields: dict[str, Any] = {}
    for schema in schemas:
        _merge(fields, schema["properties"])
    return _mapped(fields)


def _merge(into: dict[str, Any], properties: Mapping[str, Any]) -> None:
    """Collect the fields of one more event type: a name is an index type or, for an object, again such a collection."""
    for name, schema in properties.items():
        if "properties" in schema:
            _merge(into.setdefault(name, {}), schema["properties"])
        elif into.setdefault(name, _type(schema)) != _type(schema):
            raise ValueError(f"field {name} is {into[name]} in one event type and {_type(schema)} in another")


def _mapped(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"type": kind} if isinstance(kind, str) else {"properties": _mapped(kind)} for name, kind in sorted(fields.items())}


def _type(schema: Mapping[str, Any]) -> str:
    """Return the index type of a plain value: whole numbers or text, there is nothing else in events.

    Text is `keyword`, not `wildcard`: on that, patterns in query strings silently miss.
    """
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    kinds = {type(value).__name__ for value in values} or {str(schema.get("type"))}
    if kinds <= {"integer", "int"}:
        return "long"
    if kinds <= {"string", "str"}:
        return "keyword"
    raise ValueError(f"no index type for {schema}")
