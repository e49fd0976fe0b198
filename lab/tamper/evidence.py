"""What a run of the corpus has come to, as plain values and as a page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lab import evidence
from lab.evidence import FOLDER, fingerprint
from lab.tamper.corpus import CLEAN, Outcome, classes

NAME: Final = "tamper"


def circumstances() -> dict[str, Any]:
    """Return the circumstances of a run; to be asked when it begins."""
    return evidence.circumstances("cryptography", "jsonschema-rs", "orjson") | {"audit_sha256": fingerprint("audit")}


def summary(made: dict[str, Any], results: Mapping[str, Outcome], seed: int, seconds: float) -> dict[str, Any]:
    """Return what a run has come to, as plain values."""
    rows = [_row(outcome) for name, outcome in results.items() if name != CLEAN]
    clean = results.get(CLEAN, Outcome(CLEAN))
    harmless = [row for row in rows if row["area"] == "harmless"]
    harmful = [row for row in rows if row["area"] != "harmless"]
    return {
        "made": made,
        "seed": seed,
        "seconds": round(seconds, 1),
        "classes": rows,
        "tamperings": sum(row["tried"] for row in harmful),
        "missed": sum(row["missed"] for row in harmful),
        "harmless": sum(row["tried"] for row in harmless),
        "clean_logs": clean.cases,
        "clean_verifications": clean.tried,
        "clean_ways": dict(sorted(clean.ways.items())),
        "false_alarms": clean.missed + sum(row["missed"] for row in harmless),
        "said": [said for outcome in results.values() for said in outcome.said],
    }


def _row(outcome: Outcome) -> dict[str, Any]:
    kind = classes()[outcome.name]
    return {
        "name": outcome.name,
        "area": kind.area,
        "story": kind.story,
        "look": kind.look.name,
        "blind": f"{kind.blind.look.name}: {kind.blind.verdict.name}" if kind.blind else None,
        "tried": outcome.tried,
        "places": len(outcome.positions),
        "missed": outcome.missed,
        "verdicts": dict(sorted(outcome.verdicts.items())),
    }


def sentence(told: dict[str, Any]) -> str:
    """Return a run in two sentences."""
    harmful = sum(row["area"] != "harmless" for row in told["classes"])
    done = f"{told['tamperings']:,} tamperings of {harmful} classes: {told['missed']} missed or misplaced."
    logs = f"{told['clean_logs']:,} clean logs, verified {told['clean_verifications']:,} times"
    return f"{done} {logs}, and {told['harmless']:,} changes that are none: {told['false_alarms']} false alarms."


def write(told: dict[str, Any], folder: Path = FOLDER) -> None:
    """Write tamper.json and tamper.md, which follows from it."""
    kept = json.loads(json.dumps(told, sort_keys=True))
    evidence.write(NAME, kept, page(kept), folder)


def page(told: dict[str, Any]) -> list[str]:
    """Return the lines of tamper.md: a table of the classes."""
    lines = [
        "# Tampering: the last long run",
        "",
        f"Made by `make tamper`, not by hand, in {told['seconds']:,.0f} s with seed {told['seed']}. {evidence.sentence(told['made'])}",
        "",
        f"**{sentence(told)}**",
        "",
        "Each tampering is at a random place of one of twelve logs of several segments, epochs, restarts and crashes, which two of three",
        "witnesses have cosigned. It counts as found only with the right class of fault and the exact number of the first event that is",
        "wrong. *Look* is what the auditor brings: PLAIN is nothing, POLICY the log's key and two of three witnesses, FRESH these and a",
        "time, KEPT a checkpoint that they kept, GO_ON the same from there on, PARTIAL the option of that name, FILE one segment alone.",
        "*Blind* is a look that cannot see it, and what it says; that was verified as often.",
        "",
        "| class | what somebody did: why it matters | look | blind | tried | places | found as | missed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in told["classes"]:
        found = ", ".join(f"{name} {count}" for name, count in row["verdicts"].items())
        cells = (f"`{row['name']}`", row["story"], row["look"], row["blind"] or "", row["tried"], row["places"], found, row["missed"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    ways = ", ".join(f"{way} {count}" for way, count in told["clean_ways"].items())
    return [
        *lines,
        "",
        "Clean logs have segments of one event to all of them, epochs of any length, crashes at any byte, and resumptions.",
        f"They were verified: {ways}.",
    ]
