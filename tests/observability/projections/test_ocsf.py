"""The projection to OCSF, held against the published class schemas."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given

from audit.vocabulary import SCHEMAS
from lab import ocsf as vendored
from observability.projections import ocsf
from observability.projections.table import table
from tests.audit.strategies import EVENTS
from tests.observability.projections.events import Sealed, every_event, sealed

FOLDER = SCHEMAS / "ocsf"


def validator(name: str) -> jsonschema_rs.Validator:
    """Compile one vendored schema."""
    return jsonschema_rs.Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text()), offline=True)


CLASSES = {each.uid: validator(str(each.uid)) for each in vendored.classes()}
INTEGRITY = validator("record-integrity")


def faults(event: dict[str, Any], uid: int | None = None) -> list[str]:
    """Say what the published schema of its class, or of another, has against an event."""
    return [f"{error.instance_path}: {error.message}" for error in CLASSES[uid or event["class_uid"]].iter_errors(event)]


def first(event_type: str) -> Sealed:
    """Return an event of a type, with all its fields."""
    return next(each for each in every_event() if each.event["event_type"] == event_type)


def test_every_event_is_valid_ocsf() -> None:
    """A SIEM that takes OCSF would refuse some of the events, or file them wrongly."""
    bad = [(each.event["event_type"], each.event["reason_code"], wrong) for each in every_event() if (wrong := faults(ocsf.project(*each)))]
    assert not bad


def test_every_event_and_reason_was_among_them() -> None:
    """An event type that nobody projects would be a hole in the SIEM."""
    assert {(each.event["event_type"], each.event["reason_code"]) for each in every_event()} == set(table().told)


@given(EVENTS)
def test_any_values_are_valid(event: dict[str, Any]) -> None:
    """Values at the bounds of the own schema would leave the bounds of OCSF's."""
    assert not faults(ocsf.project(*sealed(event)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"class_uid": None}, "class_uid"),
        ({"severity_id": 7}, "severity_id"),
        ({"strange": 1}, "strange"),
        ({"metadata": {"version": "1.8.0"}}, "metadata"),
        ({"time": "2026-11-30"}, "time"),
        ({"raw_data_hash": {"value": "00"}}, "raw_data_hash"),
    ],
)
def test_the_schemas_refuse(change: dict[str, Any], said: str) -> None:
    """The test above would pass whatever is projected."""
    assert said in str(faults(ocsf.project(*first("SESSION_MOVED")) | change, 4014))


def test_captions_are_the_published_ones() -> None:
    """Somebody who searches by caption would find nothing, because ours says it in other words."""
    published = vendored.published()
    for kind in vendored.classes():
        said = published["classes"][kind.schema]
        captions = {int(number): each["caption"] for number, each in said["attributes"]["activity_id"]["enum"].items()}
        assert (said["uid"], said["caption"], said["category_uid"], said["category_name"]) == (
            kind.uid, kind.name, kind.category, kind.category_name,
        )  # fmt: skip
        assert kind.activities.items() <= captions.items()
    enums = {
        name: {int(number): each["caption"] for number, each in published["classes"]["tunnel_activity"]["attributes"][name]["enum"].items()}
        for name in ("severity_id", "status_id", "disposition_id")
    }
    assert {number: each.ocsf for number, each in table().severities.items()}.items() <= enums["severity_id"].items()
    assert dict(table().outcomes.values()).items() <= enums["status_id"].items()
    assert table().dispositions.items() <= enums["disposition_id"].items()


def test_vendored_schemas_are_what_is_published() -> None:
    """Events would be held against a schema that was edited here until they fitted."""
    made = {path.name: text for path, text in vendored.artefacts()}
    there = {path.name: path.read_text() for path in FOLDER.glob("[0-9]*.json")}
    assert made == there


def test_a_move_in_ocsf() -> None:
    """The fields that a SIEM engineer looks at first would hold something else."""
    event, digest = first("SESSION_MOVED")
    made = ocsf.project(event, digest)
    assert (made["class_uid"], made["activity_name"], made["type_uid"]) == (4014, "Renew", 401403)
    assert made["time"] == 1_796_063_400_123
    assert made["metadata"]["original_time"] == event["time"]
    assert made["metadata"]["sequence"] == event["seq"]
    assert made["metadata"]["correlation_uid"] == event["session"]["correlation_id"]
    assert (made["status"], made["status_code"]) == ("Success", event["reason_code"])
    assert made["session"] == {
        "is_vpn": True, "uid": event["session"]["pseudonym"], "uid_alt": event["session"]["correlation_id"],
    }  # fmt: skip
    assert made["user"] == {"uid": event["device"]}
    assert made["src_endpoint"] == {"uid": event["peer"]}
    assert made["raw_data_hash"]["value"] == digest
    assert made["duration"] == event["metrics"]["gap_us"] // 1_000


def test_a_refusal_in_ocsf() -> None:
    """What was blocked would look like traffic."""
    made = ocsf.project(*first("TRAFFIC_REFUSED"))
    assert (made["type_name"], made["action"], made["disposition"]) == ("Network Activity: Refuse", "Denied", "Dropped")
    assert made["metadata"]["profiles"] == ["host", "security_control"]


def test_record_integrity() -> None:
    """The chain would not be found in the place that OCSF 1.9.0 has for it."""
    for each in every_event():
        made = ocsf.project(*each, record_integrity=True)
        assert made["metadata"]["version"] == "1.9.0"
        assert made["metadata"]["profiles"][-1] == "record_integrity"
        attested = made.pop("attestation_list")
        assert not [*INTEGRITY.iter_errors(attested)]
        assert not faults(made), "beside the attestation it is an event of 1.8.0"
        assert ocsf.restore(made).hash == each.hash
        assert attested[0]["fingerprint"]["value"] == each.hash
    assert [*INTEGRITY.iter_errors([{"uid": "x"}])], "an attestation without a fingerprint is none"


def test_attestations_make_a_chain() -> None:
    """Nobody could follow the chain from event to event in the SIEM."""
    before = sealed(first("SESSION_BORN").event | {"prev_hash": "0" * 64, "seq": 0})
    after = sealed(first("SESSION_MOVED").event | {"prev_hash": before.hash, "seq": 1})
    one, two = (ocsf.project(*each, record_integrity=True) for each in (before, after))
    assert "prev_event" not in one["attestation_list"][0]
    assert two["attestation_list"][0]["prev_event"]["uid"] == one["metadata"]["uid"]
    assert two["attestation_list"][0]["prev_event"]["fingerprint"] == one["attestation_list"][0]["fingerprint"]
