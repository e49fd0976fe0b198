"""The account of a leg: what was fed, what the log has, what the cluster has; to the last event, read without the product where it counts.

Telemetry between two of its events in the log is fed and not recorded: it was counted (TELEMETRY_LOST), or it was in the hand of a writer
that was killed, and then a LOG_RESUMED stands between the two. There is no third way, and nothing is there twice.
"""

import base64
import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from opensearchpy import OpenSearch

from lab.endure.feed import Broken
from lab.endure.world import World

PAGE: Final = 10_000
KEEP_ALIVE: Final = "5m"
TOLD: Final = 5  # examples of what is wrong
SERIAL: Final = slice(17, 33)  # in an event id


@dataclass(slots=True)
class Log:
    """What the log has. `in_hand`: telemetry that killed writers had taken, `in_hand_most` between two pieces that are recorded."""

    events: int = 0
    evidence: int = 0
    telemetry: int = 0
    integrity: int = 0
    counted: int = 0
    resumed: int = 0
    torn: int = 0
    epochs: int = 0
    in_hand: int = 0
    in_hand_most: int = 0
    months: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Telemetry:
    """Follows the serials of telemetry in the log along those that were fed."""

    def __init__(self, fed: Iterable[int], log: Log) -> None:
        """Begin before the first."""
        self._fed, self._log = iter(fed), log
        self._told, self._resumed = 0, False

    def lost(self, count: int) -> None:
        """Hear a TELEMETRY_LOST."""
        self._told += count

    def resumed(self) -> None:
        """Hear a LOG_RESUMED."""
        self._resumed = True

    def seen(self, serial: int | None, seq: int) -> None:
        """Hear the next event of telemetry, or the end."""
        missing = 0
        for fed in self._fed:
            if fed == serial:
                break
            missing += 1
        else:
            if serial is not None:
                self._log.wrong.append(f"event {seq}: telemetry {serial} was never fed, or is there again")
        gap = missing - self._told
        if gap < 0 or (gap and not self._resumed):
            self._log.wrong.append(f"before event {seq}: {missing} pieces of telemetry are missing, {self._told} were counted")
        self._log.in_hand += max(0, gap)
        self._log.in_hand_most = max(self._log.in_hand_most, gap)
        self._told, self._resumed = 0, False


def of_log(directory: Path, telemetry: "array[int]", evidence: "array[int]", hashes: list[bytes]) -> Log:
    """Read a log, line by line; `hashes` gets that of each event."""
    log = Log()
    follow, expected = Telemetry(telemetry, log), iter(evidence)
    chain = ""
    for event, digest in lines(directory):
        chain = chain or event["chain_id"]
        if (event["chain_id"], event["seq"]) != (chain, log.events):
            log.wrong.append(f"event {log.events} is {event['seq']} of {event['chain_id']}")
        log.events += 1
        log.months[event["time"][:7]] += 1
        hashes.append(digest)
        match event["event_class"]:
            case "telemetry":
                log.telemetry += 1
                follow.seen(int(event["event_id"][SERIAL], 16), event["seq"])
            case "evidence":
                log.evidence += 1
                serial, wanted = int(event["event_id"][SERIAL], 16), next(expected, None)
                if serial != wanted:
                    log.wrong.append(f"event {event['seq']}: evidence {serial}, the next that was fed is {wanted}")
            case _:
                log.integrity += 1
                _of_writer(event, log, follow)
    follow.seen(None, log.events)
    if left := sum(1 for _ in expected):
        log.wrong.append(f"{left} pieces of evidence are missing")
    return log


def _of_writer(event: dict[str, Any], log: Log, follow: Telemetry) -> None:
    match event["event_type"]:
        case "TELEMETRY_LOST":
            log.counted += event["count"]
            follow.lost(event["count"])
        case "LOG_RESUMED":
            log.resumed += 1
            log.torn += event["reason_code"] == "LOG_TAIL_TORN"
            follow.resumed()
        case "EPOCH_SEALED":
            log.epochs += 1
        case "RECORD_REFUSED":
            log.wrong.append(f"event {event['seq']}: a record was refused: {event['offending']['error']}")
        case _:  # opened, closed
            pass


