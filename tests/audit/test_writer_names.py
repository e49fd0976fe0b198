"""The writer and the keys of the names that it gives."""

import os
import time
from pathlib import Path

import orjson
import pytest

from audit import writer
from audit.names import Keeper, change, key_path, load_ring, store_key
from audit.pseudonym import Owed, month_of, written
from audit.verdict import Verdict
from audit.verify import verify
from core.reasons import Reason
from tests.audit.made import KEY, WALL, events_of, opened
from tests.audit.running import Running


def test_what_is_done_with_the_keys_of_names_is_recorded(tmp_path: Path) -> None:
    """A-18, A-19: keys would be destroyed or used, and nobody would see it in the log; or each writer would tell it again."""
    log, now = tmp_path / "log", month_of(time.time_ns())
    path = key_path(log)
    store_key(path, KEY, now - 3)
    change(path, lambda ring: ring.turned(now - 2, 12).turned(now - 1, 12).noting(Reason.NAMES_RESOLVED, Owed(now - 2, now, 2)))
    with Running(log, options=("--names-months", "1")) as running:
        assert running.ready
        assert running.close() == (0, "")
    assert load_ring(path).kept == (now - 1,)
    assert load_ring(path).owed == {}
    change(path, lambda ring: ring.without(now))
    with Running(log, options=("--names-months", "1")) as running:
        assert running.ready
        assert running.close() == (0, "")
    told = [(event["reason_code"], event["names"], event["count"]) for event in events_of(log) if event["event_type"] == "NAMES_HANDLED"]
    assert sorted(told) == [
        ("NAMES_DESTROYED", {"first": written(now - 1), "last": written(now - 1)}, 1),
        ("NAMES_OVER", {"first": written(now - 3), "last": written(now - 2)}, 2),
        ("NAMES_RESOLVED", {"first": written(now - 2), "last": written(now)}, 2),
    ]
    assert verify(log).verdict is Verdict.VERIFIED


def test_a_running_writer_sees_what_a_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-19: keys that were destroyed would be in the memory of a gateway, and name its events, until it is restarted."""
    directory = tmp_path / "log"
    store_key(key_path(directory), KEY, month_of(WALL))
    keeper = Keeper(directory, 12)
    log, journal = opened(directory)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    process = writer.Writer(log, journal, keeper, reading, None)
    monkeypatch.setattr(process, "_wait", lambda: None)
    turns = iter((lambda: change(key_path(directory), lambda ring: ring.anew(bytes(32), ring.month)), lambda: os.close(writing)))
    real = process._read_evidence

    def between() -> list[bytes]:
        next(turns, lambda: None)()
        monkeypatch.setattr(process, "_look_ns", 0)
        return real()

    monkeypatch.setattr(process, "_read_evidence", between)
    with log:
        assert process.run()
    assert keeper.names.ring.names(0).device(bytes(32)) == load_ring(key_path(directory)).names(0).device(bytes(32))
    handled = [event["reason_code"] for event in events_of(directory) if event["event_type"] == "NAMES_HANDLED"]
    assert handled == ["NAMES_DESTROYED"]


def test_names_that_cannot_be_looked_after_stop_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A-18: a gateway without room, or whose key file somebody removed, would record nothing any more; or its operator not hear of it."""
    log = tmp_path / "log"
    store_key(key_path(log), KEY)
    keeper = Keeper(log, 12)
    opened_log, journal = opened(log)
    key_path(log).unlink()
    reading, writing = os.pipe()
    os.close(writing)
    with opened_log:
        assert writer.Writer(opened_log, journal, keeper, reading, None).run()
    said = [orjson.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(each["event"], each["error"]) for each in said] == [("audit_names_kept", "No such file or directory")]
    assert verify(log).verdict is Verdict.VERIFIED
