"""The parts of the documents that are made from what runs: tables of the machines, their claims, limits, vocabulary, threat model.

python -m lab.docgen            writes the documents (`python -m lab.registry` does, too)
python -m lab.docgen --check    exit status 1 and the names of stale documents

A document that people write keeps a generated part between `<!-- generated: NAME -->` and `<!-- end of NAME -->`.
"""

import inspect
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import core.client.states
import core.client.table
import core.keys.states
import core.keys.table
import core.session.states
import core.session.table
from core import limits
from jvpn.keys import limits as documents
from lab import threats

ROOT: Final = Path(__file__).resolve().parent.parent
SPEC: Final = ROOT / "docs" / "spec"
LIMIT: Final = re.compile(r"^([A-Z0-9_]+): Final = ([^#]*[^# ])(?: +# (.*))?$")
SECTION: Final = re.compile(r"^# --- (\w+)\b.*-$")
CLAIM: Final = re.compile(r"(GI|CI|KI)-\d+: ")
NS: Final = (
    (600 * limits.SECOND, 60 * limits.SECOND, "min"),
    (limits.SECOND, limits.SECOND, "s"),
    (1, limits.MILLISECOND, "ms"),
    (1, 1, "ns"),
)

AnyRow = core.session.table.Row | core.client.table.Row | core.keys.table.Row


