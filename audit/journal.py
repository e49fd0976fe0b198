"""What the writer does with records: events, in order, durable, once; and an exact account of what is lost (clauses A-15, A-40 to A-42)."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from audit.canonical import canonical, line_of
from audit.chain import Head, genesis, hashed, new_chain
from audit.errors import EventRefused, RecordMalformed
from audit.event import Builder, Moment
from audit.record import EVENT, outbox_id_of, unpack
from audit.recovery import EVIDENCE_REMEMBERED
from audit.schema import check
from audit.segments import Log
from audit.tlog import epochs
from audit.tlog.sealer import Sealer
from audit.vocabulary import INTEGER_MAX
from core.reasons import Event, Reason

EPOCH_NS: Final = 900_000_000_000  # a quarter of an hour: what a stolen signing key can rewrite
RETRY_NS: Final = 250_000_000  # while the log cannot be written
NOTICE_NS: Final = 1_000_000_000  # between notices of loss, and attempts to have the reserve again, on a full disk
LOST_CODE: Final = Event.TELEMETRY_LOST.to_bytes(2, "little")
EVIDENCE_WAITING_MAX: Final = 256  # records that wait for a writable log; the writer takes no more from the outbox meanwhile


class Journal:
    """The writer's state between two batches. `clock` says wall clock and CLOCK_BOOTTIME, in ns."""

    def __init__(
        self, log: Log, builder: Builder, clock: Callable[[], Moment], start: Head, sealer: Sealer, epoch_ns: int = EPOCH_NS
    ) -> None:
        """Begin or go on with the log and say so in it (A-23). `start` is the place before the genesis of an empty log. OSError."""
        self._log, self._sealer, self._epoch_ns = log, sealer, epoch_ns
        self._owed = log.last is not None and sealer.owes(log.last)
        self._settle()
        self._builder = builder
        self._clock = clock
        self._recent: OrderedDict[str, None] = OrderedDict.fromkeys(log.evidence)
        self._waiting: deque[bytes] = deque()
        self._lost = {Reason.TELEMETRY_OVERFLOW: 0, Reason.TELEMETRY_UNWRITABLE: 0}
        self._notices: tuple[Notice, ...] = ()
        self._retry_ns: int | None = None
        self._notice_ns = self._room_ns = 0  # on a full disk: when a loss may be told, and room be looked for
        self.trouble = ""  # why the log could not be written the last time; empty: it could
        self._acknowledged = 0
        batch = Batch(log.head or start, builder, clock())
        self._epoch_over_ns = batch.moment.mono_ns + epoch_ns
        stated: dict[str, object] = {"genesis": genesis(), "seal": sealer.stated()}
        if log.head is None:
            batch.writer(Event.LOG_OPENED, Reason.LOG_STARTED, **stated)
        if log.head is not None or log.cut_bytes:
            reason = Reason.LOG_TAIL_TORN if log.cut_bytes else Reason.LOG_CONTINUED
            batch.writer(Event.LOG_RESUMED, reason, **stated, metrics={"cut_bytes": log.cut_bytes})
        log.append(batch.lines, batch.head, batch.hashes, self._recent)
        self.sign()

    @property
    def lost(self) -> int:
        """How many telemetry records are lost and not yet recorded as lost."""
        return sum(self._lost.values())

    @property
    def waiting(self) -> int:
        """How many evidence records wait for a writable log."""
        return len(self._waiting)

    @property
    def noticed(self) -> bool:
        """Whether all notices are recorded."""
        return not self._notices

    def notice(self, notices: tuple["Notice", ...]) -> None:
        """Record these events of the writer with the next batch, in place of those that still wait."""
        self._notices = notices

    @property
    def acknowledged(self) -> int:
        """The highest outbox id that is durable, of those received; 0 before the first."""
        return self._acknowledged

    @property
    def epoch_over_ns(self) -> int:
        """When the epoch is to end, by CLOCK_BOOTTIME."""
        return self._epoch_over_ns

    def sign(self) -> None:
        """Bring head.json and the checkpoint up to what is durable. OSError: the old ones stand."""
        self._log.write_head()
        if self._log.head and not self._owed:
            self._sealer.checkpoint(self._log.head, self._log.tree)

    @property
    def troubled(self) -> bool:
        """Whether the log could not be written the last time."""
        return self._retry_ns is not None

    def write(self, telemetry: Sequence[bytes], evidence: Sequence[bytes]) -> None:
        """Record these records (A-40 to A-42); call it with none to try again. `acknowledged` then says what is durable.

        Evidence that cannot be written waits, telemetry is counted as lost. Nothing is raised: the count is the record of the failure.
        """
        self._waiting.extend(evidence)
        moment = self._clock()
        if self._retry_ns is not None and moment.mono_ns < self._retry_ns:
            self._lose(telemetry)
            return
        self._look_for_room(moment.mono_ns)
        if self._log.tight:  # what room there is, is for evidence, and for how much is lost
            self._lose(telemetry)
            telemetry = ()
        try:
            self._settle()
            batch, over = self._batch(telemetry, moment)
            if batch.lines:
                self._log.append(batch.lines, batch.head, batch.hashes, self._recent)
        except OSError as error:
            self._lose(telemetry)
            if self._log.make_room(error):
                self._room_ns = moment.mono_ns + NOTICE_NS
                self.write((), ())
                return
            self._retry_ns, self.trouble = moment.mono_ns + RETRY_NS, error.strerror or type(error).__name__
            return
        self._retry_ns, self.trouble = None, ""
        if over:
            self._owed, self._epoch_over_ns = True, moment.mono_ns + self._epoch_ns
            with suppress(OSError):  # then the next batch does it first
                self._settle()
        self._notices = ()
        self._lost = {reason: count - batch.told.get(reason, 0) for reason, count in self._lost.items()}
        self._remember(batch.keys)
        self._acknowledged = max(self._acknowledged, *map(outbox_id_of, self._waiting), 0)
        self._waiting.clear()

    def _batch(self, telemetry: Sequence[bytes], moment: Moment) -> tuple["Batch", bool]:
        """Return what is to be written now, and whether the epoch ends with it."""
        batch = Batch(self._log.head, self._builder, moment)
        tell = not self._log.tight or self._waiting or moment.mono_ns >= self._notice_ns
        for reason, count in self._lost.items():
            if count and tell:
                batch.told[reason] = count
                self._notice_ns = moment.mono_ns + NOTICE_NS
                batch.writer(Event.TELEMETRY_LOST, reason, count=min(count, INTEGER_MAX))
        for notice in self._notices:
            batch.writer(notice.event, notice.reason, **notice.content)
        for record in telemetry:
            batch.telemetry(record)
        for record in self._waiting:
            batch.evidence(record, self._recent)
        if over := moment.mono_ns >= self._epoch_over_ns:
            batch.writer(Event.EPOCH_SEALED, Reason.EPOCH_OVER, seal=self._sealer.following())
        return batch, over

    def _look_for_room(self, now_ns: int) -> None:
        """While the disk is full, see whether the reserve can be had again (A-45)."""
        if self._log.tight and now_ns >= self._room_ns:
            self._room_ns = now_ns + NOTICE_NS
            self._log.take_room()

    def close(self) -> bool:
        """Record what waits and that the writer stops (A-43). Return whether that succeeded."""
        self._retry_ns, self._notice_ns = None, 0
        self.write((), ())
        if self._waiting or self.lost:
            return False
        try:
            self._settle()
            for event, reason, content in (
                (Event.EPOCH_SEALED, Reason.EPOCH_CLOSED, {"seal": self._sealer.following()}),
                (Event.LOG_CLOSED, Reason.LOG_STOPPED, {}),
            ):
                batch = Batch(self._log.head, self._builder, self._clock())
                batch.writer(event, reason, **content)
                self._log.append(batch.lines, batch.head, batch.hashes, self._recent)
                self._owed = event is Event.EPOCH_SEALED
                self._settle()
            self.sign()
        except OSError:
            return False
        return True

    def _settle(self) -> None:
        """Seal the epoch that has ended: nothing is recorded before that (A-65). OSError: it is owed still."""
        if self._owed and self._log.head:
            self._sealer.seal(self._log.head, self._log.tree)
            self._owed = False

    def _lose(self, telemetry: Sequence[bytes]) -> None:
        """Count what cannot be written (A-41); a notice of loss is not a loss itself, its count goes on."""
        for record in telemetry:
            overflow = _lost_before(record)
            self._lost[Reason.TELEMETRY_OVERFLOW] += overflow
            self._lost[Reason.TELEMETRY_UNWRITABLE] += 0 if overflow else 1

    def _remember(self, keys: Iterable[str]) -> None:
        self._recent.update(dict.fromkeys(keys))
        while len(self._recent) > EVIDENCE_REMEMBERED:
            self._recent.popitem(last=False)


