"""The registry: closed, append only, consistent with itself, with the tables, and with what is generated from it."""

import re
from typing import Any

import pytest

from audit.vocabulary import SEVERITIES, vocabulary
from core.client.table import ROWS as CLIENT_ROWS
from core.keys.table import ROWS as KEY_ROWS
from core.machine import Row
from core.reasons import CAUSE_REASON, Reason
from core.session.table import ROWS as SESSION_ROWS
from lab import evolution
from lab import registry as generator
from tests.support import ROOT

REGISTRY = generator.load()
SECTIONS = ("reason", "event", "carrier", "cause", "status", "close")
FIELDS = {"session", "state", "binding", "transport", "device", "peer", "count", "genesis", "offending", "key", "document", "seal", "names"}
KNOWN = {
    "reason": {"code", "name", "family", "severity", "fault", "meaning", "outcome"},
    "event": {"code", "name", "class", "role", "meaning", "fields", "required", "measures", "reasons", "outcome"},
    "carrier": {"code", "name", "meaning"},
    "cause": {"code", "name", "meaning", "reason", "voluntary"},
    "status": {"code", "name", "meaning", "reason"},
    "close": {"code", "name", "meaning", "reason"},
}
CHOICES = {
    "family": {"establishment", "quality", "recovery", "policy", "abuse", "proof", "freshness", "ownership", "keys"}
    | {"termination", "integrity"},
    "severity": set(SEVERITIES),
    "fault": {"none", "peer", "network", "ours"},
    "outcome": {"success", "failure", "unknown"},
    "class": {"evidence", "telemetry", "integrity"},
    "role": {"gateway", "client", "both", "writer"},
}  # fmt: skip
UNITS = ("_ms", "_us", "_bytes", "_packets")
FREE = {"ATTEMPTS_EXHAUSTED"}  # given out once, recorded by no event now; the code is not used for anything else


def entries() -> list[tuple[str, dict[str, Any]]]:
    """Every entry with its section."""
    return [(section, entry) for section in SECTIONS for entry in REGISTRY[section]]


def test_nothing_that_was_released_is_taken_back() -> None:
    """A-17: a log or a wire message of an older release would be read with another meaning."""
    assert not list(evolution.taken_back(evolution.present(), evolution.released()))


@pytest.mark.parametrize("section", SECTIONS)
def test_names_and_codes_are_unique(section: str) -> None:
    """One code would have two causes."""
    for key in ("name", "code"):
        values = [entry[key] for entry in REGISTRY[section]]
        assert len(set(values)) == len(values)


def test_entries_say_what_they_must_and_nothing_else() -> None:
    """A misspelt key would be ignored, and its default be used."""
    for section, entry in entries():
        optional = {"reason"} if section == "status" else {"outcome"}
        assert KNOWN[section] - optional <= entry.keys() <= KNOWN[section], entry["name"]
        assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", entry["name"])
        assert entry["meaning"].endswith("."), entry["name"]
        assert not [key for key, allowed in CHOICES.items() if key in entry and entry[key] not in allowed], entry["name"]


def test_events_are_made_of_what_a_record_holds() -> None:
    """An event would promise a field that no record has a place for."""
    for event in REGISTRY["event"]:
        assert set(event["required"]) <= set(event["fields"]) <= FIELDS
        assert len(event["measures"]) <= 4
        assert all(measure.endswith(UNITS) for measure in event["measures"]), event["name"]
        assert event["reasons"]
        assert (event["class"] == "integrity") == (event["role"] == "writer")
        if event["class"] == "evidence":
            assert {"session", "state"} <= set(event["required"])


def test_every_reason_can_be_recorded() -> None:
    """Something would happen for a reason that the log cannot name."""
    reasons = {reason["name"] for reason in REGISTRY["reason"]}
    recorded = {name for event in REGISTRY["event"] for name in event["reasons"]}
    named = {entry["reason"] for section, entry in entries() if "reason" in entry and section != "event"}
    assert recorded == reasons - FREE
    assert named <= recorded


@pytest.mark.parametrize("row", [*SESSION_ROWS, *CLIENT_ROWS, *KEY_ROWS], ids=lambda row: row.clause)
def test_what_a_table_does_can_be_recorded(row: Row[Any, Any, Any]) -> None:
    """The machine would make a transition whose record is refused."""
    reasons = [row.reason] if row.reason is not None else list(CAUSE_REASON.values())
    assert {reason.name for reason in reasons} <= set(vocabulary().kinds[row.event.name].reasons)
    assert all(isinstance(reason, Reason) for reason in reasons)


def test_what_is_generated_is_fresh() -> None:
    """Code, schemas and registry would say different things."""
    assert not [path.name for path, text in generator.artefacts(REGISTRY) if not path.exists() or path.read_text() != text]
    assert {path.stem for path in (ROOT / "schemas" / "events").iterdir()} == {event["name"] for event in REGISTRY["event"]}


def test_what_is_stale_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A forgotten regeneration would pass the checks."""
    assert generator.main(["--check"]) == 0
    changed = {**REGISTRY, "carrier": [*REGISTRY["carrier"], {"code": 4, "name": "PIGEON", "meaning": "RFC 1149."}]}
    monkeypatch.setattr(generator, "load", lambda: changed)
    assert generator.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "stale: core/reasons.py" in said
    assert "stale: schemas/events/SESSION_MOVED.json" in said
    assert "PROCESS_STARTED" not in said
    assert "taken back" not in said


def test_what_is_taken_back_fails_the_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A-17: `make docs-check` would pass a registry by which older logs cannot be read."""
    changed = {**REGISTRY, "carrier": REGISTRY["carrier"][1:]}
    monkeypatch.setattr(generator, "artefacts", lambda _: ())
    monkeypatch.setattr(generator, "load", lambda: changed)
    assert generator.main(["--check"]) == 1
    assert "taken back: carrier UDP was released in 1.0.0, and code 1 is gone" in capsys.readouterr().out
