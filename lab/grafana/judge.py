"""What the data source for OpenSearch refuses, or takes without a word and answers wrongly: a rule each, seen on its back end 2.34.

`faults(panel)` names every rule that a panel breaks. A wrong query is mostly no error there: it shows zeros, which look like good news.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from luqum.exceptions import ParseError
from luqum.parser import parser as lucene
from luqum.tree import AndOperation, Group, Item, Not, OrOperation, Prohibit, SearchField, Word

from observability.grafana import OPENSEARCH_TYPE, TIME_FIELD

Target = Mapping[str, Any]
DOCUMENTS: Final = frozenset({"logs", "raw_data", "raw_document"})
PIPELINE: Final = frozenset({"bucket_script", "derivative", "moving_fn", "moving_avg", "cumulative_sum"})
METRICS: Final = frozenset({"count", "avg", "sum", "min", "max", "cardinality", "percentiles", "extended_stats"}) | PIPELINE | DOCUMENTS
BUCKETS: Final = frozenset({"date_histogram", "terms", "filters", "histogram"})
SETTINGS: Final = frozenset({"missing", "percents", "precision_threshold", "script", "size", "window", "shift"})
INTERVAL: Final = re.compile(r"auto|\$__interval|[1-9][0-9]*(?:ms|s|m|h|d)|1[wMqy]")
ORDER: Final = re.compile(r"_count|_term|_key|[0-9]+(?:\[[0-9.]+\])?")
ALIAS: Final = re.compile(r"\{\{(.+?)\}\}")
VARIABLE: Final = re.compile(r"\$(\w+)")
TRANSFORMATIONS: Final = frozenset(
    {"filterFieldsByName", "organize", "sortBy", "limit", "merge", "reduce", "calculateField", "convertFieldType"}
)
LOWER: Final = re.compile(r"(?<![\w.:\"])(?:and|or|not)(?![\w:\"])")


def faults(panel: Mapping[str, Any], variables: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with a panel, in words; empty for a sound one. `variables`: those of its board."""
    refs = [target.get("refId") for target in panel["targets"]]
    found = ["refId: two targets have the same, and collapse to one"] if len(set(refs)) != len(refs) else []
    if not all(isinstance(ref, str) and ref for ref in refs):
        found.append("refId: missing")
    for target in panel["targets"]:
        if target.get("datasource", panel.get("datasource", {})).get("type") == OPENSEARCH_TYPE:
            found += [f"{target.get('refId')}: {fault}" for fault in target_faults(target, variables)]
            found += [f"{target.get('refId')}: {fault}" for fault in _in_panel(panel, target)]
    found += [
        f"transformation {each['id']}: unknown, and skipped"
        for each in panel.get("transformations", ())
        if each["id"] not in TRANSFORMATIONS
    ]
    return found


