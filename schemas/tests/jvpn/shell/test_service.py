"""What the services share: no signal kills before the loop runs or is lost, a supervisor hears, and descriptors are enough."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jvpn.shell import service
from jvpn.shell.errors import Unavailable
from jvpn.shell.gateway import DESCRIPTORS
from tests.support import ROOT

EARLY = """
import os, signal
from types import SimpleNamespace
from jvpn.shell.driver import Driver
from jvpn.shell.service import serve
from jvpn.shell.tun import MemoryTun

heard = []

def make():
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)
    engine = SimpleNamespace(deadline=lambda: None)
    driver = Driver(engine, [], MemoryTun(), None)
    driver.on_signal = heard.append
    return SimpleNamespace(driver=driver, close=driver.close)

print(serve(make), heard == [signal.SIGHUP])
"""
FEW = """
import resource
from jvpn.shell.gateway import _more_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
_more_descriptors()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)


def test_a_signal_before_the_loop_is_heard_by_the_loop() -> None:
    """A reload in the first second of a gateway would kill it, and no supervisor starts again what SIGHUP has ended."""
    done = python(EARLY)
    assert (done.returncode, done.stdout) == (0, "0 True\n"), done.stderr


@pytest.mark.parametrize("hard", [300, DESCRIPTORS, DESCRIPTORS + 9])
def test_a_gateway_has_descriptors_for_its_connections(hard: int) -> None:
    """With the usual 1,024, strangers with TCP connections would take the place of the control socket, so of `jvpn revoke`."""
    done = python(FEW.format(hard=hard))
    assert done.stdout.splitlines()[-1] == f"{min(hard, DESCRIPTORS)} {hard}", done.stderr
    assert ("few_descriptors" in done.stdout) == (hard < DESCRIPTORS)


def process(said: list[str]) -> service.Running:
    """Return a process that notes what happens to it."""
    driver = SimpleNamespace(listen=lambda _fd, _numbers: said.append("listens"), run=lambda: said.append("runs"))
    return cast("service.Running", SimpleNamespace(driver=driver, close=lambda: said.append("ended")))


@pytest.mark.parametrize("abstract", [False, True])
def test_a_supervisor_hears_that_the_service_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool) -> None:
    """A supervisor would send a reload too early, and call a gateway started that then could not open its device."""
    name = f"@jvpn-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(f"\0{name[1:]}" if abstract else name)
        supervisor.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        said: list[str] = []
        assert service.serve(lambda: process(said)) == 0
        assert said == ["listens", "runs", "ended"]
        assert supervisor.recv(100) == b"READY=1"


def test_no_supervisor_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway would not start by hand, or when its supervisor is gone."""
    for name in ("", str(tmp_path / "nobody")):
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert service.serve(lambda: process([])) == 0


def test_parts_are_closed_when_one_is_missing() -> None:
    """A start that fails would leave an audit writer that waits for ever, or half a socket in the way of the next start."""
    closed: list[str] = []
    parts = cast("Any", service.Parts())
    for missing in (Unavailable("no"), OSError("no")):

        def opened(missing: Exception = missing) -> None:
            with parts._opening():
                parts._keep(SimpleNamespace(close=lambda: closed.append("first")))
                parts._keep(SimpleNamespace(close=lambda: closed.append("second")))
                raise missing

        closed.clear()
        parts._open.clear()
        with pytest.raises(type(missing)):
            opened()
        assert closed == ["second", "first"]
