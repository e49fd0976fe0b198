"""Boards and alert rules for Grafana: `grafana files`, `grafana push`."""

from pathlib import Path
from typing import Annotated

import typer

from jvpn.cli.output import Json, answer, say
from jvpn.shell.checked import Misconfigured
from jvpn.shell.errors import Unavailable


def files(
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where to write them.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Write them as files that Grafana reads.

    DIR/boards has the boards, DIR/provisioning the folders of Grafana's provisioning: data sources, boards, alert rules. Where the
    cluster is and who asks stands in environment variables of the Grafana server, which docs/guides/grafana.md lists.
    """
    from observability.grafana.files import write  # noqa: PLC0415 - what other commands do not need

    written = write(output)
    changed = sorted(str(path) for path, new in written.items() if new)
    if json:
        answer({"written": changed, "unchanged": sorted(str(path) for path, new in written.items() if not new)})
    else:
        say(f"{len(changed)} files written, {len(written) - len(changed)} unchanged, in {output}")


def push(
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Where Grafana is.", show_default=False)],
    token_file: Annotated[
        Path, typer.Option("--token-file", metavar="FILE", help="One line: a service account's token.", show_default=False)
    ],
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", metavar="FILE", help="Whom to trust; https needs it.", show_default=False)
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Put them into a Grafana server.

    What is there already stays as it is. The data source for OpenSearch must be there. The token file must be readable by its owner
    only; the token is sent over https, or to this machine itself. Not tested against a Grafana server: none could be had.
    """
    from observability.connect import SettingError  # noqa: PLC0415 - loads the SIEM library, which other commands may not
    from observability.grafana.push import Refused, Server  # noqa: PLC0415 - the same
    from observability.grafana.push import push as put  # noqa: PLC0415 - the same

    try:
        done = put(Server(url=url, token_file=token_file, ca_file=ca_file))
    except SettingError as error:
        raise Misconfigured(str(error)) from error
    except Refused as error:
        raise Unavailable(str(error)) from error
    if json:
        answer({"put": done.put, "unchanged": done.unchanged, "missing": done.missing})
        return
    say(f"{len(done.put)} put, {len(done.unchanged)} unchanged")
    for uid in done.missing:
        say(f"note: no data source {uid}: some panels and alert rules stay without data")
