"""What a run has come to, as plain values and as a page."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from lab import evidence
from lab.endure.schedules import SCHEDULES
from lab.evidence import FOLDER, fingerprint
from lab.opensearch_fetch import VERSION

NAME: Final = "endure"


def circumstances() -> dict[str, Any]:
    """Return the circumstances of a run; to be asked when it begins."""
    made = evidence.circumstances("opensearch-py", "orjson", "jsonschema-rs")
    made["versions"]["opensearch"] = VERSION
    return made | {"audit_sha256": fingerprint("audit"), "observability_sha256": fingerprint("observability")}


def summary(made: dict[str, Any], legs: list[dict[str, Any]], peers: list[dict[str, Any]], run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run has come to."""
    killed, schedules = Counter[str](), Counter[str]()
    for leg in legs:
        killed.update(leg["killed"])
        schedules.update(leg["schedules"])
    return {
        "made": made,
        **run,
        "events": sum(leg["log"]["events"] for leg in legs),
        "lost": sum(leg["index"]["missing"] for leg in legs),
        "duplicate": sum(leg["index"]["again"] for leg in legs),
        "killed": dict(sorted(killed.items())),
        "kills": sum(killed.values()),
        "schedules": dict(sorted(schedules.items())),
        "legs": legs,
        "peers": peers,
        "holds": all(all(leg["claims"].values()) for leg in legs),
    }


def sentence(told: dict[str, Any]) -> str:
    """Return a run in three sentences."""
    claims = [f"{leg['name']}: {claim}" for leg in told["legs"] for claim, holds in leg["claims"].items() if not holds]
    verdict = "Every claim holds." if told["holds"] else f"NOT SO: {'; '.join(claims)}."
    counted = ", ".join(f"{count} of {kind}" for kind, count in told["killed"].items())
    return (
        f"{told['events']:,} events, {told['kills']} times kill -9 ({counted}), {len(told['schedules'])} fault schedules:"
        f" {told['lost']} lost, {told['duplicate']} duplicate. {verdict}"
    )


def write(told: dict[str, Any], folder: Path = FOLDER) -> None:
    """Write endure.json and endure.md, which follows from it."""
    kept = json.loads(json.dumps(told, sort_keys=True))
    evidence.write(NAME, kept, page(kept), folder)


def page(told: dict[str, Any]) -> list[str]:
    """Return the lines of endure.md."""
    return [
        "# Endurance: the last long run",
        "",
        f"Made by `make endure`, not by hand, in {told['seconds']:,.0f} s with seed {told['seed']}. {evidence.sentence(told['made'])}",
        "",
        f"**{sentence(told)}**",
        "",
        "The audit writer, the shipper and the OpenSearch node are the real processes. A gateway's records are fed into the writer's pipe",
        "and socket; the shipper sends through a proxy of the laboratory, which does to real traffic what the schedules say. *In hand* is",
        "telemetry that a killed writer had taken out of the pipe: a LOG_RESUMED stands there, and the serials have a gap of so many.",
        "",
        *(line for leg in told["legs"] for line in _leg(leg)),
        "## Schedules",
        "",
        "| schedule | what happens | carried through | requests that met it |",
        "|---|---|---|---|",
        *_schedules(told),
        "",
        *([f"Left out, because no file system could be mounted: {', '.join(told['left_out'])}.", ""] if told["left_out"] else []),
        *(_peers(told["peers"]) if told["peers"] else []),
    ]


def _leg(leg: dict[str, Any]) -> Iterable[str]:
    log, index, shipper, fed = leg["log"], leg["index"], leg["shipper"], leg["fed"]
    rate = log["events"] / leg["seconds"]
    yield f"## Log: {leg['name']}"
    yield ""
    yield f"{leg['seconds']:,.0f} s with all faults and restarts: {rate:,.0f} events/s. The account took {leg['judged_in']:,.0f} s."
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| evidence fed = recorded | {fed['evidence']:,} = {log['evidence']:,} |"
    yield (
        f"| telemetry fed = recorded + counted as lost + in hand | {fed['telemetry']:,} = {log['telemetry']:,} + {log['counted']:,} +"
        f" {log['in_hand']:,} |"
    )
    yield f"| in hand between two that are recorded, at most | {log['in_hand_most']:,} |"
    own = f"{log['evidence']:,} + {log['telemetry']:,} + {log['integrity']:,}"
    yield f"| events = evidence + telemetry + the writer's own | {log['events']:,} = {own} |"
    yield f"| log resumed, of these with a torn tail; epochs | {log['resumed']}, {log['torn']}; {log['epochs']} |"
    yield f"| documents in the cluster; missing; again | {index['documents']:,}; {index['missing']}; {index['again']} |"
    yield (
        f"| shipper: read = created + duplicate + quarantined | {shipper['read']:,} = {shipper['created']:,} + {shipper['duplicate']:,} +"
        f" {shipper['quarantined']:,} |"
    )
    yield f"| sent again | {shipper['retried']:,} |"
    yield f"| indices | {', '.join(f'{name} {count:,}' for name, count in index['indices'].items())} |"
    yield f"| killed | {', '.join(f'{kind} {count}' for kind, count in leg['killed'].items())} |"
    yield ""
    for claim, holds in leg["claims"].items():
        yield f"* {'holds' if holds else '**DOES NOT HOLD**'}: {claim}"
    yield ""


def _schedules(told: dict[str, Any]) -> Iterable[str]:
    met = Counter[str]()
    for leg in told["legs"]:
        met.update(leg["requests_that_met_a_fault"])
    for name, count in told["schedules"].items():
        yield f"| `{name}` | {SCHEDULES[name].story} | {count} | {met.get(name, '')} |"


def _peers(peers: list[dict[str, Any]]) -> Iterable[str]:
    yield "## Beside it: rsyslog with omelasticsearch"
    yield ""
    yield "Fewer lines of the same log, by imfile, to the same node through such a proxy, under the schedules that any sender can meet."
    yield "Lost: not in the index when nothing came any more for a while. Again: documents beyond one for each line."
    yield ""
    yield "| configuration | lines | lost | again | refused to its error file | kills of rsyslogd, node | seconds |"
    yield "|---|---|---|---|---|---|---|"
    for one in peers:
        yield (
            f"| {one['name']} ({one['version']}) | {one['lines']:,} | {one['lost']:,} | {one['again']:,} | {one['errors']:,} |"
            f" {one['killed']['rsyslogd']}, {one['killed']['node']} | {one['seconds']:,.0f} |"
        )
    for one in peers:
        yield ""
        yield f"### {one['name']}"
        yield ""
        yield f"{one['story']} Schedules: {', '.join(one['schedules'])}."
        yield ""
        yield "```"
        yield one["configuration"].rstrip()
        yield "```"
    yield ""
