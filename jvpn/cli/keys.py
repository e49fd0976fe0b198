"""Keys and devices: `keygen`, `enroll`, `revoke`, `devices`."""

import json
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from core import limits
from jvpn.cli.output import Exit, GatewayFile, Json, answer, complain, date, say, table
from jvpn.keys.life import ALWAYS, Times
from jvpn.shell import allowlist, keyfile
from jvpn.shell.checked import Misconfigured, check_value
from jvpn.shell.clock import wall
from jvpn.shell.config import GatewayConfig, load_client, load_gateway
from jvpn.shell.control import NAME, ask
from jvpn.shell.entropy import entropy
from jvpn.shell.errors import Unavailable
from jvpn.shell.files import DIRECTORY, create
from jvpn.shell.forms import key_text, nowhere
from jvpn.shell.transports.base import sockaddr
from jvpn.shell.vault import vault_of

DAY_S: Final = 86_400
ELSEWHERE: Final = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))  # RFC 5737 and RFC 3849: nobody's
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to make; it must not be there yet.", show_default=False)]
Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Encrypt: the passphrase is the first line of this file.", show_default=False),
]
KeyPassphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="The passphrase of the key file, if it is encrypted.", show_default=False),
]
Name = Annotated[str, typer.Argument(help="Name of the device: 1 to 64 of the characters A-Z a-z 0-9 . _ -", metavar="NAME")]


def device(out: Out, *, passphrase_file: Passphrase = None, json: Json = False) -> None:
    """Make a key file for a device and show its public key.

    `jvpn enroll` does this and the rest in one step; use this one when the key is to be born on the device itself.
    """
    _made("device", out, keyfile.create_device(out, entropy, vault_of(passphrase_file)), json=json)


def gateway(out: Out, *, passphrase_file: Passphrase = None, json: Json = False) -> None:
    """Make a key file for a gateway and show its public key.

    It holds the gateway's static key, a locator key and the key-encryption key of the store's rows; gateways that share sessions share the
    last two.
    """
    _made("gateway", out, keyfile.create_gateway(out, entropy, wall(), vault_of(passphrase_file)), json=json)


def rotate(
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The gateway's key file.", show_default=False)],
    *,
    static: Annotated[
        bool, typer.Option("--static", help="The static key instead: the one until now retires, and is still served.")
    ] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="Destroy the static key that retires: sessions that belong to it end. Needs --yes.")
    ] = False,
    kek: Annotated[bool, typer.Option("--kek", help="The key-encryption key instead: a restart ends the sessions in the store.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Needed with --drop, as it cannot be undone.")] = False,
    passphrase_file: KeyPassphrase = None,
    json: Json = False,
) -> None:
    """Put a fresh key into a gateway's key file.

    A locator key, unless another is asked for. A gateway that runs reads the file again at SIGHUP. Locators under the key before the
    fresh one still open; those under the one before that do not, and such clients make a new handshake. So rotate when the last
    rotation is older than the longest lifetime of a session. A static key is rotated in two steps, with the clients' configuration
    between them: see the guide about keys.
    """
    if static + drop + kek > 1:
        raise Misconfigured("--static, --drop, --kek: one at a time")
    if drop and not yes:
        raise Misconfigured("--yes: missing, needed because a key that is dropped is destroyed and cannot be had back")
    vault, public = vault_of(passphrase_file), ""
    if static or drop:
        public = key_text(keyfile.rotate_static(file, entropy, vault) if static else keyfile.drop_retiring(file, vault))
    elif kek:
        keyfile.renew_kek(file, entropy, wall(), vault)
    else:
        keyfile.rotate_locators(file, entropy, vault)
    what = f"static key {public}" if public else "key-encryption key" if kek else "locator key"
    if json:
        answer(
            {"file": str(file), "dropped" if drop else "renewed": what.removesuffix(f" {public}")} | ({"public": public} if public else {})
        )
    else:
        say(f"{file}: {'dropped' if drop else 'fresh'} {what}; {'restart' if kek else 'reload'} the gateway to use it")


def passphrase(
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The key file, of a gateway or a device.", show_default=False)],
    *,
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", metavar="FILE", help="The passphrase until now, if there is one.", show_default=False),
    ] = None,
    new_passphrase_file: Annotated[
        Path | None, typer.Option("--new-passphrase-file", metavar="FILE", help="The passphrase from now on.", show_default=False)
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="From now on without encryption.")] = False,
    json: Json = False,
) -> None:
    """Encrypt a key file, change its passphrase, or take it away.

    The file that was is overwritten; copies in backups and in blocks of the disk keep their own passphrase.
    """
    if plain == (new_passphrase_file is not None):
        raise Misconfigured("--new-passphrase-file, --plain: one of the two is needed, and only one")
    keyfile.reseal(file, vault_of(passphrase_file), vault_of(new_passphrase_file))
    if json:
        answer({"file": str(file), "encrypted": not plain})
    else:
        say(f"{file}: {'plain' if plain else 'encrypted'}")


