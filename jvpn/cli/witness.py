"""A witness of logs: `witness keygen`, `witness serve`, `witness status`."""

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from audit.errors import KeyUnusable, NoteMalformed
from audit.tlog import witness_key
from audit.tlog.witness import States, Witness
from jvpn.cli.metrics import AllowRemote, place
from jvpn.cli.output import Exit, Json, answer, date, say, table
from jvpn.cli.tree import load_policy
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import wall
from jvpn.shell.entropy import entropy
from jvpn.shell.errors import Unavailable

StateFile = Annotated[Path, typer.Option("--state", metavar="FILE", help="What was cosigned (SQLite).", show_default=False)]


def keygen(
    name: Annotated[str, typer.Argument(help="The witness's name, such as witness.example/w1.", metavar="NAME", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The key file to make.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Make a witness's key, and show the line for policies. The secret is never shown."""
    try:
        made = witness_key.create(out, name, entropy(witness_key.SECRET_BYTES))
    except NoteMalformed as error:
        raise Misconfigured(str(error)) from None
    except FileExistsError as error:
        raise Misconfigured(f"{error}, and is not overwritten") from None
    vkey = made.verifier.vkey
    answer({"file": str(out), "vkey": vkey}) if json else say(f"{out}\n{vkey}")


def serve(
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The witness's key.", show_default=False)],
    logs: Annotated[Path, typer.Option("--logs", metavar="FILE", help="The logs it knows: a C2SP policy.", show_default=False)],
    state: StateFile,
    *,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:8077",
    metrics: Annotated[str, typer.Option("--metrics", metavar="ADDRESS:PORT", help="Where to tell /metrics; nowhere by default.")] = "",
    allow_remote: AllowRemote = False,
) -> None:
    """Cosign checkpoints of logs until SIGTERM.

    Those that go on from the last one (C2SP tlog-witness). Run it where who can write the log cannot. It speaks plain HTTP: for https
    put a proxy before it. A new log needs a restart.
    """
    known = load_policy(logs).logs
    if not known:
        raise Misconfigured(f"{logs}: no line `log`: there is nothing to witness")
    try:
        held = witness_key.load(key)
    except KeyUnusable as error:
        raise Misconfigured(str(error)) from None
    from observability import oplog  # noqa: PLC0415 - loads the server, which no other command needs
    from observability.witness_server import Watched  # noqa: PLC0415 - so does this
    from observability.witness_server import serve as listening  # noqa: PLC0415 - the same

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise Misconfigured(f"--listen: {listen!r} is not HOST:PORT")
    oplog.configure(level="info")
    try:
        states = States(state)
        watched = Watched(*place("--metrics", metrics, remote=allow_remote), states, tuple(known)) if metrics else None
        listening(Witness(held.name, held.signing, known, states), host.strip("[]"), int(port), len(known), wall, watched)
    except sqlite3.Error as error:
        raise Unavailable(f"{state}: {error}") from error


def status(state: StateFile, *, json: Json = False) -> None:
    """Show what was cosigned last, and who has two histories.

    Exit status 1 when there is a log that was caught with two.
    """
    if not state.exists():
        raise Misconfigured(f"{state}: No such file or directory")
    try:
        states = States(state)
        latest, conflicts = states.latest(), states.conflicts()
    except sqlite3.Error as error:
        raise Unavailable(f"{state}: {error}") from error
    if json:
        told = [each._asdict() | {"ours": each.ours.decode(), "theirs": each.theirs.decode()} for each in conflicts]
        answer({"latest": [each._asdict() | {"root": each.root.hex()} for each in latest], "conflicts": told})
    else:
        table(("log", "events", "root"), [(each.origin, each.size, each.root.hex()) for each in latest])
        for each in conflicts:
            say(f"TWO HISTORIES of {each.origin}, seen {date(each.time_s)}; both are signed by it:")
            say(f"{each.ours.decode()}\n{each.theirs.decode()}")
    raise typer.Exit(Exit.FAILED if conflicts else Exit.DONE)
