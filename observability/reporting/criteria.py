"""Whether a pilot's promises were kept: one verdict for each criterion of its manifest (clause A-104)."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from observability import page
from observability.pilot import FAILURE_MODEL, LEVELS, Manifest
from observability.queries import distribution
from observability.reporting.material import Judged, Material
from observability.reporting.words import count, us
from observability.timeline import Session

MINUTE: Final = timedelta(minutes=1)
MILLI: Final = 1_000
ALL: Final = 100


class Met(StrEnum):
    """A verdict on a criterion."""

    YES = "met"
    NO = "NOT MET"
    UNKNOWN = "cannot be judged"


class Judgement(NamedTuple):
    """A criterion, its limit, what was found, and whether that is within it."""

    criterion: str
    limit: str
    found: str
    met: Met


def judge(manifest: Manifest, material: Material) -> list[Judgement]:
    """Return a verdict for each criterion.

    Where a log is not sound, what is missing of it might have broken any promise: then a criterion is not met or cannot be judged.
    """
    found = []
    for name, limit in manifest.criteria.items():
        made = JUDGES[name](material, limit)
        if made.met is Met.YES and not material.sound:
            made = made._replace(met=Met.UNKNOWN, found=f"{made.found}, in what is sound of the logs")
        found.append(made)
    return found


def _recovery(material: Material) -> list[int]:
    return [jump.recovery_us for _, jump in material.jumps() if jump.recovery_us is not None]


def _window(material: Material, limit: float | str) -> Judgement:
    values = _recovery(material)
    late = sum(value > float(limit) * MILLI for value in values)
    found = f"longest {us(max(values))}; {late} of {count(len(values), 'jump')} beyond" if values else "no jump was measured"
    return _judged("longest interruption by a jump", f"{limit:g} ms", found, met=None if not values else late == 0)


def _p99(material: Material, limit: float | str) -> Judgement:
    values = _recovery(material)
    found = us(distribution(values).p99) if values else "no jump was measured"
    return _judged(
        "99 % of the jumps interrupt at most",
        f"{limit:g} ms",
        found,
        met=distribution(values).p99 <= float(limit) * MILLI if values else None,
    )


def _switches(material: Material, limit: float | str) -> Judgement:
    most, name = max(((switches_in_a_minute(one), one.name) for one in material.story.sessions.values()), default=(0, ""))
    found = f"{most}, session {name}" if most else "0"
    return _judged(
        "jumps of one session within any 60 s", f"{limit:g}", found, met=most <= float(limit) if material.story.sessions else None
    )


def switches_in_a_minute(session: Session) -> int:
    """Return the greatest number of jumps to another path within 60 s, both ends included."""
    window: deque[datetime] = deque()
    most = 0
    for jump in session.jumps_elsewhere():
        window.append(jump.when)
        while jump.when - window[0] > MINUTE:
            window.popleft()
        most = max(most, len(window))
    return most


def _lost(material: Material, limit: float | str) -> Judgement:
    lost = [one.name for one in material.story.sessions.values() if one.lost]
    found = str(len(lost)) + (f", the first is {lost[0]}" if lost else "")
    return _judged(
        "sessions that ended with a failure", f"{limit:g}", found, met=len(lost) <= float(limit) if material.numbers.born else None
    )


def _measured(material: Material, limit: float | str) -> Judgement:
    jumps = [jump for _, jump in material.jumps()]
    measured = sum(jump.recovery_us is not None for jump in jumps)
    return _share("jumps whose interruption is in the log", limit, measured, len(jumps), "no jump")


def _both_ends(material: Material, limit: float | str) -> Judgement:
    sessions = material.story.sessions.values()
    return _share("sessions told by both ends", limit, sum(len(one.roles) > 1 for one in sessions), len(sessions), "no session")


def _telemetry(material: Material, limit: float | str) -> Judgement:
    lost = material.numbers.telemetry_lost
    return _judged("records of telemetry lost", f"{limit:g}", str(lost), met=lost <= float(limit))


def _detections(material: Material, limit: float | str) -> Judgement:
    grave = [alert for alert in material.alerts if LEVELS.index(alert.level) >= LEVELS.index(str(limit))]
    found = str(len(grave)) + (f", the first is {grave[0].name}" if grave else "")
    return _judged(f"detections from level {limit} on", "0", found, met=not grave)


def _signed(material: Material, limit: float | str) -> Judgement:
    names = {"log": "the log's key", "witnesses": "a quorum of witnesses"}
    lacks = [log.label for log in material.logs if not log.sound or not (log.result.witnessed if limit == "witnesses" else _covered(log))]
    return _judged(
        "each log is sound and signed", f"by {names[str(limit)]}", f"not so: {', '.join(lacks)}" if lacks else "all", met=not lacks
    )


def _covered(log: Judged) -> bool:
    head = log.result.head
    return head is not None and log.result.sealed > head.seq


def _share(what: str, limit: float | str, some: int, all_of: int, nothing: str) -> Judgement:
    if not all_of:
        return _judged(what, f"{limit:g} %", nothing, met=None)
    return _judged(what, f"{limit:g} %", f"{some} of {all_of}", met=some * ALL >= float(limit) * all_of)


def _judged(what: str, limit: str, found: str, *, met: bool | None) -> Judgement:
    return Judgement(what, limit, found, Met.UNKNOWN if met is None else Met.YES if met else Met.NO)


JUDGES: Final[Mapping[str, Callable[[Material, float | str], Judgement]]] = {
    "recovery_window_ms": _window,
    "recovery_p99_ms": _p99,
    "switches_per_minute": _switches,
    "sessions_lost": _lost,
    "measured_percent": _measured,
    "both_ends_percent": _both_ends,
    "telemetry_lost": _telemetry,
    "detections_from": _detections,
    "signed": _signed,
}


def section(material: Material) -> str:
    """Return the verdicts, and what the pilot expected of its network."""
    manifest = material.request.manifest
    if manifest is None:
        return page.paragraph("No pilot manifest was given, so nothing was promised that could be judged.")
    name = f"“{manifest.name}”, " if manifest.name else ""
    model = [f"{FAILURE_MODEL[key]}: {value:g}" for key, value in manifest.failure_model.items()]
    said = f"Pilot {name}environment {manifest.environment}. Expected of the network: {'; '.join(model) or 'nothing was said'}."
    rows = [(each.criterion, each.limit, each.found, each.met.value) for each in judge(manifest, material)]
    columns = [("criterion", ""), ("allowed", ""), ("found", ""), ("verdict", "verdict")]
    explain = "Where a log is not sound, a promise can be broken by what is there, and cannot be kept by it."
    return page.paragraph(said) + page.table("Promises and what the logs say", columns, rows) + page.paragraph(explain, "soft")
