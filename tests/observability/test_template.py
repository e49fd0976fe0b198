"""The fields of the indices fit the schemas of the events, all of them, and say so when they cannot."""

from typing import Any

import orjson
import pytest

from audit.schema import schema_of
from audit.vocabulary import vocabulary
from observability.template import FIELDS_MAX, MAPPINGS, mappings, mappings_text


def leaves(properties: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the plain fields below `properties` by their path."""
    found: dict[str, Any] = {}
    for name, schema in properties.items():
        found |= leaves(schema["properties"], f"{prefix}{name}.") if "properties" in schema else {prefix + name: schema}
    return found


def test_every_field_of_every_event_type_is_mapped_and_nothing_else() -> None:
    """A strict mapping would refuse an event, or carry fields that no event has."""
    mapped = leaves(mappings()["properties"])
    said: dict[str, Any] = {}
    for kind in vocabulary().kinds:
        said |= leaves(schema_of(kind)["properties"])
    assert mapped.keys() - said.keys() == {"@timestamp", "event_hash", "ingest.received"}
    assert said.keys() <= mapped.keys()
    assert len(mapped) + len(mappings()["properties"]) < FIELDS_MAX
    assert {name for name, field in mapped.items() if field["type"] == "long"} == {
        name for name, schema in said.items() if schema.get("type") == "integer" or name == "severity"
    }
    assert mappings()["dynamic"] == "strict"
    assert not [name for name, field in mapped.items() if field["type"] not in {"long", "keyword", "date_nanos"}]


def test_the_file_is_what_the_schemas_make() -> None:
    """What is installed would be yesterday's."""
    text = mappings_text(schema_of(kind) for kind in vocabulary().kinds)
    assert text == MAPPINGS.read_text(encoding="utf-8")
    made = orjson.loads(text)
    assert made.pop("_meta")["schema"] == vocabulary().schema
    assert made == mappings()


def test_a_field_with_two_meanings_or_none_is_refused() -> None:
    """One index cannot hold both; the second event type would be quarantined in production."""
    one = {"properties": {"schema": {"enum": ["x"]}, "count": {"type": "integer"}}}
    with pytest.raises(ValueError, match="field count is long in one event type and keyword in another"):
        mappings_text([one, {"properties": {"schema": {"enum": ["x"]}, "count": {"type": "string"}}}])
    for schema in ({"type": "number"}, {"enum": [1, "a"]}, {"const": 1.5}, {"const": True}, {}):
        with pytest.raises(ValueError, match="no index type"):
            mappings_text([{"properties": {"schema": {"enum": ["x"]}, "count": schema}}])
