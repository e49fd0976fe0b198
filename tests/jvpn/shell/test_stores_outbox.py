"""How evidence leaves the embedded store, with the test in the audit writer's place (O-17 to O-20)."""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from audit.record import RECORD_BYTES, RECORDS_PER_PACKET, Stamped, unpack
from core.values import Get, Outcome
from jvpn.shell.stores import sqlite as sqlite_module
from jvpn.shell.stores.outbox import DELETE_AT, IN_FLIGHT, NOT_DELETED
from jvpn.shell.stores.sqlite import GROUP, SqliteStore
from jvpn.shell.stores.tables import Tables
from tests.jvpn.shell.storing import BOOT, NODE, START, Clock, ask, create, move, outbox, until

MORE = IN_FLIGHT + 50
READ = RECORD_BYTES * (RECORDS_PER_PACKET + 1)


class Reader:
    """The writer's end of a socket."""

    def __init__(self, store: SqliteStore) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20)
        store.evidence_to(theirs)

    def read(self, count: int) -> list[Stamped]:
        """Return exactly so many records."""
        got: list[Stamped] = []
        while len(got) < count:
            packet = self.socket.recv(READ)
            assert packet, f"{len(got)} of {count} records came"
            assert len(packet) <= RECORD_BYTES * RECORDS_PER_PACKET
            got += [unpack(packet[place : place + RECORD_BYTES]) for place in range(0, len(packet), RECORD_BYTES)]
        assert len(got) == count
        return got

    def acknowledge(self, record: Stamped) -> None:
        """Say that everything up to this record is durable."""
        self.socket.send(record.outbox_id.to_bytes(8, "little"))

    def silent(self, store: SqliteStore) -> bool:
        """Whether nothing comes, although the store's thread has had its turn."""
        ask(store, Get(1))
        ask(store, Get(1))
        return not select.select([self.socket], [], [], 0)[0]


Read = Callable[[SqliteStore], Reader]


@pytest.fixture
def read(store: SqliteStore) -> Iterator[Read]:
    """Return what makes a writer's end for a store; all are closed before the store is."""
    with ExitStack() as ends:

        def start(store: SqliteStore) -> Reader:
            reader = Reader(store)
            ends.callback(reader.socket.close)
            return reader

        yield start


def write(store: SqliteStore, first: int, last: int) -> None:
    """Move session 1 from version `first` to `last`; each move leaves a record with the serial of its new version."""
    answers = ask(store, *(move(1, version, version + 1) for version in range(first, last)))
    assert {answer.outcome for answer in answers} <= {Outcome.WON}


def serials(records: list[Stamped]) -> list[int]:
    """Return the serials of records."""
    return [record.fact.serial for record in records]


def test_records_say_who_made_them_when_and_where_they_stand(store: SqliteStore, read: Read) -> None:
    """O-10, O-17: the log could not tell a record from its repetition, or would date it by when it was sent."""
    write(store, 1, 3)
    records = read(store).read(3)
    assert [record.fact for record in records] == [create(1, 1).fact, move(1, 1, 2).fact, move(1, 2, 3).fact]
    assert {(record.wall_ns, record.boot) for record in records} == {(START * 1_000_000_000, BOOT)}
    assert all(0 < before.outbox_id < after.outbox_id for before, after in pairwise(records))


def test_so_many_are_on_their_way(store: SqliteStore, read: Read) -> None:
    """O-17: the writer's memory of what it has would not reach back to all that can come again."""
    write(store, 1, MORE)
    reader = read(store)
    records = reader.read(IN_FLIGHT)
    assert reader.silent(store)
    reader.acknowledge(records[9])
    records += reader.read(10)
    assert reader.silent(store)
    reader.acknowledge(records[-1])
    records += reader.read(MORE - len(records))
    assert serials(records) == list(range(1, MORE + 1))


def test_what_is_acknowledged_is_deleted_and_nothing_else(store: SqliteStore, read: Read, path: Path) -> None:
    """O-18: evidence would be lost with a crash of the writer, or the file would grow for ever."""
    write(store, 1, 10)
    reader = read(store)
    records = reader.read(10)
    assert len(outbox(path)) == 10
    reader.acknowledge(records[5])
    until(lambda: len(outbox(path)) == 4, "six records are deleted")
    assert serials(outbox(path)) == [7, 8, 9, 10]
    reader.acknowledge(records[2])  # an old word says nothing new
    reader.acknowledge(records[-1])
    until(lambda: outbox(path) == [], "all records are deleted")


def test_new_evidence_follows_at_once(store: SqliteStore, read: Read) -> None:
    """O-17: evidence would wait for the next start."""
    reader = read(store)
    reader.read(1)
    assert reader.silent(store)
    write(store, 1, 3)
    assert serials(reader.read(2)) == [2, 3]


