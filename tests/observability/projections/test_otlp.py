"""The projection to OTLP, held against the protocol's own definition."""

import json
from base64 import b64encode
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict, ParseError
from hypothesis import given
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, SeverityNumber

from observability.projections import otlp
from tests.audit.strategies import EVENTS
from tests.observability.projections.events import Sealed, every_event, sealed


def decoded(each: Sealed) -> LogRecord:
    """Return the record that a collector reads from the projection; it refuses what the protocol does not have."""
    data = otlp.project(*each)
    made = data["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    if "traceId" in made:  # OTLP has hex here, protobuf's own JSON mapping base64
        made["traceId"] = b64encode(bytes.fromhex(made["traceId"])).decode()
    parsed = LogsData.FromString(ParseDict(json.loads(json.dumps(data)), LogsData()).SerializeToString())
    (resource,) = parsed.resource_logs
    (scope,) = resource.scope_logs
    (record,) = scope.log_records
    assert isinstance(record, LogRecord)
    return record


def test_every_event_is_a_log_record() -> None:
    """A collector would refuse some of the events."""
    names = {number.name: number.number for number in SeverityNumber.DESCRIPTOR.values}
    for each in every_event():
        record = decoded(each)
        assert record.time_unix_nano == record.observed_time_unix_nano == 1_796_063_400_123_456_000
        assert record.severity_number == names[f"SEVERITY_NUMBER_{record.severity_text}"]
        assert record.event_name == f"jvp.{each.event['event_type'].lower()}"
        assert record.trace_id.hex() == each.event.get("session", {}).get("correlation_id", "")
        assert each.event["reason_code"] in record.body.string_value
        attributes = {pair.key: pair.value for pair in record.attributes}
        assert attributes["jvp.event_hash"].string_value == each.hash
        assert attributes["jvp.seq"].int_value == each.event["seq"]
        assert len(attributes) == len(record.attributes) < 128, "the SDKs of OpenTelemetry keep 128 attributes, and drop more"


@given(EVENTS)
def test_any_values_are_log_records(event: dict[str, Any]) -> None:
    """Values at the bounds of the own schema would leave the bounds of the protocol's."""
    assert decoded(sealed(event)).severity_text


def test_the_definition_refuses() -> None:
    """The tests above would pass whatever is projected."""
    data = otlp.project(*next(iter(every_event())))
    data["resourceLogs"][0]["strange"] = 1
    with pytest.raises(ParseError):
        ParseDict(data, LogsData())
