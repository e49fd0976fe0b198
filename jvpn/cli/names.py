"""Who a pseudonym is, and how nobody can tell any more: `audit who`, `audit shred`."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from audit.errors import KeyUnusable
from audit.files import segments_in
from audit.names import before_path, change, destroy_before, key_path, load_before, load_ring
from audit.pseudonym import KEY_BYTES, Owed, Pseudonyms, Ring, month_of, read, written
from core.reasons import Reason
from jvpn.cli.output import Exit, GatewayFile, Json, answer, complain, say, table
from jvpn.shell import allowlist
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import wall
from jvpn.shell.config import load_gateway
from jvpn.shell.entropy import entropy
from jvpn.shell.errors import Unavailable

PSEUDONYM: Final = re.compile("[0-9a-f]{16}")
PORTS: Final = 65_536
ADDRESSES_MAX: Final = 64
ALL_TIME: Final = "before"  # in place of a month: under the one key that logs of before 1.1.0 had
TIME: Final = re.compile(rb'"time":"([0-9]{4}-[0-9]{2})')
NAMED: Final = re.compile(rb'"(?:device|peer|pseudonym)":"[0-9a-f]{16}"')
Log = Annotated[Path, typer.Argument(help="The log's directory; names.key is beside it.", metavar="DIR", show_default=False)]


class Found(NamedTuple):
    """Somebody, and the pseudonym of a month."""

    month: str
    pseudonym: str
    kind: str
    who: str


def who(
    gateway_config: GatewayFile,
    pseudonym: Annotated[str | None, typer.Argument(metavar="PSEUDONYM", help="As in an event; all devices' without.")] = None,
    *,
    month: Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="Only in this month.", show_default=False)] = None,
    address: Annotated[
        list[str] | None,
        typer.Option("--address", metavar="ADDRESS", help="Is it this remote address, with any port? May be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Say whose a pseudonym is, as far as its month's key is there.

    Tried are the devices of the gateway's list, and the addresses that you name. A pseudonym can only be guessed, never computed back. That
    somebody asked is recorded in the log (NAMES_RESOLVED) before the answer. Exit status 1: it is none of them.
    """
    if pseudonym is not None and not PSEUDONYM.fullmatch(pseudonym):
        raise typer.BadParameter(f"{pseudonym!r} is not 16 hex digits, as in the log", param_hint="PSEUDONYM")
    if address and pseudonym is None:
        raise typer.BadParameter("addresses are compared with a pseudonym: name one", param_hint="--address")
    addresses = [_address(each) for each in address or ()]
    if len(addresses) > ADDRESSES_MAX:
        raise typer.BadParameter(f"at most {ADDRESSES_MAX}", param_hint="--address")
    config = load_gateway(gateway_config)
    devices = allowlist.entries(config.devices)
    with _explained():
        ring, tried = _asked(config.audit.dir, None if month is None else _month("--month", month))
    found = [Found(at, names.device(each.public), "device", each.name) for at, names in tried for each in devices]
    if pseudonym is not None:
        peers = (Found(at, pseudonym, "peer", who) for at, names in tried for who in _peers(names, pseudonym, addresses))
        found = [each for each in found if each.pseudonym == pseudonym] + list(peers)
    if json:
        answer({"found": [each._asdict() for each in found], "tried": [at for at, _ in tried], "resolvable_since": _since(ring)})
    elif found:
        table(Found._fields, found)
    if pseudonym is not None and not found:
        many = f"{len(devices)} devices{f' and {len(addresses)} addresses' if addresses else ''}"
        complain(f"{pseudonym} is none of {many} in {tried[0][0]} to {tried[-1][0]}; of before {_since(ring)} there is no key")
        raise typer.Exit(Exit.FAILED)


