"""The boards and alert rules as documents: Grafana's own schemas, the data source's rules, the mapping and the registry."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from luqum.tree import SearchField, Word

from audit.vocabulary import vocabulary
from core.client.states import State as ClientState
from core.reasons import Carrier
from core.session.states import State as SessionState
from lab.grafana import judge
from lab.grafana.make import artefacts
from observability.grafana import GENERATED, INDEX, OPENSEARCH_UID, PROMETHEUS_UID, TIME_FIELD
from observability.grafana.files import boards, rules
from observability.metrics import table as metrics
from tests.observability.grafana.data import MAPPED
from tests.observability.grafana.draw import asked
from tests.support import ROOT

HERE = Path(__file__).parent / "jsonschema"
TYPES = ("stat", "table", "timeseries", "logs")
BOARDS = boards()
PANELS = [(board, panel) for board in BOARDS for panel in board["panels"]]
OURS = [(board, panel) for board, panel in PANELS if asked(panel)]
RULES = rules()["rules"]
DEFINITIONS = {
    "date_histogram": "DateHistogram", "terms": "Terms", "filters": "Filters", "count": "Count", "sum": "Sum", "max": "Max", "min": "Min",
    "cardinality": "UniqueCount", "percentiles": "Percentiles", "bucket_script": "BucketScript", "cumulative_sum": "CumulativeSum",
    "raw_data": "RawData", "logs": "Logs",
}  # fmt: skip

on_each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: str(board["uid"]))
on_each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["uid"]))


def schema(name: str, definition: str = "") -> dict[str, Any]:
    """Return a schema of Grafana's, or one of its definitions."""
    found: dict[str, Any] = json.loads((HERE / f"{name}.jsonschema.json").read_text(encoding="utf-8"))
    return {**found, "$ref": f"#/definitions/{definition}"} if definition else found


def valid(value: object, name: str, definition: str = "") -> None:
    """Raise ValidationError where a value does not fit."""
    jsonschema.validators.validator_for(schema(name))(schema(name, definition)).validate(value)


def valid_target(target: dict[str, Any]) -> None:
    """Raise ValidationError where a target does not fit.

    The schema says oneOf for buckets and metrics, but does not tell them apart by their type, so that most fit several: it is read as
    anyOf, and each part is held against the definition of its own type.
    """
    loose = json.loads(json.dumps(schema("elasticsearch")).replace('"oneOf"', '"anyOf"'))
    jsonschema.Draft7Validator(loose).validate(target)
    for part in (*target["metrics"], *target["bucketAggs"]):
        strict = {**loose, "$ref": f"#/definitions/{DEFINITIONS[part['type']]}"}
        jsonschema.Draft7Validator(strict).validate(part)


