"""Asks OpenSearch what Grafana's data source for OpenSearch would ask for a target, and names what comes back as it would.

Written after the data source's behaviour (its back end 2.34), not after its code's form; it takes only what `lab.grafana.judge` lets pass.
A stand-in is no proof: what it shares with the real one is that the same queries reach a real node.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opensearchpy import OpenSearch

from observability.grafana import TIME_FIELD

Target = Mapping[str, Any]
Cell = str | float | None
POINTS: Final = 120  # of a series, about: how wide a panel is
SIZE: Final = 500  # terms, logs and documents where a target says nothing
STEPS_MS: Final = (1, 10, 100, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000, 86_400_000)
DOCUMENTS: Final = frozenset({"raw_data", "raw_document", "logs"})
NAMES: Final = {
    "count": "Count",
    "avg": "Average",
    "sum": "Sum",
    "max": "Max",
    "min": "Min",
    "cardinality": "Unique Count",
    "bucket_script": "Bucket Script",
    "cumulative_sum": "Cumulative Sum",
    "derivative": "Derivative",
}
PIPELINE: Final = frozenset({"bucket_script", "cumulative_sum", "derivative", "moving_fn"})
VARIABLE: Final = re.compile(r"\$(\w+)")


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time, in milliseconds since 1970."""

    begin: int
    end: int

    @property
    def step(self) -> int:
        """The width of a bucket when a target says `auto`, in milliseconds."""
        rough = (self.end - self.begin) / POINTS
        return next((step for step in STEPS_MS if step >= rough), STEPS_MS[-1])


@dataclass(slots=True)
class Series:
    """Values over time. `times`: ms since 1970; a value may be missing."""

    name: str
    times: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """Columns by name, all of one length."""

    columns: dict[str, list[Any]] = field(default_factory=dict)


Answer = list[Series] | Table


class Refused(Exception):
    """The cluster refused a query; the message is its own."""


def resolve(client: OpenSearch, index: str, query: str, span: Span) -> list[str]:
    """Return the values of a variable, most frequent first."""
    asked = json.loads(query)
    body = {
        "size": 0,
        "query": {"bool": {"filter": [_range(span), _lucene(asked.get("query", "*"))]}},
        "aggs": {"1": {"terms": {"field": asked["field"], "size": asked.get("size", SIZE), "order": {"_count": "desc"}}}},
    }
    return [str(bucket["key"]) for bucket in _search(client, index, [body])[0]["aggregations"]["1"]["buckets"]]


def run(client: OpenSearch, index: str, targets: Sequence[Target], span: Span, values: Mapping[str, str]) -> list[Answer]:
    """Return the answer to each target of a panel. `values`: what the variables are. Raises Refused, KeyError for an unknown variable."""
    bodies = [search(target, span, values) for target in targets]
    return [read(target, said) for target, said in zip(targets, _search(client, index, bodies), strict=True)]