def shred(
    log: Log,
    *,
    before: Annotated[
        str | None, typer.Option("--before", metavar="YYYY-MM", help="The keys of all months before this one.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every key, that of the running month too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; it cannot be undone.")] = False,
    json: Json = False,
) -> None:
    """Destroy keys of pseudonyms, so that nobody can resolve them.

    You cannot either, then. The log stays as it is and verifies as before. Shows which months it is about, and how many events; does it
    with --yes only. The log says that it was done (NAMES_DESTROYED): within seconds when its writer runs, else when it starts. Copies of
    the key file elsewhere (a backup, a snapshot, another gateway) and blocks that a disk has kept are out of reach.
    """
    if (before is None) == (not everything):
        raise Misconfigured("--before YYYY-MM or --all: one of them says what is to be destroyed")
    now = month_of(wall())
    limit = now + 1 if before is None else _month("--before", before)
    with _explained():
        ring = load_ring(key_path(log))
        if before is not None and limit > ring.month:
            raise Misconfigured(f"--before {before}: the key of {written(ring.month)} is in use; --all destroys that too")
        old = load_before(before_path(log)) is not None and (everything or ring.born <= limit)
        months = [month for month in ring.kept if month < limit] + ([ring.month] if everything else [])
        if yes and old:
            destroy_before(before_path(log))
            change(key_path(log), lambda there: there.noting(Reason.NAMES_DESTROYED, Owed(0, there.born, 1)))
        if yes:
            change(key_path(log), _shredded(limit, now, everything=everything))
    events = _events(log)
    rows = [(written(month), events[written(month)]) for month in months]
    if old:
        rows.insert(0, (f"before {written(ring.born)}", sum(count for at, count in events.items() if at <= written(ring.born))))
    if json:
        answer({"done": yes, "months": [{"month": month, "events": count} for month, count in rows]})
    elif rows:
        table(("month", "events that nobody can resolve any more" if yes else "events that nobody could resolve any more"), rows)
        say("the keys are destroyed" if yes else "nothing is changed: --yes does it")
    else:
        say("no key of those months is there")


def _shredded(limit: int, now: int, *, everything: bool) -> Callable[[Ring], Ring]:
    if not everything:
        return lambda ring: ring.without(limit)
    fresh = entropy(KEY_BYTES)
    return lambda ring: ring.anew(fresh, now)


def _asked(log: Path, month: int | None) -> tuple[Ring, Sequence[tuple[str, Pseudonyms]]]:
    """Return the ring, and the names of the months that can be resolved; note first that they were asked for."""
    ring = load_ring(key_path(log))
    now = max(month_of(wall()), ring.month)
    months = [each for each in (*ring.kept, *range(max(ring.month, ring.born), now + 1)) if month in {None, each}]
    tried = [(written(each), ring.names(each)) for each in months]
    if month is None and (old := load_before(before_path(log))) is not None:
        tried.insert(0, (ALL_TIME, Pseudonyms(old)))
    if not tried:
        raise Unavailable(f"{key_path(log)} has no key of {written(month or 0)}: keys since {_since(ring)} are there")
    asked = Owed(min(months, default=0), max(months, default=0), 1)
    change(key_path(log), lambda there: there.noting(Reason.NAMES_RESOLVED, asked))
    return ring, tried


def _since(ring: Ring) -> str:
    return written(min((*ring.kept, ring.month)))


def _peers(names: Pseudonyms, pseudonym: str, addresses: Iterable[bytes]) -> Iterator[str]:
    """Yield the endpoints among all ports of these addresses whose pseudonym it is."""
    for each in addresses:
        shown = IPv6Address(each).ipv4_mapped or IPv6Address(each)
        yield from (f"{shown} port {port}" for port in range(PORTS) if names.peer(each, port) == pseudonym)


def _events(log: Path) -> Counter[str]:
    """Count, by month, the events that name somebody."""
    found: Counter[str] = Counter()
    for segment in segments_in(log) if log.is_dir() else ():
        with segment.open("rb") as file:
            found.update(at[1].decode() for line in file if NAMED.search(line) and (at := TIME.search(line)))
    return found


def _address(text: str) -> bytes:
    try:
        found = ip_address(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no IP address", param_hint="--address") from None
    return (found if isinstance(found, IPv6Address) else IPv6Address(f"::ffff:{found}")).packed


def _month(option: str, text: str) -> int:
    try:
        return read(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no month such as 2026-11", param_hint=option) from None


@contextmanager
def _explained() -> Iterator[None]:
    """Say what is wrong with the key file as commands do."""
    try:
        yield
    except KeyUnusable as error:
        raise Unavailable(str(error)) from error
    except OSError as error:
        raise Unavailable(f"the names' key cannot be changed, so nothing is told: {error.filename or ''}: {error.strerror}") from error
