"""The table of metrics, and how what a source says becomes series: named well, from closed sets, bounded."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from audit.tlog.policy import parse
from observability.cursor import State
from observability.metrics import LOGS, OURS, SOURCES, STATUSES, Collector, SourceAway, most_series, read, sets, table
from observability.metrics_sources import shipper, tree
from observability.publication import Publication
from observability.witness_server import REASONS
from tests.audit.tlog.test_sealing import sealed_log
from tests.observability.witnesses import policy_file, running
from tests.support import requires

LOG = ("example.org/log",)
SERIES_MAX = 250  # of one gateway, its shipper and a witness; Prometheus bears some millions
ROWS = [pytest.param(row, id=row.name) for row in table()]
STATUS = {"read": 5, "created": 3, "duplicate": 0, "quarantined": 0, "pending": 2, "retried": 4, "circuit": "open", "unsettled_bytes": 900,
          "failures_in_a_row": 4, "oldest_unsettled": 1_790_000_000.5, "why": "no", "stream": "jvpn-audit"}  # fmt: skip


def told(says: Mapping[str, Mapping[str, Any]], logs: tuple[str, ...] = ()) -> dict[str, float]:
    """Return every series of a scrape by its text."""
    text = generate_latest(Collector({name: lambda it=it: it for name, it in says.items()}, logs).registry()).decode()  # type: ignore[misc]  # bound early
    return dict(series(text))


def series(text: str) -> list[tuple[str, float]]:
    """Return the series of an exposition, as another reader than Prometheus finds them."""
    return [
        (each.name + "".join(f"{{{name}={value}}}" for name, value in sorted(each.labels.items())), each.value)
        for family in text_string_to_metric_families(text)
        for each in family.samples
    ]


@pytest.mark.parametrize("row", ROWS)
def test_names_are_what_prometheus_expects(row: Any) -> None:  # noqa: ANN401 - a row, which the table's type says
    """Dashboards of others would not know a counter from a gauge, or seconds from milliseconds."""
    assert re.fullmatch(r"jvpn_(source|gateway|audit|shipper|witness)(_[a-z]+)+", row.name)
    assert row.name.endswith("_total") == (row.type == "counter")
    assert row.type in {"counter", "gauge"}
    assert row.source in {*SOURCES, OURS}
    assert row.at.count("*") == len(row.labels)
    assert row.help.endswith(".")
    assert not re.search(r"_(ms|minutes|hours|kb)\b", row.name)


def test_each_is_there_once() -> None:
    """One number would be told twice under one name, and Prometheus refuse the scrape."""
    names = [row.name for row in table()]
    assert len(names) == len(set(names)) > 50


def test_labels_come_from_closed_sets_and_series_are_bounded() -> None:
    """[O-29] A device, a session or an address would be a label: who sees a dashboard could follow people, and memory runs full."""
    assert {name for row in table() for _, name in row.labels} - {LOGS} <= sets().keys()
    assert {label for row in table() for label, _ in row.labels} <= {
        "source", "state", "carrier", "reason", "direction", "document", "status", "log", "result", "finding"}  # fmt: skip
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for row in table() for _, kind in row.labels if kind != LOGS for name in sets()[kind])
    assert sum(most_series(row, 1) for row in table()) < SERIES_MAX
    assert max(most_series(row, 1) for row in table()) < 40


NAMES = st.sampled_from(("ATTACHED", "UDP", "0f6c01a5be2d4b6f8a7c3d2e1f0a9b8c", "192.0.2.7:51820", "laptop", "in", "state"))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES,
    lambda below: st.dictionaries(NAMES, below),
    max_leaves=12,
)


@given(st.fixed_dictionaries({"sessions": st.dictionaries(st.sampled_from(("state", "carrier")), ANYTHING), "events": ANYTHING}))
def test_whatever_a_source_says_no_name_of_its_own_gets_out(said: dict[str, Any]) -> None:
    """[O-29] A gateway of another version, or one that was taken over, would bring names into a database that keeps them for years."""
    closed = sets()
    for row in table():
        if row.source == "gateway":
            samples, _ = read(row, said, closed)
            assert len(samples) <= most_series(row, 0)
            assert all(label in closed[kind] for each in samples for label, (_, kind) in zip(each.labels, row.labels, strict=True))


def test_names_that_nobody_knows_are_counted_and_not_told() -> None:
    """Numbers would vanish without a word when one side is newer."""
    found = told({"gateway": {"sessions": {"state": {"ATTACHED": 2, "ASLEEP": 7}}}})
    assert found["jvpn_gateway_sessions{state=ATTACHED}"] == 2
    assert found["jvpn_gateway_sessions{state=PENDING}"] == 0
    assert found["jvpn_source_unknown_names{source=gateway}"] == 1
    assert not [name for name in found if "ASLEEP" in name]


def test_one_that_is_away_costs_its_own_series_only() -> None:
    """A shipper that is stopped would blind who watches the gateway."""

    def away() -> dict[str, Any]:
        raise SourceAway("no")

    text = generate_latest(Collector({"gateway": lambda: {"admits": True}, "shipper": away}).registry()).decode()
    found = dict(series(text))
    assert (found["jvpn_source_up{source=gateway}"], found["jvpn_source_up{source=shipper}"]) == (1, 0)
    assert found["jvpn_gateway_admits"] == 1
    assert not [name for name in found if name.startswith("jvpn_shipper")]


def test_a_shipper_by_its_files(tmp_path: Path) -> None:
    """An outage of the cluster would not be seen; or after a crash of the shipper counters would fall and be added up twice."""
    with pytest.raises(SourceAway, match="No such file"):
        shipper(tmp_path)
    (tmp_path / "status.json").write_bytes(orjson.dumps(STATUS))
    assert told({"shipper": shipper(tmp_path)})["jvpn_shipper_events_total{result=created}"] == 0, "nothing is remembered yet"
    (tmp_path / "cursor.json").write_bytes(orjson.dumps({"counters": STATUS | {"read": 3, "pending": 0}}))
    found = told({"shipper": shipper(tmp_path)})
    assert (found["jvpn_shipper_breaker_open"], found["jvpn_source_unknown_names{source=shipper}"]) == (1, 0)
    assert (found["jvpn_shipper_events_total{result=read}"], found["jvpn_shipper_events_pending"]) == (3, 2)
    assert {name[26:-1]: value for name, value in found.items() if "circuit" in name} == {"=closed": 0, "=open": 1, "=probing": 0}
    assert found["jvpn_shipper_oldest_unsettled_timestamp_seconds"] == 1_790_000_000.5
    assert found["jvpn_shipper_status_timestamp_seconds"] == (tmp_path / "status.json").stat().st_mtime
    assert not [name for name in found if "finding" in name or "compared" in name], "nobody has compared yet"
    State.compared(tmp_path, {"at": 1_790_000_900, "counts": {"missing": 3, "different": 0, "foreign": 1, "misplaced": 0}})
    found = told({"shipper": shipper(tmp_path)})
    assert (found["jvpn_shipper_findings{finding=missing}"], found["jvpn_shipper_findings{finding=foreign}"]) == (3, 1)
    assert found["jvpn_shipper_compared_timestamp_seconds"] == 1_790_000_900
    for broken in (b"[]", b"{"):
        (tmp_path / "status.json").write_bytes(broken)
        with pytest.raises(SourceAway):
            shipper(tmp_path)


def test_a_tree_by_its_cosignatures(tmp_path: Path) -> None:
    """Cosignatures that are not there, or are none, would be shown as witnesses."""
    history = sealed_log(tmp_path / "sealed")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with running(tmp_path / "a", history) as first, running(tmp_path / "b", history, 1) as second:
        policy = policy_file(tmp_path / "policy", history, [first, second], 2)
        with pytest.raises(SourceAway, match="nothing is published"):
            tree(tmp_path / "tree", policy)
        step = Publication(history, tmp_path / "tree", parse(policy.read_bytes())).step()
    assert step.signed
    found = told({"tree": tree(tmp_path / "tree", policy)})
    assert (found["jvpn_audit_witnesses"], found["jvpn_audit_witness_quorum"]) == (2, 2)
    assert found["jvpn_audit_published_events"] == step.signed.says.size
    assert found["jvpn_audit_cosigned_timestamp_seconds"] > 1_700_000_000
    checkpoint = tmp_path / "tree" / "checkpoint"
    *lines, last = checkpoint.read_text().splitlines(keepends=True)
    checkpoint.write_text("".join(lines))
    assert told({"tree": tree(tmp_path / "tree", policy)})["jvpn_audit_witnesses"] == 1
    spoilt = last[:-9] + ("A" if last[-9] != "A" else "B") + last[-8:]
    checkpoint.write_text("".join([*lines, spoilt]))
    with pytest.raises(SourceAway, match="wrong"):
        tree(tmp_path / "tree", policy)


def test_every_answer_of_a_witness_has_its_series() -> None:
    """An answer that the witness gives would be counted nowhere."""
    assert set(STATUSES) == REASONS.keys()
    found = told({"witness": {"answered": {"200": 3}, "cosigned": {LOG[0]: 17}, "conflicts": {}}}, LOG)
    assert found["jvpn_witness_answers_total{status=200}"] == 3
    assert found["jvpn_witness_answers_total{status=503}"] == 0
    assert found[f"jvpn_witness_cosigned_events{{log={LOG[0]}}}"] == 17
    assert found[f"jvpn_witness_conflicts{{log={LOG[0]}}}"] == 0


@requires("prometheus")
def test_promtool_has_nothing_to_object() -> None:
    """Prometheus' own linter would find metrics that are named or typed against its conventions."""
    says = {"gateway": {}, "shipper": STATUS | {"settled": STATUS, "told_at": 1.5}, "witness": {"answered": {}}}
    text = generate_latest(Collector({name: lambda it=it: it for name, it in says.items()}, LOG).registry())  # type: ignore[misc]  # bound early
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")