def artefacts(registry: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield each document with a generated part, and its text as it must be."""
    session, client = core.session.states, core.client.states
    yield machine(SPEC / "session.md", core.session.table.ROWS, session, core.session.table, ("PENDING", "RECOVERING"))
    yield machine(SPEC / "client.md", core.client.table.ROWS, client, core.client.table, ("IDLE",))
    yield machine(SPEC / "keys.md", core.keys.table.ROWS, core.keys.states, core.keys.table, ("PRE_ACTIVE",))
    yield filled(SPEC / "README.md", {"limits": limits_table()})
    yield ROOT / "docs" / "reference" / "reasons.md", reasons(registry)
    model = ROOT / "threat-model"
    yield filled(model / "README.md", threats.parts(model))


def filled(path: Path, parts: Mapping[str, str]) -> tuple[Path, str]:
    """Return a document with its generated parts replaced; ValueError where a marker is missing or there twice."""
    text = path.read_text(encoding="utf-8")
    for name, body in parts.items():
        head, tail = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->\n"
        if text.count(head) != 1 or text.count(tail) != 1:
            raise ValueError(f"{path.name}: {head.strip()} and {tail.strip()} must stand there once")
        before, rest = text.split(head)
        text = f"{before}{head}\n{body.strip()}\n\n{tail}{rest.split(tail)[1]}"
    return path, text


def machine(path: Path, rows: Sequence[AnyRow], words: ModuleType, claims: ModuleType, begins: tuple[str, ...]) -> tuple[Path, str]:
    """Return a machine's document: its rows, its matrix, its diagram and its claims."""
    states = [state.name for state in words.State]
    parts = {
        "rows": rows_table(rows, states),
        "matrix": matrix(rows, states, [heard.name for heard in words.PRIORITY]),
        "diagram": diagram(rows, begins),
        "claims": claims_list(claims),
    }
    return filled(path, parts)


def rows_table(rows: Sequence[AnyRow], states: Sequence[str]) -> str:
    """Return the transitions as clauses: one row of the table, one line."""
    cells = [
        (
            f"**{row.clause}**",
            _states(row.states, states),
            row.heard.name,
            row.goes_to.name if row.goes_to else "stays",
            ", ".join(effect.name for effect in row.effects),
            f"{row.event.name} / {row.reason.name if row.reason else 'by the stated cause'}",
        )
        for row in rows
    ]
    return table(("clause", "in", "hears", "goes to", "does, in this order", "records"), cells)


def matrix(rows: Sequence[AnyRow], states: Sequence[str], inputs: Sequence[str]) -> str:
    """Return what each state does with each input; an empty cell is a refusal."""
    cells = {(state.name, row.heard.name): row.clause for row in rows for state in row.states}
    lines = [(heard, *(cells.get((state, heard), "") for state in states)) for heard in inputs]
    return table(("hears", *states), lines)


def diagram(rows: Sequence[AnyRow], begins: Sequence[str]) -> str:
    """Return the transitions that change the state, as Mermaid."""
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        for state in row.states:
            if row.goes_to is not None and row.goes_to is not state:
                labels[state.name, row.goes_to.name].append(row.clause)
    lines = [f"    [*] --> {state}" for state in begins]
    lines += [f"    {come} --> {go}: {', '.join(clauses)}" for (come, go), clauses in labels.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def claims_list(module: ModuleType) -> str:
    """Return the claims as clauses: the docstrings of the functions that check them."""
    texts = [" ".join((function.__doc__ or "").split()) for function in vars(module).values() if callable(function)]
    claims = sorted({text for text in texts if CLAIM.match(text)}, key=lambda text: int(re.findall(r"\d+", text)[0]))
    return "\n".join(f"* **{text.partition(':')[0]}**{text.partition(':')[2]}" for text in claims)


def limits_table() -> str:
    """Return every bound of the core and of documents by its section."""
    out: list[tuple[str, list[tuple[str, ...]]]] = []
    for module in (limits, documents):
        for line in inspect.getsource(module).splitlines():
            if found := SECTION.match(line):
                out.append((found[1], []))
            elif (found := LIMIT.match(line)) and out:
                out[-1][1].append((f"`{found[1]}`", amount(found[1], getattr(module, found[1]), found[2]), found[3] or ""))
    return "\n\n".join(f"**{name}**\n\n{table(('name', 'value', 'what'), rows)}" for name, rows in out)


def amount(name: str, value: object, written: str) -> str:
    """Return a limit as people read it; the name's end says the unit."""
    if not isinstance(value, int):
        return ", ".join(f"{each:,}" for each in value) if isinstance(value, tuple) else str(value)
    if re.search(r"_NS(_|$)", name):
        size, unit = next((size, unit) for least, size, unit in NS if value % size == 0 and value >= least)
        return f"{value // size} {unit}"
    if "**" in written:
        return written.replace("**", "^")
    return f"{value:,} s" if re.search(r"_S(_|$)", name) else f"{value:,}"


def reasons(registry: Mapping[str, Any]) -> str:
    """Return docs/reference/reasons.md: what each name means that an event or a frame can carry."""
    events = registry["event"]
    rows = [
        (str(each["code"]), f"`{each['name']}`", each["class"], each["role"], each["meaning"], ", ".join(each["fields"]),
         ", ".join(each["measures"])) for each in events
    ]  # fmt: skip
    parts = [
        "# Events, reasons and codes",
        "",
        "Made from `schemas/registry.toml`. A code is never used again and a name is never changed.",
    ]
    parts += ["", "## Events", "", table(("code", "event", "class", "recorded by", "meaning", "fields", "measures"), rows)]
    families: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for each in registry["reason"]:
        where = ", ".join(f"`{event['name']}`" for event in events if each["name"] in event["reasons"])
        families[each["family"]].append((str(each["code"]), f"`{each['name']}`", each["severity"], each["fault"], each["meaning"], where))
    for family, members in families.items():
        parts += ["", f"## Reasons: {family}", "", table(("code", "reason", "severity", "whose fault", "meaning", "in"), members)]
    for section, title in (("carrier", "Carriers"), ("cause", "Causes"), ("status", "Statuses"), ("close", "Close codes")):
        codes = [(str(each["code"]), f"`{each['name']}`", each.get("reason", ""), each["meaning"]) for each in registry[section]]
        parts += ["", f"## {title} on the wire", "", table(("code", "name", "recorded as", "meaning"), codes)]
    return "\n".join([*parts, ""])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(re.sub(r"\|  (?=\|)", "| ", f"| {' | '.join(cells)} |") for cells in (head, ["---"] * len(head), *rows))


def _states(inside: Sequence[Enum], every: Sequence[str]) -> str:
    names = [state.name for state in inside]
    missing = [name for name in every if name not in names]
    return f"all but {missing[0]}" if len(missing) == 1 and len(names) > 1 else ", ".join(names)


def refresh(made: Iterable[tuple[Path, str]], arguments: Sequence[str]) -> int:
    """Write what is stale, or with --check only name it. Return the exit status."""
    stale = [(path, text) for path, text in made if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path, text in stale:
        if "--check" in arguments:
            print(f"stale: {path.relative_to(ROOT)}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    with (ROOT / "schemas" / "registry.toml").open("rb") as source:
        sys.exit(refresh(artefacts(tomllib.load(source)), sys.argv[1:]))