def target_faults(target: Target, variables: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with a target by itself."""
    return [*_query(target, variables), *_metrics(target), *_buckets(target), *_alias(target)]


def variable_faults(query: str) -> list[str]:
    """Return what is wrong with the query of a terms variable."""
    try:
        asked = json.loads(query)
    except ValueError:
        return ["a variable's query is a JSON string"]
    if not isinstance(asked, dict) or asked.get("find") != "terms" or not isinstance(asked.get("field"), str):
        return ["a variable's query finds terms of a field"]
    return [] if asked.get("orderBy", "doc_count") == "doc_count" else ["orderBy: doc_count"]


def fields(target: Target) -> set[str]:
    """Return every field that a target names, in its queries too. Raises ValueError for a query that cannot be read."""
    found = {each["field"] for each in target["bucketAggs"] if "field" in each}
    found |= {each["field"] for each in target["metrics"] if "field" in each and each["type"] not in PIPELINE}
    for query in (target["query"], *_filters(target)):
        found |= fields_of(query)
    return found


def fields_of(query: str) -> set[str]:
    """Return the fields that a Lucene query names. Raises ValueError."""
    return {item.name for item in _items(_parsed(query)) if isinstance(item, SearchField)}


def _query(target: Target, variables: Sequence[str]) -> Iterator[str]:
    if target.get("queryType", "lucene") != "lucene":
        yield "queryType: `lucene` or absent (PPL needs the SQL plugin)"
    if not isinstance(target.get("query"), str):
        yield "query: missing"
        return
    if target.get("timeField"):
        yield "timeField: ignored in a target"
    for query in (target["query"], *_filters(target)):
        if LOWER.search(re.sub(r'"[^"]*"', '""', query)):
            yield f"query {query!r}: and, or, not are upper-case; lower-case ones are words that are searched for"
        if unknown := set(VARIABLE.findall(query)) - set(variables):
            yield f"query {query!r}: variable {', '.join(sorted(unknown))} is not the board's, and matches nothing"
        try:
            tree = _parsed(query)
        except ValueError as error:
            yield str(error)
            continue
        if any(isinstance(item, Word) and not _inside(item, tree) for item in _items(tree)):
            yield f"query {query!r}: a word without a field"


def _metrics(target: Target) -> Iterator[str]:
    metrics = target.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        yield "metrics: missing (with buckets the data source panics)"
        return
    kinds = {metric.get("id"): metric.get("type") for metric in metrics}
    for metric in metrics:
        kind, place = metric.get("type"), metric.get("id")
        if kind not in METRICS:
            yield f"metric {kind}: not served, or an error"
        if not isinstance(place, str):
            yield "metric id: not a string"
        elif any(each.get("type") in PIPELINE for each in metrics) and not place.isdigit():
            yield "metric id: beside pipeline metrics ids are numbers in strings; else the series is silently empty"
        if kind in METRICS - PIPELINE - DOCUMENTS - {"count"} and not metric.get("field"):
            yield f"metric {kind}: needs a field"
        if kind in PIPELINE:
            named = (
                [each["pipelineAgg"] for each in metric.get("pipelineVariables", ())] if kind == "bucket_script" else [metric.get("field")]
            )
            if not named or any(kinds.get(name) is None or name == place for name in named):
                yield f"metric {kind}: names no other metric of the target"
        yield from _settings(metric)
    if DOCUMENTS & set(kinds.values()) and len(metrics) > 1:
        yield "metrics: documents come alone"


def _settings(metric: Mapping[str, Any]) -> Iterator[str]:
    settings = metric.get("settings", {})
    if unknown := set(settings) - SETTINGS:
        yield f"metric {metric.get('type')}: settings {', '.join(sorted(unknown))} are not read (`limit` of logs is `size`)"
    if metric.get("type") == "percentiles" and not (isinstance(settings.get("percents"), list) and settings["percents"]):
        yield "percents: a list; a string is an error"
    if metric.get("type") in DOCUMENTS and not isinstance(settings.get("size", ""), str):
        yield "size: a string; a number is silently 500"


def _buckets(target: Target) -> Iterator[str]:
    metrics, buckets = target.get("metrics") or [{}], target.get("bucketAggs")
    documents = metrics[0].get("type") in DOCUMENTS
    if not isinstance(buckets, list):
        yield "bucketAggs: missing"
        return
    if documents != (not buckets):
        yield "bucketAggs: none with documents, and only then"
    ids = [each.get("id") for each in (*metrics, *buckets)]
    if len(set(map(str, ids))) != len(ids):
        yield "ids: two are the same; the data source panics"
    for bucket in buckets:
        yield from _bucket(bucket)
    kinds = [bucket.get("type") for bucket in buckets]
    if kinds and kinds[-1] == "filters":
        yield "filters: as the last of the buckets it has no answer"
    if kinds[:1] == ["terms"] and kinds[1:2] == ["terms"]:
        if "date_histogram" not in kinds:
            yield "terms in terms: a table of it loses the outer names"
        if any(bucket.get("settings", {}).get("size") in {"0", 0} for bucket in buckets):
            yield "terms in terms of size 0: too many buckets"
    if "date_histogram" in kinds[:-1]:
        yield "date_histogram: the last of the buckets, or there are no series"


def _bucket(bucket: Mapping[str, Any]) -> Iterator[str]:
    kind, settings = bucket.get("type"), bucket.get("settings", {})
    if kind not in BUCKETS:
        yield f"bucket {kind}: no answer, and no error"
    if not isinstance(bucket.get("id"), str):
        yield "bucket id: not a string"
    if kind in {"terms", "histogram"} and not bucket.get("field"):
        yield f"bucket {kind}: needs a field"
    if kind == "date_histogram":
        interval = settings.get("interval", "auto")
        if not isinstance(interval, str) or not INTERVAL.fullmatch(interval):
            yield f"interval {interval!r}: an error, or silently auto"
        if bucket.get("field", TIME_FIELD) != TIME_FIELD:
            yield f"date_histogram over {bucket['field']}: a wrong time field shows zeros"
        if "timeZone" in settings:
            yield "timeZone: ignored"
    if kind == "terms" and not ORDER.fullmatch(str(settings.get("orderBy", "_count"))):
        yield f"orderBy {settings['orderBy']!r}: _count, _key or the number of a metric"
    if kind == "filters" and not settings.get("filters"):
        yield "filters: none"


def _alias(target: Target) -> Iterator[str]:
    buckets = target.get("bucketAggs") or []
    alias = target.get("alias") or ""
    terms = [bucket["field"] for bucket in buckets if bucket.get("type") == "terms" and bucket.get("field")]
    series = bool(buckets) and buckets[-1].get("type") == "date_histogram"
    if series and len(terms) > 1 and not all(f"{{{{{name}}}}}" in alias for name in terms):
        yield "alias: without one that names both, the names of series over two terms are in random order"
    known = {*terms, *(f"term {name}" for name in terms), "metric", "field", "filter"}
    if unknown := set(ALIAS.findall(alias)) - known:
        yield f"alias: {', '.join(sorted(unknown))} is nothing of this target, and stays as it is"


def _in_panel(panel: Mapping[str, Any], target: Target) -> Iterator[str]:
    metrics, buckets = target.get("metrics") or [{}], target.get("bucketAggs") or []
    series = bool(buckets) and buckets[-1].get("type") == "date_histogram"
    if panel["type"] in {"timeseries", "stat"} and not series:
        yield f"{panel['type']}: needs series, so date_histogram comes last"
    if panel["type"] == "table":
        if series:
            yield "table: of series; terms or documents were meant"
        if any(metric.get("hide") for metric in metrics):
            yield "hide: has no effect in a table"
        if any(metric.get("type") in {"percentiles", "extended_stats"} for metric in metrics):
            yield "percentiles in a table: an absent field shows 0"
    if (panel["type"] == "logs") != (metrics[0].get("type") == "logs"):
        yield "logs: a panel of logs and the metric `logs` belong together"


def _filters(target: Target) -> list[str]:
    return [
        each.get("query", "")
        for bucket in target.get("bucketAggs") or ()
        if bucket.get("type") == "filters"
        for each in bucket.get("settings", {}).get("filters", ())
    ]


def _parsed(query: str) -> Item:
    try:
        return lucene.parse(VARIABLE.sub("variable", query))
    except ParseError as error:
        raise ValueError(f"query {query!r}: {error}") from None


def _items(tree: Item) -> Iterator[Item]:
    yield tree
    for child in tree.children:
        yield from _items(child)


def _inside(word: Word, tree: Item) -> bool:
    """Return whether a word stands under a field; `*` alone means everything."""
    if str(tree).strip() == "*":
        return True
    plain = (AndOperation, OrOperation, Not, Prohibit, Group)
    if tree is word:
        return False
    if not isinstance(tree, plain):
        return any(item is word for item in _items(tree))
    return any(_inside(word, child) for child in tree.children)
