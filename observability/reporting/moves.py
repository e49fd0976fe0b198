"""Jumps: how long each interrupted traffic, when, why; and the traffic itself."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from observability import figures, page
from observability.bins import coarse, starts
from observability.page import Cell
from observability.queries import distribution
from observability.reporting.material import Material
from observability.reporting.words import clock, mega, of, us, words
from observability.timeline import EPOCH

ROWS_MAX: Final = 150  # of one table


def recovery(material: Material) -> str:
    """Return the distribution of interruptions, by reason and by carriers."""
    by_reason: defaultdict[str, list[int]] = defaultdict(list)
    by_carriers: defaultdict[str, list[int]] = defaultdict(list)
    for _, jump in material.jumps():
        if jump.recovery_us is not None:
            by_reason[jump.reason].append(jump.recovery_us)
            by_carriers[f"{jump.before or 'no path'} to {jump.after}"].append(jump.recovery_us)
    if not by_reason:
        return page.paragraph("No jump was measured.")
    columns = [(name, "number") for name in ("jumps", "half within", "95 % within", "99 % within", "longest")]
    ordered = dict(sorted(by_reason.items(), key=lambda pair: sorted(pair[1])[(len(pair[1]) - 1) // 2]))
    caption = (
        f"Each dot is one jump; of more than {figures.DOTS_MAX} of one reason, evenly chosen ones with the shortest and the longest. The"
        " tables are of all."
    )
    parts = [
        page.figure(figures.recovery_by_reason(ordered), caption, "Recovery times by reason"),
        page.table("Interruptions by reason", [("reason", ""), *columns], _rows(by_reason)),
        page.table("Interruptions by carriers", [("from and to", ""), *columns], _rows(by_carriers)),
    ]
    outage = material.numbers.client_outage_us
    if outage.values:
        said = f"half within {us(outage.p50, outage)}, 95 % within {us(outage.p95, outage)}, longest {us(outage.most, outage)}"
        parts.append(page.paragraph(f"The clients measured for themselves: {outage.values} jumps, {said}."))
    return "\n".join(parts)


def _rows(groups: Mapping[str, Sequence[int]]) -> list[tuple[str, ...]]:
    found = [(name, distribution(values)) for name, values in sorted(groups.items())]
    found.append(("all", distribution([value for values in groups.values() for value in values])))
    return [(words(name), str(one.values), *(us(value, one) for value in (one.p50, one.p95, one.p99, one.most))) for name, one in found]


def jumps(material: Material) -> str:
    """Return every jump with its reason."""
    found = material.jumps()
    if not found:
        return page.paragraph("There was no jump.")
    rows: list[tuple[Cell, ...]] = [
        (
            clock(jump.when),
            session.name,
            f"{jump.before or 'no path'} to {jump.after}",
            words(jump.reason),
            str(jump.binding),
            "not measured" if jump.recovery_us is None else us(jump.recovery_us),
            material.reference(jump.log, jump.seq),
        )
        for session, jump in found[:ROWS_MAX]
    ]
    columns = [("time (UTC)", ""), ("session", "code"), ("carrier", ""), ("reason", ""), ("binding", "number")]
    columns += [("without traffic", "number"), ("event", "")]
    return page.table(of("Jumps", rows, len(found)), columns, rows)


def traffic(material: Material) -> str:
    """Return what all sessions together carried."""
    story = material.story
    if not story.sent and not story.received:
        return page.paragraph("No traffic was sampled.")
    numbers = material.numbers
    caption = f"All sessions together. Sampled in all: {mega(numbers.received_bytes)} MB from, {mega(numbers.sent_bytes)} MB to clients."
    width, begins = starts(story)
    received, sent = coarse(story.received, width), coarse(story.sent, width)
    rows = [(clock(EPOCH + timedelta(seconds=start)), mega(received[start]), mega(sent[start])) for start in begins]
    columns = [("from (UTC)", ""), ("from clients, MB", "number"), ("to clients, MB", "number")]
    table = page.table(f"Traffic in pieces of {width} s", columns, rows)
    return page.figure(figures.traffic_over_time(story), caption, "Traffic over time") + page.details("The picture as a table", table)
