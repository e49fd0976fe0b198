"""The moment in which Ctrl-C begins to be heard."""

import sys
from collections.abc import Callable

import pytest

from jvpn import interrupt
from jvpn.cli import main as cli
from lab import command


def pressed() -> None:
    """Stand for `heard`, with a Ctrl-C that was waiting for it."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("program", [cli.run, lambda: command.run(lambda _: 0, "lab.program")])
def test_ctrl_c_at_that_moment_ends_a_program_as_later(
    program: Callable[[], object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who presses Ctrl-C while a program starts sees a traceback, or the program goes on."""
    monkeypatch.setattr(interrupt, "heard", pressed)
    monkeypatch.setattr(sys, "argv", ["program", "selftest"])
    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == interrupt.STATUS
    assert "interrupted; stopped: " in capfd.readouterr().err
