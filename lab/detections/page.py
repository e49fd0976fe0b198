"""docs/reference/detections.md: each rule and correlation, what else may be behind it, what to do, which abuse case shows it."""

import tomllib
from collections import defaultdict
from typing import Final

from lab.docgen import ROOT, table
from observability.detections.load import Correlation, Named, Rule, load
from observability.detections.lucene import query_string

LEVELS: Final = ("critical", "high", "medium", "low", "informational")
HEAD: Final = """# Detections

Generated from `observability/detections/` by `python -m lab.reference`. What the words mean, and how to use them:
[guide](../guides/detections.md).
"""


def page() -> str:
    """Return the text of the page."""
    rules = load()
    shown = _shown()
    named = sorted(rules.named().values(), key=lambda each: (LEVELS.index(each.level), each.name))
    rows = [(each.level, f"[{each.name}](#{each.name})", each.title, _techniques(each), ", ".join(shown[each.name])) for each in named]
    parts = [HEAD, table(("level", "name", "title", "ATT&CK", "abuse cases"), rows), ""]
    for title, kind in (("Rules", Rule), ("Correlations", Correlation)):
        parts += [f"## {title}", ""]
        for each in sorted((each for each in named if isinstance(each, kind)), key=lambda each: each.name):
            parts += _section(each)
    return "\n".join(parts)


def _section(each: Named) -> list[str]:
    lines = [f"### {each.name}", "", f"*{each.title}; {each.level}.* {' '.join(each.description.split())}", ""]
    if isinstance(each, Rule):
        lines.append(f"* query: `{query_string(each)}`")
    if isinstance(each, Correlation):
        lines.append(f"* {_condition(each)}")
    lines += [f"* or else: {' '.join(each.falsepositives)}", f"* to do first: {' '.join(each.response.split())}", ""]
    return lines


def _condition(each: Correlation) -> str:
    """Return a correlation's condition in words."""
    of, by, within = ", ".join(each.rules), ", ".join(each.group_by), f"within {each.timespan_us // 1_000_000} s"
    match each.kind:
        case "event_count":
            return f"at least {each.least} events of {of} with one {by} {within}"
        case "value_count":
            return f"at least {each.least} different values of {each.field} in events of {of} with one {by} {within}"
        case "value_sum":
            return f"a sum of {each.field} of at least {each.least} in events of {of} with one {by} {within}"
        case "temporal":
            return f"each of {of} with one {by} {within}"
        case _:
            return f"{' and then '.join(each.rules)} with one {by} {within}"


def _techniques(each: Named) -> str:
    names = (tag.removeprefix("attack.").upper() for tag in each.tags)
    return ", ".join(name for name in names if name[1:2].isdigit())


def _shown() -> dict[str, list[str]]:
    """Return, by detection, the threats whose abuse case it fires at."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for threat in tomllib.loads((ROOT / "threat-model" / "threats.toml").read_text(encoding="utf-8"))["threat"]:
        for name in threat["detections"]:
            found[name].append(threat["id"])
    return found
