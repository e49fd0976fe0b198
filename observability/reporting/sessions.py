"""Sessions: as bands over time, in one table, and one by one event by event."""

from collections.abc import Iterator
from typing import Final

from observability import figures, page
from observability.page import Cell
from observability.queries import REFUSALS
from observability.reporting.material import Material
from observability.reporting.words import clock, count, mega, of, us, words
from observability.timeline import REKEYED, Entry, Session

PICTURED_MAX: Final = 8  # sessions in the picture
TOLD_MAX: Final = 12  # sessions told event by event
ROWS_MAX: Final = 150  # of one table


def section(material: Material) -> str:
    """Return the picture and the table of sessions."""
    sessions = material.sessions()
    if not sessions:
        return page.paragraph("There is no session in these logs.")
    shown = sessions[:PICTURED_MAX]
    rest = f" The {len(shown)} sessions with most jumps of {len(sessions)} are shown." if len(sessions) > len(shown) else ""
    caption = (
        "Lanes: the session's state at the gateway; the carrier in use, where a gap is a time without any path; the client's state, by the"
        " client's clock. A triangle is a jump to another path, a thin line is new keys on the same path. Where much changes in less than"
        f" can be drawn, the band is dotted.{rest} The tables below, and the sessions event by event, say the same in words."
    )
    rows = [
        (
            session.name,
            clock(session.born),
            clock(session.ended) if session.ended else "not in this log",
            words(session.end_reason),
            str(session.jumps_to_other_paths()),
            str(session.refused),
            " ".join(dict.fromkeys([session.carrier_at_birth, *(jump.after for jump in session.jumps())])),
            mega(session.received_bytes),
            mega(session.sent_bytes),
        )
        for session in sessions[:ROWS_MAX]
    ]
    columns = [("session", "code"), ("born (UTC)", ""), ("ended", ""), ("why", ""), ("jumps", "number"), ("refused", "number")]
    columns += [("carriers", ""), ("from client, MB", "number"), ("to client, MB", "number")]
    picture = figures.sessions_over_time(shown, material.story)
    return page.figure(picture, caption, "Sessions over time") + page.table(of("Sessions", rows, len(sessions)), columns, rows)


def event_by_event(material: Material) -> str:
    """Return the history of the sessions that were asked for, or of those with most jumps."""
    sessions, asked = material.sessions(), material.request.sessions
    if not sessions:
        return page.paragraph("There is no session in these logs.")
    chosen = [one for one in sessions if {one.name, one.correlation, *one.names} & set(asked)] if asked else sessions[:TOLD_MAX]
    parts = [
        page.paragraph(
            "What both ends recorded, each by its own clock, in order of time. A reference such as L1:37 is event 37 of log L1; it leads to"
            " its proof id below.",
            "soft",
        )
    ]
    if len(chosen) < len(sessions):
        which = "those that were asked for" if asked else "those with most jumps"
        others = "--session ID tells others, and may be repeated; jvpn audit show LOG --session ID shows all events of one."
        parts.append(page.paragraph(f"{len(chosen)} of {len(sessions)} sessions, {which}. {others}"))
    parts += [_history(material, session) for session in chosen]
    return "\n".join(parts)


def _history(material: Material, session: Session) -> str:
    entries = session.entries
    rows = [_row(material, session, entry, times) for entry, times in _together(sorted(entries.items))]
    left = f" The first {len(entries.items)} of {entries.total} events are shown." if entries.left_out else ""
    jumps, refused = session.jumps_to_other_paths(), session.refused
    also = "".join(f" In another month it is named {name}." for name in session.names if name != session.name)
    said = f"{count(jumps, 'jump')}, {count(refused, 'message')} refused. Correlation id {session.correlation}.{also}{left}"
    columns = [
        ("time (UTC)", ""),
        ("at", ""),
        ("what happened", ""),
        ("why", ""),
        ("change", ""),
        ("interruption", "number"),
        ("event", ""),
    ]
    heading = page.heading(f"Session {session.name}", f"session-{session.correlation}")
    return heading + page.paragraph(said) + page.table(f"Session {session.name}, event by event", columns, rows)


def _together(entries: list[Entry]) -> Iterator[tuple[Entry, int]]:
    """Yield the entries; refusals in a row that are alike come once, with how many messages they stand for in all."""
    held: list[Entry] = []
    for entry in entries:
        if held and not (entry.kind in REFUSALS and (entry.kind, entry.reason, entry.log) == (held[0].kind, held[0].reason, held[0].log)):
            yield held[0], sum(each.times for each in held)
            held = []
        held.append(entry)
    if held:
        yield held[0], sum(each.times for each in held)


def _row(material: Material, session: Session, entry: Entry, times: int) -> tuple[Cell, ...]:
    recovery = session.recovery.get(entry.binding) if entry.kind == "SESSION_MOVED" and entry.reason != REKEYED else None
    kind = words(entry.kind) + (f", {count(times, 'message')}" if entry.kind in REFUSALS else "")
    changes = "; ".join(filter(None, (_change(*entry.state), _change(*entry.carrier))))
    said = "" if recovery is None else us(recovery)
    return clock(entry.when), entry.role, kind, words(entry.reason), changes, said, material.reference(entry.log, entry.seq)


def _change(before: str, after: str) -> str:
    return f"{before} to {after}" if before and after and before != after else after or before
