"""What a service that runs says: `status`, `close`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from jvpn.cli.output import Exit, Json, answer, complain, pairs, say, table
from jvpn.shell.config import state_of
from jvpn.shell.control import NAME, ask

KEY_SHOWN: Final = 8  # characters of a key beside a session

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The configuration that the service was started with.")]
Socket = Annotated[Path | None, typer.Option("--socket", metavar="PATH", help="Its control socket: control.sock in the state directory.")]


def status(config: Config = None, socket: Socket = None, *, json: Json = False) -> None:
    """Show what a gateway or client does now.

    Sessions by their correlation ids, as in the audit log; carriers; counters since the start. Of a gateway also its keys, how the last
    reload ended, since when its store fails, and how much evidence waits to be written.
    """
    said = _ask(config, socket, {"order": "status"})
    if json:
        answer(said)
        return
    table(("service", str(said.pop("role", ""))), pairs(said))
    for trouble in _troubles(said):
        complain(trouble)
    sessions = said.get("sessions")
    if isinstance(sessions, list) and sessions:
        say("")
        table(list(sessions[0]), [[_cell(name, value) for name, value in each.items()] for each in sessions])


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


def _troubles(said: dict[str, Any]) -> Iterator[str]:
    """Yield what somebody should mend."""
    store, reload, keys, trust = (said.get(name) or {} for name in ("store", "reload", "keys", "trust"))
    if store.get("state") == "failing":
        yield f"the store fails since {store['failing_since']}: {store['error']}: no session is born or moves before this is mended"
    if reload.get("outcome") == "failed":
        yield f"the reload at {reload['at']} failed, and what was loaded before is in use: {reload['error']}"
    if missing := keys.get("offered_not_loaded"):
        yield f"the keyset offers a key that is not loaded, {missing}: clients that ask under it get silence: load it, and reload"
    if why := trust.get("floors_not_kept"):
        yield f"documents are not used, because it could not be kept that they were seen: {why}"


def _cell(name: str, value: object) -> object:
    """Return what a person sees of a value; of a key its beginning, since the table of keys has it whole."""
    shown = "-" if value is None else value
    return str(shown)[:KEY_SHOWN] if name == "gateway_key" else shown


def _ask(config: Path | None, socket: Path | None, request: dict[str, Any]) -> dict[str, Any]:
    """Return what the service answers; exit with status 1 when it refuses."""
    if (config is None) == (socket is None):
        raise typer.BadParameter("give either --config or --socket", param_hint="--config / --socket")
    said = ask(socket or state_of(config or Path()) / NAME, request)
    if "error" in said:
        complain(str(said["error"]))
        raise typer.Exit(Exit.FAILED)
    return said
