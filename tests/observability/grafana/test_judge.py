"""The judge of targets: it sees every rule broken that the data source does not take, or takes without a word."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from lab.grafana import judge
from lab.grafana.make import plain
from lab.grafana.targets import computed, count, events, greatest, over_time, percentiles, rows, so_far, split, times

Target = dict[str, Any]
Change = Callable[[Target], object]
VARIABLES = ["node"]
SERIES: Target = plain(over_time("event_type:SESSION_MOVED", percentiles("metrics.gap_us"), by=["reason_code"]).build())
MATRIX: Target = plain(over_time("event_type:SESSION_MOVED", by=["transport.from", "transport.to"]).build())
PARTS: Target = plain(split("severity:>=3", {"a": "role:gateway"}, times()).build())
TABLE: Target = plain(rows("peer:*", "peer", [count(), greatest("seq"), computed("params.a - 1", a="2")]).build())
TOTAL: Target = plain(so_far().build())
NEWEST: Target = plain(events("severity:>=3", 5).build())


def first(name: str, **change: object) -> Change:
    """Change the first metric or bucket of a target."""
    return lambda target: target[name][0].update(change)


def settings(name: str, **change: object) -> Change:
    """Change the settings of the first metric or bucket of a target."""
    return lambda target: target[name][0].setdefault("settings", {}).update(change)


def put(**change: object) -> Change:
    """Change the target itself."""
    return lambda target: target.update(change)


BROKEN: list[tuple[Target, Change, str]] = [
    (SERIES, put(queryType="Lucene"), "queryType"),
    (SERIES, put(queryType=""), "queryType"),
    (SERIES, put(queryType="PPL"), "queryType"),
    (SERIES, lambda target: target.pop("query"), "query: missing"),
    (SERIES, put(timeField="time"), "timeField"),
    (SERIES, put(query="role:gateway and node_id:$node"), "upper-case"),
    (SERIES, put(query="role:gateway AND not seq:0"), "upper-case"),
    (SERIES, put(query="role:$role"), "variable role"),
    (SERIES, put(query="role:(gateway"), "query"),
    (SERIES, put(query="gateway"), "word without a field"),
    (SERIES, put(query="role:gateway AND stray"), "word without a field"),
    (PARTS, lambda target: target["bucketAggs"][0]["settings"]["filters"][0].update(query="a:1 or b:2"), "upper-case"),
    (PARTS, lambda target: target["bucketAggs"][0]["settings"].update(filters=[]), "filters: none"),
    (PARTS, lambda target: target["bucketAggs"].pop(), "filters: as the last"),
    (SERIES, put(metrics=[]), "metrics: missing"),
    (SERIES, first("metrics", type="rate"), "not served"),
    (SERIES, first("metrics", type="top_metrics"), "not served"),
    (SERIES, first("metrics", type="serial_diff"), "not served"),
    (SERIES, first("metrics", id=1), "metric id"),
    (SERIES, lambda target: target["metrics"][0].pop("id"), "metric id"),
    (SERIES, lambda target: target["metrics"][0].pop("field"), "needs a field"),
    (TOTAL, first("metrics", id="m1"), "numbers in strings"),
    (TOTAL, lambda target: target["metrics"][1].update(field="9"), "names no other metric"),
    (TABLE, lambda target: target["metrics"][2].update(pipelineVariables=[]), "names no other metric"),
    (SERIES, settings("metrics", percents="50,95"), "percents"),
    (NEWEST, settings("metrics", size=5), "size: a string"),
    (NEWEST, settings("metrics", limit="5"), "`limit`"),
    (NEWEST, put(bucketAggs=[{"id": "2", "type": "date_histogram"}]), "none with documents"),
    (NEWEST, lambda target: target["metrics"].append({"type": "count", "id": "2"}), "documents come alone"),
    (SERIES, put(bucketAggs=[]), "none with documents"),
    (SERIES, lambda target: target.pop("bucketAggs"), "bucketAggs: missing"),
    (SERIES, first("bucketAggs", id="1"), "panics"),
    (SERIES, first("bucketAggs", id=2), "bucket id"),
    (SERIES, first("bucketAggs", type="nested"), "no answer"),
    (SERIES, first("bucketAggs", type="significant_terms"), "no answer"),
    (SERIES, lambda target: target["bucketAggs"][0].pop("field"), "needs a field"),
    (SERIES, settings("bucketAggs", orderBy="count"), "orderBy"),
    (SERIES, lambda target: target["bucketAggs"].reverse(), "date_histogram: the last"),
    (SERIES, lambda target: target["bucketAggs"][1]["settings"].update(interval=60), "interval"),
    (SERIES, lambda target: target["bucketAggs"][1]["settings"].update(interval="2w"), "interval"),
    (SERIES, lambda target: target["bucketAggs"][1]["settings"].update(interval="5 minutes"), "interval"),
    (SERIES, lambda target: target["bucketAggs"][1]["settings"].update(timeZone="utc"), "timeZone"),
    (SERIES, lambda target: target["bucketAggs"][1].update(field="time"), "wrong time field"),
    (MATRIX, put(alias=""), "random order"),
    (MATRIX, put(alias="{{transport.from}}"), "random order"),
    (MATRIX, settings("bucketAggs", size="0"), "too many buckets"),
    (MATRIX, lambda target: target["bucketAggs"].pop(), "loses the outer names"),
    (SERIES, put(alias="{{reason}}"), "stays as it is"),
]


@pytest.mark.parametrize("target", [SERIES, MATRIX, PARTS, TABLE, TOTAL, NEWEST])
def test_a_sound_target_passes(target: Target) -> None:
    """Every query would be refused, and the judge be switched off."""
    assert not judge.target_faults(target, VARIABLES)


@pytest.mark.parametrize(("target", "change", "said"), BROKEN)
def test_a_broken_rule_is_seen(target: Target, change: Change, said: str) -> None:
    """A panel would be in error or show zeros, on the server of who imports it."""
    broken = copy.deepcopy(target)
    change(broken)
    assert [fault for fault in judge.target_faults(broken, VARIABLES) if said in fault]


def panel(kind: str, *targets: Target, **more: object) -> dict[str, Any]:
    """Return a panel of these targets."""
    return {
        "type": kind,
        "datasource": {"type": "grafana-opensearch-datasource"},
        "targets": [copy.deepcopy(each) for each in targets],
        **more,
    }


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (panel("timeseries", SERIES, MATRIX), "collapse to one"),
        (panel("timeseries", {**SERIES, "refId": ""}), "refId: missing"),
        (panel("timeseries", TABLE), "needs series"),
        (panel("stat", NEWEST), "needs series"),
        (panel("table", SERIES), "table: of series"),
        (panel("table", {**TABLE, "metrics": [{"type": "count", "id": "1", "hide": True}]}), "hide"),
        (panel("table", {**TABLE, "metrics": [{"type": "percentiles", "id": "1", "field": "seq"}]}), "absent field shows 0"),
        (panel("logs", NEWEST), "belong together"),
        (panel("table", TABLE, transformations=[{"id": "organise", "options": {}}]), "skipped"),
    ],
)
def test_a_panel_that_does_not_fit_its_query_is_seen(made: dict[str, Any], said: str) -> None:
    """A panel would stay empty although its query is sound."""
    assert [fault for fault in judge.faults(made, VARIABLES) if said in fault]


@pytest.mark.parametrize(
    "query", ["node_id", "[]", '{"find":"fields","field":"a"}', '{"find":"terms"}', '{"find":"terms","field":"a","orderBy":"x"}']
)
def test_a_variable_that_resolves_to_nothing_is_seen(query: str) -> None:
    """A drop-down would be empty, and all panels with it."""
    assert judge.variable_faults(query)
    assert not judge.variable_faults('{"find":"terms","field":"node_id","query":"*","size":500,"orderBy":"doc_count"}')


def test_fields_are_found_wherever_they_stand() -> None:
    """A field in a range, a group or a filter would go unchecked."""
    assert judge.fields_of('a.b:[1 TO 2] AND (c:>=3 OR NOT d:(x OR y)) AND e:"z" AND f:$node') == {"a.b", "c", "d", "e", "f"}
    assert judge.fields(PARTS) == {"severity", "node_id", "role", "count", "@timestamp"}
    with pytest.raises(ValueError, match="query"):
        judge.fields_of("a:(")
