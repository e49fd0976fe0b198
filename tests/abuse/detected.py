"""What the detections say about an abuse case: of its worlds, of what it recorded of keys and documents, of its logs and of their verdicts.

Each of these is looked at by itself, as one installation, so that no two cases add up to a correlation.
"""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest

from audit.chain import Head
from audit.event import Builder
from audit.pseudonym import names_of
from audit.record import Stamped
from audit.show import events
from audit.verdict import Result
from audit.verify import verify
from core.values import Fact
from lab.sim.world import WORLDS
from observability.detections.evaluate import alerts
from observability.detections.findings import finding
from observability.detections.load import Ruleset, load
from tests.support import ROOT

WALL: Final = 1_795_000_000_000_000_000
BEFORE: Final = Head("0f" * 16, 6, "ab" * 32)
BUILDERS: Final = {role: Builder(b"a node's", b"one boot", role, names_of(bytes(32))) for role in ("gateway", "client")}


@cache
def rules() -> Ruleset:
    """Return all rules, read once."""
    return load()


@cache
def expected() -> dict[str, frozenset[str]]:
    """Return, by abuse case, the detections that the threat model says."""
    threats = tomllib.loads((ROOT / "threat-model" / "threats.toml").read_text(encoding="utf-8"))["threat"]
    return {Path(threat["abuse"]).name: frozenset(threat["detections"]) for threat in threats}


class Watch:
    """Keeps, while a case runs, what would otherwise be gone when it is over."""

    def __init__(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401 - a test module
        self.told, self.results = list[Fact](), list[Result]()
        for maker in ("jvpn.keys.life.Fact", "jvpn.shell.trust.Fact"):
            monkeypatch.setattr(maker, self._kept(Fact, self.told.append))
        if getattr(module, "verify", None) is verify:
            monkeypatch.setattr(module, "verify", self._kept(verify, self.results.append))

    @staticmethod
    def _kept(call: Callable[..., Any], keep: Callable[[Any], None]) -> Callable[..., Any]:
        def made(*args: object, **named: object) -> object:
            value = call(*args, **named)
            keep(value)
            return value

        return made

    def fired(self, folder: Path | None) -> frozenset[str]:
        """Return the names of the detections that came true. ``folder``: where the case may have written logs."""
        parts = [[*_events(world.story(), "gateway"), *chain(*(_events(host.facts, "client") for host in world.hosts))] for world in WORLDS]
        parts += [list(_events(self.told, "gateway"))]
        parts += [list(events(log)) for log in (sorted({path.parent for path in folder.rglob("audit-*.jsonl")}) if folder else ())]
        parts += [[found] for result in self.results if (found := finding(result, WALL))]
        return frozenset(alert.name for part in parts for alert in alerts(rules(), part))


def _events(facts: Sequence[Fact], role: str) -> Iterator[dict[str, Any]]:
    return (BUILDERS[role].of_record(Stamped(fact, WALL + fact.at, b"one boot"), BEFORE) for fact in facts)
