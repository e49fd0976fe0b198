"""The audit report: what one or several logs say, as one page for people who decide, not for those who debug.

    write_report([Path("gateway/log"), Path("client/log")], Path("report.html"))

Each log is verified first; numbers and pictures show verified events only, and the page says so where that is less than all.
"""

import os
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from audit.show import events
from audit.verdict import MEANINGS, Result
from audit.verify import verify
from audit.vocabulary import SCHEMAS
from observability import figures, page
from observability.queries import Distribution, Summary, distribution, summary
from observability.timeline import EPOCH, REKEYED, Jump, Session, Story

TITLE: Final = "Audit report: sessions and their jumps"
PICTURED_MAX: Final = 8  # sessions in the picture
ROWS_MAX: Final = 200  # of one table
TIME: Final = "%Y-%m-%d %H:%M:%S.%f"
MEGA: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Material:
    """What the sections are made from."""

    results: Sequence[Result]
    numbers: Summary
    story: Story

    def sessions(self) -> list[Session]:
        """Return the sessions, those with most jumps first."""
        return sorted(self.story.sessions.values(), key=lambda one: (-one.jumps_to_other_paths(), one.first or EPOCH, one.name))

    def jumps(self) -> list[tuple[Session, Jump]]:
        """Return all moves of all sessions to another path, in order of time."""
        found = [(session, jump) for session in self.story.sessions.values() for jump in session.jumps() if jump.reason != REKEYED]
        return sorted(found, key=lambda pair: (pair[1].when, pair[0].name))


def write_report(logs: Sequence[Path], output: Path, *, partial: bool = False) -> list[Result]:
    """Write the report on these logs (directories, or single files of lines) to ``output``, and return what the verifier said of each.

    ``partial``: the oldest segments may have been put away. A log that is not sound, or not there, is no error: the page says it first.
    Raises ``OSError`` when the page cannot be written; an older one stands then.
    """
    results, text = report(logs, partial=partial)
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return results


def report(logs: Sequence[Path], *, partial: bool = False) -> tuple[list[Result], str]:
    """Return the verifier's results and the page. The same logs give the same page."""
    results = [verify(log, partial=partial) for log in logs]
    story = Story()

    def told() -> Iterator[Mapping[str, Any]]:
        for log, result in zip(logs, results, strict=True):
            for event in islice(events(log), result.events) if result.events else ():
                story.take((event,))
                yield event

    material = Material(results, summary(told()), story)
    sections = [
        ("integrity", "Can these logs be trusted?", _integrity(material)),
        ("short", "In short", _short(material)),
        ("sessions", "Sessions over time", _sessions(material)),
        ("recovery", "How long a jump interrupts traffic", _recovery(material)),
        ("jumps", "Every jump and its reason", _jumps(material)),
        ("traffic", "Traffic", _traffic(material)),
        ("refusals", "What was refused", _refusals(material)),
        ("words", "What the words mean", _words(material)),
    ]
    return results, page.page(TITLE, _intro(material), sections)


def _intro(material: Material) -> str:
    story = material.story
    if story.first is None or story.last is None:
        return page.paragraph("There is no verified event in these logs.")
    span = f"{_clock(story.first)} to {_clock(story.last)} UTC, {_duration(story.last - story.first)}."
    logs = "one log" if len(material.results) == 1 else f"{len(material.results)} logs"
    return page.paragraph(f"{span} {material.numbers.events} events of {logs}. Times are those of the machine that wrote the log.", "soft")


