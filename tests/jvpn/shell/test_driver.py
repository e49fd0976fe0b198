"""What the loop tells the operational log, and what it does not send."""

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.reasons import Carrier, Event, Reason
from core.values import Fact, Instant, Transmit
from core.wire.layout import Type
from jvpn.shell import driver
from jvpn.shell.driver import Driver
from jvpn.shell.tun import MemoryTun
from tests.jvpn.shell.test_client_network import HOME


class Lines:
    """A logger that keeps what it is given."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        """Keep it."""
        self.kept.append(("info", {"event": event, **fields}))

    def debug(self, event: str, **fields: object) -> None:
        """Keep it."""
        self.kept.append(("debug", {"event": event, **fields}))


def said(monkeypatch: pytest.MonkeyPatch, fact: Fact) -> tuple[str, dict[str, object]]:
    """Return the one line for a fact."""
    lines = Lines()
    monkeypatch.setattr(driver, "log", lines)
    link = SimpleNamespace(record=lambda _fact: None, event_id=lambda fact: f"b-{fact.serial}")
    own = SimpleNamespace(link=link, recorded=Counter())
    Driver.record(cast("Any", own), fact)
    (line,) = lines.kept
    return line


def test_a_line_names_its_audit_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could go from a line of the operational log to the event that proves it (A-16)."""
    level, line = said(monkeypatch, Fact(Event.TRAFFIC_REFUSED, Reason.INDEX_UNKNOWN, 7, 0, Instant(1), correlation=b"\7" * 16, times=3))
    assert (level, line) == (
        "info",
        {
            "event": "fact",
            "event_id": "b-7",
            "event_type": "TRAFFIC_REFUSED",
            "reason_code": "INDEX_UNKNOWN",
            "correlation_id": "07" * 16,
            "count": 3,
        },
    )


def test_what_a_fact_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who groups lines by correlation id would see one session of zeros, in which everything happens."""
    _, line = said(monkeypatch, Fact(Event.PROCESS_STARTED, Reason.PROCESS_STARTED, 1, 0, Instant(1)))
    assert not line.keys() & {"correlation_id", "count"}


def test_samples_are_for_who_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten lines a minute for each idle session would bury the one that matters; the audit log has them."""
    level, _ = said(monkeypatch, Fact(Event.SESSION_HEALTH, Reason.HEALTH_SAMPLED, 1, 0, Instant(1), correlation=b"\7" * 16))
    assert level == "debug"


def test_a_loop_without_a_link_still_says_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laboratory without an audit log would be silent."""
    lines = Lines()
    monkeypatch.setattr(driver, "log", lines)
    loop = Driver(cast("Any", SimpleNamespace()), [], MemoryTun(), None)
    loop.record(Fact(Event.PROCESS_STARTED, Reason.PROCESS_STARTED, 1, 0, Instant(1)))
    loop.close()
    assert [line["event_type"] for _, line in lines.kept] == ["PROCESS_STARTED"]


def test_what_is_withheld_is_not_sent() -> None:
    """[K-39] A client without a fresh word for its gateway's key shakes hands or moves all the same; or its live session stands still."""
    sent: list[int] = []
    carrier = SimpleNamespace(carrier=Carrier.UDP, serves=lambda _path: True, send=lambda _path, frames: sent.append(frames[0][0]))
    own = SimpleNamespace(transports=[carrier], withheld=frozenset({Type.INIT, Type.REATTACH}))
    for kind in Type:
        Driver._transmit(cast("Any", own), HOME, Transmit(HOME, [bytes((kind, 1))]).frames)
    assert sent == [kind for kind in Type if kind not in {Type.INIT, Type.REATTACH}]
    own.withheld = frozenset()
    Driver._transmit(cast("Any", own), HOME, [bytes((Type.INIT, 1))])
    assert sent[-1] == Type.INIT
