"""Records: a stamped fact as 192 bytes, and back (clauses A-1 to A-4).

Little-endian, no alignment. One accepted form: what is not exactly this is `RecordMalformed`.

    offset  bytes  content
         0      1  version, 1
         1      1  flags: bit 0 = a remote endpoint is given; other bits zero
         2      2  event code                         4  2  reason code
         6      1  state from                         7  1  state to
         8      1  carrier from                       9  1  carrier to
        10      2  attempt                           12  4  state version
        16      8  outbox id (0: telemetry)          24  8  wall clock, ns since 1970
        32      8  instant, ns of CLOCK_BOOTTIME     40  8  serial
        48      8  serial of the cause (0: none)     56  8  session handle (48 bit; 0: none)
        64      8  binding version                   72  8  times
        80     32  four measures
       112      8  boot                             120 16  correlation (zeros: none)
       136     32  device (zeros: none)             168 16  remote address    184  2  remote port
       186      6  zeros
"""

import struct
from typing import Final, NamedTuple

from audit.errors import RecordMalformed
from core.errors import CallerFault
from core.reasons import Event, Reason
from core.values import Endpoint, Fact, Instant

LAYOUT: Final = struct.Struct("<BBHHBBBBHI8Q4Q8s16s32s16sH6s")
RECORD_BYTES: Final = LAYOUT.size
RECORDS_PER_WRITE: Final = 4_096 // RECORD_BYTES  # PIPE_BUF: one write of so many records is atomic
RECORDS_PER_PACKET: Final = 64  # evidence records in one packet, at most
BOOT_BYTES: Final = 8

VERSION: Final = 1
HAS_REMOTE: Final = 1
HANDLE_MAX: Final = 2**48 - 1
EVENT: Final = slice(2, 4)
OUTBOX: Final = slice(16, 24)
WALL: Final = slice(24, 32)
SESSION: Final = slice(56, 64)
DEVICE: Final = slice(136, 168)
PEER: Final = slice(168, 186)
PADDING: Final = bytes(6)
NOWHERE: Final = bytes(16)
EVENTS: Final = {event.value: event for event in Event}
REASONS: Final = {reason.value: reason for reason in Reason}


class Stamped(NamedTuple):
    """A fact as recorded: `wall_ns` since 1970, `boot` (8 bytes) of the process that made it, `outbox_id` (0 for telemetry)."""

    fact: Fact
    wall_ns: int
    boot: bytes
    outbox_id: int = 0


def pack(fact: Fact, wall_ns: int, boot: bytes, outbox_id: int = 0) -> bytes:
    """Return the record of a fact (A-1), `RECORD_BYTES` long. CallerFault when a value does not fit its place."""
    remote = fact.remote
    address, port = remote if remote is not None else (NOWHERE, 0)
    lengths = len(boot), len(fact.correlation), len(fact.device), len(address)
    if lengths != (BOOT_BYTES, 16, 32, 16) or fact.handle > HANDLE_MAX:
        raise CallerFault(
            f"boot, correlation, device and address have {lengths} bytes, not (8, 16, 32, 16), or the handle is above 48 bits"
        )
    try:
        return LAYOUT.pack(
            VERSION,
            0 if remote is None else HAS_REMOTE,
            fact.event,
            fact.reason,
            fact.state_from,
            fact.state_to,
            fact.carrier_from,
            fact.carrier_to,
            fact.attempt,
            fact.state_version,
            outbox_id,
            wall_ns,
            fact.at,
            fact.serial,
            fact.caused_by,
            fact.handle,
            fact.binding_version,
            fact.times,
            *fact.measures,
            boot,
            fact.correlation,
            fact.device,
            address,
            port,
            PADDING,
        )
    except struct.error as error:
        raise CallerFault(f"a number of this fact does not fit a record: {error}") from error


def unpack(data: bytes) -> Stamped:
    """Return what a record says. RecordMalformed for any bytes that `pack` does not make (A-1)."""
    if len(data) != RECORD_BYTES:
        raise RecordMalformed(f"a record has {RECORD_BYTES} bytes, this has {len(data)}")
    (
        version, flags, event, reason, state_from, state_to, carrier_from, carrier_to, attempt, state_version,
        outbox_id, wall_ns, at, serial, caused_by, handle, binding_version, times, m0, m1, m2, m3,
        boot, correlation, device, address, port, padding,
    ) = LAYOUT.unpack(data)  # fmt: skip
    if version != VERSION:
        raise RecordMalformed(f"record version {version} is unknown")
    if event not in EVENTS or reason not in REASONS:
        raise RecordMalformed(f"event {event} or reason {reason} is not in the registry")
    if flags & ~HAS_REMOTE or padding != PADDING or handle > HANDLE_MAX or (not flags and (port or address != NOWHERE)):
        raise RecordMalformed("reserved bits or unused bytes of a record are not zero")
    fact = Fact(
        EVENTS[event],
        REASONS[reason],
        serial,
        caused_by,
        Instant(at),
        handle,
        correlation,
        state_from,
        state_to,
        state_version,
        binding_version,
        attempt,
        carrier_from,
        carrier_to,
        device,
        Endpoint(address, port) if flags else None,
        times,
        (m0, m1, m2, m3),
    )
    return Stamped(fact, wall_ns, boot, outbox_id)


def with_outbox_id(record: bytes, outbox_id: int) -> bytes:
    """Return the record with its place in the outbox, which is known only after it was stored (A-3)."""
    return record[: OUTBOX.start] + outbox_id.to_bytes(8, "little") + record[OUTBOX.stop :]


def outbox_id_of(record: bytes) -> int:
    """Return the outbox id that stands in bytes of the right length, whatever else is wrong with them; else 0."""
    return int.from_bytes(record[OUTBOX], "little") if len(record) == RECORD_BYTES else 0