def _integrity(material: Material) -> str:
    parts = []
    for result in material.results:
        good = result.fault is None
        verdict = "The log is complete and unchanged." if good else f"Do not rely on this log: {MEANINGS[result.verdict]}."
        parts.append(page.paragraph(f"{'✓' if good else '✗'} {result.source}: {verdict}", f"verdict {'good' if good else 'bad'}"))
        if result.fault:
            where = f" It stands at event {result.fault.seq}" if result.fault.seq is not None else ""
            where += f", {result.fault.file} line {result.fault.line}." if result.fault.line else "." if where else ""
            parts.append(page.paragraph(f"Found: {result.fault.found}.{where} Events from there on are not in this report."))
        if result.live:
            parts.append(page.paragraph("A writer has this log open; what it adds after this moment is not in this report."))
        if result.tables_differ:
            parts.append(page.paragraph("It was written by a program with other tables; its transitions were not compared with ours."))
    rows = [
        (
            result.source,
            str(result.events),
            result.head.chain_id if result.head else "none",
            result.head.hash if result.head else "none",
            str(result.telemetry_lost),
            str(result.by_type["RECORD_REFUSED"]),
            str(result.by_type["LOG_RESUMED"]),
            result.key or "none",
            str(result.sealed),
        )
        for result in material.results
    ]
    columns = [("log", ""), ("verified events", "number"), ("chain", "code"), ("hash of the last event", "code")]
    columns += [("telemetry lost", "number"), ("records refused", "number"), ("opened again", "number")]
    columns += [("first key", "code"), ("signed for", "number")]
    explain = (
        "Every event carries the hash of the one before it, and the log's key has signed for a tree over all of them. Compare the key and"
        " the hash of the last event with what was kept elsewhere: that shows a log that somebody made anew. Telemetry may be lost under"
        " load and is counted then; births, jumps and ends of sessions are stored with the change itself."
    )
    return "\n".join([*parts, page.table("What the verifier found", columns, rows), page.paragraph(explain, "soft")])


def _short(material: Material) -> str:
    numbers = material.numbers
    pairs = [
        ("sessions born", str(numbers.born)),
        ("sessions ended", str(sum(numbers.ended.values()))),
        ("jumps to another path", str(sum(numbers.jumps.values()))),
        ("new keys on the same path", str(numbers.rekeys)),
        ("half of the jumps took at most", _us(numbers.recovery_us.p50, numbers.recovery_us)),
        ("99 % took at most", _us(numbers.recovery_us.p99, numbers.recovery_us)),
        ("messages refused", str(sum(numbers.refusals.values()))),
        ("telemetry lost", str(numbers.telemetry_lost)),
    ]
    return page.facts(pairs)


def _sessions(material: Material) -> str:
    sessions = material.sessions()
    if not sessions:
        return page.paragraph("There is no session in these logs.")
    shown = sessions[:PICTURED_MAX]
    rest = f" The {len(shown)} sessions with most jumps of {len(sessions)} are shown." if len(sessions) > len(shown) else ""
    caption = (
        "Lanes: the session's state at the gateway; the carrier in use, where a gap is a time without any path; the client's state, by the"
        f" client's clock. A triangle is a jump to another path, a thin line is new keys on the same path.{rest}"
    )
    rows = [
        (
            session.name,
            _clock(session.born),
            _clock(session.ended) if session.ended else "not in this log",
            _plain(session.end_reason),
            str(session.jumps_to_other_paths()),
            " ".join(dict.fromkeys([session.carrier_at_birth, *(jump.after for jump in session.jumps())])),
            _mega(session.received_bytes),
            _mega(session.sent_bytes),
        )
        for session in sessions[:ROWS_MAX]
    ]
    columns = [("session", "code"), ("born (UTC)", ""), ("ended", ""), ("why", ""), ("jumps", "number"), ("carriers", "")]
    columns += [("from client, MB", "number"), ("to client, MB", "number")]
    picture = figures.sessions_over_time(shown, material.story)
    return page.figure(picture, caption) + page.table(_of("Sessions", rows, len(sessions)), columns, rows)


