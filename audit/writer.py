"""The audit writer: a process of its own between those who record and the log (clauses A-2, A-31, A-40 to A-43).

python -I -m audit.writer --dir D --node HEX16 --boot HEX16 --role gateway|client --telemetry-fd N [--evidence-fd M]

It reads whole records from the telemetry pipe and packets of whole records from the evidence socket (SOCK_SEQPACKET). Over that socket
it says, as LE64, the highest outbox id that is durable; the first such message comes when the log is open and is 0. It ends when the pipe's
last write end is closed, so SIGINT, SIGTERM and SIGHUP, which reach a whole group, do not end it and lose nothing.

Exit status: 0 the log is closed in good order; 2 wrong usage or no key; 3 the log could not be opened or not be closed, by the system's
fault; 4 it must not be continued (run the verifier); 5 another process writes it; 6 somebody removed it or moved it away. What it says on
standard error is a line of JSON, as in the operational log, whose stream that is.
"""

import argparse
import fcntl
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from audit import memory
from audit.errors import KeyUnusable, LogBusy, LogGone, LogUnsound
from audit.event import Builder, Moment, rfc3339
from audit.journal import EPOCH_NS, EVIDENCE_WAITING_MAX, RETRY_NS, Journal, Notice, open_journal
from audit.names import MONTHS, Keeper
from audit.pseudonym import Owed, written
from audit.record import RECORD_BYTES
from audit.segments import SEGMENT_BYTES, Log
from core.reasons import Event, Reason

READ_BYTES: Final = 341 * RECORD_BYTES  # just below 64 KiB, and whole records: what is cut off a larger packet was never acknowledged
PIPE_BYTES: Final = 1 << 20
HEAD_NS: Final = 1_000_000_000  # head.json is at most this far behind
LOOK_NS: Final = 5_000_000_000  # how long a month's end, or what somebody did with the names' keys, may wait
LOCK_WAIT_NS: Final = 10_000_000_000  # a writer whose gateway was killed may still be closing the log
LOCK_POLL_S: Final = 0.05
MILLI: Final = 1_000_000
BILLION: Final = 1_000_000_000
IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
USAGE, SYSTEM, UNSOUND, BUSY, GONE = 2, 3, 4, 5, 6


