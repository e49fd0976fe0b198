"""The bench of the core: it runs, small, and it draws the right conclusions from made-up figures. No time is judged here."""

import json
import subprocess
import sys
from math import inf
from typing import Any

import pytest

from lab.bench import core
from lab.bench.figures import Bar, Series, Subject, in_turns, ratio
from lab.bench.fleet import Fleet, Unexpected
from lab.bench.memory import newest, objects
from lab.bench.memory import shared as common
from lab.bench.subjects import BURST, Curve, Data, Door, bars, shown
from lab.evidence import circumstances
from tests.support import ROOT

NAMES = (
    "reattach",
    "commit",
    "garbage",
    "wrong mac",
    "bare seal",
    "bare open",
    "seal",
    "open",
    "engine send",
    "engine receive",
    "x25519",
    "crypto",
)


def made_up(**rounds: tuple[float, ...]) -> dict[str, Series]:
    """Return series of which those named have these rounds, and the others three rounds of 100 ns."""
    return {name: Series(name, name, rounds.get(name.replace(" ", "_"), (100.0, 100.0, 100.0))) for name in NAMES}


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that is slow for one round of the two would make a ratio of what it did meanwhile."""
    bar = ratio("r", "w", Series("a", "a", (150.0, 3_000.0, 140.0)), Series("b", "b", (100.0, 2_000.0, 100.0)), 1.5)
    assert (bar.value, bar.met, bar.spread) == (1.5, True, (1.45, 1.5))
    assert not ratio("r", "w", Series("a", "a", (151.0,)), Series("b", "b", (100.0,)), 1.5).met


def test_rounds_of_different_runs_are_not_compared() -> None:
    """Figures of two runs, on different days, would be called a ratio."""
    with pytest.raises(ValueError, match="zip"):
        ratio("r", "w", Series("a", "a", (1.0, 2.0)), Series("b", "b", (1.0,)), 1)


@pytest.mark.parametrize(
    ("rounds", "missed"),
    [
        ({"x25519": (67.0,) * 3, "garbage": (0.5,) * 3, "wrong_mac": (3.3,) * 3, "seal": (200.0,) * 3, "open": (200.0,) * 3}, []),
        ({"x25519": (66.0,) * 3, "garbage": (0.5,) * 3, "wrong_mac": (3.3,) * 3}, ["reattach"]),
        ({"garbage": (0.51,) * 3, "wrong_mac": (3.3,) * 3}, ["garbage locator"]),
        ({"garbage": (0.5,) * 3, "wrong_mac": (3.4,) * 3}, ["wrong mac"]),
        ({"garbage": (0.5,) * 3, "wrong_mac": (3.3,) * 3, "seal": (201.0,) * 3}, ["seal"]),
        ({"garbage": (0.5,) * 3, "wrong_mac": (3.3,) * 3, "open": (201.0,) * 3}, ["open"]),
    ],
)
def test_each_bar_is_held_against_its_own_figures(rounds: dict[str, tuple[float, ...]], missed: list[str]) -> None:
    """A bar that is missed would be called met, or the other way round."""
    assert [bar.name for bar in bars(made_up(**rounds)) if not bar.met] == missed


def test_what_has_no_bar_is_shown_without_a_judgement() -> None:
    """A figure that nobody set a bar for would read as met; and JSON knows no infinity."""
    plain = [bar.plain() for bar in shown(made_up())]
    assert [each["value"] for each in plain] == [1.0, 1.0, 1.0, 1.0]
    assert not [each for each in plain if "met" in each or "at_most" in each]
    assert Bar("n", "w", 1, inf).met


def test_subjects_take_turns_and_the_first_round_does_not_count() -> None:
    """What slows the machine for a while would hit one subject alone, or a cold start would count as a time."""
    order: list[str] = []
    subjects = [Subject(name, name, lambda: None, lambda _, name=name: order.append(name)) for name in "ab"]  # type: ignore[misc]  # the default binds the loop's value
    series = in_turns(subjects, 2, 1)
    assert "".join(order) == "abbaab"
    assert [len(each.rounds) for each in series.values()] == [2, 2]


def test_the_subjects_are_what_they_say() -> None:
    """The bench would time refusals as moves, or moves as refusals."""
    door = Door(3)
    fleet = door.fleet
    reattach, commit, garbage, wrong = door.subjects()
    for _ in range(4):
        knocked = reattach.make()
        reattach.settle(knocked, reattach.call(knocked))
        commit.call(commit.make())
    assert fleet.attached() == 3
    versions = sum(session.binding_version for session in fleet.desk.sessions.values())
    assert versions == 3 + 4 + 4
    for subject in (garbage, wrong):
        made = subject.make()
        assert (len(made[0]), subject.of) == (BURST, BURST)
        assert not [output for output in subject.call(made) if type(output).__name__ != "Record"]
    assert sum(session.binding_version for session in fleet.desk.sessions.values()) == versions
    for subject in Curve().subjects():
        subject.call(subject.make())
    done = {subject.name: subject.call(subject.make()) for subject in Data().subjects()}
    assert len(done["open"]) == len(done["bare open"]) == len(done["bare seal"]) == BURST
    assert [len(run.frames) for run in done["engine send"]] == [len(run.frames) for run in done["seal"]] == [BURST]
    assert [len(output.packets) for output in done["engine receive"] if hasattr(output, "packets")] == [BURST]


def test_a_fleet_that_is_refused_says_so() -> None:
    """Refusals would be measured as births: they are fast."""
    fleet = Fleet(1)
    fleet.desk.devices = {}
    with pytest.raises((Unexpected, ValueError)):
        fleet.born(0)
    assert not fleet.desk.sessions


def test_the_objects_of_a_session_are_its_own() -> None:
    """What all sessions share would be counted for each, or what one holds would not be counted."""
    fleet = Fleet(2)
    fleet.born(0)
    member = fleet.born(1)
    alone = objects(newest(fleet), common(fleet))
    assert set(alone) >= {"Session", "Epoch", "Secret", "Path", "bytes"}
    assert not {"Desk", "Gateway", "Device"} & set(alone)
    attempt = fleet.knock(member)
    assert fleet.says(attempt.frame, attempt.path)
    assert "Candidate" in objects(newest(fleet), common(fleet))


@pytest.mark.parametrize(
    ("program", "bars", "series"),
    [
        ("lab.bench.core", ["reattach", "garbage locator", "wrong mac", "seal", "open", "memory", "storm"], NAMES),
        ("lab.bench.audit", ["sealed", "verified"], ("canonical", "sealed", "written", "parsed", "verified")),
    ],
)
def test_it_runs_small_and_writes_nothing(program: str, bars: list[str], series: tuple[str, ...]) -> None:
    """`make bench-core` would fail after minutes, or a try of it would replace the evidence."""
    before = {path.name: path.read_bytes() for path in (ROOT / "docs" / "evidence").glob("*.*")}
    done = subprocess.run(
        [sys.executable, "-m", program, "--quick", "--json"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=100
    )
    told: dict[str, Any] = json.loads(done.stdout)
    assert [bar["name"] for bar in told["bars"]] == bars
    assert [each["name"] for each in told["series"]] == list(series)
    assert all(each["median_ns"] > 0 for each in told["series"])
    if "storm" in told:
        assert told["storm"]["ns"] == told["storm"]["attempts_ns"] + told["storm"]["commits_ns"] > 0
        assert told["memory"]["bytes_at_rest"] > 0
    assert {path.name: path.read_bytes() for path in (ROOT / "docs" / "evidence").glob("*.*")} == before


def test_the_page_says_what_is_not_met() -> None:
    """A reader of the page would take a missed bar for a met one."""
    held = {"sessions": 1_000, "bytes_at_rest": 1_501.0, "objects": {"Session": 300, "int": 90}, "tables": {"sessions": 52}}
    stormed = {"sessions": 10, "ns": 5_900_000_000, "processor_ns": 5e9, "attempts_ns": 4e9, "commits_ns": 1.9e9, "bare_write_ns": 2e6}
    document = core.document(made_up(), stormed, held) | {"load_before": 0.5, "made": circumstances("cryptography")}
    page = core.page(document)
    (memory,) = [line for line in page if line.startswith("| an idle session")]
    assert memory == "| an idle session, of 1,000 | 1,501 bytes |  | 1,500 bytes | **not met** |"
    (storm,) = [line for line in page if line.startswith("| 10 sessions move")]
    assert storm == "| 10 sessions move, with the store | 5.90 s |  | 6.00 s | met |"
    assert "**4 of 7 bars are met.**" in page
    assert "The objects of one idle session, in bytes: Session 300, int 90; together 390." in page
