"""What the writer makes of records: in order, once, and an account of what is lost."""

import errno
import os
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.chain import Head
from audit.files import RESERVE
from audit.journal import NOTICE_NS, RETRY_NS, Journal
from audit.record import RECORD_BYTES, pack, unpack, with_outbox_id
from audit.segments import RESERVE_BYTES, Log
from audit.verdict import Verdict
from audit.verify import verify
from audit.vocabulary import INTEGER_MAX, vocabulary
from core.reasons import Event, Reason
from core.values import Fact, Instant
from tests.audit.made import BOOT, WALL, Clock, a_log, builder, events_of, fact_of, opened, records, story

EVIDENCE = records([fact for handle in range(1, 30) for fact in story(handle)])[1]
TELEMETRY = records(story(1))[0]


def loss(times: int) -> bytes:
    """The record by which the shell says how many records did not fit the pipe."""
    return pack(Fact(Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, 0, 0, Instant(0), times=times), WALL, BOOT)


def losses(directory: Path) -> list[tuple[str, int]]:
    """The notices of loss in a log."""
    return [(event["reason_code"], event["count"]) for event in events_of(directory) if event["event_type"] == "TELEMETRY_LOST"]


def serials(directory: Path, event_class: str) -> list[int]:
    """The serials of a log's events of one class, in order."""
    return [int(event["event_id"][-16:], 16) for event in events_of(directory) if event["event_class"] == event_class]


def serials_of(made: Sequence[bytes]) -> list[int]:
    """The serials of records."""
    return [unpack(record).fact.serial for record in made]