def lines(directory: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield each event with the SHA-256 of its bytes, read without the product."""
    for path in sorted(directory.glob("audit-*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                told = json.loads(line)
                data = line[line.index(b'"event":') + 8 : line.rindex(b',"hash":')]
                yield told["event"], hashlib.sha256(data).digest()


@dataclass(slots=True)
class Index:
    """What the cluster has."""

    documents: int = 0
    counted: int = 0  # by the node itself
    telemetry: int = 0
    indices: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    again: int = 0
    wrong: list[str] = field(default_factory=list)


def of_index(client: OpenSearch, names: str, hashes: list[bytes]) -> Index:
    """Read every document: its place in the log, its hash, and the id that follows from them, each exactly once."""
    index, seen = Index(), bytearray(len(hashes))
    for hit in documents(client, names):
        index.documents += 1
        index.indices[hit["_index"]] += 1
        (chain,), (seq,), (digest,), (kind,) = (hit["fields"][name] for name in ("chain_id", "seq", "event_hash", "event_class"))
        index.telemetry += kind == "telemetry"
        wanted = base64.urlsafe_b64encode(hashlib.sha256(f"{chain}|{seq}|{digest}".encode()).digest()).decode()[:22]
        if not 0 <= seq < len(hashes) or hashes[seq].hex() != digest or hit["_id"] != wanted:
            index.wrong.append(f"{hit['_index']}: {hit['_id']} is not event {seq} of the log")
            continue
        index.again += seen[seq]
        seen[seq] = 1
    index.missing = len(hashes) - sum(seen)
    index.counted = int(client.count(index=names)["count"])
    lost = [seq for seq, there in enumerate(seen) if not there]
    index.wrong += [f"not there: {lost[:TOLD]}"] if lost else []
    return index


def documents(client: OpenSearch, names: str) -> Iterator[dict[str, Any]]:
    """Yield all documents at one point in time."""
    client.indices.refresh(index=names)
    pit = client.create_pit(index=names, params={"keep_alive": KEEP_ALIVE})["pit_id"]
    body: dict[str, Any] = {
        "size": PAGE, "_source": False, "docvalue_fields": ["chain_id", "seq", "event_hash", "event_class"], "query": {"match_all": {}},
        "pit": {"id": pit, "keep_alive": KEEP_ALIVE}, "sort": ["seq", "_shard_doc"], "track_total_hits": False,
    }  # fmt: skip
    try:
        while hits := _whole(client.search(body=body))["hits"]["hits"]:
            yield from hits
            body["search_after"] = hits[-1]["sort"]
    finally:
        client.delete_pit(body={"pit_id": [pit]})


def _whole(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer for which all shards were asked; Broken otherwise: what one of them has would be called missing."""
    if answer["timed_out"] or answer["_shards"]["failed"]:
        raise Broken(f"the node did not look everywhere: {answer['_shards']}")
    return answer


def judge(world: World) -> dict[str, Any]:
    """Return the whole account of a leg, as plain values: `claims` says of each claim whether it holds."""
    hashes: list[bytes] = []
    stream, shipping = world.stream, world.shipping
    log = of_log(world.feed.log, stream.telemetry, stream.evidence, hashes)
    index = of_index(world.client, shipping.names.readable, hashes)
    verified = shipping.jvpn(world.node.url, "audit", "verify", str(world.feed.log))
    reconciled = shipping.jvpn(world.node.url, "siem", "reconcile")
    told = shipping.status()
    fed = {"telemetry": len(stream.telemetry), "evidence": len(stream.evidence)}
    chain = reconciled["chains"][0] if reconciled["chains"] else {}
    recorded = log.telemetry + log.counted + log.in_hand
    claims = {
        "all telemetry that was fed is recorded, counted as lost, or was in a killed writer's hand": fed["telemetry"] == recorded,
        "all evidence that was fed is recorded, once, in order": fed["evidence"] == log.evidence,
        "every event of the log is one of these, or the writer's own": log.events == log.telemetry + log.evidence + log.integrity,
        "nothing is in the log that was not fed, twice, or missing without a reason": not log.wrong,
        "every event of the log is in the cluster": index.missing == 0,
        "no event is there twice": index.again == 0 and index.documents == index.counted == log.events,
        "nothing else is there": not index.wrong,
        "the shipper's own sum is conserved": told["read"] == told["created"] + told["duplicate"] == log.events
        and not told["pending"] + told["quarantined"],
        "the verifier accepts the log": verified["exit_status"] == 0 and verified["events"] == log.events,
        "the reconciler calls it whole": reconciled["exit_status"] == 0 and reconciled["whole"] and not chain.get("copies"),
    }
    return {
        "fed": fed,
        "log": _plain(log),
        "index": _plain(index),
        "shipper": {name: told[name] for name in ("read", "created", "duplicate", "quarantined", "pending", "retried")},
        "verified": verified["verdict"],
        "overflown": world.feed.overflown,
        "claims": claims,
    }


def _plain(found: Log | Index) -> dict[str, Any]:
    told = {name: getattr(found, name) for name in found.__slots__}
    return {name: dict(sorted(value.items())) if isinstance(value, Counter) else value for name, value in told.items()} | {
        "wrong": found.wrong[:TOLD]
    }
