"""Audit logs: `audit verify`, `audit show`."""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from audit.files import replace, segments_in
from audit.show import Wanted as Shown
from audit.show import events, one_line
from audit.tlog.policy import NONE
from audit.tlog.sealed import Wanted
from audit.verdict import MEANINGS, Verdict
from audit.verify import verify as verify_log
from audit.vocabulary import SEVERITIES, vocabulary
from jvpn.cli.output import Exit, Json, answer, complain, say
from jvpn.cli.tree import PolicyFile, load_policy
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import wall

VERDICTS: Final = "\b\nExit status:\n" + "\n".join(f"  {verdict.value:<3} {meaning}" for verdict, meaning in MEANINGS.items())
SECOND: Final = 1_000_000_000
BAD_LINES_MAX: Final = 10  # told one by one; of more, how many
TIME: Final = re.compile(r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d(?::\d\d(?::\d\d(?:\.\d{1,6})?)?)?)?)?)?Z?")
IDENTITY: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}")
Partial = Annotated[bool, typer.Option("--partial", help="The oldest segments may have been put away.")]
Log = Annotated[Path, typer.Argument(help="The log's directory, or one file of its lines.", metavar="DIR|FILE", show_default=False)]


def verify(
    log: Log,
    *,
    policy: PolicyFile = None,
    known: Annotated[
        Path | None,
        typer.Option(
            "--known", metavar="FILE", help="A checkpoint of this log that was kept before: it must go on from there.", show_default=False
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="Go on from the checkpoint that the last sound run put here.", show_default=False),
    ] = None,
    fresh: Annotated[
        int | None, typer.Option("--fresh", metavar="SECONDS", help="With --policy: witnesses must have cosigned since then.", min=1)
    ] = None,
    partial: Partial = False,
    json: Json = False,
) -> None:
    """Verify a log: whole, unchanged, a possible story, signed for.

    Every event is valid, unchanged and in its place, and the events do not contradict the tables of the state machines. Needs the files
    and nothing else, and changes nothing. A directory must begin with its genesis, reach its head.json, and be signed for by the keys
    that it names; --policy says which key it must be, and who must have cosigned. A file may be any piece of a log, which nobody has signed
    for. It stops at the first fault and says where that is. With --state a later run begins in the segment where the last one ended, and
    sees whether the log goes on from there; keep that file where whoever has the log cannot write.
    """
    if log.is_file() and (policy or known or state):
        raise Misconfigured(f"{log} is one file, for which nobody has signed: --policy, --known and --state want the log's directory")
    if known and state:
        raise Misconfigured("--known and --state: one of them says from where the log must go on")
    going_on = state is not None and state.exists()
    if fresh and not policy:
        raise Misconfigured("--fresh wants --policy: it says who the witnesses are")
    by = load_policy(policy) if policy else None
    if fresh and by and by.quorum == NONE:
        raise Misconfigured(f"--fresh: {policy} asks for no witness (quorum none), so nobody could be late")
    wanted = Wanted(by, wall() // SECOND - fresh if fresh else 0, state if going_on else known, going_on)
    with Progress(console=Console(stderr=True), transient=True, disable=json or not Console(stderr=True).is_terminal) as shown:
        task = shown.add_task("verifying")
        result = verify_log(log, lambda done, total: shown.update(task, completed=done, total=total), partial=partial, wanted=wanted)
    if state and result.verdict is Verdict.VERIFIED and result.signed:
        replace(state.absolute().parent, state.name, result.signed)
    if json:
        answer(result.as_json())
    else:
        say(result.as_text())
    raise typer.Exit(result.verdict.value)


def show(  # noqa: PLR0913 - a filter each
    log: Log,
    *,
    event_type: Annotated[list[str] | None, typer.Option("--type", metavar="NAME", help="Only this event type; may be repeated.")] = None,
    reason: Annotated[list[str] | None, typer.Option("--reason", metavar="NAME", help="Only this reason; may be repeated.")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="Only this session: pseudonym or correlation id.")] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="ID", help="Only this device, by its pseudonym.")] = None,
    severity: Annotated[str, typer.Option("--severity", metavar="NAME", help=f"At least this: {', '.join(SEVERITIES)}.")] = "",
    event_class: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="Only this class, e.g. evidence; may be repeated.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From this time on (UTC), e.g. 2026-11-22T18:30.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time (UTC).")] = None,
    first: Annotated[int, typer.Option("--from", metavar="SEQ", help="From this event on.", min=0, show_default=False)] = 0,
    last: Annotated[int | None, typer.Option("--to", metavar="SEQ", help="Up to this event.", min=0)] = None,
    json: Json = False,
) -> None:
    """Show the events of a log, one a line. This does not verify; `jvpn audit verify` does.

    With --json each line is one event with its hash. Lines that are no valid event are told on standard error, and the exit status is 1;
    it is 2 when there is no log.
    """
    words = vocabulary().kinds
    if severity and severity not in SEVERITIES:
        raise typer.BadParameter(f"{severity!r} is none of {', '.join(SEVERITIES)}", param_hint="--severity")
    wanted = Shown(
        event_types=_known("--type", event_type, words),
        reasons=_known("--reason", reason, {name for kind in words.values() for name in kind.reasons}),
        classes=_known("--class", event_class, {kind.event_class for kind in words.values()}),
        session=_formed("--session", session, IDENTITY, "16 or 32 hex digits, as in the log"),
        device=_formed("--device", device, IDENTITY, "16 hex digits, as in the log"),
        severity=SEVERITIES.get(severity, 0),
        since=_time("--since", since),
        until=_time("--until", until),
        first_seq=first,
        last_seq=last,
    )
    bad: list[str] = []

    def tell(file: str, number: int, what: str) -> None:
        bad.append(file)
        if len(bad) <= BAD_LINES_MAX:
            complain(f"{file}, line {number}: {what}")

    if not log.exists() or (log.is_dir() and not segments_in(log)):
        complain(f"{log} holds no segment of an audit log" if log.exists() else f"{log}: No such file or directory")
        raise typer.Exit(Verdict.UNREADABLE.value)
    for event in events(log, wanted, tell):
        if json:
            answer(event)
        else:
            say(one_line(event))
    if len(bad) > BAD_LINES_MAX:
        complain(
            f"{len(bad) - BAD_LINES_MAX} more lines are no valid event: is {log} an audit log? `jvpn audit verify` says where it breaks"
        )
    if bad:
        raise typer.Exit(Exit.FAILED)


def _known(option: str, names: Iterable[str] | None, known: Collection[str]) -> frozenset[str] | None:
    """Return the wanted names; refuse one that no log could have, so that a typing error is not an empty answer."""
    for name in names or ():
        if name not in known:
            near = get_close_matches(name.upper(), known, 1)
            raise typer.BadParameter(f"{name!r} is not in the registry{f'; did you mean {near[0]}?' if near else ''}", param_hint=option)
    return frozenset(names) if names else None


def _time(option: str, text: str | None) -> str | None:
    """Return the beginning of a time as events have it: without the zone, which stands behind all digits there."""
    formed = _formed(option, text, TIME, "a time as in the log, or its beginning, such as 2026-11-22T18:30")
    return formed.removesuffix("Z") if formed else formed


def _formed(option: str, text: str | None, form: re.Pattern[str], allowed: str) -> str | None:
    """Return a text of a form; refuse what no event could have, so that a typing error is not an empty answer."""
    if text is not None and not form.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not {allowed}", param_hint=option)
    return text
