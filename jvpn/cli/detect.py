"""`detect`: what the rules say about logs, offline; and what rules there are."""

from collections import Counter
from collections.abc import Iterator
from functools import partial as bound
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress

from audit.files import segments_in
from audit.show import events
from audit.tlog.sealed import Wanted
from audit.verify import verify
from jvpn.cli.output import Exit, Json, answer, complain, say, table
from jvpn.cli.tree import PolicyFile, load_policy
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import wall

if TYPE_CHECKING:
    from observability.detections.evaluate import Alert
    from observability.detections.load import Ruleset

ROWS_MAX: Final = 50  # of a table; --json has all
LEVELS: Final = ("low", "medium", "high", "critical")
Rules = Annotated[
    Path | None, typer.Option("--rules", metavar="DIR", help="Other rules: DIR/rules/*.yml, DIR/correlations/*.yml.", show_default=False)
]


def detect(
    context: typer.Context,
    *,
    log: Annotated[
        list[Path] | None,
        typer.Option("--log", metavar="DIR|FILE", help="A log's directory, or a file of its lines; may be repeated.", show_default=False),
    ] = None,
    rules: Rules = None,
    level: Annotated[str, typer.Option("--level", metavar="NAME", help=f"From this level on: {', '.join(LEVELS)}.")] = LEVELS[0],
    policy: PolicyFile = None,
    partial: Annotated[bool, typer.Option("--partial", help="The oldest segments may have been put away.")] = False,
    json: Json = False,
) -> None:
    """Look for attacks in audit logs, with the rules of a SIEM.

    Needs the logs and nothing else. Each log is verified first, and what the verifier finds is matched too; several logs, of gateways and
    clients, are taken together. Rules of one event, and correlations of several within a time, which is exact. Exit status: 0 nothing was
    found, 1 something was, 2 a log or a rule cannot be read.
    """
    if context.invoked_subcommand is not None:
        return
    if not log:
        raise typer.BadParameter("needed: whose log?", param_hint="--log")
    if level not in LEVELS:
        raise typer.BadParameter(f"{level!r} is none of {', '.join(LEVELS)}", param_hint="--level")
    from observability.detections.evaluate import alerts  # noqa: PLC0415 - pySigma is slow to load

    for each in log:
        if not each.exists() or (each.is_dir() and not segments_in(each)):
            raise Misconfigured(f"--log: {each}: " + ("holds no segment of an audit log" if each.exists() else "No such file or directory"))
    wanted, loaded = Wanted(load_policy(policy) if policy else None), _loaded(rules)
    verdicts = [judged(each, wanted, partial=partial, quiet=json) for each in log]
    found = [finding for _, finding in verdicts if finding]
    told = alerts(loaded, _everything(log, found), level=level)
    if json:
        answer({"logs": [verdict for verdict, _ in verdicts], "findings": found, "alerts": [alert.as_json() for alert in told]})
    else:
        _show(loaded, told, [f"{each}: {verdict['verdict']}" for each, (verdict, _) in zip(log, verdicts, strict=True)])
    raise typer.Exit(Exit.FAILED if told else Exit.DONE)


def list_rules(*, rules: Rules = None, json: Json = False) -> None:
    """List rules and correlations: level, name, what it means, ATT&CK."""
    named = _loaded(rules).named().values()
    if json:
        fields = ("name", "title", "level", "description", "falsepositives", "response", "tags")
        answer([{field: getattr(each, field) for field in fields} for each in named])
    else:
        table(("level", "name", "title", "ATT&CK"), [(each.level, each.name, each.title, _techniques(each.tags)) for each in named])


def _loaded(folder: Path | None) -> "Ruleset":
    from observability.detections.load import HERE, RulesWrong, load  # noqa: PLC0415 - pySigma is slow to load

    try:
        return load(folder or HERE)
    except RulesWrong as error:
        raise Misconfigured(str(error)) from None


def judged(log: Path, wanted: Wanted, *, partial: bool, quiet: bool) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the verdict on a log, and the finding if there is one. Misconfigured when it cannot be read."""
    from observability.detections.findings import finding  # noqa: PLC0415 - with the rules

    shown = Console(stderr=True)
    with Progress(console=shown, transient=True, disable=quiet or not shown.is_terminal) as progress:
        task = progress.add_task("verifying")
        result = verify(log, lambda done, total: progress.update(task, completed=done, total=total), partial=partial, wanted=wanted)
    if result.verdict.name in {"INTERNAL", "UNREADABLE"}:
        raise Misconfigured(f"--log: {log}: {result.as_text().splitlines()[0]}")
    return result.as_json(), finding(result, wall())


def _everything(logs: list[Path], found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the findings and the events of all logs. Lines that are no event are counted; the verifier has named the first."""
    yield from found
    for log in logs:
        bad: list[int] = []
        yield from events(log, bad=bound(_noted, bad))
        if bad:
            complain(f"{log}: {len(bad)} lines are no valid event and were not looked at")


def _noted(lines: list[int], _file: str, line: int, _what: str) -> None:
    lines.append(line)


def _show(rules: "Ruleset", told: "list[Alert]", verdicts: list[str]) -> None:
    say("\n".join(verdicts))
    if not told:
        say("nothing was found")
        return
    rows = [(each.time, each.level, each.name, each.session or "-", each.device or "-", len(each.events)) for each in told]
    table(("time", "level", "rule", "session", "device", "events"), rows[:ROWS_MAX])
    if len(rows) > ROWS_MAX:
        say(f"... and {len(rows) - ROWS_MAX} more: --json shows all")
    say("\nWhat to do first:")
    named, times = rules.named(), Counter(each.name for each in told)
    for name in sorted(times, key=lambda each: (-LEVELS.index(named[each].level), each)):
        say(f"  {name} ({named[name].level}, {times[name]}): {named[name].title}. {named[name].response}")


def _techniques(tags: tuple[str, ...]) -> str:
    names = (tag.removeprefix("attack.").upper() for tag in tags)
    return ", ".join(name for name in names if name[1:2].isdigit())
