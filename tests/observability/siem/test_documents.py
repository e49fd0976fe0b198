"""The pieces, as documents. Policies and monitors: contract only, no node that has these plug-ins can be run here."""

import json

import pytest

from observability.detections.load import load
from observability.detections.monitors import monitors
from observability.names import Names
from observability.siem.documents import NEEDS, Kind, Setup, pieces, reader_role, shipper_role

WRITES = ("write", "admin/create", "admin/delete", "admin/mapping/put", "admin/settings", "admin/rollover", "admin/auto_create", "*")


def allowed(role: dict[str, object]) -> list[str]:
    """Return all actions of a role."""
    return [action for each in role["index_permissions"] for action in each["allowed_actions"]]  # type: ignore[attr-defined]  # object is a list of mappings here


def test_each_is_put_before_what_names_it() -> None:
    """The first set-up of a cluster would fail in the middle."""
    kinds = [piece.kind for piece in pieces(Setup(months=("2026-09",), evidence_days=1))]
    assert kinds == sorted(kinds, key=list(Kind).index)
    assert set(kinds) == set(Kind)
    assert len({(piece.kind, piece.name) for piece in pieces(Setup())}) == len(pieces(Setup()))


def test_the_shipper_may_create_and_look_at_telemetry_and_no_more() -> None:
    """A-94: a stolen password of the shipper would delete history, read evidence, or make an index in which events can be changed."""
    evidence, telemetry, found = shipper_role(Names("p"))["index_permissions"]
    assert evidence == {
        "index_patterns": ["p-evidence-*"],
        "allowed_actions": ["indices:data/write/bulk*", "indices:data/write/index"],
    }
    assert telemetry["index_patterns"] == ["p-telemetry"]
    assert found == evidence | {"index_patterns": ["p-findings"]}
    assert not [action for action in allowed(shipper_role(Names("p"))) if "delete" in action or "create" in action or action == "*"]


def test_the_reader_reads() -> None:
    """A dashboard's password would be enough to change what it shows."""
    assert not [action for action in allowed(reader_role("p")) if any(word in action for word in WRITES[:-1])]


def test_policies_lead_from_where_they_begin_to_deletion_when_there_are_days_and_never_otherwise() -> None:
    """Telemetry would never be deleted, or evidence be, against the configuration."""
    found = {piece.name: piece.body for piece in pieces(Setup(evidence_days=365, telemetry_days=30)) if piece.kind is Kind.POLICY}
    assert found.keys() == {"jvpn-audit-telemetry", "jvpn-audit-evidence"}
    for name, policy in found.items():
        states = {state["name"]: state for state in policy["states"]}
        first = states[policy["default_state"]]
        (over,) = first["transitions"]
        assert states[over["state_name"]]["actions"] == [{"delete": {}}]
        (days,) = over["conditions"].values()
        assert int(days.removesuffix("d")) >= {"jvpn-audit-telemetry": 30, "jvpn-audit-evidence": 365}[name]
        assert policy["ism_template"][0]["index_patterns"] == [Names().telemetry if "telemetry" in name else Names().evidence]
    (kept,) = [piece.body for piece in pieces(Setup(telemetry_days=0)) if piece.kind is Kind.POLICY]
    assert '"delete"' not in json.dumps(kept)
    assert kept["states"][0]["actions"] == [{"rollover": {"min_index_age": "7d", "min_size": "10gb"}}]


def test_each_detection_is_a_monitor() -> None:
    """A detection that was written would not be installed, or look at the events of another installation."""
    made = {piece.name: piece.body for piece in pieces(Setup()) if piece.kind is Kind.MONITOR}
    assert made == dict(monitors(load()))
    assert all(body["name"] == name for name, body in made.items())
    assert [piece for piece in pieces(Setup(prefix="other")) if piece.kind is Kind.MONITOR] == []


@pytest.mark.parametrize("kind", NEEDS)
def test_what_needs_a_plug_in_says_which(kind: Kind) -> None:
    """People would look for a mistake of theirs where the cluster lacks something."""
    plugin, words = NEEDS[kind]
    assert plugin.startswith("opensearch-")
    assert "plug-in" in words
