"""Rules for tests, as files."""

from pathlib import Path
from typing import Final

from observability.detections.load import Ruleset, load

RULE: Final = """title: A rule
id: 00000000-0000-4000-8000-000000000001
name: {name}
status: test
description: Something of a test.
tags: [attack.t1078]
logsource: {{product: jumping-vpn, service: audit}}
detection:
    selection:
        {selection}
    condition: {condition}
falsepositives: [None at all]
level: {level}
response: Nothing is to be done.
"""
CORRELATION: Final = """title: A correlation
id: 00000000-0000-4000-8000-000000000002
name: {name}
status: test
description: Something of a test.
tags: [attack.t1078]
correlation:
    type: {kind}
    rules: [{rules}]
    group-by: [{group}]
    timespan: {timespan}
    generate: true
    {condition}
falsepositives: [None at all]
level: {level}
response: Nothing is to be done.
"""


def rule(
    folder: Path, name: str = "a", selection: str = "event_type: SESSION_MOVED", condition: str = "selection", level: str = "low"
) -> Path:
    """Write one rule; return its file."""
    path = folder / "rules" / f"{name}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(RULE.format(name=name, selection=selection, condition=condition, level=level))
    return path


def correlation(
    folder: Path, name: str = "c", *, kind: str = "event_count", rules: str = "a", group: str = "device", timespan: str = "10s",
    condition: str = "condition: {gte: 3}", level: str = "high",
) -> Path:  # fmt: skip
    """Write one correlation; return its file."""
    path = folder / "correlations" / f"{name}.yml"
    path.parent.mkdir(exist_ok=True)
    text = CORRELATION.format(name=name, kind=kind, rules=rules, group=group, timespan=timespan, condition=condition, level=level)
    path.write_text(text)
    return path


def loaded(folder: Path) -> Ruleset:
    """Return what is in a folder."""
    return load(folder)