def test_a_commit_deletes_what_is_acknowledged(store: SqliteStore, read: Read, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-18: deleting would cost writes of its own, or be put off for ever, while operations keep coming."""
    monkeypatch.setattr(sqlite_module, "RETRY_MS", 600_000)
    reader = read(store)
    reader.acknowledge(reader.read(1)[0])
    versions = iter(range(1, 10_000))

    def deleted() -> bool:
        version = next(versions)
        write(store, version, version + 1)
        return 1 not in serials(outbox(path))

    until(deleted, "the first record is deleted")


def test_deletion_needs_no_quiet_moment(store: SqliteStore, read: Read, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-19: a long backlog that is drained in one go would come again as a whole after a crash, more than the writer remembers."""
    monkeypatch.setattr(sqlite_module, "RETRY_MS", 600_000)
    write(store, 1, 3 * DELETE_AT)
    reader = read(store)
    for _ in range(2):
        reader.acknowledge(reader.read(DELETE_AT)[-1])
    reader.read(DELETE_AT)
    until(lambda: len(outbox(path)) == DELETE_AT, "what is acknowledged is deleted")


def test_a_disk_that_cannot_delete_stops_the_stream(store: SqliteStore, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-19: the same, when the disk is full."""

    def forget(_: Tables, upto: int) -> None:
        raise OSError(upto)

    write(store, 1, 2 * NOT_DELETED)
    monkeypatch.setattr(Tables, "forget", forget)
    reader = read(store)
    got = 0
    while got < NOT_DELETED:
        records = reader.read(min(RECORDS_PER_PACKET, NOT_DELETED - got))
        got += len(records)
        reader.acknowledge(records[-1])
    assert reader.silent(store)


def test_another_writer_gets_what_was_not_acknowledged(store: SqliteStore, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-19: evidence that a dead writer took along would be missing from the log."""
    monkeypatch.setattr(sqlite_module, "RETRY_MS", 600_000)
    write(store, 1, 100)
    first = read(store)
    first.acknowledge(first.read(100)[39])
    assert first.silent(store)
    first.socket.close()
    second = read(store)
    second.socket.send(bytes(8))  # a writer's first word
    assert serials(second.read(60)) == list(range(41, 101))
    assert second.silent(store)
    third = read(store)
    assert serials(third.read(60)) == list(range(41, 101))
    assert second.socket.recv(READ) == b"", "the writer that was replaced still waits"


def test_evidence_waits_without_a_writer(store: SqliteStore, read: Read) -> None:
    """O-17, O-19: operations would wait for the log, or their evidence would be dropped while nobody writes it."""
    first = read(store)
    first.read(1)
    first.socket.close()
    write(store, 1, 2 * IN_FLIGHT)
    assert serials(read(store).read(IN_FLIGHT)) == list(range(1, IN_FLIGHT + 1))


def test_the_next_process_goes_on(store: SqliteStore, read: Read, path: Path) -> None:
    """O-19: what a process could not hand over would never reach the log; or its numbers would be used twice."""
    write(store, 1, 5)
    reader = read(store)
    last = reader.read(5)[-1]
    reader.acknowledge(last)
    until(lambda: outbox(path) == [], "all records are deleted")
    reader.socket.close()
    write(store, 5, 8)
    store.close()
    later = SqliteStore(path, NODE, b"boot-two", Clock())
    write(later, 8, 9)
    records = read(later).read(4)
    later.close()
    assert [(record.fact.serial, record.boot) for record in records] == [(6, BOOT), (7, BOOT), (8, BOOT), (9, b"boot-two")]
    assert records[0].outbox_id > last.outbox_id


def test_each_node_drains_its_own(store: SqliteStore, read: Read, path: Path) -> None:
    """O-18: evidence of one gateway would stand in the log of another, or in both, or in none."""
    other = SqliteStore(path, b"node-two", b"boot-two", Clock())
    ask(other, create(2, 1, bytes(32)), move(2, 1, 2, bytes(32)))
    write(store, 1, 3)
    theirs, ours = read(other), read(store)
    records = ours.read(3)
    assert [record.boot for record in records] == [BOOT] * 3
    ours.acknowledge(records[-1])
    until(lambda: len(outbox(path)) == 2, "our three records are deleted")
    assert [record.boot for record in theirs.read(2)] == [b"boot-two"] * 2
    other.close()


@pytest.mark.parametrize("message", [(1 << 63).to_bytes(8, "little"), (999).to_bytes(8, "little"), b"\1", bytes(9)])
def test_a_false_acknowledgement_deletes_nothing(store: SqliteStore, read: Read, path: Path, message: bytes) -> None:
    """O-20: a broken writer could make evidence vanish that no log has."""
    write(store, 1, 10)
    reader = read(store)
    reader.read(10)
    reader.socket.send(message)
    assert reader.socket.recv(READ) == b"", "the store goes on with a writer that does not make sense"
    write(store, 10, 11)
    assert len(outbox(path)) == 11
    assert serials(read(store).read(11)) == list(range(1, 12))


def test_a_writer_that_does_not_read_holds_nobody_up(store: SqliteStore, read: Read) -> None:
    """O-17: sessions could not move because the log is slow."""
    write(store, 1, 4 * IN_FLIGHT)
    reader = read(store)
    write(store, 4 * IN_FLIGHT, 4 * IN_FLIGHT + 3 * GROUP)
    assert serials(reader.read(IN_FLIGHT)) == list(range(1, IN_FLIGHT + 1))


def test_closing_waits_a_moment_for_the_writer(store: SqliteStore, read: Read, path: Path) -> None:
    """O-16: each orderly stop would leave evidence behind, to be repeated at the next start."""
    reader = read(store)
    reader.acknowledge(reader.read(1)[0])
    store.close()
    assert outbox(path) == []
    assert reader.socket.recv(READ) == b""
