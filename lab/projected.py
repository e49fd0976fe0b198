"""The text of docs/reference/projections.md: what each event is called in the words of others (schemas/projections.toml)."""

from collections.abc import Iterator, Mapping
from typing import Final

from audit.vocabulary import Kind, vocabulary
from observability.projections.table import Told, table

HEAD: Final = """# Events in the words of others

Generated from `schemas/projections.toml` by `python -m lab.reference`.

What `jvpn audit export` and `jvpn ship` make of an event. A dash means that the standard's field is not used. Reasons are named where they
differ from the rest of their event type. Each projection has the own event, too, under `jvp` (OCSF: `unmapped.jvp`), with `jvp.event_hash`.

| event | OCSF class: activity | OCSF disposition | ECS kind | ECS category | ECS type | duration is |
|---|---|---|---|---|---|---|
"""

SEVERITIES: Final = """
| severity | OCSF, ECS | OTLP | syslog |
|---|---|---|---|
"""


def document() -> str:
    """Return the whole text."""
    rows = [row for kind in vocabulary().kinds.values() for row in _rows(kind)]
    levels = [f"| {each.ocsf} | {number} | {each.otlp} {each.otlp_text} | {each.syslog} |" for number, each in table().severities.items()]
    return HEAD + "\n".join(rows) + "\n" + SEVERITIES + "\n".join(levels) + "\n"


def _rows(kind: Kind) -> Iterator[str]:
    """Yield a row for the event type, and one for each set of reasons that differs from most."""
    ways: dict[Told, list[str]] = {}
    for reason in kind.reasons:
        ways.setdefault(table().told[kind.name, reason], []).append(reason)
    first, *others = sorted(ways, key=lambda told: -len(ways[told]))
    yield _row(kind.name, first)
    yield from (_row(f"{kind.name} {', '.join(ways[told])}", told) for told in others)


def _row(name: str, told: Told) -> str:
    cells: Mapping[str, str] = {
        "class": f"{told.ocsf.uid} {told.ocsf.name}: {told.ocsf.activities[told.activity]}",
        "denied": table().dispositions[told.denied] if told.denied else "-",
        "kind": told.kind,
        "category": ", ".join(told.category),
        "type": ", ".join(told.type),
        "duration": f"`metrics.{told.duration}`" if told.duration else "-",
    }
    return f"| {name} | {' | '.join(cells.values())} |"
