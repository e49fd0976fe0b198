"""What a process leaves of its memory when it crashes, and who may look into it."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from audit import memory
from tests.audit.running import Running
from tests.support import ROOT, requires

NOBODY = 65_534
PROGRAM = "import os, resource, signal; resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)); {}; os.kill(os.getpid(), signal.{})"


def crashed(folder: Path, close: str, how: str) -> bool:
    """Let a process crash that holds a secret; return whether the kernel says that it wrote a core dump."""
    words = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from audit import memory; " + PROGRAM.format(close, how),
    ]
    process = os.posix_spawn("/bin/sh", ["sh", "-c", 'cd "$1"; shift; exec "$@"', "sh", str(folder), *words], os.environ)
    _, status = os.waitpid(process, 0)
    assert os.WTERMSIG(status) == getattr(signal, how)
    return os.WCOREDUMP(status)


def in_child(work: Callable[[], int]) -> int:
    """Return what work returns in a process of another user."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os._exit(work())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("how", ["SIGSEGV", "SIGABRT"])
def test_a_crash_leaves_no_core(tmp_path: Path, how: str) -> None:
    """A-46: keys would lie in a file of the crash handler, for years, and be sent to whoever debugs it."""
    assert crashed(tmp_path, "None", how) or not list(tmp_path.iterdir())  # what would be: some containers have no core dumps at all
    assert not crashed(tmp_path, "memory.close()", how)


def test_the_limit_alone_is_not_what_is_relied_on(tmp_path: Path) -> None:
    """A-46: a core_pattern that is a pipe gets the dump whatever the limit is: only the flag of the process keeps it in."""
    assert not crashed(tmp_path, "memory._prctl(memory.SET_DUMPABLE, 0)", "SIGSEGV")


@requires("root")
def test_another_process_of_the_user_cannot_read_it() -> None:
    """A-46: anything that runs as the gateway's user, a plug-in or a script, could take the keys out of it."""

    def held(work: Callable[[], object]) -> int:
        said, told = os.pipe()
        holder = os.fork()
        if holder == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            memory._prctl(memory.SET_DUMPABLE, 1)  # as a process is that was started by its user
            work()
            os.write(told, b"1")
            signal.pause()
        os.read(said, 1)

        def looks() -> int:
            try:
                with Path(f"/proc/{holder}/mem").open("rb"):
                    return 0
            except PermissionError:
                return 1

        found = in_child(looks)
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        os.close(said)
        os.close(told)
        return found

    assert held(lambda: None) == 0
    assert held(memory.close) == 1


def test_the_writer_is_closed(tmp_path: Path) -> None:
    """A-46: the keys of signatures and pseudonyms would be in the core dump of the audit writer."""
    with Running(tmp_path / "log") as running:
        assert running.ready
        limits = Path(f"/proc/{running.process.pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[-3:-1] == ["0", "0"]
        running.process.send_signal(signal.SIGSEGV)
        _, status = os.waitpid(running.process.pid, 0)
        assert os.WTERMSIG(status) == signal.SIGSEGV
        assert not os.WCOREDUMP(status)
        running.process.returncode = -signal.SIGSEGV
