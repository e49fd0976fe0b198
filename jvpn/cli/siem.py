"""The cluster behind the shipper: `siem install`, `check`, `uninstall`, `retain`, `reconcile`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from audit.tlog.sealed import Wanted
from jvpn.cli.output import Exit, Json, answer, say
from jvpn.cli.tree import PolicyFile, load_policy
from jvpn.shell.checked import Misconfigured
from jvpn.shell.config import ShipperFile, load_shipper

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The shipper's configuration file.", show_default=False)]
Credentials = Annotated[
    Path | None,
    typer.Option(
        "--credentials-file", metavar="FILE", help="Instead of the shipper's: one line user:password, mode 0600.", show_default=False
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
Month = Annotated[
    list[str] | None, typer.Option("--month", metavar="YYYY-MM", help="An index for this month of evidence too; may be repeated.")
]


def install(*, config: Config, credentials_file: Credentials = None, month: Month = None, yes: Yes = False, json: Json = False) -> None:
    """Set the cluster up, or bring it up to date.

    Templates, pipeline, data stream, the months of evidence from this one on, roles; ISM policies and monitors where the cluster has the
    plug-ins. It shows what is different first, and asks. Doing it again changes nothing. It never deletes or changes an event. Run it each
    month: the shipper's role can make no index.

    Exit status 0: all is as it should be; 1: something is different still, or the cluster did not take it, or the answer was no.
    """
    from jvpn.cli import clusters  # noqa: PLC0415 - loads the SIEM library, which no other command may

    with clusters.of(load(config, credentials_file), month or ()) as cluster:
        before = cluster.compare()
        if not json:
            say(before.as_text())
        if before.mends:
            _ask("Put this into the cluster?", yes=yes, json=json)
            cluster.apply(before)
        after = cluster.compare()
    if json:
        answer({"before": before.as_json(), "after": after.as_json()})
    elif before.mends:
        say("after: " + after.as_text())
    raise typer.Exit(Exit.FAILED if after.drift else Exit.DONE)


def check(*, config: Config, credentials_file: Credentials = None, month: Month = None, json: Json = False) -> None:
    """Compare the cluster with what `install` would make of it.

    It changes nothing. Each index that is there is looked at too: its fields, and whether what it holds can be overwritten. Exit status 1:
    there is a difference.
    """
    from jvpn.cli import clusters  # noqa: PLC0415 - loads the SIEM library, which no other command may

    with clusters.of(load(config, credentials_file), month or ()) as cluster:
        plan = cluster.compare()
    answer(plan.as_json()) if json else say(plan.as_text())
    raise typer.Exit(Exit.FAILED if plan.drift else Exit.DONE)


def uninstall(
    *,
    config: Config,
    credentials_file: Credentials = None,
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Delete all events too; needs --yes.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove the set-up, never the events.

    Indices and stream stay as they are, and with them what they rest on. Stop the shippers before. With --delete-data and --yes the
    events go too; the logs have them still.
    """
    from jvpn.cli import clusters  # noqa: PLC0415 - loads the SIEM library, which no other command may

    if delete_data and not yes:
        raise typer.BadParameter("deletes every event in the cluster: say --yes too", param_hint="--delete-data")
    with clusters.of(load(config, credentials_file)) as cluster:
        _ask("Remove roles, templates, policies and monitors?", yes=yes, json=json)
        removed = cluster.uninstall(data=delete_data)
    if json:
        answer([{"kind": each.kind.value, "name": each.name, "kept": each.kept} for each in removed])
    else:
        told = [f"{each.kind.value} {each.name}: {f'kept, {each.kept}' if each.kept else 'removed'}" for each in removed]
        say("\n".join(told) or "nothing is there")


def retain(*, config: Config, credentials_file: Credentials = None, yes: Yes = False, json: Json = False) -> None:
    """Roll telemetry over and delete what is over its days.

    For clusters without index management (ISM). It shows what is due, and does it with --yes only. What counts is [retention] of the
    configuration, and the clock of this machine.
    """
    from jvpn.cli import clusters  # noqa: PLC0415 - loads the SIEM library, which no other command may

    with clusters.of(load(config, credentials_file)) as cluster:
        steps = cluster.retain(really=yes)
    if json:
        answer({"done": yes, "steps": [each._asdict() for each in steps]})
    else:
        did = "" if yes else "would "
        say("\n".join(f"{did}{each.what} {each.name}: {each.why}" for each in steps) or "nothing is due")


def reconcile(
    *,
    config: Config,
    credentials_file: Credentials = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="DIR", help="Another log than the configuration's.", show_default=False)
    ] = None,
    resend: Annotated[bool, typer.Option("--resend", help="Send what is missing again, then compare again.")] = False,
    json: Json = False,
) -> None:
    """Compare a log with what the cluster has of it, event by event.

    Names what is missing, what has other content under an event's id, what was never recorded, and what lies in another index than its
    own. Also checks that no record is missing in the shipper's quarantine. Needs to read all indices (role ...-reader); --resend also
    needs the shipper's rights.

    Exit status 0: all is there, and nothing else; 1: it is not, or the cluster did not answer.
    """
    from jvpn.cli import clusters  # noqa: PLC0415 - loads the SIEM library, which no other command may

    with clusters.of(load(config, credentials_file)) as cluster:
        result = cluster.reconcile(log, resend=resend)
    answer(result.as_json()) if json else say(result.as_text())
    raise typer.Exit(Exit.DONE if result.whole else Exit.FAILED)


def verify(
    *,
    config: Config,
    credentials_file: Credentials = None,
    policy: PolicyFile = None,
    partial: Annotated[bool, typer.Option("--partial", help="The oldest segments may have been put away.")] = False,
    json: Json = False,
) -> None:
    """Verify the shipper's log, and tell the cluster what is found.

    It is put where monitors look. A log that was changed cannot tell of it: what the verifier finds is no event. Run it by a timer, on the
    gateway's host or where copies of the log are; the same finding is there once. Needs the shipper's rights.

    Exit status 0: verified; 1: something was found, and is in the cluster, or the cluster did not take it.
    """
    from jvpn.cli import clusters  # noqa: PLC0415 - loads the SIEM library, which no other command may
    from jvpn.cli.detect import judged  # noqa: PLC0415 - so that no other command loads it

    file = load(config, credentials_file)
    verdict, found = judged(file.log_dir, Wanted(load_policy(policy) if policy else None), partial=partial, quiet=json)
    new = False
    if found:
        with clusters.of(file) as cluster:
            new = cluster.find(found)
    if json:
        answer(verdict | {"finding": found, "new": new})
    else:
        say(f"{file.log_dir}: {verdict['verdict']}" + (f": {found['found']}" if found else ""))
        say(f"finding {found['finding_id']}: {'put into the cluster' if new else 'there already'}") if found else None
    raise typer.Exit(Exit.FAILED if found else Exit.DONE)


def load(config: Path, credentials_file: Path | None) -> ShipperFile:
    """Return the configuration, with other credentials where these are given."""
    file = load_shipper(config)
    return replace(file, credentials_file=credentials_file) if credentials_file else file


def _ask(question: str, *, yes: bool, json: bool) -> None:
    """Ask, unless the answer is given; without a person there, the answer is no."""
    if yes:
        return
    if json or not sys.stdin.isatty():
        raise Misconfigured("--yes: missing, and there is nobody to ask")
    if not typer.confirm(question):
        raise typer.Exit(Exit.FAILED)
