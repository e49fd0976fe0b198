"""The numbers that people ask for, by one function for both sources, so that what a cluster says can be compared with what the log says.

    summary(events_in_log(Path("/var/log/jvpn/audit"))) == summary(events_in_stream(client, "jvpn-audit-*"))

Percentiles are exact (nearest rank over all values), where a cluster's own aggregation would approximate them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from opensearchpy import OpenSearch

from audit.show import events as events_of

PAGE: Final = 1_000
KEEP_ALIVE: Final = "1m"
NEEDED: Final = (
    "chain_id", "seq", "event_hash", "event_type", "reason_code", "count",
    "metrics.recovery_us", "metrics.outage_us", "metrics.received_bytes", "metrics.sent_bytes",
)  # fmt: skip
REFUSALS: Final = frozenset({"SESSION_REFUSED", "TRAFFIC_REFUSED", "HANDSHAKE_REFUSED", "CLIENT_REFUSED"})


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values there are, and what half, 95 % and 99 % of them do not exceed; all 0 when there are none."""

    values: int
    p50: int
    p95: int
    p99: int
    most: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What happened, in numbers. ``jumps``: moves of a binding by reason, without rekeying; ``refusals``: how many, by reason."""

    events: int
    by_type: Mapping[str, int]
    born: int
    ended: Mapping[str, int]
    jumps: Mapping[str, int]
    rekeys: int
    client_jumps: Mapping[str, int]
    refusals: Mapping[str, int]
    recovery_us: Distribution
    client_outage_us: Distribution
    telemetry_lost: int
    received_bytes: int
    sent_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self)


class Counting:
    """Counts events one by one, in whatever order they come, for whoever does something else with them too."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._by_type: Counter[str] = Counter()
        self._by_reason: dict[str, Counter[str]] = {}
        self._refusals: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._recovery: list[int] = []
        self._outage: list[int] = []

    def take(self, event: Mapping[str, Any]) -> None:
        """Count one event."""
        kind, reason, metrics = event["event_type"], event["reason_code"], event.get("metrics", {})
        self._by_type[kind] += 1
        self._by_reason.setdefault(kind, Counter())[reason] += 1
        if kind in REFUSALS:
            self._refusals[reason] += event.get("count", 1)
        elif kind == "MOVE_MEASURED":
            self._recovery.append(metrics["recovery_us"])
        elif kind == "CLIENT_MOVED" and reason != "REKEYED":
            self._outage.append(metrics["outage_us"])
        elif kind == "TELEMETRY_LOST":
            self._sums["lost"] += event["count"]
        elif kind == "SESSION_HEALTH":
            self._sums.update({name: metrics[name] for name in ("received_bytes", "sent_bytes")})

    def summary(self) -> Summary:
        """Return the numbers of what was taken."""
        return Summary(
            events=self._by_type.total(),
            by_type=dict(sorted(self._by_type.items())),
            born=self._by_type["SESSION_BORN"],
            ended=self._reasons("SESSION_ENDED"),
            jumps=self._reasons("SESSION_MOVED"),
            rekeys=self._by_reason.get("SESSION_MOVED", Counter())["REKEYED"],
            client_jumps=self._reasons("CLIENT_MOVED"),
            refusals=dict(sorted(self._refusals.items())),
            recovery_us=distribution(self._recovery),
            client_outage_us=distribution(self._outage),
            telemetry_lost=self._sums["lost"],
            received_bytes=self._sums["received_bytes"],
            sent_bytes=self._sums["sent_bytes"],
        )

    def _reasons(self, kind: str) -> dict[str, int]:
        return {reason: number for reason, number in sorted(self._by_reason.get(kind, Counter()).items()) if reason != "REKEYED"}


def summary(events: Iterable[Mapping[str, Any]]) -> Summary:
    """Return the numbers of these events, in whatever order they come."""
    counting = Counting()
    for event in events:
        counting.take(event)
    return counting.summary()


def distribution(values: Sequence[int]) -> Distribution:
    """Return the distribution of these values."""
    ordered = sorted(values)
    if not ordered:
        return Distribution(0, 0, 0, 0, 0)
    return Distribution(len(ordered), percentile(ordered, 50), percentile(ordered, 95), percentile(ordered, 99), ordered[-1])


def percentile(ordered: Sequence[int], percent: int) -> int:
    """Return the smallest value that ``percent`` % of the values do not exceed (nearest rank). ``ordered``: ascending, not empty."""
    rank = -(-percent * len(ordered) // 100)  # rounded up, in whole numbers
    return ordered[max(rank, 1) - 1]


def events_in_log(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a log, in order. What is no event is left out, as the shipper leaves it out; the verifier names it."""
    return events_of(directory)


def events_in_stream(client: OpenSearch, stream: str, chains: Collection[str] = ()) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a data stream, an index or a pattern (of these chains, or of all), in the order of their logs, each once.

    Only the fields that ``summary`` needs. An event of telemetry that is there twice, which a rollover between a lost answer and its
    repetition can bring about, counts once. What was shipped less than a refresh interval ago may be missing. Raises what
    ``opensearchpy`` raises.
    """
    pit = client.create_pit(index=stream, params={"keep_alive": KEEP_ALIVE})["pit_id"]
    body: dict[str, Any] = {
        "size": PAGE,
        "query": {"terms": {"chain_id": sorted(chains)}} if chains else {"match_all": {}},
        "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
        "sort": ["chain_id", "seq", "_shard_doc"],
        "_source": list(NEEDED),
        "track_total_hits": False,
    }
    place, seen = None, set()
    try:
        while hits := client.search(body=body)["hits"]["hits"]:
            for hit in hits:
                event = hit["_source"]
                if (event["chain_id"], event["seq"]) != place:
                    place, seen = (event["chain_id"], event["seq"]), set[str]()
                if event["event_hash"] not in seen:
                    seen.add(event["event_hash"])
                    yield event
            body["search_after"] = hits[-1]["sort"]
    finally:
        client.delete_pit(body={"pit_id": [pit]})
