"""The command `jvpn`: what there is, and what becomes of every error."""

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from audit import memory
from jvpn import interrupt
from jvpn.cli import (
    audit,
    checks,
    detect,
    doctor,
    exporting,
    grafana,
    keys,
    metrics,
    names,
    projecting,
    reporting,
    serving,
    shipping,
    siem,
    signing,
    state,
    tree,
    trust,
    witness,
)
from jvpn.cli.output import Exit, complain, say
from jvpn.shell.checked import Misconfigured
from jvpn.shell.errors import Unavailable
from jvpn.shell.randomness import Faulty

Row = tuple[str, Callable[..., None], tuple[str, ...]]  # name, command, examples
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
EPILOG: Final = """Exit status: 0 done; 1 failed; 2 used or configured wrongly; 3 self-test failed; `jvpn audit verify` has more.

\b
First steps:
  jvpn doctor                              what this machine lacks
  jvpn keygen gateway --out gateway.key    a gateway's key
  jvpn enroll laptop --gateway-config gateway.toml --out laptop/
                                           a device, ready to start
  jvpn gateway --config gateway.toml       serve
  jvpn client --config laptop/client.toml  connect
  jvpn status --config laptop/client.toml  what it does now
  jvpn audit verify state/audit            what happened, and is it true

A gateway's configuration to begin with: docs/guides/operator.md.
Every key of the files: docs/reference/config.md."""


