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


def summary(events: Iterable[Mapping[str, Any]]) -> Summary:
    """Return the numbers of these events, in whatever order they come."""
    by_type: Counter[str] = Counter()
    by_reason: dict[str, Counter[str]] = {}
    refusals: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    recovery: list[int] = []
    outage: list[int] = []
    for event in events:
        kind, reason, metrics = event["event_type"], event["reason_code"], event.get("metrics", {})
        by_type[kind] += 1
        by_reason.setdefault(kind, Counter())[reason] += 1
        if kind in REFUSALS:
            refusals[reason] += event.get("count", 1)
        elif kind == "MOVE_MEASURED":
            recovery.append(metrics["recovery_us"])
        elif kind == "CLIENT_MOVED" and reason != "REKEYED":
            outage.append(metrics["outage_us"])
        elif kind == "TELEMETRY_LOST":
            sums["lost"] += event["count"]
        elif kind == "SESSION_HEALTH":
            sums.update({name: metrics[name] for name in ("received_bytes", "sent_bytes")})

    def reasons(kind: str) -> dict[str, int]:
        return {reason: number for reason, number in sorted(by_reason.get(kind, Counter()).items()) if reason != "REKEYED"}

    return Summary(
        events=by_type.total(),
        by_type=dict(sorted(by_type.items())),
        born=by_type["SESSION_BORN"],
        ended=reasons("SESSION_ENDED"),
        jumps=reasons("SESSION_MOVED"),
        rekeys=by_reason.get("SESSION_MOVED", Counter())["REKEYED"],
        client_jumps=reasons("CLIENT_MOVED"),
        refusals=dict(sorted(refusals.items())),
        recovery_us=distribution(recovery),
        client_outage_us=distribution(outage),
        telemetry_lost=sums["lost"],
        received_bytes=sums["received_bytes"],
        sent_bytes=sums["sent_bytes"],
    )


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
