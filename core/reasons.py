"""The closed vocabulary as enums. Generated from schemas/registry.toml by `python -m lab.registry`; do not edit."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final


class Event(IntEnum):
    """What kind of record a fact is."""

    SESSION_BORN = 1
    SESSION_MOVED = 2
    SESSION_ENDED = 3
    SESSION_CHANGED = 4
    SESSION_REFUSED = 5
    TRAFFIC_REFUSED = 6
    MOVE_MEASURED = 7
    SESSION_HEALTH = 8
    HANDSHAKE_REFUSED = 9
    CLIENT_ATTACHED = 10
    CLIENT_MOVED = 11
    CLIENT_CHANGED = 12
    CLIENT_ENDED = 13
    CLIENT_REFUSED = 14
    PROCESS_STARTED = 40
    PROCESS_STOPPED = 41
    LOG_OPENED = 60
    LOG_RESUMED = 61
    LOG_CLOSED = 62
    TELEMETRY_LOST = 63
    RECORD_REFUSED = 64


class Reason(IntEnum):
    """Why something happened: one code, one cause."""

    HANDSHAKE_COMPLETED = 101
    HANDSHAKE_PROVEN = 102
    BIRTH_ASKED = 103
    BIRTH_LOST = 104
    PENDING_EXPIRED = 105
    CONNECT_ORDERED = 106
    HANDSHAKE_UNANSWERED = 107
    HANDSHAKE_REFUSED = 108
    SESSION_LOST = 109
    COOKIE_DEMANDED = 110
    QUALITY_LOW = 201
    QUALITY_STABLE = 202
    QUALITY_DEGRADED = 203
    PATH_SILENT = 204
    PATH_CLOSED = 205
    PATH_MTU_TOO_SMALL = 206
    REATTACH_ACCEPTED = 301
    MOVE_ASKED = 302
    MOVED_PATH_DEAD = 303
    MOVED_PATH_CLOSED = 304
    MOVED_ADDRESS_CHANGED = 305
    MOVED_HINTED = 306
    MOVED_BETTER = 307
    MOVED_QUALITY = 308
    MOVED_POLICY = 309
    REKEYED = 310
    CANDIDATE_EXPIRED = 311
    RECOVERY_OVER = 312
    MOVE_COMMITTED = 313
    ATTEMPT_STARTED = 314
    ATTEMPT_UNANSWERED = 315
    ATTEMPT_PROVEN = 316
    HINT_OBEYED = 317
    COOLDOWN = 401
    SWITCH_LIMIT = 402
    TRANSPORT_MISMATCH = 403
    LIMIT_SESSIONS = 404
    LIMIT_PENDING = 405
    INNER_SOURCE_SPOOFED = 406
    INNER_DESTINATION_FORBIDDEN = 407
    SESSION_SUSPENDED = 408
    LENGTH_WRONG = 501
    TYPE_UNKNOWN = 502
    VERSION_UNKNOWN = 503
    RESERVED_NOT_ZERO = 504
    MAC1_WRONG = 505
    INIT_REPEATED = 506
    MAC2_WRONG = 507
    HANDSHAKE_BAD_PROOF = 508
    DEVICE_UNKNOWN = 509
    LOCATOR_WRONG = 510
    SESSION_UNKNOWN = 511
    ATTEMPT_BURNT = 512
    ATTEMPT_TOO_FAR = 513
    REATTACH_MAC_WRONG = 514
    REATTACH_BAD_PROOF = 515
    REATTACH_REPLAYED = 516
    INDEX_UNKNOWN = 517
    DATA_TAG_WRONG = 518
    COUNTER_REPLAYED = 519
    COUNTER_STALE = 520
    COUNTER_LIMIT = 521
    UNBOUND_PATH = 522
    INNER_MALFORMED = 523
    UNEXPECTED_MESSAGE = 524
    REPLY_BAD_PROOF = 525
    CONFIRM_STALE = 526
    STORE_BUSY = 527
    NO_TRANSITION = 528
    PENDING_FULL_DATA = 529
    VERSION_STALE = 601
    OWNER_FENCED = 602
    STORE_LOST = 603
    OWNERSHIP_CERTAIN = 604
    TAKEN_OVER = 605
    KEY_EXPIRED = 701
    KEY_AGED = 702
    KEY_REVOKED = 703
    ATTEMPTS_EXHAUSTED = 704
    CLOSED_BY_PEER = 801
    CLOSED_BY_OPERATOR = 802
    LIFETIME_OVER = 803
    TRANSPORT_LOST = 804
    SUPERSEDED = 805
    INVARIANT_BROKEN = 806
    STORE_UNREACHABLE = 807
    TOMBSTONE_UNCONFIRMED = 808
    LATE_COMMIT = 809
    LOG_STARTED = 901
    LOG_CONTINUED = 902
    LOG_TAIL_TORN = 903
    LOG_STOPPED = 904
    TELEMETRY_OVERFLOW = 905
    TELEMETRY_UNWRITABLE = 906
    SCHEMA_VIOLATED = 907
    PROCESS_STARTED = 908
    PROCESS_STOPPED = 909
    HEALTH_SAMPLED = 910
    SELFTEST_FAILED = 911


class Carrier(IntEnum):
    """What carries messages; 16 to 31 are free for third parties."""

    UDP = 1
    TCP = 2
    QUIC = 3


class Cause(IntEnum):
    """Why the client moves, as the client states it."""

    PATH_DEAD = 1
    PATH_CLOSED = 2
    ADDRESS_CHANGED = 3
    HINTED = 4
    BETTER = 5
    QUALITY = 6
    POLICY = 7
    REKEY = 8


class Status(IntEnum):
    """The gateway's authenticated answer to a handshake or an attempt."""

    OK = 0
    TRANSPORT_MISMATCH = 1
    COOLDOWN = 2
    SWITCH_LIMIT = 3
    SUSPENDED = 4
    LIMIT_SESSIONS = 5
    LIMIT_PENDING = 6


