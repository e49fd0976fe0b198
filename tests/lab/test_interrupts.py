"""Ctrl-C at every program that people wait for: no traceback, exit status 130, a word about what was stopped, and nothing left running."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.mutants import work
from tests.support import ROOT, requires

SECONDS = 60
# Programs that other programs start, that only say what is possible, or that write what is generated and are done.
NOT_FOR_WAITING = {"demo/attacker", "demo/insider", "demo/pumped", "demo/relay", "demo/tied", "demo/work", "end_with_parent", "netns",
                   "netlab", "bench/memory", "fuzz/inside", "faults/inside", "fuzz/corpus", "docgen", "reference", "registry",
                   "grafana/make", "ocsf", "golden", "evolution", "endure/disk", "bench/tunnel_work"}  # fmt: skip
WAITED_FOR = {
    "lab.bench.core": (),
    "lab.explore": ("--bounds", "worlds=1000000"),
    "lab.proofs": ("--long", "--suite", "window"),
    "lab.secrecy": (),
    "lab.timing": ("--long",),
    "jvpn": ("selftest", "--full"),
}
# Stands for mutmut: it starts a test, and waits.
MUTMUT = """#!{python}
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[0]])
time.sleep(600)
"""


class Program:
    """A program in a process group of its own, as a shell starts it, with what it says in a file."""

    def __init__(self, output: Path, *command: str) -> None:
        self._output = output
        with output.open("wb") as file:
            line = [sys.executable, "-X", "importtime", "-m", *command]
            self._process = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, process_group=0)

    def said(self) -> str:
        """Return what it has said so far, without the interpreter's lines about imports."""
        return "\n".join(line for line in self._output.read_text().splitlines() if not line.startswith("import time:"))

    def until(self, true: Callable[[], object]) -> None:
        """Wait for something that it does."""
        end = time.monotonic() + SECONDS
        while not true():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.01)

    def until_imported(self, package: str) -> None:
        """Wait until its package is imported, and its modules still are being."""
        self.until(lambda: re.search(rf"\|\s+{package}$", self._output.read_text(), re.MULTILINE))

    def hears(self) -> bool:
        """Whether it has a handler for SIGINT: after the import of the package that is so once its work begins."""
        (line,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{self._process.pid}/status").read_text(), re.MULTILINE)
        return bool(int(line, 16) >> (signal.SIGINT - 1) & 1)

    def interrupted(self) -> int:
        """Press Ctrl-C, which the whole group hears; return the exit status."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(SECONDS)

    def end(self) -> None:
        """End what is left of the group."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(SECONDS)


@contextmanager
def started(output: Path, *command: str) -> Iterator[Program]:
    """Run a program; end it whatever happens."""
    program = Program(output, *command)
    try:
        yield program
    finally:
        program.end()


def left(word: str) -> list[str]:
    """Return the command lines of the processes that have a word in theirs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # gone by now
            continue
        if word in line:
            found.append(line)
    return found


def gone(word: str) -> None:
    """See that all such processes end: what got its signal before may still be ending."""
    end = time.monotonic() + SECONDS
    while running := left(word):
        assert time.monotonic() < end, running
        time.sleep(0.01)


@pytest.mark.parametrize("name", WAITED_FOR)
def test_ctrl_c_ends_a_program_with_one_line(name: str, tmp_path: Path) -> None:
    """Who stops a proof of some minutes would see thirty lines of a traceback, or the next proof begin."""
    with started(tmp_path / "said", name, *WAITED_FOR[name]) as program:
        program.until_imported(name.partition(".")[0])
        if name != "lab.proofs":
            program.until(program.hears)
        else:
            program.until(lambda: "proved" in program.said())  # the solver searches, and takes the signal
        status = program.interrupted()
    if name == "lab.proofs":  # Z3 loses what is raised in its finalisers, so the signal ends the process: a shell says 130 then
        assert (status, "Traceback" in program.said()) == (-signal.SIGINT, False)
        return
    assert status == 130, program.said()
    last = program.said().splitlines()[-1]
    stopped = "jvpn selftest" if name == "jvpn" else "its work; nothing was written"
    assert last == f"{name}: interrupted; stopped: {stopped}"
    assert "Traceback" not in program.said()


@pytest.mark.parametrize("name", ["jvpn", "lab.explore"])
def test_ctrl_c_while_it_is_imported_ends_it_without_a_word(name: str, tmp_path: Path) -> None:
    """Who mistypes and stops at once would see a traceback out of somebody's library."""
    with started(tmp_path / "said", name, *WAITED_FOR[name]) as program:
        program.until_imported(name.partition(".")[0])
        if program.hears():
            pytest.fail("the work had begun before anybody could press a key")
        assert program.interrupted() in {-signal.SIGINT, 130}  # a shell shows both as 130
    assert "Traceback" not in program.said()


@pytest.mark.parametrize("place", ["loopback", pytest.param("namespaces", marks=requires("netns", "tun", "nft"))])
def test_ctrl_c_ends_the_demonstration_and_all_that_it_started(place: str, tmp_path: Path) -> None:
    """A gateway, a client or a download would go on in the background, and the next demonstration would meet them."""
    out = tmp_path / "report"
    with started(tmp_path / "said", "lab.demo", "--out", str(out), *(["--loopback"] if place == "loopback" else [])) as program:
        program.until((out / "run" / "ping.jsonl").exists)
        running = len(left(str(out)))
        status = program.interrupted()
    assert running > 3, "gateway, client, recorder and the demonstration itself"
    assert status == 130, program.said()
    stands_on = {"loopback": "the relay, the traffic", "namespaces": "both namespaces with the traffic in them"}[place]
    assert program.said().splitlines()[-1] == f"lab.demo: interrupted; stopped: client, gateway and {stands_on}"
    assert "Traceback" not in program.said()
    gone(str(out))


def test_ctrl_c_ends_mutmut_with_its_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of a mutant would run on, on a machine whose owner has stopped them."""
    (tmp_path / "mutmut").write_text(MUTMUT.format(python=sys.executable))
    (tmp_path / "mutmut").chmod(0o700)
    running: list[str] = []

    def wait(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if not running:
            end = time.monotonic() + SECONDS
            while len(running) < 2:  # mutmut, and the test that it runs
                assert time.monotonic() < end, running
                running[:] = left(str(tmp_path / "mutmut"))
            raise KeyboardInterrupt
        return really(process, timeout)

    really = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    monkeypatch.setattr(work, "sys", SimpleNamespace(executable=str(tmp_path / "python"), stderr=subprocess.DEVNULL))
    with pytest.raises(KeyboardInterrupt) as interrupted:
        work.run(tmp_path, SECONDS)
    assert interrupted.value.__notes__ == ["mutmut; the next run goes on"]
    gone(str(tmp_path / "mutmut"))


def test_every_program_that_is_waited_for_ends_so() -> None:
    """The next program of the laboratory would answer Ctrl-C with a traceback again."""
    others = []
    for path in sorted((ROOT / "lab").rglob("*.py")):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT / "lab").with_suffix("").as_posix()
        if '__name__ == "__main__"' in text and name not in NOT_FOR_WAITING:
            last = ast.unparse(ast.parse(text).body[-1])
            program = f"lab.{name.removesuffix('/__main__').replace('/', '.')}"
            deaf = ", heard=False" if program == "lab.proofs" else ""
            if f"command.run(main, '{program}'{deaf})" not in last:
                others.append(name)
    assert not others
