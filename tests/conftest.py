"""For all tests: the `requires` marker, the closing account of what was skipped, and reproducible property tests."""

import logging
import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from observability import oplog
from tests.support import MISSING, need

# No deadline: a test never judges a wall clock. Derandomised: the same commit gives the same verdict.
settings.register_profile("jvpn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("jvpn")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; unknown markers are errors. Let SIGINT end what tests start, also when the run is a shell's background job."""
    config.addinivalue_line("markers", "requires(*names): what the machine must have (tests/support.py)")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # which such a job inherits, and would pass on
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Take back what a test does to the logging of this process.

    A command that runs in this process logs to what is standard error to it, a file of the test. Loggers keep it, and its number is
    soon that of another file: lines were written into databases of later tests.
    """
    yield
    if isinstance(factory := structlog.get_config()["logger_factory"], oplog.Factory):
        factory.sink.close()
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if type(handler).__module__ == oplog.__name__]:
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Judge branches only where they are measured."""
    return True if collection_path.name == "test_branches.py" and not config.pluginmanager.has_plugin("tests.branches") else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for what a test requires before any of its fixtures is built."""
    for mark in item.iter_markers("requires"):
        need(*mark.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip of any kind into a failure when the caller said that everything is there; xfail stays what it is."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _forbid(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    if report.skipped:
        _forbid(report)
    return report


def _forbid(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("JVP_REQUIRE_SERVICES") == "1":
        report.outcome, report.longrepr = "failed", f"{_reason(report)} (JVP_REQUIRE_SERVICES=1 forbids to skip)"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped and why, by kind: a run says itself how complete it was."""
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if not skipped:
        return
    terminalreporter.ensure_newline()
    terminalreporter.section(f"{skipped.total()} skipped: what was missing, and for how many tests")
    for reason, count in skipped.most_common():
        terminalreporter.write_line(f"{count:5d}  {reason.removeprefix(MISSING)}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    where = report.longrepr
    return where[2].removeprefix("Skipped: ") if isinstance(where, tuple) else str(where)