# fmt: off
KEYGEN: Final[tuple[Row, ...]] = (
    ("device", keys.device, ("jvpn keygen device --out device.key",)),
    ("gateway", keys.gateway, ("jvpn keygen gateway --out /etc/jvpn/gateway.key",)),
    ("rotate", keys.rotate, ("jvpn keygen rotate --file /etc/jvpn/gateway.key",
                             "jvpn keygen rotate --file /etc/jvpn/gateway.key --drop --yes")),
    ("passphrase", keys.passphrase, ("jvpn keygen passphrase --file gateway.key --new-passphrase-file passphrase",
                                     "jvpn keygen passphrase --file gateway.key --passphrase-file old --plain")),
)
KEYS: Final[tuple[Row, ...]] = (
    ("root", signing.root, ("jvpn keys root --out ceremony/",)),
    ("sign", signing.sign, ("jvpn keys sign keyset keyset.json --key keyset.key --out keyset.signed",
                          "jvpn keys sign root root.2.signed --key root-b.key --out root.2.signed",
                            "jvpn keys sign keyset k.json --dir trust --key keyset.key --out k.signed")),
    ("revoke", signing.revoke, ("jvpn keys revoke --dir trust --key revocations.key",)),
    ("verify", trust.verify, ("jvpn keys verify trust/revocations.signed --json",)),
    ("status", trust.status, ("jvpn keys status --config /etc/jvpn/gateway.toml",)),
    ("export", exporting.export, ("jvpn keys export gateway.key --out copy.key --audit history/",
                                  "jvpn keys export d.key --out c.key --audit h/ --json")),
    ("import", exporting.import_, ("jvpn keys import copy.key --out gateway.key --audit history/",
                                   "jvpn keys import c.key --out d.key --audit h/ --json")),
    ("destroy", signing.destroy, ("jvpn keys destroy old.key --yes",)),
)
AUDIT: Final[tuple[Row, ...]] = (
    ("verify", audit.verify, ("jvpn audit verify /var/lib/jvpn/audit", "jvpn audit verify audit-00000000000000000000.jsonl --json")),
    ("show", audit.show, ("jvpn audit show audit/ --severity medium",
                            "jvpn audit show audit/ --type SESSION_MOVED --since 2026-11-22 --json")),
    ("report", reporting.report, ("jvpn audit report /var/lib/jvpn/audit --out report.html --pdf report.pdf",)),
    ("who", names.who, ("jvpn audit who 0123456789abcdef --gateway-config gateway.toml",
                        "jvpn audit who --gateway-config gateway.toml --month 2026-11 --json")),
    ("shred", names.shred, ("jvpn audit shred /var/lib/jvpn/audit --before 2026-06",
                            "jvpn audit shred /var/lib/jvpn/audit --before 2026-06 --yes")),
    ("export", projecting.export, ("jvpn audit export /var/lib/jvpn/audit --format ocsf --out events.jsonl",
                                   "jvpn audit export audit/ --format ocsf --record-integrity",
                                   "jvpn audit export audit/ --format own --out lines.jsonl --json")),
    ("policy", tree.make_policy, ("jvpn audit policy /var/lib/jvpn/audit > policy",)),
    ("publish", tree.publish, ("jvpn audit publish /var/lib/jvpn/audit --out tree/",
                               "jvpn audit publish audit/ --out tree/ --policy policy --follow")),
    ("prove", tree.prove, ("jvpn audit prove tree/ 17 --log /var/lib/jvpn/audit --out 17.tlog-proof",)),
    ("check", tree.check, ("jvpn audit check 17.tlog-proof --policy policy",)),
)
WITNESS: Final[tuple[Row, ...]] = (
    ("keygen", witness.keygen, ("jvpn witness keygen witness.example/w1 --out witness.key",)),
    ("serve", witness.serve, ("jvpn witness serve --key witness.key --logs policy --state witness.db",)),
    ("status", witness.status, ("jvpn witness status --state witness.db --json",)),
)
SIEM: Final[tuple[Row, ...]] = (
    ("install", siem.install, ("jvpn siem install --config shipper.toml",
                               "jvpn siem install --config s.toml --credentials-file admin --yes")),
    ("check", siem.check, ("jvpn siem check --config shipper.toml --json",)),
    ("uninstall", siem.uninstall, ("jvpn siem uninstall --config shipper.toml --yes",
                                   "jvpn siem uninstall --config s.toml --delete-data --yes")),
    ("retain", siem.retain, ("jvpn siem retain --config shipper.toml", "jvpn siem retain --config shipper.toml --yes")),
    ("verify", siem.verify, ("jvpn siem verify --config shipper.toml",
                             "jvpn siem verify --config shipper.toml --policy policy --json")),
    ("reconcile", siem.reconcile, ("jvpn siem reconcile --config shipper.toml",
                                   "jvpn siem reconcile --config s.toml --resend --json")),
)
GRAFANA: Final[tuple[Row, ...]] = (
    ("files", grafana.files, ("jvpn grafana files --output grafana/",)),
    ("push", grafana.push, ("jvpn grafana push --url http://127.0.0.1:3000 --token-file token",
                            "jvpn grafana push --url https://g.example --token-file t --ca-file ca.pem")),
)
DETECT: Final[tuple[Row, ...]] = (("rules", detect.list_rules, ("jvpn detect rules", "jvpn detect rules --json")),)
COMMANDS: Final[tuple[Row, ...]] = (
    ("enroll", keys.enroll, ("jvpn enroll laptop --gateway-config /etc/jvpn/gateway.toml --out laptop/",
                             "jvpn enroll laptop --gateway-config g.toml --out laptop --endpoint 192.0.2.1")),
    ("revoke", keys.revoke, ("jvpn revoke laptop --gateway-config /etc/jvpn/gateway.toml",)),
    ("devices", keys.devices, ("jvpn devices --gateway-config /etc/jvpn/gateway.toml",)),
    ("gateway", serving.gateway, ("jvpn gateway --config /etc/jvpn/gateway.toml", "jvpn gateway --config gateway.toml --check")),
    ("client", serving.client, ("jvpn client --config laptop/client.toml", "jvpn client --config client.toml --check")),
    ("status", state.status, ("jvpn status --config /etc/jvpn/gateway.toml", "jvpn status --socket /var/lib/jvpn/control.sock --json")),
    ("close", state.close, ("jvpn close 0f6c01a5be2d4b6f8a7c3d2e1f0a9b8c --config gateway.toml",)),
    ("ship", shipping.ship, ("jvpn ship --config shipper.toml", "jvpn ship --config shipper.toml --once --json")),
    ("metrics", metrics.metrics, ("jvpn metrics --gateway /run/jvpn/metrics.sock", "jvpn metrics --shipper /var/lib/jvpn/ship --once",
                                  "jvpn metrics --rules")),
    ("selftest", checks.selftest, ("jvpn selftest", "jvpn selftest --full", "jvpn selftest --vectors testvectors_v1 --json")),
    ("doctor", doctor.doctor, ("jvpn doctor", "jvpn doctor --config /etc/jvpn/gateway.toml --json")),
)
# fmt: on