class Disk:
    """A disk that can be full: appends to the log fail while it is."""

    def __init__(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._append = log.append
        monkeypatch.setattr(log, "append", self.append)

    def append(self, lines: bytes, head: Head, hashes: Sequence[bytes], evidence: Iterable[str]) -> None:
        """Do what the log does, or fail."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._append(lines, head, hashes, evidence)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Journal, Disk, Clock]]:
    """A journal, its directory, its disk, its clock."""
    clock = Clock()
    log, journal = opened(tmp_path, clock=clock)
    with log:
        yield tmp_path, journal, Disk(log, monkeypatch), clock


World = tuple[Path, Journal, Disk, Clock]


def test_everything_is_recorded_in_order(world: World) -> None:
    """A-40, A-41: the log would tell another story than the one that happened."""
    place, journal, _, _ = world
    journal.write(TELEMETRY, EVIDENCE[:3])
    journal.write((), EVIDENCE[3:7])
    assert serials(place, "telemetry") == serials_of(TELEMETRY)
    assert serials(place, "evidence") == serials_of(EVIDENCE[:7])
    assert journal.acknowledged == unpack(EVIDENCE[6]).outbox_id
    assert journal.close()
    assert verify(place).verdict is Verdict.VERIFIED


def test_evidence_that_is_sent_again_is_recorded_once(world: World) -> None:
    """A-40: one change of a session would stand in the log twice after a lost acknowledgement."""
    place, journal, _, _ = world
    journal.write((), EVIDENCE[:3])
    journal.write((), [*EVIDENCE[:4], EVIDENCE[3]])
    assert serials(place, "evidence") == serials_of(EVIDENCE[:4])
    assert journal.acknowledged == unpack(EVIDENCE[3]).outbox_id
    before = len(events_of(place))
    journal.write((), EVIDENCE[:4])
    assert len(events_of(place)) == before
    assert journal.acknowledged == unpack(EVIDENCE[3]).outbox_id


def test_evidence_that_is_sent_again_to_the_next_writer_is_recorded_once(tmp_path: Path) -> None:
    """A-4, A-40: each crash would repeat what was recorded but not yet deleted from the outbox, under the new boot's name."""
    a_log(tmp_path, story(1))
    evidence = records(story(1))[1]
    log, journal = opened(tmp_path)
    with log:
        journal.write((), [*evidence, *EVIDENCE[-3:]])
        assert journal.acknowledged == unpack(EVIDENCE[-1]).outbox_id
    assert serials(tmp_path, "evidence") == serials_of([*evidence, *EVIDENCE[-3:]])


def test_only_so_much_evidence_is_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-40: the writer's memory would grow for ever."""
    monkeypatch.setattr("audit.journal.EVIDENCE_REMEMBERED", 5)
    place, journal, _, _ = world
    journal.write((), EVIDENCE[:6])
    journal.write((), EVIDENCE[1:6])
    assert serials(place, "evidence") == serials_of(EVIDENCE[:6])
    journal.write((), EVIDENCE[:1])
    assert serials(place, "evidence") == serials_of([*EVIDENCE[:6], EVIDENCE[0]])


def test_while_the_disk_is_full_evidence_waits_and_telemetry_is_counted(world: World) -> None:
    """A-40 to A-42: evidence would be lost, or acknowledged and lost; or nobody would know how much telemetry is missing."""
    place, journal, disk, clock = world
    journal.write(TELEMETRY[:2], EVIDENCE[:2])
    disk.full = True
    journal.write(TELEMETRY[2:5], EVIDENCE[2:4])
    clock.ns += RETRY_NS
    journal.write([*TELEMETRY[:1], loss(5)], EVIDENCE[4:5])
    journal.write([loss(7)], EVIDENCE[5:6])
    assert (journal.troubled, journal.lost, journal.waiting, journal.acknowledged) == (True, 16, 4, unpack(EVIDENCE[1]).outbox_id)
    disk.full = False
    clock.ns += RETRY_NS
    journal.write((), ())
    assert (journal.troubled, journal.lost, journal.waiting, journal.acknowledged) == (False, 0, 0, unpack(EVIDENCE[5]).outbox_id)
    assert losses(place) == [("TELEMETRY_OVERFLOW", 12), ("TELEMETRY_UNWRITABLE", 4)]
    assert serials(place, "evidence") == serials_of(EVIDENCE[:6])
    assert [event["event_type"] for event in events_of(place)[5:8]] == ["TELEMETRY_LOST", "TELEMETRY_LOST", "SESSION_ENDED"]
    assert journal.close()
    assert verify(place).telemetry_lost == 16


def test_a_full_disk_is_not_tried_at_every_record(world: World) -> None:
    """A-42: a writer with a full disk would use up the processor."""
    _, journal, disk, clock = world
    disk.full = True
    journal.write((), EVIDENCE[:1])
    disk.full = False
    journal.write(TELEMETRY[:1], ())
    assert (journal.troubled, journal.lost) == (True, 1)
    clock.ns += RETRY_NS
    journal.write((), ())
    assert (journal.troubled, journal.lost) == (False, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3), st.integers(0, 1) | st.just(9))), st.booleans())
def test_nothing_is_ever_lost_without_account(
    tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[bool, int, int, int]], full_at_end: bool
) -> None:
    """A-40 to A-43: offered = recorded + counted as lost, and all evidence is recorded or still unacknowledged, in order."""
    place = tmp_path_factory.mktemp("log")
    clock = Clock()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, lambda _: None)
        log, journal = opened(place, clock=clock)
        disk = Disk(log, monkeypatch)
        offered = overflow = given_evidence = 0
        with log:
            for full, telemetry, evidence, lost in turns:
                disk.full = full
                clock.ns += RETRY_NS // 2
                batch = [TELEMETRY[0]] * telemetry + [loss(lost)] * bool(lost)
                journal.write(batch, EVIDENCE[given_evidence : given_evidence + evidence])
                given_evidence = min(given_evidence + evidence, len(EVIDENCE))
                offered, overflow = offered + telemetry, overflow + lost
                done = serials(place, "evidence")
                assert done == serials_of(EVIDENCE[: len(done)])
                assert journal.acknowledged == (unpack(EVIDENCE[len(done) - 1]).outbox_id if done else 0)
                assert len(done) + journal.waiting == given_evidence
                assert len(serials(place, "telemetry")) + sum(count for _, count in losses(place)) + journal.lost == offered + overflow
            disk.full = full_at_end
            assert journal.close() == (not full_at_end)
        if not full_at_end:
            assert serials(place, "evidence") == serials_of(EVIDENCE[:given_evidence])
            assert len(serials(place, "telemetry")) + sum(count for _, count in losses(place)) == offered + overflow
            assert sum(count for reason, count in losses(place) if reason == "TELEMETRY_OVERFLOW") == overflow
    if not full_at_end and len(serials(place, "telemetry")) < 2:  # repeated telemetry makes no sense to the machine
        assert verify(place).verdict is Verdict.VERIFIED


