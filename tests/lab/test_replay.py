"""Replay: what must not happen is found, what may is told apart, and a folder that cannot be replayed is named."""

import json
import os
import subprocess
import sys
from pathlib import Path as File
from random import Random
from typing import cast

import pytest

from core.values import Output, Path, Route
from lab.replay import __main__ as command
from lab.replay import judge, states
from lab.replay.judge import feed, made_with_keys, take
from lab.replay.snapshot import Snapshot
from lab.replay.states import Stage, bring, names, stage, true_frames
from lab.sim.world import World
from tests.support import ROOT


@pytest.fixture
def folder(tmp_path: File) -> File:
    """Return a folder of a few datagrams: noise, true frames, and true frames with a flaw."""
    dice, true = Random(1), list(true_frames())
    for number in range(12):
        frame = bytearray(dice.choice(true))
        frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
        (tmp_path / f"{number:02}").write_bytes((dice.randbytes(dice.randrange(60)), dice.choice(true), bytes(frame))[number % 3])
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "empty").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("name", names())
def test_each_state_is_reached(name: str) -> None:
    """A state would be called tested, and another one be tested twice."""
    assert bring(name).now > 0


def test_a_way_that_leads_elsewhere_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refactoring would make a way end in another state, and nobody would see that one state is not tested any more."""
    monkeypatch.setitem(cast("dict[str, object]", states.GATEWAY), "VOLATILE", lambda: World().connected())
    with pytest.raises(RuntimeError, match="VOLATILE"):
        stage("gateway: VOLATILE")


def test_nothing_is_found(folder: File, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that prove nothing would change an engine, or the command would see changes where there are none."""
    assert command.main([str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["files"], told["exceptions"], told["unexplained_changes"]) == (13, 0, 0)
    assert told["fed"] == 13 * 3 * len(names())
    assert told["refused"]["TYPE_UNKNOWN"] > 0
    assert len(told["cells"]) == 3 * len(names())


def test_the_table_says_the_same(folder: File, capsys: pytest.CaptureFixture[str]) -> None:
    """A person would be told something else than a program."""
    assert command.main([str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.rstrip().endswith("0 exceptions, 0 unexplained changes")
    assert "TYPE_UNKNOWN" in said


@pytest.mark.parametrize("kind", ["INIT", "RESP", "DATA", "CONFIRM", "REATTACH", "REATTACH_RESP"])
def test_true_frames_change_something(kind: str) -> None:
    """The snapshot would be blind, and every verdict of no change worth nothing."""
    files = [(kind, frame) for frame, each in true_frames().items() if each == kind][:200]
    cells = [feed(stage(name), "bound", files, true_frames()) for name in names()]
    assert sum(cell.changes[kind] for cell in cells) > 0
    assert not [finding for cell in cells for finding in cell.findings]


@pytest.mark.parametrize("kind", ["RESP", "COOKIE", "CONFIRM", "REATTACH", "REATTACH_RESP"])
def test_a_wrong_end_changes_nothing(kind: str) -> None:
    """A frame that is true but for its MAC or tag would move a window, burn an attempt or end what is pending."""
    files = [(kind, frame[:-1] + bytes((frame[-1] ^ 1,))) for frame, each in true_frames().items() if each == kind]
    for name in names():
        assert not feed(stage(name), "bound", files, true_frames()).findings


@pytest.mark.parametrize("side", ["gateway", "client"])
def test_a_planted_exception_is_found(side: str, folder: File, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An engine that dies of a datagram would pass."""

    def faulty(at: Stage, frame: bytes, path: Path) -> list[Output]:
        if at.side == side and frame[:1] == b"\x04":
            raise KeyError(4)
        return take(at, frame, path)

    monkeypatch.setattr(judge, "take", faulty)
    assert command.main([str(folder)]) == 1
    assert "FINDING exception" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["Session.next", "Desk.retired", "Epoch.bitmap", "Client.cookies", "output Route"])
def test_a_planted_change_is_found(what: str, folder: File, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Noise that moves a window, burns an attempt, fills a table or speaks to the outside would pass."""

    def faulty(at: Stage, frame: bytes, path: Path) -> list[Output]:
        for session in at.world.desk.sessions.values() if at.side == "gateway" else ():
            session.next += what == "Session.next"
            if what == "Desk.retired":
                at.world.desk.retired[5] = None
            elif what == "Epoch.bitmap" and session.active:
                session.active.bitmap |= 1 << 500
        at.world.client.cookies += what == "Client.cookies"
        return [*take(at, frame, path), *([Route(1, (), up=True)] if what == "output Route" else [])]

    monkeypatch.setattr(judge, "take", faulty)
    assert command.main([str(folder), "--json"]) == 1
    found = [finding for cell in json.loads(capsys.readouterr().out)["cells"] for finding in cell["findings"]]
    assert any(finding["what"] == "change" and what in finding["details"] for finding in found)


def test_everything_is_put_back() -> None:
    """The second file would meet another state than the first."""
    at = stage("gateway: candidate held")
    for frame in true_frames():
        at.world.gateway.receive([frame], at.places["bound"], at.world.now)
    assert at.before.changes()
    at.before.restore()
    assert not Snapshot.changes(at.before)


def test_an_address_proof_is_not_a_proof_of_keys() -> None:
    """[M-4]: a true INIT with another end would be called an unexplained change, or a false one be called true."""
    (init,) = [frame for frame, kind in true_frames().items() if kind == "INIT"][:1]
    assert made_with_keys(init[:-16] + bytes(range(16)), true_frames()) == "INIT"
    assert made_with_keys(init[:1_300] + b"x" + init[1_301:], true_frames()) is None


def test_what_cannot_be_replayed_is_named(tmp_path: File, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped folder would count as tested, with no findings."""
    assert command.main([str(tmp_path)]) == 2
    assert command.main([str(tmp_path / "none")]) == 2
    (tmp_path / "file").write_bytes(b"x")
    assert command.main([str(tmp_path / "file")]) == 2
    (tmp_path / "huge").write_bytes(bytes(70_000))
    assert command.main([str(tmp_path)]) == 2
    (tmp_path / "huge").unlink()
    os.mkfifo(tmp_path / "pipe")
    assert command.main([str(tmp_path)]) == 2
    (tmp_path / "pipe").unlink()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    assert command.main([str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert not said.out
    wanted = (
        "no files in it",
        "no such directory",
        "not a directory",
        "at most 65,535",
        "pipe: not a regular file",
        "broken: not a regular file",
    )
    assert all(line.endswith(each) or each in line for line, each in zip(said.err.splitlines(), wanted, strict=True))


def test_the_command_records_what_it_replays(tmp_path: File) -> None:
    """The command itself would not start, or write frames that it does not know as true."""
    done = subprocess.run(
        [sys.executable, "-m", "lab.replay", "--record", str(tmp_path / "new")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith(f"{len(true_frames()):,} frames")
    assert {path.read_bytes() for path in (tmp_path / "new").iterdir()} == set(true_frames())
