"""How commands answer: tables and sentences for people, one line of JSON for programs, complaints on standard error."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jvpn import interrupt

LAST_S: Final = 253_402_300_799  # the end of the year 9999, after which dates have no form
WIDE: Final = 240  # columns of a table that no window cuts
COLOURS: Final = {"ok": "green", "passed": "green", "VERIFIED": "green", "note": "yellow", "missing": "red", "FAILED": "red"}


class Exit(IntEnum):
    """What scripts see."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SELF_TEST = 3
    INTERRUPTED = interrupt.STATUS


Json = Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")]
GatewayFile = Annotated[Path, typer.Option("--gateway-config", metavar="FILE", help="The gateway's configuration.", show_default=False)]


def answer(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write a value as one line of JSON, keys sorted."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode())


def say(text: str) -> None:
    """Write lines for a person."""
    typer.echo("\n".join(printable(line) for line in text.splitlines()))


def complain(text: str) -> None:
    """Write one line to standard error."""
    typer.echo(f"jvpn: {printable(' '.join(text.split()))}", err=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Write a table; words that name a verdict have its colour."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, overflow="fold")  # a narrow window breaks a path or an id; it never hides the end of one
    for row in rows:
        made.add_row(*(Text(shown := printable(str(cell)), style=COLOURS.get(shown, "")) for cell in row))
    console = Console()
    if console.is_terminal:
        console.print(made)
        return
    wide = Console(width=WIDE)
    with wide.capture() as captured:
        wide.print(made)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def pairs(values: Mapping[str, Any], at: str = "") -> list[tuple[str, str]]:
    """Return what a nested mapping holds as (path, text): single values first, a mapping of counters in one text without those that are 0.

    Lists are left out.
    """
    single = [
        (f"{at}{name}", "-" if value is None else str(value)) for name, value in values.items() if not isinstance(value, Mapping | list)
    ]
    nested = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    for name, below in nested.items():
        if any(isinstance(each, Mapping) for each in below.values()):
            single += pairs(below, f"{at}{name} ")
        else:
            single.append((f"{at}{name}", ", ".join(f"{key} {value}" for key, value in below.items() if value) or "-"))
    return single


def date(at: int) -> str:
    """Return seconds since 1970 as people read them, in UTC."""
    return f"{datetime.fromtimestamp(min(at, LAST_S), UTC):%Y-%m-%d %H:%M}Z"


def printable(text: str) -> str:
    """Return the text without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)