def enroll(
    name: Name,
    gateway_config: GatewayFile,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the device's files go; made if missing.", show_default=False)],
    *,
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint", metavar="HOST", help="How clients reach the gateway: address or name. Default: `endpoint` of its configuration."
        ),
    ] = "",
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3_650, help="Accept the key for so many days. Default: for ever.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Let a device in: its key, its place on the list, its file.

    Makes DIR/device.key and DIR/client.toml; copy both to the device over a way that nobody can read. A gateway that runs is told. When
    anything fails, nothing is left behind. With --days the list has `valid_until`; while the key is accepted, that may be changed there.
    """
    check_value("the name of a device", "devices", "devices.0.name", name)
    if endpoint:
        check_value("--endpoint", "gateway", "endpoint", endpoint)
    config = load_gateway(gateway_config)
    host, guessed = _host(gateway_config, config, endpoint)
    key, file = out / "device.key", out / "client.toml"
    with ExitStack() as undo:
        if not out.exists():
            out.mkdir(mode=DIRECTORY, parents=True)
            undo.callback(out.rmdir)
        public = keyfile.create_device(key, entropy)
        undo.callback(key.unlink)
        create(file, _client_toml(name, config, host).encode())
        undo.callback(file.unlink)
        load_client(file, lookup=nowhere)
        entry = allowlist.enroll(config.devices, name, public, config.tun.address4, config.tun.address6, _times(days))
        undo.pop_all()
    told = _tell(config)
    if json:
        answer({"name": name, "public": key_text(public), "inner4": str(entry.inner4), "inner6": str(entry.inner6), "key": str(key),
                "config": str(file), "reloaded": told == ""})  # fmt: skip
        return
    say(f"{name}: {entry.inner4} and {entry.inner6}, public key {key_text(public)}")
    say(f"made {key} and {file}; start it with: jvpn client --config {file}")
    if guessed:
        complain(f"note: {file} says that the gateway is at {host}, this machine's address; behind a NAT enroll with --endpoint")
    if told:
        complain(f"note: {told}")


def revoke(name: Name, gateway_config: GatewayFile, *, json: Json = False) -> None:
    """Take a device off the allow list; its sessions end.

    A gateway that runs is told. Exit status 1: the list is changed, but a gateway that runs did not confirm it.
    """
    config = load_gateway(gateway_config)
    entry = allowlist.revoke(config.devices, name)
    told = _tell(config)
    if json:
        answer({"name": name, "public": key_text(entry.public), "reloaded": told == ""})
    else:
        say(f"{name} is off the list {config.devices}")
    if told:
        complain(told)
    if told and (config.state / NAME).exists():
        raise typer.Exit(Exit.FAILED)


def devices(gateway_config: GatewayFile, *, json: Json = False) -> None:
    """List the devices that may connect."""
    found = allowlist.entries(load_gateway(gateway_config).devices)
    rows = [{"name": each.name, "inner4": str(each.inner4), "inner6": str(each.inner6), "public": key_text(each.public),
             "valid_from": each.times.valid_from or None, "valid_until": each.times.valid_until} for each in found]  # fmt: skip
    if json:
        answer(rows)
    else:
        shown = [
            (
                each.name,
                each.inner4,
                each.inner6,
                key_text(each.public),
                _date(each.times.valid_from or None),
                _date(each.times.valid_until),
            )
            for each in found
        ]
        table(("name", "IPv4", "IPv6", "public key", "from", "until"), shown)


def _times(days: int | None) -> Times:
    return ALWAYS if days is None else Times(0, wall() // limits.SECOND + days * DAY_S)


def _date(at: int | None) -> str:
    return "-" if at is None else date(at)


def _made(kind: str, out: Path, public: bytes, *, json: bool) -> None:
    if json:
        answer({"file": str(out), "kind": kind, "public": key_text(public)})
    else:
        say(f"{out}: {kind} key, public key {key_text(public)}")


def _host(path: Path, config: GatewayConfig, given: str) -> tuple[str, bool]:
    """Return how clients reach the gateway, and whether that is a guess."""
    bound = [each for each in (*config.listen_udp, *config.listen_tcp) if any(each.address[12:])]
    if given or config.endpoint or bound:
        return given or config.endpoint or sockaddr(bound[0])[0], False
    for address, family in ELSEWHERE:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((address, 9))  # sends nothing, and chooses the address that would be sent from
            except OSError:
                continue
            return str(probe.getsockname()[0]), True
    raise Misconfigured(f"{path}: endpoint: missing, needed the address or name under which clients reach this gateway (or --endpoint)")


def _client_toml(name: str, config: GatewayConfig, host: str) -> str:
    """Return the configuration of a new device."""
    carriers = {carrier: ends[0].port for carrier, ends in (("udp", config.listen_udp), ("tcp", config.listen_tcp)) if ends}
    shown = f"[{host}]" if ":" in host else host
    networks = [str(each.network) for each in (config.tun.address4, config.tun.address6) if each]
    lines = [
        "# Made by `jvpn enroll`. Every key is explained in docs/reference/config.md.",
        f"node = {_quoted(name)}",
        'key = "device.key"',
        'state = "state"',
        f"carriers = {_quoted(list(carriers))}",
        "",
        "[gateway]",
        f"public = {_quoted(key_text(keyfile.public_of(config.key, vault=vault_of(config.key_passphrase))))}",
        f"node = {_quoted(config.node.hex())}",
        *(f"{carrier} = {_quoted(f'{shown}:{port}')}" for carrier, port in carriers.items()),
        "",
        "[tun]",
        f"mtu = {config.tun.mtu}",
        f"routes = {_quoted(networks)}",
        "",
        "[policy]",
        f"transport_loss_s = {config.policy.transport_loss_s}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(value: str | list[str]) -> str:
    return json.dumps(value)  # these strings and lists are the same in TOML


def _tell(config: GatewayConfig) -> str:
    """Ask a gateway that runs to read the list again; return why that was not done, or nothing."""
    try:
        said = ask(config.state / NAME, {"order": "reload"})
    except Unavailable:
        return "the gateway was not told: it does not run here, or is not yours; it reads the list when it starts, and at SIGHUP"
    return "" if said.get("devices") is not None else f"the gateway did not take the new list: {said.get('error')}"