def test_a_loss_stands_before_what_came_after_it(world: World) -> None:
    """A-41: the gap would be looked for at the wrong place."""
    place, journal, _, _ = world
    journal.write([TELEMETRY[0], loss(3), TELEMETRY[1]], ())
    assert [event["event_type"] for event in events_of(place)[1:]] == ["SESSION_CHANGED", "TELEMETRY_LOST", "SESSION_CHANGED"]


def test_a_loss_without_measure_is_still_a_loss(world: World) -> None:
    """A-41: a count beyond what an event can say would end the writer."""
    place, journal, disk, clock = world
    disk.full = True
    journal.write([loss(2**64 - 1), loss(2**64 - 1)], ())
    disk.full = False
    clock.ns += NOTICE_NS
    journal.write([loss(2**64 - 1)], ())
    assert losses(place) == [("TELEMETRY_OVERFLOW", INTEGER_MAX)] * 2


def test_on_a_full_disk_what_room_there_is_is_for_evidence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """[A-45] Telemetry would use up the room that was held for evidence, or nobody learn meanwhile how much of it is lost."""
    place, journal, _, clock = world
    assert (place / RESERVE).stat().st_size == RESERVE_BYTES
    monkeypatch.setattr("audit.segments.reserve", lambda *_: False)  # the disk stays as full as it is
    failures = iter([True])
    monkeypatch.setattr(Disk, "full", property(lambda _: next(failures, False)), raising=False)
    journal.write(TELEMETRY[:3], EVIDENCE[:1])
    assert (journal.troubled, journal.lost, journal.acknowledged) == (False, 0, unpack(EVIDENCE[0]).outbox_id)
    assert not (place / RESERVE).exists()
    journal.write(TELEMETRY[:2], ())
    journal.write(TELEMETRY[:2], ())
    assert (serials(place, "telemetry"), losses(place)) == ([], [("TELEMETRY_UNWRITABLE", 3)])
    journal.write(TELEMETRY[:2], EVIDENCE[1:2])
    clock.ns += NOTICE_NS
    journal.write(TELEMETRY[:1], ())
    assert losses(place) == [("TELEMETRY_UNWRITABLE", 3), ("TELEMETRY_UNWRITABLE", 6), ("TELEMETRY_UNWRITABLE", 1)]
    monkeypatch.setattr("audit.segments.reserve", lambda *_: True)
    clock.ns += NOTICE_NS
    journal.write(TELEMETRY[:2], ())
    assert serials(place, "telemetry") == serials_of(TELEMETRY[:2])
    assert serials(place, "evidence") == serials_of(EVIDENCE[:2])
    assert journal.close()
    assert verify(place).telemetry_lost == 10


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS])
def test_for_other_troubles_the_reserve_is_not_given_up(world: World, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """[A-45] A disk that fails would cost the room for the day when it is full."""
    place, journal, _, _ = world

    def append(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(journal._log, "append", append)
    journal.write(TELEMETRY[:1], EVIDENCE[:1])
    assert (journal.troubled, journal.waiting, (place / RESERVE).exists()) == (True, 1, True)


BORN = fact_of(vocabulary().kinds["SESSION_BORN"], "HANDSHAKE_COMPLETED")
CHANGED = fact_of(vocabulary().kinds["SESSION_CHANGED"], "QUALITY_LOW")


@pytest.mark.parametrize(
    ("channel", "record", "why"),
    [
        ("telemetry", pack(CHANGED._replace(reason=Reason.COOLDOWN), WALL, BOOT), "COOLDOWN is not a reason of SESSION_CHANGED"),
        ("telemetry", pack(CHANGED, WALL, BOOT)[:-1] + b"\1", "not zero"),
        ("telemetry", pack(CHANGED, WALL, BOOT)[:100], "this has 100"),
        ("telemetry", pack(BORN, WALL, BOOT), "evidence with outbox id 0 came where telemetry comes"),
        ("telemetry", pack(BORN, WALL, BOOT, 5), "evidence with outbox id 5 came where telemetry comes"),
        ("telemetry", pack(CHANGED, WALL, BOOT, 5), "telemetry with outbox id 5 came where telemetry comes"),
        ("telemetry", pack(CHANGED._replace(binding_version=2**53), WALL, BOOT), "binding/version: 9007199254740992 is greater"),
        ("telemetry", loss(0), "TELEMETRY_LOST is a record of the writer"),
        ("evidence", pack(BORN._replace(reason=Reason.COOLDOWN), WALL, BOOT, 5), "COOLDOWN is not a reason of SESSION_BORN"),
        ("evidence", pack(BORN, WALL, BOOT), "evidence with outbox id 0 came where evidence comes"),
        ("evidence", pack(CHANGED, WALL, BOOT, 5), "telemetry with outbox id 5 came where evidence comes"),
        ("evidence", b"", "this has 0"),
    ],
)
def test_what_does_not_fit_is_kept_as_it_is(world: World, channel: str, record: bytes, why: str) -> None:
    """A-3, A-15: a fault of ours would go unseen, end the writer, or stop the outbox for ever."""
    place, journal, _, _ = world
    for _ in range(2):
        journal.write([record] if channel == "telemetry" else (), [record] if channel == "evidence" else ())
    refused = events_of(place)[1:]
    assert len(refused) == (2 if channel == "telemetry" else 1)
    assert {event["event_type"] for event in refused} == {"RECORD_REFUSED"}
    assert why in refused[0]["offending"]["error"]
    assert b64decode(refused[0]["offending"]["record"]) == b64decode(builder().redacted(record))
    assert journal.acknowledged == (5 if channel == "evidence" and record[16:24] == with_outbox_id(bytes(RECORD_BYTES), 5)[16:24] else 0)
    assert journal.close()
    assert verify(place).by_type["RECORD_REFUSED"] == len(refused)


def test_refused_evidence_is_kept_once_over_a_restart(tmp_path: Path) -> None:
    """A-15, A-40: a record that can never fit would be added at each start."""
    record = pack(BORN._replace(reason=Reason.COOLDOWN), WALL, BOOT, 5)
    for _ in range(3):
        log, journal = opened(tmp_path)
        with log:
            journal.write((), [record])
            assert journal.acknowledged == 5
    assert [event["event_type"] for event in events_of(tmp_path)].count("RECORD_REFUSED") == 1


def test_a_log_is_not_closed_over_something_unrecorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-43: the log would say that it ended in good order, and the evidence before its end would be missing."""
    place, journal, _, _ = world
    answers = iter([True, True, False, False, False])
    monkeypatch.setattr(Disk, "full", property(lambda _: next(answers)), raising=False)
    journal._waiting.append(EVIDENCE[0])
    assert not journal.close()
    assert [event["event_type"] for event in events_of(place)] == ["LOG_OPENED"]
    assert journal.close()


@pytest.mark.parametrize("times", [1, 3])
def test_a_log_that_cannot_be_closed_says_so(world: World, times: int) -> None:
    """A-43: a writer that leaves something unrecorded would end as if all were well."""
    place, journal, disk, _ = world
    disk.full = True
    journal.write(TELEMETRY[:times], EVIDENCE[:times])
    assert not journal.close()
    assert (journal.lost, journal.waiting) == (times, times)
    disk.full = False
    assert journal.close()
    assert events_of(place)[-1]["event_type"] == "LOG_CLOSED"
