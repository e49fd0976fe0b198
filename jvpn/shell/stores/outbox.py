"""Drains the outbox into the audit writer: which evidence is on its way, acknowledged, deleted (clauses O-17 to O-20).

Belongs to the store's thread. An acknowledgement is the id of the last record that the log has durably, as 8 bytes, little-endian.
"""

import select
import socket
from collections import deque
from typing import Final

import structlog

from audit.record import RECORDS_PER_PACKET, with_outbox_id
from jvpn.shell.stores.tables import Tables

IN_FLIGHT: Final = 256  # sent and not acknowledged
# O-19: what may be sent again after a crash of everything. The writer recognises the last 4,096 records, so these must be fewer.
NOT_DELETED: Final = 1_024
DELETE_AT: Final = 256  # acknowledged rows that are worth a transaction of their own
ACKNOWLEDGEMENT_BYTES: Final = 8

log = structlog.get_logger(__name__)


class Drain:
    """One stream of evidence to one writer at a time."""

    def __init__(self) -> None:
        self.waiting = 0  # records in the outbox that are not acknowledged
        self.acknowledged = 0  # every id up to here is in the log
        self.deletable = 0  # how many of them are still in the outbox
        self._socket: socket.socket | None = None
        self._sent = 0
        self._flight: deque[int] = deque()
        self._blocked = False
        self._more = True  # the outbox may hold what was not sent yet
        self._counted = False  # whether `waiting` is known

    def swap(self, writer: socket.socket | None) -> None:
        """Go on with another writer, or none: what is not acknowledged is sent again (O-19)."""
        if self._socket is not None:
            self._socket.close()
        if writer is not None:
            writer.settimeout(0)
        self._socket = writer
        self._sent = self.acknowledged
        self._flight.clear()
        self._blocked, self._more = False, True

    def grew(self, records: int) -> None:
        """Hear that a committed transaction added so much evidence."""
        self.waiting += records
        self._more = self._more or records > 0

    def recount(self) -> None:
        """Hear that a commit which was taken for failed may have happened."""
        self._counted, self._more = False, True

    def deleted(self) -> None:
        """Hear that what is acknowledged is no longer in the outbox."""
        self.deletable = 0

    def pending(self) -> bool:
        """Whether a writer is there that has yet to take or to acknowledge something."""
        return self._socket is not None and (self._more or bool(self._flight))

    def interest(self) -> tuple[int, int] | None:
        """Return the descriptor to poll and its mask."""
        if self._socket is None:
            return None
        return self._socket.fileno(), select.POLLIN | (select.POLLOUT if self._blocked else 0)

    def turn(self, tables: Tables) -> None:
        """Take acknowledgements and send as much as the window and the socket hold; never blocks."""
        self._receive()
        if not self._counted:
            self.waiting, self._counted = tables.waiting(self.acknowledged), True
        self._blocked = False
        while self._more and not self._blocked and self._socket is not None:
            room = min(IN_FLIGHT - len(self._flight), NOT_DELETED - self.deletable - len(self._flight), RECORDS_PER_PACKET)
            if room <= 0:
                return
            rows = tables.outbox(self._sent, room)
            if not rows:
                self._more = False
            elif self._send(b"".join([with_outbox_id(record, number) for number, record in rows])):
                self._flight.extend(number for number, _ in rows)
                self._sent = rows[-1][0]

    def _send(self, packet: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send(packet, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            self._blocked = True
            return False
        except OSError as error:
            self._lose(error.strerror or "send failed")
            return False
        return True

    def _receive(self) -> None:
        while self._socket is not None:
            try:
                message = self._socket.recv(ACKNOWLEDGEMENT_BYTES + 1)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(error.strerror or "receive failed")
                return
            number = int.from_bytes(message, "little")
            if not message:
                self._lose("the writer is gone")
            elif len(message) != ACKNOWLEDGEMENT_BYTES or number > self._sent:
                self._lose("an acknowledgement names what was not sent")  # nothing may be deleted on such a word
            else:
                self._acknowledge(number)

    def _acknowledge(self, number: int) -> None:
        while self._flight and self._flight[0] <= number:
            self._flight.popleft()
            self.waiting -= 1
            self.deletable += 1
        self.acknowledged = max(self.acknowledged, number)

    def _lose(self, why: str) -> None:
        log.warning("evidence_waits", reason=why, unacknowledged=len(self._flight))
        self.swap(None)