def clock() -> Moment:
    """Read both clocks. This process has no shell above it that could hand the time in."""
    return Moment(time.clock_gettime_ns(time.CLOCK_REALTIME), time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class Writer:
    """The loop: read what is there, write it as one batch, acknowledge."""

    def __init__(self, log: Log, journal: Journal, keeper: Keeper, telemetry: int, evidence: socket.socket | None) -> None:
        """Take an open journal, the names, and the two channels, which do not block."""
        self._log = log
        self._keeper = keeper
        self._look_ns = 0
        self._owed: dict[Reason, Owed] = {}  # what the journal was given to say of the names' keys
        self._names_trouble = False
        self._journal = journal
        self._telemetry = telemetry
        self._evidence = evidence
        self._rest = b""  # the beginning of a record whose end is not read yet
        self._said: int | None = None  # the last acknowledgement sent; None: not even that the log is open
        self._durable = 0
        self._head_ns = clock().mono_ns
        self._told = False  # that the log cannot be written

    def run(self) -> bool:
        """Work until the pipe is closed. Return whether everything is recorded and the log closed in good order."""
        self._acknowledge()
        open_end = True
        while open_end:
            self._look()
            self._wait()
            evidence = self._read_evidence()
            telemetry, open_end = self._read_telemetry()  # after the evidence, so that all that was recorded before it stands before it
            self._write(telemetry, evidence)
        self._look_ns = 0
        self._look()
        while packets := self._read_evidence():  # sent before the end; what follows stays in the outbox
            self._write([], packets)
        closed = self._journal.close()
        self._durable = self._journal.acknowledged
        self._acknowledge()
        self._drop_evidence()
        return closed

    def _write(self, telemetry: list[bytes], evidence: list[bytes]) -> None:
        if telemetry or evidence or self._journal.troubled or not self._journal.noticed or clock().mono_ns >= self._journal.epoch_over_ns:
            self._journal.write(telemetry, evidence)
            self._durable = self._journal.acknowledged
            self._tell(self._journal.trouble)
        self._acknowledge()
        now = clock().mono_ns
        if self._log.head_is_stale and now - self._head_ns >= HEAD_NS:
            with suppress(OSError):  # the old ones stand, and stay true
                self._journal.sign()
            self._head_ns = now

    def _look(self) -> None:
        """Let the names follow the clock and whoever changes their keys, and record what was done with those (A-18, A-19)."""
        now = clock()
        if now.mono_ns < self._look_ns:
            return
        self._look_ns = now.mono_ns + LOOK_NS
        trouble = ""
        try:
            self._settle()
            self._keeper.look(now.wall_ns)
            self._owed = dict(self._keeper.names.ring.owed)
            self._journal.notice(tuple(_handled(reason, what) for reason, what in self._owed.items()))
            self._write([], [])
            self._settle()
        except KeyUnusable as error:
            trouble = str(error)
        except OSError as error:
            trouble = error.strerror or type(error).__name__
        if trouble and not self._names_trouble:
            _say("audit_names_kept", "error", error=trouble)
        self._names_trouble = bool(trouble)

    def _settle(self) -> None:
        """Note in the key file that the log was told. KeyUnusable, OSError: it will be told again."""
        if self._owed and self._journal.noticed:
            self._keeper.settle(self._owed)
            self._owed = {}

    def _tell(self, trouble: str) -> None:
        """Tell the operator when the log cannot be written, and when it can again: once each, the log itself cannot say it meanwhile."""
        if bool(trouble) == self._told:
            return
        self._told = bool(trouble)
        if trouble:
            _say("audit_log_unwritable", "error", error=trouble)
        else:
            _say("audit_log_written_again", "info")

    def _wait(self) -> None:
        """Sleep until there is something to read or to try again."""
        poll = select.poll()
        poll.register(self._telemetry, select.POLLIN)
        if self._evidence is not None and self._journal.waiting < EVIDENCE_WAITING_MAX:
            poll.register(self._evidence, select.POLLIN)
        again = [max(min(self._journal.epoch_over_ns, self._look_ns) - clock().mono_ns, 0)]
        if self._journal.troubled or self._said != self._durable:
            again.append(RETRY_NS)
        if self._log.head_is_stale:
            again.append(max(self._head_ns + HEAD_NS - clock().mono_ns, 0))
        poll.poll(min(again) // MILLI + 1)

    def _read_telemetry(self) -> tuple[list[bytes], bool]:
        """Return the records in the pipe, all but what arrives meanwhile, and whether its write end is still open."""
        parts = [self._rest]
        open_end = True
        for _ in range(PIPE_BYTES // READ_BYTES + 1):
            try:
                parts.append(os.read(self._telemetry, READ_BYTES))
            except BlockingIOError:
                break
            if not parts[-1]:
                open_end = False
                break
        records = _records(b"".join(parts))
        self._rest = records.pop() if open_end and records and len(records[-1]) != RECORD_BYTES else b""
        return records, open_end

    def _read_evidence(self) -> list[bytes]:
        """Return records of the packets that have arrived, as many as may wait."""
        records: list[bytes] = []
        while self._evidence is not None and self._journal.waiting + len(records) < EVIDENCE_WAITING_MAX:
            try:
                packet = self._evidence.recv(READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                packet = b""
            if not packet:
                self._drop_evidence()
                break
            records += _records(packet)
        return records

    def _acknowledge(self) -> None:
        """Say what is durable (A-40). A peer that does not listen is told the newest number later."""
        if self._evidence is None or self._said == self._durable:
            self._said = self._durable
            return
        try:
            self._evidence.send(self._durable.to_bytes(8, "little"))
            self._said = self._durable
        except BlockingIOError:
            return
        except OSError:
            self._drop_evidence()

    def _drop_evidence(self) -> None:
        if self._evidence is not None:
            self._evidence.close()
        self._evidence = None
        self._said = self._durable


def _handled(reason: Reason, what: Owed) -> Notice:
    months = {"first": written(what.first), "last": written(what.last)}
    return Notice(Event.NAMES_HANDLED, reason, {"names": months, "count": what.times})


def _records(data: bytes) -> list[bytes]:
    return [data[place : place + RECORD_BYTES] for place in range(0, len(data), RECORD_BYTES)]


def _hex_id(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != 8:  # noqa: PLR2004 - node and boot are both eight bytes long
        raise ValueError(text)
    return value


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="audit.writer", description="Write audit records to a log. Started by the gateway or client.")
    made.add_argument("--dir", type=Path, required=True, help="the log; its names.key is beside it")
    made.add_argument("--node", type=_hex_id, required=True, help="16 hex digits")
    made.add_argument("--boot", type=_hex_id, required=True, help="16 hex digits, fresh at each start")
    made.add_argument("--role", choices=("gateway", "client"), required=True)
    made.add_argument("--telemetry-fd", type=int, required=True, help="read end of the pipe")
    made.add_argument("--evidence-fd", type=int, help="one end of a SOCK_SEQPACKET socket pair")
    made.add_argument("--segment-bytes", type=int, default=SEGMENT_BYTES)
    made.add_argument("--names-months", type=int, default=MONTHS, help="how many ended months' pseudonyms can be resolved")
    made.add_argument("--epoch-seconds", type=int, default=EPOCH_NS // BILLION, help="how long one key signs")
    return made


def main(arguments: list[str]) -> int:
    """Run the writer. Return its exit status."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    options = parser().parse_args(arguments)
    try:
        keeper = Keeper(options.dir, options.names_months)
        builder = Builder(options.node, options.boot, options.role, keeper.names)
        os.set_blocking(options.telemetry_fd, False)
        with suppress(OSError):  # a larger pipe is a comfort, not a need
            fcntl.fcntl(options.telemetry_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        evidence = None if options.evidence_fd is None else socket.socket(fileno=options.evidence_fd)
        if evidence is not None:
            os.set_blocking(options.evidence_fd, False)
        log, journal = _open(options, builder)
    except KeyUnusable as error:
        return _fail(USAGE, error)
    except LogBusy as error:
        return _fail(BUSY, error)
    except LogUnsound as error:
        return _fail(UNSOUND, error)
    except OSError as error:
        return _fail(SYSTEM, error)
    try:
        with log:
            if Writer(log, journal, keeper, options.telemetry_fd, evidence).run():
                return 0
    except LogGone as error:
        return _fail(GONE, error)
    return _fail(
        SYSTEM,
        "the log could not be closed: the disk is full or broken",
        telemetry_not_counted=journal.lost,
        evidence_for_the_next_writer=journal.waiting,
    )


def _open(options: argparse.Namespace, builder: Builder) -> tuple[Log, Journal]:
    """Open the log; wait a while for the lock of a writer that is about to end."""
    patience = clock().mono_ns + LOCK_WAIT_NS
    while True:
        try:
            epoch_ns = options.epoch_seconds * BILLION
            return open_journal(options.dir, options.node, options.boot, builder, clock, options.segment_bytes, epoch_ns)
        except LogBusy:
            if clock().mono_ns >= patience:
                raise
            time.sleep(LOCK_POLL_S)


def _fail(status: int, why: object, **more: int) -> int:
    _say("audit_writer_fails", "error", error=str(why), status=status, **more)
    return status


def _say(event: str, level: str, **fields: str | int) -> None:
    """Write a line for operators, without waiting: one for which there is no room is lost."""
    line = orjson.dumps({**fields, "event": event, "level": level, "timestamp": rfc3339(clock().wall_ns)}) + b"\n"
    descriptor = sys.stderr.fileno()
    with suppress(OSError, ValueError):
        if select.select([], [descriptor], [], 0)[1]:
            os.write(descriptor, line)


if __name__ == "__main__":
    memory.close()  # before any key is read
    sys.exit(main(sys.argv[1:]))
