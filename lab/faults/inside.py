"""Runs tests in a copy of the tree and writes down how each ended: `python -m lab.faults.inside OUT TEST...`, in the copy's root.

OUT gets a line of JSON a test and phase: its name, phase, outcome, and of a failure which exceptions it was made of.
"""

import json
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

import core

PROFILE: Final = "faults"  # reproducible as in the tests, but the first counter-example will do: making it small can take minutes
OPTIONS: Final = (
    "-q", "-p", "no:cacheprovider", f"--hypothesis-profile={PROFILE}",
    "-o", "timeout=0",  # who started this limits the time: a time-out asserts nothing
)  # fmt: skip


class Told:
    """A plugin that writes down how tests end."""

    def __init__(self, out: Path) -> None:
        self._out = out

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        """Make the profile known before it is asked for."""
        from hypothesis import Phase, settings  # noqa: PLC0415 - not before pytest has looked at its plugins

        settings.register_profile(PROFILE, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Write one line."""
        report = yield
        raised = sorted(set(kinds(call.excinfo.value))) if call.excinfo else []
        with self._out.open("a", encoding="utf-8") as out:
            print(json.dumps({"test": report.nodeid, "phase": report.when, "outcome": report.outcome, "raised": raised}), file=out)
        return report


def kinds(error: BaseException) -> Iterator[str]:
    """Yield the names of an exception, or of all in a group; an assertion and what pytest's own checks raise are both `AssertionError`."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from kinds(each)
    else:
        yield AssertionError.__name__ if isinstance(error, AssertionError | pytest.fail.Exception) else type(error).__name__


def main(out: str, *tests: str) -> int:
    """Run; refuse to judge another tree than the one that is stood in."""
    if not Path(core.__file__).is_relative_to(Path.cwd()):
        print(f"core is imported from {core.__file__}", file=sys.stderr)
        return 2
    return int(pytest.main([*OPTIONS, *tests], plugins=[Told(Path(out))]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
