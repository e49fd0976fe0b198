"""What the gateway process does once an hour."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from core import limits
from core.values import Admission, Instant
from jvpn.shell import gateway, keyfile
from jvpn.shell.checked import Misconfigured
from jvpn.shell.forms import key_text
from jvpn.shell.gateway import GatewayProcess


def test_old_row_keys_are_destroyed_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that runs for months would keep the key of every row since its start, for whoever steals the file and old disk blocks."""
    asked: list[Path] = []
    monkeypatch.setattr(keyfile, "ratchet", lambda path, _wall_ns, _vault: asked.append(path))
    process = cast("Any", SimpleNamespace(_hour=7, _vault=None, _config=SimpleNamespace(key=Path("gateway.key"))))
    for hour in (7, 7, 8, 7, 8, 9):
        GatewayProcess._hourly(process, hour * keyfile.HOUR_NS)
    assert asked == [Path("gateway.key")] * 2


def test_a_clock_that_was_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that started before its clock was right would lose each session within the hour, and nobody could say why."""
    told: list[dict[str, object]] = []
    monkeypatch.setattr(gateway, "log", SimpleNamespace(error=lambda event, **fields: told.append({"event": event, **fields})))
    process = cast("Any", SimpleNamespace(_at_zero=0))
    second = 1_000_000_000
    for at_zero in (0, 59 * second, -59 * second, 7_200 * second, 7_201 * second, 0):
        GatewayProcess._compare_clocks(process, at_zero)
    assert [(each["event"], each["by_s"]) for each in told] == [("clock_was_set", 7_200), ("clock_was_set", -7_200)]


def test_a_key_file_that_cannot_be_replaced_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full for a moment would end every session."""
    asked: list[int] = []

    def full(_path: Path, _wall_ns: int, _vault: object) -> bool:
        asked.append(1)
        raise Misconfigured("no room")

    monkeypatch.setattr(keyfile, "ratchet", full)
    process = cast("Any", SimpleNamespace(_hour=7, _vault=None, _config=SimpleNamespace(key=Path("gateway.key"))))
    for hour in (8, 8, 9):
        GatewayProcess._hourly(process, hour * keyfile.HOUR_NS)
    assert len(asked) == 2


def test_keys_are_judged_each_interval() -> None:
    """[K-32] A revoked device would stay in until somebody reloads the gateway, or the documents be read every second."""
    asked: list[int] = []
    clocks: list[tuple[int, int]] = []
    done: list[object] = []

    def admission(_own: list[bytes], _devices: object, wall_s: int, now: int, sure_s: int, _times: object) -> Admission:
        asked.append(now // limits.SECOND)
        clocks.append((wall_s, sure_s))
        return Admission()

    desk = SimpleNamespace(admission=Admission(), statics=[SimpleNamespace(public=bytes(32))])
    process = cast("Any", SimpleNamespace(
        _past=lambda: 0, _hourly=lambda _hour: None, _compare_clocks=lambda _at: None, _still_stored=lambda: None,
        _judge_at=0, _devices={}, _times={}, _floor_s=10**12, _unloaded=None,
        _keys=SimpleNamespace(admission=admission, unloaded=None),
        engine=SimpleNamespace(desk=desk, command=lambda order, _now: [order]), driver=SimpleNamespace(execute=done.extend),
    ))  # fmt: skip
    process._judge_keys = lambda now: GatewayProcess._judge_keys(process, now)
    for second in range(95):
        GatewayProcess._second(process, Instant(second * limits.SECOND))
    assert asked == [0, 30, 60, 90]
    assert done == [Admission()] * 4
    assert set(clocks) == {(10**12, 10**12)}, "no clock is behind the hour in the key file [K-42]"
    assert limits.KEY_CHECK_NS == 30 * limits.SECOND


def test_an_offered_key_that_is_not_loaded_is_told_once_a_change() -> None:
    """A warning each half minute hides the others; or the second key that the gateway lacks is not told, after the first one was."""
    keys = SimpleNamespace(admission=lambda *_: Admission(), unloaded=None)
    desk = SimpleNamespace(admission=Admission(), statics=[])
    process = cast("Any", SimpleNamespace(
        _past=lambda: 0, _devices={}, _times={}, _floor_s=0, _unloaded=None, _keys=keys,
        engine=SimpleNamespace(desk=desk, command=lambda *_: ()), driver=SimpleNamespace(execute=lambda _: None),
    ))  # fmt: skip
    one, other = bytes(32), bytes([1] * 32)
    with capture_logs() as lines:
        for keys.unloaded in (None, one, one, one, other, other, None, None, one):
            GatewayProcess._judge_keys(process, Instant(0))
    assert [each["public"] for each in lines] == [key_text(one), key_text(other), key_text(one)]
    assert {(each["event"], each["log_level"]) for each in lines} == {("offered_key_not_loaded", "warning")}