def _group(rows: Sequence[Row], text: str, epilog: str = "") -> typer.Typer:
    made = typer.Typer(
        help=text, epilog=epilog or None, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
        context_settings=dict(SETTINGS),
    )  # fmt: skip
    for name, command, examples in rows:
        shown = "\n".join(("\b", "Examples:" if len(examples) > 1 else "Example:", *(f"  {each}" for each in examples)))
        made.command(name, epilog=f"{audit.VERDICTS}\n\n{shown}" if command is audit.verify else shown)(command)
    return made


app = _group(COMMANDS, "A VPN whose session is the anchor and whose transport is volatile.", EPILOG)
app.add_typer(_group(KEYGEN, "Make and renew key files. Secrets are never printed."), name="keygen")
app.add_typer(_group(KEYS, "Sign, revoke, verify: signed documents about keys. Export, import, destroy keys."), name="keys")
_detect = _group(DETECT, inspect.getdoc(detect.detect) or "", "\b\nExample:\n  jvpn detect --log /var/lib/jvpn/audit --level medium")
_detect.callback(invoke_without_command=True)(detect.detect)
app.add_typer(_detect, name="detect")
app.add_typer(_group(AUDIT, "Verify, read, export, publish and report on audit logs."), name="audit")
app.add_typer(_group(WITNESS, "Cosign the checkpoints of others' audit logs."), name="witness")
app.add_typer(_group(SIEM, "Set up, check and compare an OpenSearch cluster."), name="siem")
app.add_typer(_group(GRAFANA, "Boards and alert rules for Grafana."), name="grafana")


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        say(f"jvpn {version('jumping-vpn')}")
        raise typer.Exit


@app.callback()
def _top(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Know the options that stand before a command."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status. Errors are one line on standard error; JVPN_TRACEBACK=1 adds where they come from."""
    try:
        status = app(list(arguments) or ["--help"], prog_name="jvpn", standalone_mode=False)
    except typer.TyperException as error:
        complain(f"{error.format_message()} (see --help)")
        return Exit.USAGE
    except Misconfigured as error:
        complain(str(error))
        return Exit.USAGE
    except Faulty as error:
        complain(str(error))
        return Exit.SELF_TEST
    except Unavailable as error:
        complain(str(error))
    except (KeyboardInterrupt, typer.Abort) as error:
        return _interrupted(arguments, error)
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or type(error).__name__)
        _explain(error)
    except Exception as error:  # noqa: BLE001 - the last resort; what it says may hold values (A-47), so only type and place are shown
        where = traceback.extract_tb(error.__traceback__)[-1]
        complain(f"internal error: {type(error).__name__} in {Path(where.filename).name}, line {where.lineno}; JVPN_TRACEBACK=1 shows more")
        _explain(error)
    else:
        if status == Exit.INTERRUPTED:  # typer makes this of a KeyboardInterrupt
            return _interrupted(arguments)
        return Exit.USAGE if not arguments else status if isinstance(status, int) else Exit.DONE
    return Exit.FAILED


def run() -> NoReturn:
    """Be the console script."""
    try:
        interrupt.heard()  # in here: from this moment on Ctrl-C may come
        memory.close()  # before anything is read: any command may hold a key
        status = main(sys.argv[1:])
    except KeyboardInterrupt as error:
        status = _interrupted(sys.argv[1:], error)
    try:
        sys.stdout.flush()
    except OSError:  # told already, by the command that wrote it; the interpreter would try once more, and complain in its own words
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _interrupted(arguments: Sequence[str], error: BaseException | None = None) -> Exit:
    """Say which command was stopped; return the exit status."""
    complain(interrupt.told(error, f"jvpn {' '.join(takewhile(str.isalpha, arguments))}"))
    return Exit.INTERRUPTED


def _explain(error: Exception) -> None:
    """Show where an error comes from, for whoever asked for it; not what it says, as that may hold values."""
    if os.environ.get("JVPN_TRACEBACK") == "1":
        traceback.print_tb(error.__traceback__)
