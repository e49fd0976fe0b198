"""The store: rows by name, and what each operation does to them [O-2 to O-7]."""

from typing import Final

from core.reasons import Event
from core.values import Outcome
from lab.coupled.words import Answer, Ask, Name, Record, Row

Rows = tuple[tuple[Name, Row], ...]
EMPTY: Final[Rows] = ()


def ended(row: Row, boot: int) -> Row:
    """Return the tombstone of a live row."""
    return row._replace(version=row.version + 1, live=False, story=(*row.story, Record(Event.SESSION_ENDED, 0, boot)))


def performed(rows: Rows, ask: Ask, most: int) -> tuple[Rows, Answer]:
    """Return the rows after one operation and its answer; `most` live sessions may a device have."""
    known = dict(rows)
    row = known.get(ask.name)
    match ask.kind:
        case "GET" | "LOAD":
            return rows, Answer(ask, Outcome.FOUND if row else Outcome.ABSENT, row)
        case "CREATE":
            left = tuple((name, each) for name, each in rows if each.live and (name, each.version) not in ask.ends)
            if row is not None or len(left) >= most:
                return rows, Answer(ask, Outcome.LOST if row else Outcome.FULL, row, () if row else left)
            for name, version in ask.ends:
                if known[name].live and known[name].version == version:
                    known[name] = ended(known[name], ask.boot)
            known[ask.name] = Row(1, ask.boot, 0, ask.next, (Record(Event.SESSION_BORN, 0, ask.boot),))
        case "MOVE":
            if row is None or not row.live or row.version != ask.expect:
                return rows, Answer(ask, Outcome.LOST, row)
            story = (*row.story, Record(Event.SESSION_MOVED, ask.attempt, ask.boot))
            known[ask.name] = Row(row.version + 1, ask.boot, ask.attempt, ask.next, story)
        case "END":
            if row is None:
                return rows, Answer(ask, Outcome.ABSENT)
            if row.live and ask.expect not in {None, row.version}:
                return rows, Answer(ask, Outcome.LOST, row)
            if row.live:
                known[ask.name] = ended(row, ask.boot)
        case _:
            raise ValueError(ask)
    return tuple(sorted(known.items())), Answer(ask, Outcome.WON, known[ask.name])
