"""Which branches of the core, and of what judges keys, their own tests take: `pytest -p tests.branches` measures, a test judges.

Only while these tests run anything is measured: that the laboratory passes through a branch does not show that anybody looks at it.
"""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest
from coverage import Coverage

ROOT: Final = Path(__file__).resolve().parent.parent
MEASURED: Final = ("core", "jvpn/keys")
OWN: Final = tuple(ROOT / "tests" / name for name in ("abuse", "core", "jvpn/keys"))


class Branches:
    """Measures from the first import of the core on, then only while the core's own tests run."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Begin to measure what is in these folders."""
        self.coverage = Coverage(data_file=None, branch=True, source=[str(folder) for folder in folders])
        self.on = False
        self.measure(on=True)

    def measure(self, *, on: bool) -> None:
        """Go on, or pause."""
        if on is not self.on:
            self.on = on
            (self.coverage.start if on else self.coverage.stop)()

    def judged(self) -> tuple[float, str]:
        """Return how many per cent of lines and branches were taken, and the table of what was not."""
        self.measure(on=False)
        table = io.StringIO()
        return self.coverage.report(file=table, show_missing=True, skip_covered=True), table.getvalue()


KEY: Final = pytest.StashKey[Branches]()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin before anything of the core is imported."""
    early_config.stash[KEY] = Branches(ROOT / name for name in MEASURED)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Measure the core's own tests, fixtures included, and no others."""
    item.config.stash[KEY].measure(on=any(item.path.is_relative_to(folder) for folder in OWN))