def _recovery(material: Material) -> str:
    by_reason: defaultdict[str, list[int]] = defaultdict(list)
    by_carriers: defaultdict[str, list[int]] = defaultdict(list)
    for _, jump in material.jumps():
        if jump.recovery_us is not None:
            by_reason[jump.reason].append(jump.recovery_us)
            by_carriers[f"{jump.before or 'no path'} to {jump.after}"].append(jump.recovery_us)
    if not by_reason:
        return page.paragraph("No jump was measured.")
    columns = [(name, "number") for name in ("jumps", "half within", "95 % within", "99 % within", "longest")]

    def rows(groups: Mapping[str, Sequence[int]]) -> list[tuple[str, ...]]:
        found = [(name, distribution(values)) for name, values in sorted(groups.items())]
        found.append(("all", distribution([value for values in groups.values() for value in values])))
        return [
            (_plain(name), str(one.values), *(_us(value, one) for value in (one.p50, one.p95, one.p99, one.most))) for name, one in found
        ]

    ordered = dict(sorted(by_reason.items(), key=lambda pair: sorted(pair[1])[(len(pair[1]) - 1) // 2]))
    parts = [
        page.figure(figures.recovery_by_reason(ordered), "Each dot is one jump."),
        page.table("By reason", [("reason", ""), *columns], rows(by_reason)),
        page.table("By carriers", [("from and to", ""), *columns], rows(by_carriers)),
    ]
    outage = material.numbers.client_outage_us
    if outage.values:
        said = f"half within {_us(outage.p50, outage)}, 95 % within {_us(outage.p95, outage)}, longest {_us(outage.most, outage)}"
        parts.append(page.paragraph(f"The clients measured for themselves: {outage.values} jumps, {said}."))
    return "\n".join(parts)


def _jumps(material: Material) -> str:
    jumps = material.jumps()
    if not jumps:
        return page.paragraph("There was no jump.")
    rows = [
        (
            _clock(jump.when),
            session.name,
            f"{jump.before or 'no path'} to {jump.after}",
            _plain(jump.reason),
            str(jump.binding),
            "not measured" if jump.recovery_us is None else _us(jump.recovery_us),
        )
        for session, jump in jumps[:ROWS_MAX]
    ]
    columns = [
        ("time (UTC)", ""),
        ("session", "code"),
        ("carrier", ""),
        ("reason", ""),
        ("binding", "number"),
        ("without traffic", "number"),
    ]
    return page.table(_of("Jumps", rows, len(jumps)), columns, rows)


def _traffic(material: Material) -> str:
    if not material.story.sent and not material.story.received:
        return page.paragraph("No traffic was sampled.")
    numbers = material.numbers
    caption = f"All sessions together. Sampled in all: {_mega(numbers.received_bytes)} MB from, {_mega(numbers.sent_bytes)} MB to clients."
    return page.figure(figures.traffic_over_time(material.story), caption)


def _refusals(material: Material) -> str:
    refusals = material.numbers.refusals
    if not refusals:
        return page.paragraph("Nothing was refused.")
    meanings = _meanings()
    rows = [
        (_plain(reason), str(number), meanings.get(reason, ""))
        for reason, number in sorted(refusals.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    columns = [("reason", ""), ("messages", "number"), ("meaning", "")]
    table = page.table("Refused messages by reason", columns, rows)
    return page.figure(figures.refusals_over_time(material.story), "A refused message changes nothing; it is counted.") + table


def _words(material: Material) -> str:
    used = {*material.numbers.jumps, *material.numbers.client_jumps, *material.numbers.ended}
    rows = [(_plain(reason), meaning) for reason, meaning in _meanings().items() if reason in used]
    states = [(name, meaning) for name, meaning in STATES.items()]
    return page.table("States", [("state", ""), ("meaning", "")], states) + page.table("Reasons", [("reason", ""), ("meaning", "")], rows)


STATES: Final = {
    "PENDING": "A handshake was answered; the client has not confirmed it yet.",
    "ATTACHED": "The session lives on one path, and all is well.",
    "VOLATILE": "The path works, but its quality is below the policy.",
    "RECOVERING": "No path works; one is sought.",
    "DEGRADED": "A limit was reached: the quality stays low, or no path was found in time, or the ownership is uncertain.",
    "SEEKING": "The client has no working path and tries others.",
    "CONNECTING": "The client has sent a handshake.",
}


@cache
def _meanings() -> Mapping[str, str]:
    with (SCHEMAS / "registry.toml").open("rb") as file:
        return {reason["name"]: reason["meaning"] for reason in tomllib.load(file)["reason"]}


def _of(what: str, rows: Sequence[object], total: int) -> str:
    return what if len(rows) == total else f"{what}: the first {len(rows)} of {total}"


def _plain(name: str) -> str:
    return name if " " in name else figures.plain(name)


def _clock(when: datetime | None) -> str:
    return f"{when:{TIME}}"[:-3] if when else "not in this log"


def _duration(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    hours, minutes = seconds // 3_600, seconds // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"


def _mega(value: int) -> str:
    return f"{value / MEGA:.1f}"


def _us(value: int, of: Distribution | None = None) -> str:
    if of is not None and not of.values:
        return "none"
    return f"{value / MEGA:.2f} s" if value >= MEGA else f"{value / 1_000:.1f} ms"
