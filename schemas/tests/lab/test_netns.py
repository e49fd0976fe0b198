"""Namespaces by hand: which way is open here, and why not."""

import os
import signal
import subprocess
import sys

import pytest

from lab import netns
from tests.support import requires

BOUND = 20
HERE = [sys.executable, "-I", "-c", "import os; print(os.stat('/proc/self/ns/net').st_ino, os.getuid())"]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run the module as a program."""
    return subprocess.run([*netns.COMMAND, *argv], capture_output=True, text=True, timeout=BOUND, check=False)


@requires("nft")
def test_a_program_gets_a_network_of_its_own_and_is_root_there() -> None:
    """What a test does to the network would be done to the developer's machine."""
    namespace, uid = map(int, run("run", "--", *HERE).stdout.split())
    assert namespace != netns.inode(os.getpid())
    assert uid == 0


@requires("nft")
def test_the_probe_tells_the_way() -> None:
    """Tests would be skipped where they could run, or fail where they cannot."""
    assert netns.probe() in (("root", ""), ("user", ""))


@requires("userns")
def test_a_user_namespace_is_enough() -> None:
    """Nobody without root could run the laboratory."""
    script = "unshare --user --map-current-user " if os.geteuid() else "setpriv --bounding-set -sys_admin --inh-caps -sys_admin "
    done = subprocess.run([*script.split(), *netns.COMMAND, "probe"], capture_output=True, text=True, timeout=BOUND, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "user")


def test_a_machine_that_forbids_it_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason would be lost, and with it what to do."""

    def refuse(name: str, *_: int) -> None:
        raise PermissionError(1, f"{name}: Operation not permitted")

    monkeypatch.setattr(netns, "_call", refuse)
    with pytest.raises(OSError, match="no network namespace: not root, and user namespaces are not allowed"):
        netns.isolate()
    monkeypatch.setattr(netns, "COMMAND", (sys.executable, "-I", "-c", "raise SystemExit('no: forbidden')"))
    assert netns.probe() == ("", "no: forbidden")


@pytest.mark.parametrize("argv", [[], ["run"], ["run", "--"], ["exec", "1"], ["exec", "1", "--"], ["nonsense"]])
def test_a_wrong_command_line_shows_the_right_ones(argv: list[str]) -> None:
    """Somebody who tries it by hand would have to read the source."""
    done = run(*argv)
    assert done.returncode == 1
    assert "exec PID -- ARGV" in done.stderr


def test_a_vanished_process_is_an_error() -> None:
    """A program would be started on the machine itself when its namespace is gone."""
    with subprocess.Popen(["sleep", "600"]) as process:
        process.kill()
        process.wait(BOUND)
        done = run("exec", str(process.pid), "--", *HERE)
    assert done.returncode == 1
    assert done.stdout == ""


def test_killing_spares_numbers_that_mean_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process number that was used again in between would cost a stranger his life."""
    killed: list[int] = []
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda handle, _: killed.append(handle))
    monkeypatch.setattr(netns, "inode", lambda pid: 1 if pid == os.getpid() else 2)
    with subprocess.Popen(["sleep", "600"]) as process:
        netns._end([process.pid])
        process.kill()
    assert killed == []
