"""Write config.md, cli.md, projections.md, detections.md and metrics.md in docs/reference, or check that they are fresh.

python -m lab.reference            writes the files
python -m lab.reference --check    exit status 1 and the names of stale files

The first comes from `schemas/config/`, the second from what `--help` says, the third from `schemas/projections.toml`, the fourth from
`observability/detections/`, the fifth from `observability/prometheus/`.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from typer.main import get_command
from typer.testing import CliRunner

from jvpn.cli.main import app
from jvpn.shell.checked import allowed_by, schema_of
from lab import projected
from lab.detections.page import page
from lab.docgen import refresh
from observability.metrics import LOGS, OURS, RULES, SOURCES, Row, most_series, sets, table

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "reference"
COLUMNS: Final = "100"
FILES: Final = ("gateway", "client", "shipper", "output", "devices")

CONFIG: Final = """# Configuration files

Generated from `schemas/config/` by `python -m lab.reference`.

TOML, read once at the start. Relative paths count from the file. A key that is not listed here is refused, and so is a value that is not
allowed; the error is one line that names file, key, what was found and what is allowed:

    gateway.toml: policy.lifetime_s: found 999999, allowed 60 to 86400
    gateway.toml: policy.lifetim_s: unknown key; did you mean lifetime_s?

`jvpn gateway --config FILE --check` and `jvpn client --config FILE --check` look without starting; `jvpn doctor --config FILE` looks at
what the file names, too. No file here holds a secret; key files and credentials are named by path and must be readable by their owner only.
"""

CLI: Final = """# Commands

Generated from `jvpn --help` by `python -m lab.reference`.

Answers go to standard output, with `--json` as one line of JSON (`audit show`: one line an event). Errors are one line on standard error;
`JVPN_TRACEBACK=1` adds where they come from. Services run as `python -I -m jvpn ...` or by the console script, so that no module of the
working folder is loaded. An interrupt (Ctrl-C) of another command than a service has the exit status 130.
"""


METRICS: Final = """# Metrics

Generated from `observability/prometheus/` by `python -m lab.reference`. How to scrape them: [guides/metrics.md](../guides/metrics.md).

Values of labels come from the sets at the end and from nowhere else: no device, session, address or pseudonym is among them, and the
number of series is bounded. Of a set marked *all* each member is there, with 0 where nothing happened.
"""


def artefacts() -> Iterator[tuple[Path, str]]:
    """Yield each generated file and its text."""
    yield FOLDER / "config.md", "\n".join([CONFIG, *(_file(name) for name in FILES)])
    yield FOLDER / "cli.md", "\n".join([CLI, *(_help(words) for words in commands())])
    yield FOLDER / "projections.md", projected.document()
    yield FOLDER / "detections.md", page()
    yield FOLDER / "metrics.md", _metrics()


def commands() -> list[list[str]]:
    """Return the words of each command, groups before what is in them."""
    top: Any = get_command(app)
    found: list[list[str]] = [[]]
    for name, command in top.commands.items():
        found.append([name])
        found += [[name, below] for below in getattr(command, "commands", {})]
    return found


def help_of(words: list[str]) -> str:
    """Return what a command says to --help in a window of 100 columns."""
    done = CliRunner().invoke(app, [*words, "--help"], prog_name="jvpn", env={"COLUMNS": COLUMNS, "NO_COLOR": "1"})
    return "\n".join(line.rstrip() for line in done.output.strip().splitlines())


def _help(words: list[str]) -> str:
    return f"## {' '.join(('jvpn', *words))}\n\n```text\n{help_of(words)}\n```\n"


def _file(name: str) -> str:
    schema = schema_of(name)
    rows = ["| key | what | allowed | default |", "|---|---|---|---|"]
    rows += [f"| {' | '.join(_cell(text) for text in row)} |" for row in _rows(schema, "")]
    return f"## {schema['title']}\n\n{schema['description']} {_least(schema)}\n\n" + "\n".join(rows) + "\n"


def _rows(schema: Mapping[str, Any], at: str) -> Iterator[tuple[str, str, str, str]]:
    for name, below in schema["properties"].items():
        key = f"{at}{name}"
        if below.get("type") == "object":
            yield from _rows(below, f"{key}.")
        elif below.get("items", {}).get("type") == "object":
            yield f"`{key}`", below["description"], f"a list of 0 to {below['maxItems']}", ""
            yield from _rows(below["items"], f"{key}.N.")
        else:
            needed = "needed" if name in schema.get("required", ()) else ""
            default = f"`{json.dumps(below['default'])}`" if "default" in below else needed
            example = f", e.g. `{json.dumps(below['examples'][0])}`" if "examples" in below else ""
            yield f"`{key}`", below["description"], f"{allowed_by(below)}{example}", default


def _least(schema: Mapping[str, Any]) -> str:
    """Return the smallest file that is allowed."""
    if not schema["title"].endswith(".toml"):
        return "JSON; only its owner may write it."
    lines = []
    for name in schema["required"]:
        below = schema["properties"][name]
        if below.get("type") == "object":
            given = below.get("examples", [{inner: _example(below["properties"][inner]) for inner in below["required"]}])[0]
            lines += [f"{name}.{inner} = {json.dumps(value)}" for inner, value in given.items()]
        else:
            lines.append(f"{name} = {json.dumps(_example(below))}")
    return "The least that is needed:\n\n```toml\n" + "\n".join(lines) + "\n```"


def _example(schema: Mapping[str, Any]) -> object:
    return schema["examples"][0]


def _metrics() -> str:
    """Return the page about metrics: a table of each source, the rules, the closed sets."""
    lines = [METRICS]
    for source in (*SOURCES, OURS):
        rows = [row for row in table() if row.source == source]
        most = sum(most_series(row, 1) for row in rows)
        lines += [f"## {source}\n", f"At most {most} series{', with one log' if source == 'witness' else ''}.\n"]
        lines += ["| metric | type | labels | what |", "|---|---|---|---|", *map(_metric, rows), ""]
    lines += ["## Alerts\n", "| alert | severity | when |", "|---|---|---|", *_alerts(RULES.read_text(encoding="utf-8")), ""]
    used = sorted({name for row in table() for _, name in row.labels} - {LOGS})
    lines += ["## Sets\n", "`log`: the origins of the logs in the witness's policy.\n", "| set | members |", "|---|---|"]
    lines += [f"| `{name}` | {', '.join(f'`{each}`' for each in sets()[name])} |" for name in used]
    return "\n".join(lines) + "\n"


def _metric(row: Row) -> str:
    labels = ", ".join(f"`{label}`: {'all ' if row.zero else ''}`{name}`" for label, name in row.labels)
    return f"| `{row.name}` | {row.type} | {labels} | {_cell(row.help)} |"


def _alerts(rules: str) -> Iterator[str]:
    """Yield a row for each alert: its name, severity and expression."""
    for name, said in re.findall(r"- alert: (\w+)\n(.*?)annotations:", rules, re.DOTALL):
        severity = re.search(r"severity: (\w+)", said)
        lasting = re.search(r"for: (\w+)", said)
        asked = said.split("expr:")[1].split("        for:")[0].split("        labels:")[0].removeprefix(" >-")
        held = f", for {lasting[1]}" if lasting else ""
        yield f"| {name} | {severity[1] if severity else ''} | `{_cell(' '.join(asked.split()))}`{held} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write all artefacts, or with --check name the stale ones. Return the exit status."""
    return refresh(artefacts(), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