class CloseCode(IntEnum):
    """Why an end closes the session, inside CLOSE."""

    GOING = 1
    OPERATOR = 2
    LIFETIME = 3
    REVOKED = 4
    SUPERSEDED = 5
    FAULT = 6
    LIMIT_SESSIONS = 7


VOLUNTARY: Final = frozenset({Cause.BETTER, Cause.POLICY})

CAUSE_REASON: Final[Mapping[Cause, Reason]] = MappingProxyType(
    {
        Cause.PATH_DEAD: Reason.MOVED_PATH_DEAD,
        Cause.PATH_CLOSED: Reason.MOVED_PATH_CLOSED,
        Cause.ADDRESS_CHANGED: Reason.MOVED_ADDRESS_CHANGED,
        Cause.HINTED: Reason.MOVED_HINTED,
        Cause.BETTER: Reason.MOVED_BETTER,
        Cause.QUALITY: Reason.MOVED_QUALITY,
        Cause.POLICY: Reason.MOVED_POLICY,
        Cause.REKEY: Reason.REKEYED,
    },
)

STATUS_REASON: Final[Mapping[Status, Reason]] = MappingProxyType(
    {
        Status.TRANSPORT_MISMATCH: Reason.TRANSPORT_MISMATCH,
        Status.COOLDOWN: Reason.COOLDOWN,
        Status.SWITCH_LIMIT: Reason.SWITCH_LIMIT,
        Status.SUSPENDED: Reason.SESSION_SUSPENDED,
        Status.LIMIT_SESSIONS: Reason.LIMIT_SESSIONS,
        Status.LIMIT_PENDING: Reason.LIMIT_PENDING,
    },
)

CLOSE_REASON: Final[Mapping[CloseCode, Reason]] = MappingProxyType(
    {
        CloseCode.GOING: Reason.CLOSED_BY_PEER,
        CloseCode.OPERATOR: Reason.CLOSED_BY_OPERATOR,
        CloseCode.LIFETIME: Reason.LIFETIME_OVER,
        CloseCode.REVOKED: Reason.KEY_REVOKED,
        CloseCode.SUPERSEDED: Reason.SUPERSEDED,
        CloseCode.FAULT: Reason.INVARIANT_BROKEN,
        CloseCode.LIMIT_SESSIONS: Reason.BIRTH_LOST,
    },
)
