"""The first and the last of a report: what it comes to, how it was made, what nobody can tell from it, and what its words mean."""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from typing import Final

from audit.vocabulary import SCHEMAS
from observability import page
from observability.pilot import LEVELS
from observability.reporting.criteria import Met, judge
from observability.reporting.material import Judged, Material
from observability.reporting.words import STATES, clock, count, duration, meanings, us, words

LIMITS: Final = (
    "Whether something happened that was never recorded.",
    "Whether the clocks were right: times are those of the machine that wrote the log, and logs of two machines may differ.",
    "Who a session, a device or a peer is: the log has pseudonyms, and this report has no others.",
    "Without a policy, whose log it is; without witnesses, whether others were shown the same.",
    "What a writer that has the log open adds later.",
)


def intro(material: Material) -> str:
    """Return what this is about."""
    story = material.story
    if story.first is None or story.last is None:
        return page.paragraph("There is no verified event in these logs.")
    span = f"{clock(story.first)} to {clock(story.last)} UTC, {duration(story.last - story.first)}."
    logs = "one log" if len(material.logs) == 1 else f"{len(material.logs)} logs"
    return page.paragraph(f"{span} {material.numbers.events} events of {logs}. Times are those of the machine that wrote the log.", "soft")


def section(material: Material) -> str:
    """Return what it comes to, in sentences and in numbers."""
    numbers = material.numbers
    pairs = [
        ("sessions born", str(numbers.born)),
        ("sessions ended", str(sum(numbers.ended.values()))),
        ("jumps to another path", str(sum(numbers.jumps.values()))),
        ("new keys on the same path", str(numbers.rekeys)),
        ("half of the jumps took at most", us(numbers.recovery_us.p50, numbers.recovery_us)),
        ("99 % took at most", us(numbers.recovery_us.p99, numbers.recovery_us)),
        ("messages refused", str(sum(numbers.refusals.values()))),
        ("telemetry lost", str(numbers.telemetry_lost)),
    ]
    return "".join([*_conclusions(material), page.facts(pairs)])


def _conclusions(material: Material) -> Iterator[str]:
    for log in material.logs:
        yield page.paragraph(f"{'✓' if log.sound else '✗'} {log.label}, {_role(material, log)}: {_said(log)}", _colour(good=log.sound))
    if material.request.manifest:
        met = Counter(each.met for each in judge(material.request.manifest, material))
        criteria = count(met.total(), "criterion", "criteria")
        text = f"{met[Met.YES]} of {criteria} of the pilot met, {met[Met.NO]} not met, {met[Met.UNKNOWN]} not to be judged."
        good = met[Met.YES] == met.total()
        yield page.paragraph(f"{'✓' if good else '✗'} {text}", _colour(good=good))
    levels = Counter(alert.level for alert in material.alerts)
    told = ", ".join(f"{levels[level]} {level}" for level in reversed(LEVELS) if levels[level])
    yield page.paragraph(f"Detections that came true: {told or 'none'}.", "verdict")


def _role(material: Material, log: Judged) -> str:
    """Return who wrote a log; of several nodes the first."""
    return next(iter(material.story.writers.get(material.logs.index(log), {"unknown writer": None})))


def _said(log: Judged) -> str:
    if not log.sound:
        return f"do not rely on it; {count(log.result.events, 'event')} of it are sound."
    cosigned = ", cosigned by its witnesses" if log.result.witnessed else ""
    signed = f"signed by its key{cosigned}" if log.result.sealed else "signed by nobody, as it is a single file"
    return f"complete and unchanged, {count(log.result.events, 'event')}, {signed}."


def _colour(*, good: bool) -> str:
    return f"verdict {'good' if good else 'bad'}"


def method(material: Material) -> str:
    """Return how the report was made and can be made again, and what nobody can tell from it."""
    request = material.request
    registry = sha256((SCHEMAS / "registry.toml").read_bytes()).hexdigest()
    rows = [
        ("program", f"jvpn {version('jumping-vpn')}"),
        ("registry of events and reasons, SHA-256", registry),
        ("logs", "; ".join(f"{log.label}: {log.path}" for log in material.logs)),
        ("policy", "given" if request.policy else "none"),
        ("kept checkpoint", str(request.known) if request.known else "none"),
        ("oldest segments may be missing", "allowed" if request.partial else "not allowed"),
        ("pilot manifest", "given" if request.manifest else "none"),
    ]
    made = page.table("What this report was made from", [("what", ""), ("found", "code")], rows)
    explain = "The same program, logs and options make the same bytes again. Percentiles are exact, by nearest rank."
    items = "".join(f"<li>{page.text_of(each)}</li>" for each in LIMITS)
    return made + page.paragraph(explain, "soft") + page.heading("What nobody can tell from it", "limits") + f"<ul>{items}</ul>"


def glossary(material: Material) -> str:
    """Return what states and reasons mean."""
    used = {*material.numbers.jumps, *material.numbers.client_jumps, *material.numbers.ended}
    rows = [(words(reason), meaning) for reason, meaning in meanings().items() if reason in used]
    states = page.table("States", [("state", ""), ("meaning", "")], list(STATES.items()))
    return states + (page.table("Reasons", [("reason", ""), ("meaning", "")], rows) if rows else "")
