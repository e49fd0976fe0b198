"""The bench of sinks: it runs, small, and draws the right conclusions from made-up figures. No time is judged here."""

import json
import subprocess
import sys
from typing import ClassVar

import pytest

from lab.bench import sinks
from lab.bench.sinks import HEALTHY, STATES, Measured, document, page, tail
from tests.opensearch_fixture import NEEDS_NODE
from tests.support import MISSING, ROOT, requires

MS = 1_000_000


def made_up(state: str, speed: float, worst: int) -> dict[str, Measured]:
    """Every state as healthy, but one."""
    same = {name: Measured([100e6, 110e6], [[MS] * 999 + [2 * MS]] * 2) for name in STATES}
    return same | {state: Measured([speed * 100e6, speed * 110e6], [sorted([MS] * 900 + [worst] * 100)] * 2)}


def test_the_percentile_is_of_the_slowest_thousandth() -> None:
    """One slow packet in two hundred would not be seen, or one in a million would decide."""
    assert tail([1] * 998 + [5, 9]) == 9
    assert tail([1] * 9_989 + [5] + [9] * 10) == 9
    assert tail([1] * 9_999 + [9]) == 1


@pytest.mark.parametrize(
    ("speed", "worst", "missed"),
    [
        (1.0, 2 * MS, []),
        (0.985, 3 * MS, []),
        (0.97, 2 * MS, ["hung speed"]),
        (1.03, 2 * MS, ["hung speed"]),
        (1.0, 4 * MS, ["hung tail"]),
    ],
)
def test_a_sink_that_changes_the_tunnel_misses_its_bar(speed: float, worst: int, missed: list[str]) -> None:
    """A sink that hangs could slow every packet down, and the page would say that all is well."""
    told = document(made_up("hung", speed, worst))
    assert [bar["name"] for bar in told["bars"] if not bar["met"]] == missed
    assert len(told["bars"]) == 2 * (len(STATES) - 1)


def test_what_is_measured_against_itself_is_no_bar() -> None:
    """The healthy rounds would be judged by themselves and pass."""
    assert not any(bar["name"].startswith(HEALTHY) for bar in document(made_up("dead", 1.0, MS))["bars"])


@pytest.mark.timeout(900)
class TestSmall:
    """One quick run."""

    pytestmark: ClassVar = [requires("netns", "tun", "iperf"), *NEEDS_NODE]

    def test_it_runs_with_a_real_tunnel_and_a_real_node(self) -> None:
        """The long run could not be carried through any more."""
        command = [sys.executable, "-m", "lab.bench.sinks", "--quick", "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode == 2 and "can be mounted" in done.stderr:
            pytest.skip(f"{MISSING}mount: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr[-3_000:]
        told = json.loads(done.stdout)
        assert [each["name"] for each in told["states"]] == list(STATES)
        assert all(each["trips"] == sinks.QUICK.probes and each["mbit_s"] > 0 and each["records"] > 0 for each in told["states"])
        assert len(page(told)) > len(STATES)