def search(target: Target, span: Span, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the search that a target becomes."""
    query = VARIABLE.sub(lambda found: values[found[1]], target["query"])
    body: dict[str, Any] = {"size": 0, "query": {"bool": {"filter": [_range(span), _lucene(query)]}}}
    first = target["metrics"][0]
    if first["type"] in DOCUMENTS:
        body |= {
            "size": int(first.get("settings", {}).get("size", SIZE)),
            "sort": [{TIME_FIELD: {"order": "desc"}}, {"_doc": {"order": "desc"}}],
        }
        return body
    level = body
    for bucket in target["bucketAggs"]:
        made = {bucket["type"]: _bucket(bucket, span)}
        level["aggs"] = {bucket["id"]: made}
        ordered = bucket.get("settings", {}).get("orderBy", "_count").partition("[")[0]
        made["aggs"] = {metric["id"]: _metric(metric, target) for metric in target["metrics"] if metric["id"] == ordered}
        level = made
    level["aggs"] |= {metric["id"]: _metric(metric, target) for metric in target["metrics"] if metric["type"] != "count"}
    return body


def read(target: Target, said: Mapping[str, Any]) -> Answer:
    """Return what a panel gets of a cluster's answer."""
    if target["metrics"][0]["type"] in DOCUMENTS:
        return _documents(said["hits"]["hits"])
    buckets = target["bucketAggs"]
    if buckets[-1]["type"] == "date_histogram":
        return list(_series(target, said["aggregations"], 0, {}))
    return _rows(target, said["aggregations"][buckets[-1]["id"]]["buckets"])


def _search(client: OpenSearch, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    lines: list[Mapping[str, Any]] = []
    for body in bodies:
        lines += [{"index": index, "search_type": "query_then_fetch", "ignore_unavailable": True}, body]
    answers: list[dict[str, Any]] = client.msearch(body=lines)["responses"]
    for answer in answers:
        if "error" in answer:
            raise Refused(json.dumps(answer["error"]))
    return answers


def _range(span: Span) -> dict[str, Any]:
    return {"range": {TIME_FIELD: {"gte": span.begin, "lte": span.end, "format": "epoch_millis"}}}


def _lucene(query: str) -> dict[str, Any]:
    return {"query_string": {"query": query, "analyze_wildcard": True}}


def _bucket(bucket: Mapping[str, Any], span: Span) -> dict[str, Any]:
    settings = bucket.get("settings", {})
    if bucket["type"] == "date_histogram":
        interval = settings.get("interval", "auto")
        return {
            "field": bucket.get("field", TIME_FIELD),
            "fixed_interval": f"{span.step}ms" if interval in {"auto", "$__interval"} else interval,
            "min_doc_count": int(settings.get("min_doc_count", 0)),
            "extended_bounds": {"min": span.begin, "max": span.end},
            "format": "epoch_millis",
        }
    if bucket["type"] == "filters":
        return {"filters": {each["label"]: _lucene(each["query"]) for each in settings["filters"]}}
    return {
        "field": bucket["field"],
        "size": int(settings.get("size", SIZE)) or SIZE,
        "min_doc_count": int(settings.get("min_doc_count", 1)),
        "order": {settings.get("orderBy", "_count"): settings.get("order", "desc")},
    }


def _metric(metric: Mapping[str, Any], target: Target) -> dict[str, Any]:
    settings = dict(metric.get("settings", {}))
    if metric["type"] not in PIPELINE:
        return {metric["type"]: {"field": metric["field"], **settings}}
    kinds = {each["id"]: each["type"] for each in target["metrics"]}

    def path(name: str) -> str:
        return "_count" if kinds[name] == "count" else name

    if metric["type"] == "bucket_script":
        paths: Any = {each["name"]: path(each["pipelineAgg"]) for each in metric["pipelineVariables"]}
    else:
        paths = path(metric["field"])
    return {metric["type"]: {"buckets_path": paths, **settings}}


def _series(target: Target, level: Mapping[str, Any], depth: int, labels: Mapping[str, str]) -> Iterator[Series]:
    bucket = target["bucketAggs"][depth]
    found = level[bucket["id"]]["buckets"]
    if depth < len(target["bucketAggs"]) - 1:
        pairs = found.items() if isinstance(found, dict) else [(str(each["key"]), each) for each in found]
        for key, below in pairs:
            yield from _series(target, below, depth + 1, {**labels, bucket.get("field", "filter"): key})
        return
    for metric in target["metrics"]:
        if metric.get("hide"):
            continue
        for name, of in _values(metric, found):
            label = _name(target.get("alias", ""), labels, name, metric.get("field", ""))
            yield Series(label, [each["key"] for each in found], [of(each) for each in found])


def _values(metric: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the name of each series of a metric, and how its value is taken out of a bucket."""
    place = metric["id"]
    if metric["type"] == "count":
        yield "Count", lambda each: float(each["doc_count"])
    elif metric["type"] == "percentiles":
        for percent in sorted(found[0][place]["values"]) if found else ():
            yield f"p{percent}", lambda each, percent=percent: each[place]["values"][percent]
    else:
        yield NAMES[metric["type"]], lambda each: each.get(place, {}).get("value")


def _name(alias: str, labels: Mapping[str, str], metric: str, of: str) -> str:
    if not alias:
        return " ".join([*labels.values()] or [f"{metric} {of}".strip()])
    known = {**labels, **{f"term {name}": value for name, value in labels.items()}, "metric": metric, "field": of}
    return re.sub(r"\{\{(.+?)\}\}", lambda found: known.get(found[1], found[0]), alias)


def _rows(target: Target, buckets: Sequence[Mapping[str, Any]]) -> Table:
    made = Table()
    kinds = [metric["type"] for metric in target["metrics"]]
    for bucket in buckets:
        made.columns.setdefault(target["bucketAggs"][-1]["field"], []).append(bucket["key"])
        for metric in target["metrics"]:
            kind = metric["type"]
            name = NAMES[kind] if kinds.count(kind) == 1 else f"{NAMES[kind]} {metric['field']}"
            value = bucket["doc_count"] if kind == "count" else bucket.get(metric["id"], {}).get("value")
            made.columns.setdefault(name, []).append(value)
    return made


def _documents(hits: Sequence[Mapping[str, Any]]) -> Table:
    flat = [dict(_flat(hit["_source"], "")) for hit in hits]
    names = sorted({name for each in flat for name in each}, key=lambda name: (name != TIME_FIELD, name))
    return Table({name: [each.get(name) for each in flat] for name in names})


def _flat(source: Mapping[str, Any], above: str) -> Iterator[tuple[str, Cell]]:
    for name, value in source.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value
