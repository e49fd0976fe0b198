"""The index template of the data stream, made from the schemas of the events: an event that passes one fits the other.

One document is one event, its fields as they are in the log, with two in front: ``@timestamp`` (the event's own time) and ``event_hash``
(which names it in the log). Nothing else fits in (``dynamic: strict``), and nothing that is in can be changed (``append_only``).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from audit.vocabulary import SCHEMAS

TEMPLATE: Final = SCHEMAS / "opensearch" / "index-template.json"
STREAM: Final = "jvpn-audit"
BYTES: Final = {"type": "keyword", "index": False, "doc_values": False}  # kept, not searched
FIELDS_MAX: Final = 128


def index_template(stream: str = STREAM, *, replicas: int = 0) -> dict[str, Any]:
    """Return the template of this installation for the data stream ``stream``; what is installed is the file in ``schemas/opensearch/``."""
    template: dict[str, Any] = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    template["index_patterns"] = [stream]
    template["template"]["settings"]["index.number_of_replicas"] = replicas
    return template


def template_text(schemas: Iterable[Mapping[str, Any]]) -> str:
    """Return the text of the file that ``index_template`` reads, for the JSON Schemas of all event types."""
    fields: dict[str, Any] = {}
    version = ""
    for schema in schemas:
        _merge(fields, schema["properties"])
        version = schema["properties"]["schema"]["const"]
    properties = {"@timestamp": {"type": "date_nanos"}, "event_hash": {"type": "keyword"}} | _mapped(fields)
    properties["offending"]["properties"]["record"] = BYTES
    template = {
        "index_patterns": [STREAM],
        "data_stream": {},
        "priority": 200,
        "template": {
            "settings": {
                "index.append_only.enabled": True,
                "index.number_of_shards": 1,
                "index.number_of_replicas": 0,
                "index.mapping.total_fields.limit": FIELDS_MAX,
            },
            "mappings": {"dynamic": "strict", "date_detection": False, "properties": properties},
        },
        "_meta": {"description": "Audit events of Jumping VPN. Generated from schemas/registry.toml; do not edit.", "schema": version},
    }
    return json.dumps(template, indent=2) + "\n"


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
