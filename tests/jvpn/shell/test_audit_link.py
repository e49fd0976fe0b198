"""The way to the audit writer, with real writers (O-19, O-21 to O-24)."""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from audit.names import key_path
from audit.record import RECORD_BYTES
from core.reasons import Event, Reason
from core.values import Ask, Fact, Instant, Outcome
from jvpn.shell import audit_link
from jvpn.shell.audit_link import BACKOFF_NS, BACKOFF_NS_MAX, STEADY_NS, AuditLink, Writer
from jvpn.shell.errors import Unavailable
from jvpn.shell.stores.sqlite import SqliteStore
from tests.jvpn.shell.storing import BOOT, NODE, PATIENCE_S, Clock, create, events, evidence, outbox, take, until

NOW = Instant(1_000_000_000)
OFFERED = 12_000  # more than the pipe holds
Start = Callable[..., AuditLink]


class Failing(Writer):
    """A writer that ends at once."""

    def command(self, telemetry: int, evidence: int) -> list[str]:
        """Return a program that ends with status 3."""
        return [sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return where the log is written."""
    return tmp_path / "log"


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    """Return what starts a link; whatever a test leaves running is ended by its id."""
    with ExitStack() as links:

        def make(role: str = "gateway", store: SqliteStore | None = None, kind: type[Writer] = Writer) -> AuditLink:
            link = AuditLink(kind(log, NODE, BOOT, role), Clock(), NOW, store.evidence_to if store else None)
            links.callback(link.close)
            links.callback(go_on, link)
            return link

        yield make


def pid(link: AuditLink) -> int:
    """Return the writer's process id, 0 while there is none."""
    return link._process.pid if link._process else 0


def freeze(link: AuditLink, log: Path) -> None:
    """Stop the writer once it has begun; it does nothing more when this returns."""
    until(lambda: log.exists() and any(log.iterdir()), "the writer begins")
    os.kill(pid(link), signal.SIGSTOP)
    status = Path(f"/proc/{pid(link)}/stat")
    until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", "the writer stops")


def go_on(link: AuditLink) -> None:
    """Let a stopped writer run, so that it can end."""
    if pid(link):
        os.kill(pid(link), signal.SIGCONT)


def said(serial: int) -> Fact:
    """Return a telemetry fact of either role."""
    return Fact(Event.PROCESS_STARTED, Reason.PROCESS_STARTED, serial, 0, Instant(serial))


def serials(found: list[dict[str, Any]]) -> list[int]:
    """Return the serials of the telemetry in a log."""
    return [int(event["event_id"].split("-")[1], 16) for event in found if event["event_class"] == "telemetry"]


def losses(found: list[dict[str, Any]]) -> list[int]:
    """Return the counts of the loss records in a log."""
    return [event["count"] for event in found if event["event_type"] == "TELEMETRY_LOST"]


def ended(link: AuditLink) -> None:
    """Wait until the link's descriptor says that its writer has ended."""
    assert select.select([link.fileno()], [], [], PATIENCE_S)[0], "nobody hears that the writer ended"


@pytest.mark.parametrize("role", ["gateway", "client"])
def test_what_is_recorded_is_in_the_log(start: Start, log: Path, role: str) -> None:
    """O-21, O-24: an orderly stop would lose records, or the log would not say that it was orderly."""
    link = start(role)
    for serial in range(1, 100):
        link.record(said(serial))
    link.flush()
    link.record(said(100))
    assert link.close()
    found = events(log)
    assert serials(found) == list(range(1, 101))
    assert [found[0]["event_type"], found[-1]["event_type"]] == ["LOG_OPENED", "LOG_CLOSED"]
    assert {(event["role"], event["boot_id"], event["node_id"]) for event in found} == {(role, BOOT.hex(), NODE.hex())}
    assert (link.counters.offered, link.counters.written, link.counters.lost, link.counters.starts) == (100, 100, 0, 1)


def test_a_fact_has_the_id_of_its_event(start: Start, log: Path) -> None:
    """A-16: a line of the operational log would name an event that is not in the audit log."""
    (link := start("gateway")).record(said(77))
    assert link.close()
    assert link.event_id(said(77)) in {event["event_id"] for event in events(log)}


def test_records_are_batched_until_the_turn_ends(start: Start) -> None:
    """O-21: each record would cost the packet path a system call; or a turn's records would stay behind."""
    link = start()
    link.record(said(1))
    assert link.counters.written == 0
    link.flush()
    assert link.counters.written == 1


def test_no_write_can_be_cut_in_two(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-21: half a record would stand in the pipe when it is nearly full, and the writer would refuse all that follow."""
    link = start()
    really, sizes = os.write, []

    def write(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return really(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        link._lose(1)
        for serial in range(1, 101):
            link.record(said(serial))
        link.flush()
    assert link.counters.written == 100
    assert sum(sizes) == 101 * RECORD_BYTES
    assert max(sizes) <= select.PIPE_BUF


def test_losses_are_counted_exactly(start: Start, log: Path) -> None:
    """O-22: somebody could hide what he did behind a flood, and nobody could tell that records are missing, how many, or where."""
    link = start()
    freeze(link, log)
    for serial in range(1, OFFERED + 1):
        link.record(said(serial))
    link.flush()
    lost = link.counters.lost
    assert 0 < lost < OFFERED
    os.kill(pid(link), signal.SIGCONT)
    room = select.poll()
    room.register(link._writing, select.POLLOUT)
    assert room.poll(PATIENCE_S * 1_000)
    for serial in range(OFFERED + 1, OFFERED + 11):
        link.record(said(serial))
    link.flush()
    assert link.close()
    found = events(log)
    recorded = serials(found)
    assert link.counters.lost == lost == sum(losses(found))
    assert len(recorded) + lost == link.counters.offered == OFFERED + 10
    assert recorded == sorted(set(recorded))
    # Each gap has its loss record, right before what came after it.
    stream = [event for event in found if event["event_class"] == "telemetry" or event["event_type"] == "TELEMETRY_LOST"]
    gaps = [after - before - 1 for before, after in pairwise(recorded) if after != before + 1]
    assert gaps == losses(found)
    assert all(following["event_class"] == "telemetry" for event, following in pairwise(stream) if event["event_type"] == "TELEMETRY_LOST")


def test_losses_that_nothing_follows_are_told_at_the_end(start: Start, log: Path) -> None:
    """O-22, O-24: the last records before a stop would be missing without a trace."""
    link = start()
    freeze(link, log)
    for serial in range(1, OFFERED + 1):
        link.record(said(serial))
    link.flush()
    while not link._unsaid:  # until not even one record fits
        link.record(said(link.counters.offered + 1))
        link.flush()
    later = threading.Timer(0.3, go_on, [link])  # while it is being closed, most likely
    later.start()
    assert link.close()
    later.join()
    found = events(log)
    assert len(serials(found)) + sum(losses(found)) == link.counters.offered


def test_a_fact_that_does_not_fit_is_counted(start: Start, log: Path) -> None:
    """O-22: a mistake of the core would stop packets, or go unseen."""
    link = start()
    link.record(said(1)._replace(attempt=1 << 16))
    link.record(said(2))
    assert link.close()
    found = events(log)
    assert (serials(found), losses(found)) == ([2], [1])


def test_what_stands_in_the_pipe_outlives_a_writer(start: Start, log: Path) -> None:
    """O-23: a writer that dies would take up to 5,000 records along, and nobody would count them."""
    link = start()
    freeze(link, log)
    for serial in range(1, 1_001):
        link.record(said(serial))
    link.flush()
    os.kill(pid(link), signal.SIGKILL)
    ended(link)
    link.tick(NOW)
    assert pid(link) == 0
    link.tick(Instant(NOW + BACKOFF_NS))
    assert pid(link) != 0
    assert link.close()
    assert serials(events(log)) == list(range(1, 1_001))
    assert link.counters.starts == 2


def test_a_writer_that_died_lately_is_replaced_for_the_end(start: Start, log: Path) -> None:
    """O-24: records would be lost because the stop came before the backoff was over."""
    link = start()
    os.kill(pid(link), signal.SIGKILL)
    ended(link)
    link.tick(NOW)
    link.record(said(1))
    assert link.close()
    assert serials(events(log)) == [1]


def test_evidence_outlives_writers(start: Start, tmp_path: Path, log: Path) -> None:
    """O-19, O-23: a writer that dies while it drains would leave evidence out of the log, or in it twice."""
    births = [create(handle, handle, handle.to_bytes(32, "big")) for handle in range(1, 3_001)]
    store = SqliteStore(tmp_path / "store", NODE, BOOT, Clock())
    link = start("gateway", store)
    now = NOW
    for part in range(6):
        group = births[part * 500 : part * 500 + 500]
        store.submit([Ask(birth.row.handle, birth) for birth in group])
        assert {answer.outcome for answer in take(store, len(group))} == {Outcome.WON}
        until(lambda: len(outbox(tmp_path / "store")) < 300, "the writer drains")
        os.kill(pid(link), signal.SIGKILL)
        ended(link)
        now = Instant(now + BACKOFF_NS_MAX)
        link.tick(now)
        now = Instant(now + BACKOFF_NS_MAX)
        link.tick(now)
    until(lambda: outbox(tmp_path / "store") == [], "the log has all evidence")
    store.close()
    assert link.close()
    assert sorted(evidence(log)) == [(BOOT.hex(), serial) for serial in range(1, 3_001)]
    assert link.counters.starts == 7


def test_a_writer_that_keeps_ending_is_not_started_all_the_time(start: Start) -> None:
    """O-23: a broken log would take the processor away from packets."""
    link = start(kind=Failing)
    waits = []
    now = NOW
    for _ in range(10):
        ended(link)
        link.tick(now)
        due = link.deadline()
        assert due is not None
        waits.append(due - now)
        link.tick(Instant(due - 1))
        assert pid(link) == 0
        now = due
        link.tick(now)
        assert (pid(link) != 0, link.deadline()) == (True, None)
    assert waits == [min(BACKOFF_NS << number, BACKOFF_NS_MAX) for number in range(10)]
    ended(link)
    now = Instant(now + STEADY_NS)
    link.tick(now)
    assert link.deadline() == now + BACKOFF_NS


def test_a_writer_that_cannot_be_started_is_tried_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-23: one moment without memory for a process would end all recording."""
    link = start()
    os.kill(pid(link), signal.SIGKILL)
    ended(link)
    link.tick(NOW)
    due = link.deadline()
    assert due is not None
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        link.tick(due)
    assert pid(link) == 0
    later = link.deadline()
    assert later is not None
    assert later > due
    link.tick(later)
    assert pid(link) != 0


def test_without_a_writer_there_is_no_start(start: Start, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-23: a gateway would run unrecorded because of a wrong installation."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Unavailable, match="No such file"):
        start()


def test_without_a_place_for_the_log_there_is_no_start(tmp_path: Path) -> None:
    """O-23: an operator would see a traceback for a mistyped path."""
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"ot a directory|exists"):
        AuditLink(Writer(tmp_path / "file" / "log", NODE, BOOT, "gateway"), Clock(), NOW)


def test_a_writer_that_hangs_is_ended(start: Start, monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    """O-24: the gateway could not be stopped while its log's disk hangs."""
    monkeypatch.setattr(audit_link, "CLOSE_MS", 200)
    link = start()
    freeze(link, log)
    writer = pid(link)
    link.record(said(1))
    assert not link.close()
    with pytest.raises(ProcessLookupError):
        os.kill(writer, 0)
    assert not link.close()


def test_the_key_of_the_pseudonyms_is_made_once(start: Start, log: Path) -> None:
    """O-23: each start would give the same device another name in the log."""
    assert start().close()
    key = key_path(log).read_bytes()
    assert start().close()
    assert key_path(log).read_bytes() == key
    assert len(set(key)) > 8


def test_signals_of_a_terminal_do_not_end_the_log(start: Start, log: Path) -> None:
    """O-24: whoever stops a gateway with the keyboard would lose the records of its stop."""
    link = start()
    assert os.getsid(pid(link)) != os.getsid(0)


def test_all_events_of_a_link_are_registered_ones(start: Start, log: Path) -> None:
    """O-22: a record of loss would itself be refused, and the count be lost."""
    link = start()
    link._lose(3)
    link.record(said(1))
    assert link.close()
    assert [event["event_type"] for event in events(log)][1:-2] == ["TELEMETRY_LOST", "PROCESS_STARTED"]
