"""A small run of endurance: as the long one, with a few thousand events."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lab.endure import __main__ as program
from lab.endure import evidence, peer
from lab.endure.schedules import FOR_ANY, SCHEDULES
from tests.opensearch_fixture import NEEDS_NODE
from tests.support import ROOT

FEW = ("answer_lost_and_rolled_over", "garbage", "too_many_items", "node_stopped", "power_lost", "writer_stopped", "log_disk_full")
LEAST = 16  # schedules that the goal asks for


def run(*words: str) -> dict[str, Any]:
    """Run the program, and return its account."""
    done = subprocess.run(
        [sys.executable, "-m", "lab.endure", "--json", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3_000:] + done.stdout[-3_000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.timeout(900)
class TestSmall:
    """One run, and what can be said of it."""

    pytestmark: ClassVar = NEEDS_NODE

    def test_nothing_is_lost_and_nothing_is_there_twice(self, tmp_path: Path) -> None:
        """The SIEM would have holes or doubles after a bad day; or the long run could not be carried through any more."""
        told = run("--events", "2500", "--kills", "8", "--seconds", "0.6", *(word for name in FEW for word in ("--schedule", name)))
        assert (told["lost"], told["duplicate"], told["holds"]) == (0, 0, True)
        assert told["events"] >= 2_500
        assert told["kills"] >= 8
        assert {"node", "shipper", "writer"} <= told["killed"].keys()
        assert set(told["schedules"]) == {*FEW, "node_killed"} - set(told["left_out"])
        evidence.write(told, tmp_path)
        page = (tmp_path / "endure.md").read_text()
        assert "DOES NOT HOLD" not in page
        assert all(f"`{name}`" in page for name in told["schedules"])


def test_the_schedules_are_enough_and_each_says_what_happens() -> None:
    """The goal names so many; one without words would be a number that nobody understands."""
    assert len(SCHEDULES) >= LEAST
    assert all(each.story.endswith(".") and each.name == name for name, each in SCHEDULES.items())
    assert set(FOR_ANY) <= set(SCHEDULES)


def test_what_cannot_be_mounted_is_left_out_and_said() -> None:
    """A run without the full disks would pass for one with them."""
    given = program.arguments(["--events", "1000", "--kills", "100"])
    everything, none = program.legs(given, mounted=True)
    most, left = program.legs(given, mounted=False)
    assert (none, left) == ([], [name for name, each in SCHEDULES.items() if each.mounted])
    assert [leg.name for leg in everything] == ["large", "small disk"]
    assert [leg.name for leg in most] == ["large"]
    for legs in (everything, most):
        assert sum(len(leg.kills) + leg.faults.count("node_killed") for leg in legs) == 100
        assert sum(leg.events for leg in legs) == 1_000


def test_a_run_with_a_claim_that_does_not_hold_says_which() -> None:
    """A failure would be written down as a success."""
    leg = {"name": "large", "claims": {"no event is there twice": False}, "killed": {}, "schedules": {}, "log": {"events": 1}, "index": {}}
    leg["index"] = {"missing": 0, "again": 1}
    told = evidence.summary({}, [leg], [], {"seed": 1, "seconds": 1.0, "left_out": []})
    assert not told["holds"]
    assert "NOT SO: large: no event is there twice" in evidence.sentence(told)


def test_the_peers_configurations_are_whole() -> None:
    """The peer would run with a configuration that nobody meant, and its losses would be ours."""
    for kind in peer.KINDS:
        text = kind.text.format(work="w", file="f", every=1, port=9, index="i", errors="e")
        assert text.count("{") == text.count("}")
        assert 'serverport="9"' in text
        assert 'action.resumeRetryCount="-1"' in text
