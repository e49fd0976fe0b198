"""What a service that runs says: `status`, `close`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jvpn.cli.output import Exit, Json, answer, complain, pairs, say, table
from jvpn.shell.config import state_of
from jvpn.shell.control import NAME, ask

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The configuration that the service was started with.")]
Socket = Annotated[Path | None, typer.Option("--socket", metavar="PATH", help="Its control socket: control.sock in the state directory.")]


def status(config: Config = None, socket: Socket = None, *, json: Json = False) -> None:
    """Show what a gateway or client does now.

    Sessions by their correlation ids, as in the audit log; carriers; counters since the start; of a gateway also since when its store
    fails, and how much evidence waits to be written.
    """
    said = _ask(config, socket, {"order": "status"})
    if json:
        answer(said)
        return
    table(("service", str(said.pop("role", ""))), pairs(said))
    store = said.get("store")
    if isinstance(store, dict) and store.get("state") == "failing":
        complain(f"the store fails since {store['failing_since']}: {store['error']}: no session is born or moves before this is mended")
    sessions = said.get("sessions")
    if isinstance(sessions, list) and sessions:
        say("")
        table(list(sessions[0]), [["-" if value is None else value for value in each.values()] for each in sessions])


def close(
    session: Annotated[str, typer.Argument(help="The session's correlation id, as `jvpn status` shows it.", metavar="SESSION")],
    config: Config = None,
    socket: Socket = None,
    *,
    json: Json = False,
) -> None:
    """End a session of a gateway. Its device may make a new one; `jvpn revoke` ends that."""
    said = _ask(config, socket, {"order": "close", "session": session})
    if json:
        answer(said)
    else:
        say(f"session {session} is closed")


def _ask(config: Path | None, socket: Path | None, request: dict[str, Any]) -> dict[str, Any]:
    """Return what the service answers; exit with status 1 when it refuses."""
    if (config is None) == (socket is None):
        raise typer.BadParameter("give either --config or --socket", param_hint="--config / --socket")
    said = ask(socket or state_of(config or Path()) / NAME, request)
    if "error" in said:
        complain(str(said["error"]))
        raise typer.Exit(Exit.FAILED)
    return said