class Notice(NamedTuple):
    """An event that the writer makes about something else than the log's own state: type, reason, what its schema asks for."""

    event: Event
    reason: Reason
    content: Mapping[str, Any]


class Batch:
    """Lines that follow a head, made but not written. `keys` are those of the evidence among them."""

    def __init__(self, after: Head | None, builder: Builder, moment: Moment) -> None:
        """Begin behind an event, or the place before a genesis."""
        if after is None:
            raise ValueError("a batch follows an event or the place before a genesis")
        self._chain_id, self._seq, self._hash = after
        self.lines = bytearray()  # one piece: hundreds of small ones would be taken from the system and given back each time
        self.hashes: list[bytes] = []
        self.keys: dict[str, None] = {}
        self.told: dict[Reason, int] = {}  # how much is said to be lost
        self._builder = builder
        self.moment = moment

    @property
    def head(self) -> Head:
        """What the next event follows."""
        return Head(self._chain_id, self._seq, self._hash)

    def telemetry(self, record: bytes) -> None:
        """Add a record that came over the telemetry pipe; what is not telemetry is refused (A-3)."""
        if lost := _lost_before(record):
            self.writer(Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, count=lost)
            return
        try:
            self.add(self._of_record(record, "telemetry"))
        except (RecordMalformed, EventRefused) as error:
            self.add(self._refused(record, error))

    def evidence(self, record: bytes, known: OrderedDict[str, None]) -> None:
        """Add a record from the outbox unless it is in the log already (A-40)."""
        try:
            event = self._of_record(record, "evidence")
            key = event["event_id"]
        except (RecordMalformed, EventRefused) as error:
            event = self._refused(record, error)
            key = event["offending"]["record"]
        if key not in known and key not in self.keys:
            self.add(event)
            self.keys[key] = None

    def writer(self, event: Event, reason: Reason, **content: object) -> None:
        """Add an event about the log itself."""
        made = self._builder.of_writer(event, reason, self.head, self.moment, **content)
        check(made)
        self.add(made)

    def _of_record(self, record: bytes, channel: str) -> dict[str, Any]:
        stamped = unpack(record)
        event = self._builder.of_record(stamped, self.head)
        if event["event_class"] != channel or (stamped.outbox_id > 0) != (channel == "evidence"):
            raise EventRefused(f"{event['event_class']} with outbox id {stamped.outbox_id} came where {channel} comes")
        check(event)
        return event

    def _refused(self, record: bytes, error: Exception) -> dict[str, Any]:
        event = self._builder.of_refused(record, str(error), self.head, self.moment)
        check(event)
        return event

    def add(self, event: dict[str, Any]) -> None:
        """Add a valid event, made for this place."""
        data = canonical(event)
        found = hashed(data)
        self._hash = found.hex()
        self._seq += 1
        self.hashes.append(found)
        self.lines += line_of(data, self._hash)


def _lost_before(record: bytes) -> int:
    """Return how many records were lost before this one, when it is a notice of loss; else 0."""
    if record[EVENT] != LOST_CODE:
        return 0
    try:
        fact = unpack(record).fact
    except RecordMalformed:
        return 0
    return min(fact.times, INTEGER_MAX) if fact.reason is Reason.TELEMETRY_OVERFLOW else 0


def open_journal(
    directory: Path, node: bytes, boot: bytes, builder: Builder, clock: Callable[[], Moment], segment_bytes: int, epoch_ns: int = EPOCH_NS
) -> tuple[Log, Journal]:
    """Open a log, its key and its journal. LogBusy, LogUnsound, KeyUnusable, OSError."""
    log = Log(directory, segment_bytes)
    try:
        now = clock()
        sealer = Sealer(directory, epochs.key_path(directory))
        return log, Journal(log, builder, clock, new_chain(node, boot, now.wall_ns, now.mono_ns), sealer, epoch_ns)
    except BaseException:
        log.close()
        raise
