"""Metrics for Prometheus, as `prometheus/metrics.toml` lists them: what sources say becomes series, and nothing else does.

    collector = Collector({"gateway": ask_the_gateway, "shipper": partial(shipper_says, state)})
    prometheus_client.generate_latest(collector.registry())

A source is a function that returns one nested mapping, or raises `SourceAway`. Names that become labels come from closed sets (`SETS`), so
that the number of series is bounded whatever a source says, and no device, session, address or pseudonym can be among them [O-29].
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as Base
from prometheus_client.registry import CollectorRegistry

from audit.vocabulary import vocabulary
from core.keys.states import State as KeyState
from core.reasons import Carrier
from core.session.states import State as SessionState
from observability.breaker import Circuit
from observability.siem.findings import Kind

PLACE: Final = Path(__file__).resolve().parent / "prometheus"
TABLE: Final = PLACE / "metrics.toml"
RULES: Final = PLACE / "rules.yml"
OURS: Final = "exporter"
SOURCES: Final = ("gateway", "shipper", "tree", "witness")
LOGS: Final = "log"  # the one set that the source knows: the logs of a witness's policy
STATUSES: Final = (200, 400, 403, 404, 405, 409, 413, 422, 503)

Says = Callable[[], Mapping[str, Any]]


class SourceAway(Exception):
    """A source cannot be read now; the message says why."""


class Row(NamedTuple):
    """One metric of the table. `at` is split at its dots; `labels` are (name, set), one for each `*` of it, in order."""

    name: str
    type: str
    source: str
    at: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    zero: bool
    help: str


class Sample(NamedTuple):
    """One series: the values of its labels, and its number."""

    labels: tuple[str, ...]
    value: float


@cache
def sets() -> Mapping[str, tuple[str, ...]]:
    """Return the closed sets by name, but `log`: of each event the reasons that it may have, and the names of states and carriers."""
    made = {kind.name: tuple(kind.reasons) for kind in vocabulary().kinds.values()}
    return MappingProxyType(made | {
        "session_state": tuple(SessionState.__members__),
        "key_state": tuple(KeyState.__members__),
        "carrier": tuple(name for name in Carrier.__members__ if name != "NONE"),
        "direction": ("in", "out"),
        "document": ("root", "keyset", "revocations"),
        "circuit": tuple(each.value for each in Circuit),
        "http_status": tuple(map(str, STATUSES)),
        "result": ("read", "created", "duplicate", "quarantined"),
        "finding": tuple(kind.name.lower() for kind in Kind),
        "source": SOURCES,
    })  # fmt: skip


@cache
def table() -> tuple[Row, ...]:
    """Return the table of this installation."""
    raw = tomllib.loads(TABLE.read_text(encoding="utf-8"))["metric"]
    return tuple(
        Row(each["name"], each["type"], each["source"], tuple(each["at"].split(".")), tuple(each.get("labels", {}).items()),
            each.get("zero", False), each["help"])
        for each in raw
    )  # fmt: skip


class Collector(Base):
    """All metrics of some sources. Each scrape reads each source once; one that is away costs its own series only."""

    def __init__(self, sources: Mapping[str, Says], logs: Sequence[str] = ()) -> None:
        """Take the sources by their names in the table, and a witness's logs."""
        self._sources = dict(sources)
        self._sets = {**sets(), LOGS: tuple(logs)}

    def registry(self) -> CollectorRegistry:
        """Return a registry with this collector alone: nothing of this process or its Python is told."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def collect(self) -> Iterator[Metric]:
        """Read the sources and yield what they say."""
        up, unknown = dict.fromkeys(self._sources, 0), dict.fromkeys(self._sources, 0)
        for name, says in self._sources.items():
            try:
                said = says()
            except SourceAway:
                continue
            up[name] = 1
            for row in table():
                if row.source == name:
                    samples, strange = read(row, said, self._sets)
                    unknown[name] += strange
                    if samples:
                        yield family(row, samples)
        for row in table():
            if row.source == OURS:
                yield family(row, read(row, {"up": up, "unknown": unknown}, self._sets)[0])


def read(row: Row, said: Mapping[str, Any], closed: Mapping[str, Sequence[str]]) -> tuple[list[Sample], int]:
    """Return the series of one metric, and how many names were none of its sets' and were left out."""
    allowed = [closed[name] for _, name in row.labels]
    found = {labels: value for labels, value in _walk(said, row.at, allowed, ()) if value is not None}
    strange = [labels for labels in found if not all(label in names for label, names in zip(labels, allowed, strict=True))]
    for labels in strange:
        del found[labels]
    if row.zero:
        found = dict.fromkeys(product(*allowed), 0.0) | found
    return [Sample(labels, value) for labels, value in sorted(found.items())], len(strange)


def family(row: Row, samples: Iterable[Sample]) -> Metric:
    """Return a metric in the form of the library."""
    names = [name for name, _ in row.labels]
    made = (CounterMetricFamily if row.type == "counter" else GaugeMetricFamily)(row.name, row.help, labels=names)
    for sample in samples:
        made.add_metric(list(sample.labels), sample.value)
    return made


def most_series(row: Row, logs: int) -> int:
    """Return how many series a metric can have at most, with so many logs of a witness."""
    count = 1
    for _, name in row.labels:
        count *= logs if name == LOGS else len(sets()[name])
    return count


def _walk(
    said: object, at: Sequence[str], allowed: Sequence[Sequence[str]], labels: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], float | None]]:
    """Yield labels and number of each place that a path leads to; a text where a label is wanted is the one member that is 1."""
    if not at:
        yield labels, _number(said)
    elif isinstance(said, str) and at[0] == "*":
        yield from (((*labels, name), float(name == said)) for name in {*allowed[len(labels)], said})
    elif isinstance(said, Mapping):
        for name in said if at[0] == "*" else at[:1]:
            yield from _walk(said.get(name), at[1:], allowed, (*labels, name) if at[0] == "*" else labels)


def _number(found: object) -> float | None:
    """Return what may be a value; None for everything else."""
    return float(found) if isinstance(found, bool | int | float) else None
