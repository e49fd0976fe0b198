"""Feeds files to an engine in one state from one place, and says what came of each: refused, answered, changed, or broken."""

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Final, NamedTuple

from core.reasons import Event
from core.values import Output, Path, Record, Settle, Transmit
from core.wire.layout import INIT_MAC2, SIZES, Type
from lab.replay.states import Stage
from lab.sim.frames import kind_of

REFUSALS: Final = frozenset((Event.TRAFFIC_REFUSED, Event.SESSION_REFUSED, Event.HANDSHAKE_REFUSED, Event.CLIENT_REFUSED))
OPEN: Final = frozenset(("COOKIE", "RESP", "REATTACH_RESP"))
"""What an engine may send without a change of its state: a stateless demand, and the identical answer to an identical request."""

ROW_READ: Final = frozenset(("Desk._ticket", "Desk.tickets", "Gateway._load_second", "Gateway._loads", "output Ask"))
"""What a true locator alone may do, before any proof: have the row read of a session that is not held, so often and no oftener [R-13]."""


class Finding(NamedTuple):
    """Something that must not happen: which file, in which state and from where, what (`exception`, `change`) and its details."""

    file: str
    state: str
    place: str
    what: str
    details: str


@dataclass
class Cell:
    """What one state and place made of all files; `changes` counts what true frames changed, by their kind."""

    state: str
    place: str
    files: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    changed: dict[str, set[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def feed(stage: Stage, place: str, files: Iterable[tuple[str, bytes]], true: Mapping[bytes, str]) -> Cell:
    """Feed each file to the same state; `true` are the frames that were made with keys, and their kinds."""
    cell = Cell(stage.name, place)
    for name, frame in files:
        cell.files += 1
        try:
            outputs = take(stage, frame, stage.places[place])
            changes = stage.before.changes()
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            cell.findings.append(Finding(name, stage.name, place, "exception", last_lines(traceback.format_exc())))
        else:
            changes += count(cell, stage, outputs)
            kind = made_with_keys(frame, true)
            if kind is None and ROW_READ.issuperset(changes) and known_locator(frame, true):
                kind = "true locator"
            judge(cell, name, kind, sorted(set(changes)))
        stage.before.restore()
    return cell


def take(stage: Stage, frame: bytes, path: Path) -> list[Output]:
    """Let one frame arrive; return what comes out, with the records of refusals that would come later."""
    engine, now = (stage.world.gateway if stage.side == "gateway" else stage.world.client), stage.world.now
    return [*engine.receive([frame], path, now), *engine.command(Settle(), now)]


def count(cell: Cell, stage: Stage, outputs: list[Output]) -> list[str]:
    """Count refusals and answers; return what else came out, as changes."""
    others = []
    for output in outputs:
        match output:
            case Record(fact) if fact.event in REFUSALS:
                cell.refused[fact.reason.name] += fact.times
            case Record(fact):
                others.append(f"record {fact.event.name} {fact.reason.name}")
            case Transmit(_, frames):
                for frame in frames:
                    kind = kind_of(frame, stage.side)
                    cell.answers[kind] += 1
                    others += [] if kind in OPEN else [f"sent {kind}"]
            case _:
                others.append(f"output {type(output).__name__}")
    return others


def judge(cell: Cell, name: str, kind: str | None, changes: list[str]) -> None:
    """Put changes down as what a true frame may do, or as a finding."""
    if changes and kind is None:
        cell.findings.append(Finding(name, cell.state, cell.place, "change", ", ".join(changes)))
    elif changes and kind is not None:
        cell.changes[kind] += 1
        cell.changed.setdefault(kind, set()).update(changes)


def made_with_keys(frame: bytes, true: Mapping[bytes, str]) -> str | None:
    """Return the kind of a true frame, else None; of an INIT the end proves an address alone and is not looked at without need [M-4]."""
    if frame in true:
        return true[frame]
    if frame[:1] == bytes((Type.INIT,)) and len(frame) == INIT_MAC2 + 16:
        return next((kind for each, kind in true.items() if each[:INIT_MAC2] == frame[:INIT_MAC2]), None)
    return None


def known_locator(frame: bytes, true: Mapping[bytes, str]) -> bool:
    """Tell whether a frame has the form of REATTACH and the locator of a true one."""
    formed = frame[:1] == bytes((Type.REATTACH,)) and len(frame) == SIZES[Type.REATTACH]
    return formed and any(kind == "REATTACH" and each[8:24] == frame[8:24] for each, kind in true.items())


def last_lines(text: str) -> str:
    """Return the end of a traceback: where, and what."""
    where = [line.strip() for line in text.splitlines() if line.startswith("  File")]
    return f"{text.strip().splitlines()[-1]} ({where[-1].replace(str(File.cwd()) + '/', '') if where else '?'})"