def targets() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each query of OpenSearch, of panels and rules, with where it is."""
    for board, panel in OURS:
        yield from ((f"{board['uid']}: {panel['title']}", target) for target in panel["targets"])
    for rule in RULES:
        if rule["data"][0]["datasourceUid"] == OPENSEARCH_UID:
            yield rule["uid"], rule["data"][0]["model"]


def test_nothing_is_stale() -> None:
    """The boards would show what an earlier version recorded."""
    assert not [path.name for path, text in artefacts() if path.read_text(encoding="utf-8") != text]
    assert {path for path, _ in artefacts()} == {path for path in GENERATED.rglob("*") if path.is_file()}


def test_there_are_as_many_as_promised() -> None:
    """A board, or half of one, would be missing without anybody noticing."""
    assert (len(BOARDS), len(RULES)) == (6, 12)
    assert len(OURS) >= 40
    assert len({board["uid"] for board in BOARDS}) == 6
    assert len(PANELS) - len(OURS) <= 8
    guide = (ROOT / "docs" / "guides" / "grafana.md").read_text(encoding="utf-8")
    assert f"Six boards with {len(PANELS)} panels and twelve alert rules" in guide
    asking = len([rule for rule in RULES if rule["labels"]["source"] == "prometheus"])
    assert f"For {len(PANELS) - len(OURS)} panels and {asking} alert rules" in guide
    for board in BOARDS:
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@on_each_board
def test_a_board_fits_the_schema(board: dict[str, Any]) -> None:
    """Grafana would refuse the board, or drop what it does not know."""
    valid(board, "dashboard")
    for panel in board["panels"]:
        assert panel["type"] in TYPES
        valid(panel, "dashboard", "Panel")
        valid(panel["options"], panel["type"], "Options")
        custom = panel.get("fieldConfig", {}).get("defaults", {}).get("custom")
        if custom is not None:
            valid(custom, panel["type"], "FieldConfig")
        for target in panel["targets"] if asked(panel) else ():
            valid_target(target)


@pytest.mark.parametrize("change", [{"refresh": 5}, {"unknown": 1}, {"panels": [{"type": "stat", "unit": 3}]}])
def test_the_schema_of_boards_sees(change: dict[str, Any]) -> None:
    """A schema that takes everything would make the tests above worthless."""
    with pytest.raises(jsonschema.ValidationError):
        valid(BOARDS[0] | change, "dashboard")


@pytest.mark.parametrize(
    "change", [{"hidden": 1}, {"metrics": [{"type": "count"}]}, {"bucketAggs": [{"type": "terms", "id": "2", "settings": {"size": 5}}]}]
)
def test_the_schema_of_targets_sees(change: dict[str, Any]) -> None:
    """The same of targets."""
    with pytest.raises(jsonschema.ValidationError):
        valid_target(OURS[0][1]["targets"][0] | change)


@on_each_board
def test_the_data_source_takes_every_panel(board: dict[str, Any]) -> None:
    """A panel would be in error, or show zeros that look like good news."""
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert not {panel["title"]: found for panel in board["panels"] if (found := judge.faults(panel, names))}
    assert not [found for variable in board["templating"]["list"] for found in judge.variable_faults(variable["query"])]
    used = json.dumps(board["panels"])
    assert not [name for name in names if f"${name}" not in used], "a variable that changes nothing"


@on_each_board
def test_every_panel_says_what_to_do(board: dict[str, Any]) -> None:
    """Somebody would see red at night and not know what to do."""
    for panel in board["panels"]:
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["description"].endswith(".")
        red = "red" in json.dumps(panel["fieldConfig"]["defaults"].get("thresholds", {})) if panel["type"] == "stat" else False
        assert not red or panel["description"].split()[0] == "Red:" or "red:" in panel["description"].lower(), panel["title"]


@on_each_board
def test_panels_do_not_overlap(board: dict[str, Any]) -> None:
    """A panel would lie under another."""
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24


def test_every_field_is_mapped() -> None:
    """A query on a field that is not there finds nothing, without an error."""
    assert not {where: unknown for where, target in targets() if (unknown := judge.fields(target) - MAPPED)}
    variables = {json.loads(each["query"])["field"] for board in BOARDS for each in board["templating"]["list"]}
    assert variables <= MAPPED
    for _, panel in OURS:
        for each in panel.get("transformations", ()):
            options = each["options"]
            names = {*options.get("include", {}).get("names", ()), *options.get("indexByName", ())}
            assert {name for name in names if name[0] not in "CMSUB"} <= MAPPED  # else a metric's name, such as `Unique Count`


def test_every_value_is_in_the_registry() -> None:
    """A panel would wait for an event or a reason that can never come."""
    kinds = vocabulary().kinds
    known = {
        "event_type": set(kinds),
        "reason_code": {reason for kind in kinds.values() for reason in kind.reasons},
        "event_class": {kind.event_class for kind in kinds.values()},
        "role": {"gateway", "client"},
        "state.to": {state.name for state in (*SessionState, *ClientState)},
        "transport.to": {carrier.name for carrier in Carrier},
    }
    seen = 0
    for where, target in targets():
        for query in (target["query"], *judge._filters(target)):
            for item in judge._items(judge._parsed(query)):
                if isinstance(item, SearchField) and item.name in known:
                    words = {each.value for each in judge._items(item) if isinstance(each, Word)} - {"*", "variable"}
                    assert words <= known[item.name], where
                    seen += len(words)
    assert seen > 100


@on_each_rule
def test_a_rule_fits_the_schema(rule: dict[str, Any]) -> None:
    """Grafana would refuse the rule, and nobody be woken."""
    valid(rule, "alerting", "Rule")
    valid(rules(), "alerting", "RuleGroup")
    first, reduced, judged = rule["data"]
    for part in rule["data"]:
        valid(part, "alerting", "Query")
    model = first["model"]
    if first["datasourceUid"] == OPENSEARCH_UID:
        valid_target(model)
        assert not judge.target_faults(model)
        assert [each["type"] for each in model["bucketAggs"]] == ["date_histogram"], "grouped by terms it has no series without hits"
    assert (rule["condition"], judged["model"]["expression"], reduced["model"]["expression"]) == ("C", "B", "A")
    assert rule["labels"]["source"] == {OPENSEARCH_UID: "opensearch", PROMETHEUS_UID: "prometheus"}[first["datasourceUid"]]


def test_prometheus_is_asked_for_what_the_table_has() -> None:
    """A panel or rule would wait for a metric that nobody serves."""
    asks = [target["expr"] for _, panel in PANELS if not asked(panel) for target in panel["targets"]]
    asks += [rule["data"][0]["model"]["expr"] for rule in RULES if rule["labels"]["source"] == "prometheus"]
    words = {word for ask in asks for word in ask.replace("(", " ").replace(")", " ").replace("[", " ").replace("{", " ").split()}
    ours = {word.rstrip(",") for word in words if word.startswith("jvpn_")}
    assert len(ours) >= 8, ours
    assert ours <= {row.name for row in metrics()}


def test_the_provisioning_is_what_the_boards_expect() -> None:
    """Grafana would have data sources under other names than the boards, or interpolate what is no variable of its environment."""
    sources, dashboards, alerting = (
        yaml.safe_load((GENERATED / "provisioning" / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("datasources", "dashboards", "alerting")
    )
    assert [source["uid"] for source in sources["datasources"]] == [OPENSEARCH_UID, PROMETHEUS_UID]
    settings = sources["datasources"][0]["jsonData"]
    assert (settings["database"], settings["timeField"], settings["flavor"]) == (INDEX, TIME_FIELD, "opensearch")
    assert len(settings["version"].split(".")) == 3
    assert dashboards["providers"][0]["options"]["path"] == "$JVPN_BOARDS"
    (group,) = alerting["groups"]
    assert (alerting["apiVersion"], group["interval"]) == (1, "60s")
    assert [rule["uid"] for rule in group["rules"]] == [rule["uid"] for rule in RULES]
    assert "$" not in json.dumps(alerting)
