"""What was noticed: detections that came true, and messages that were refused."""

from collections import defaultdict
from datetime import timedelta
from typing import Final

from observability import figures, page
from observability.bins import coarse, starts
from observability.detections.evaluate import Alert
from observability.page import Cell
from observability.pilot import LEVELS
from observability.reporting.material import Material
from observability.reporting.words import clock, count, meanings, of, words
from observability.timeline import EPOCH, REFUSED, Entry

ROWS_MAX: Final = 100  # of one table
EACH_FROM: Final = "medium"  # the level from which on detections are told one by one


def detections(material: Material) -> str:
    """Return which rules came true, what each means and what to do first, and the graver ones one by one."""
    rules = material.rules.named()
    looked = (
        f"{count(len(material.rules.rules), 'rule')} of one event and {count(len(material.rules.correlations), 'correlation')} of several"
    )
    if not material.alerts:
        return page.paragraph(f"Nothing was found by {looked}.")
    by_rule: defaultdict[str, list[Alert]] = defaultdict(list)
    for alert in material.alerts:
        by_rule[alert.name].append(alert)
    ordered = sorted(by_rule, key=lambda name: (-LEVELS.index(rules[name].level), name))
    rows: list[tuple[Cell, ...]] = [
        (
            f"{rules[name].title} ({name})",
            rules[name].level,
            str(len(by_rule[name])),
            _when(material, by_rule[name][0]),
            _reference(material, by_rule[name][0]),
            rules[name].response,
        )
        for name in ordered
    ]
    columns = [("rule", ""), ("level", ""), ("times", "number"), ("first (UTC)", ""), ("first event", ""), ("what to do first", "")]
    each = [alert for alert in material.alerts if LEVELS.index(alert.level) >= LEVELS.index(EACH_FROM)]
    parts = [
        page.paragraph(
            f"{looked} were asked, as jvpn detect does; {count(len(ordered), 'of them', 'of them')} came true. A rule says what to look at."
        ),
        page.table("Rules that came true", columns, rows),
    ]
    if each:
        parts.append(
            page.table(of(f"One by one, from level {EACH_FROM} on", each[:ROWS_MAX], len(each)), EACH, _each(material, each[:ROWS_MAX]))
        )
    return "\n".join(parts)


EACH: Final = [
    ("time (UTC)", ""),
    ("level", ""),
    ("rule", ""),
    ("session", "code"),
    ("device", "code"),
    ("events", "number"),
    ("at event", ""),
]


def _each(material: Material, alerts: list[Alert]) -> list[tuple[Cell, ...]]:
    return [
        (
            _when(material, alert),
            alert.level,
            alert.title,
            alert.session or "none",
            alert.device or "none",
            str(len(alert.events)),
            _reference(material, alert),
        )
        for alert in alerts
    ]


def _when(material: Material, alert: Alert) -> str:
    """Return the event's time; of what the verifier found nobody knows when it was done."""
    rule = material.rules.rules.get(alert.name)
    return "unknown" if rule and rule.service == "verifier" else alert.time.replace("T", " ").removesuffix("Z")[:-3]


def _reference(material: Material, alert: Alert) -> Cell:
    log = material.log_of(alert.chain_id)
    return "none" if log is None else material.reference(log, alert.seq)


def refusals(material: Material) -> str:
    """Return what was refused: by reason, over time."""
    refused = material.numbers.refusals
    if not refused:
        return page.paragraph("Nothing was refused.")
    firsts: dict[str, Entry] = {}
    for (group, _, reason), kept in material.story.proven.items():
        if group == REFUSED:
            firsts[reason] = min(kept.items[0], firsts.get(reason, kept.items[0]))
    rows: list[tuple[Cell, ...]] = [
        (words(reason), str(number), meanings().get(reason, ""), material.reference(firsts[reason].log, firsts[reason].seq))
        for reason, number in sorted(refused.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    columns = [("reason", ""), ("messages", "number"), ("meaning", ""), ("first event", "")]
    table = page.table("Refused messages by reason", columns, rows)
    picture = page.figure(
        figures.refusals_over_time(material.story), "A refused message changes nothing; it is counted.", "Refusals over time"
    )
    return picture + page.details("The picture as a table", _over_time(material)) + table


def _over_time(material: Material) -> str:
    story = material.story
    width, begins = starts(story)
    ranked = sorted(story.refused, key=lambda reason: (-story.refused[reason].total(), reason))
    bins = {reason: coarse(story.refused[reason], width) for reason in ranked}
    rows = []
    for start in begins:
        told = ", ".join(f"{words(reason)} {bins[reason][start]}" for reason in ranked if bins[reason][start])
        rows.append((clock(EPOCH + timedelta(seconds=start)), str(sum(each[start] for each in bins.values())), told))
    columns = [("from (UTC)", ""), ("messages", "number"), ("by reason", "")]
    return page.table(f"Refused messages in pieces of {width} s", columns, rows)
