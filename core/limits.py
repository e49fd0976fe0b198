"""Every bound of the core: name, unit, home. Specification numbers first, implementation numbers after."""

from typing import Final

MICROSECOND, MILLISECOND, SECOND = 1_000, 1_000_000, 1_000_000_000  # in nanoseconds
MINUTE: Final = 60 * SECOND

# --- Specification: two implementations must agree on these, or users notice. ---------------------------------------
WINDOW_PACKETS: Final = 1_024  # anti-replay window, RFC 4303 section 3.4.3
COUNTER_LIMIT: Final = 2**64 - 2**13 - 1  # first counter that is refused, as in WireGuard
LOOKAHEAD_ATTEMPTS: Final = 64  # a gateway accepts next <= attempt < next + 64
ATTEMPT_MAX: Final = 65_534  # attempt 65,535 needs a full handshake
LOCATORS_PER_ACK: Final = 32
BINDING_VERSION_MAX: Final = 2**53 - 1  # the greatest integer of a record
REKEY_AFTER_NS: Final = 120 * SECOND
REJECT_AFTER_NS: Final = 180 * SECOND
DRAINING_NS: Final = 2 * SECOND
SESSIONS_PER_DEVICE: Final = 4
MTU_DEFAULT: Final = 1_280
MTU_ALLOWED: Final = (1_280, 1_380)
COOKIE_SECRET_NS: Final = 120 * SECOND
INIT_MEMORY_NS: Final = 120 * SECOND  # mac1 of an accepted INIT is remembered this long
HANDSHAKE_RETRY_NS: Final = 500 * MILLISECOND  # doubling
HANDSHAKE_TRIES: Final = 5
COOKIES_PER_HANDSHAKE: Final = 3
REATTACH_RETRY_NS: Final = 50 * MILLISECOND  # doubling up to the cap
REATTACH_RETRY_CAP_NS: Final = 1 * SECOND
HINT_INTERVAL_NS: Final = 1 * SECOND  # hints sent, and hints obeyed
STORE_TIMEOUT_NS: Final = 2 * SECOND

# --- Policy: defaults, and the bounds inside which a configuration may move them. -----------------------------------
LIFETIME_S: Final = 8 * 3_600
LIFETIME_S_MAX: Final = 24 * 3_600
TRANSPORT_LOSS_NS: Final = 15 * 60 * SECOND
TRANSPORT_LOSS_NS_MIN: Final = 10 * SECOND
RECOVERY_WINDOW_NS: Final = 8 * SECOND
VOLATILE_NS: Final = 4 * SECOND  # VOLATILE longer than this is DEGRADED
STABLE_NS: Final = 3 * SECOND
LOSS_WINDOW_NS: Final = 2 * SECOND
LOSS_PERCENT: Final = 20
VOLUNTARY_PER_MINUTE: Final = 8
VOLUNTARY_COOLDOWN_NS: Final = 1_500 * MILLISECOND
FORCED_PER_MINUTE: Final = 30
REKEYS_PER_MINUTE: Final = 8  # where the session is; one in two minutes is due, and that one is never refused
BIRTHS_PER_MINUTE: Final = 10  # of one device; each is a durable write, a row until it expires, and two records of evidence
SILENCE_NS: Final = 15 * SECOND  # a gateway calls a datagram path dead after this; clients speak every 5 s
KEEPALIVE_NS: Final = 5 * SECOND
ROUTE_KEPT_NS: Final = KEEPALIVE_NS + SECOND  # heard in this time: no younger session of the device draws off its traffic

# --- Implementation: free choice of this program. -------------------------------------------------------------------
PENDING_MAX: Final = 4_096
PENDING_PER_DEVICE: Final = 2
PENDING_NS: Final = 5 * SECOND
PENDING_PER_PREFIX: Final = 4  # from this many on, INITs of one /24 or /56 need a cookie
INIT_PER_SECOND: Final = 400  # above this rate INITs need a cookie
INIT_MEMORY_MAX: Final = 65_536
CANDIDATE_NS: Final = 5 * SECOND
HELD_PACKETS: Final = 64  # opened under a candidate before its commit
HELD_BYTES: Final = 131_072
LOADS_MAX: Final = 256  # store reads in flight for sessions that this gateway does not hold
LOADS_PER_SECOND: Final = 2_000
LOSS_SAMPLE_PACKETS: Final = 20  # fewer expected packets than this say nothing about loss
REFUSALS_PER_SECOND: Final = 10  # records of authenticated refusals a session; the rest is summed
SUMMARY_NS: Final = 10 * SECOND  # unauthenticated refusals: one record a reason in this time
TOMBSTONE_RETRY_NS: Final = 5 * SECOND
RELOAD_RETRY_NS: Final = 500 * MILLISECOND
HEALTH_NS: Final = 10 * SECOND
KEY_CHECK_NS: Final = 30 * SECOND  # documents are read again, and keys judged; what is not valid any more ends within it
CLOCKS_APART_NS: Final = 60 * SECOND  # how far the clocks of gateways on one store may differ
BOUND_NS: Final = REJECT_AFTER_NS + STORE_TIMEOUT_NS + CLOCKS_APART_NS  # after its row was written nobody has a session bound for longer

# --- Client. --------------------------------------------------------------------------------------------------------
PROBE_NS: Final = 50 * MILLISECOND  # while traffic is outstanding
PROBE_IDLE_NS: Final = KEEPALIVE_NS
BUSY_NS: Final = 1 * SECOND  # traffic counts as outstanding for this long after the last packet
DEAD_MIN_NS: Final = 200 * MILLISECOND  # silence that makes a probed path dead, at least; 4 round trips where that is more
STALL_NS: Final = 100 * MILLISECOND  # a tick later than this says the process stalled, not the path
CONFIRM_TRIES: Final = 5
FRESH_AFTER_NS: Final = 3 * SECOND  # without any answer: a new handshake may run beside the attempts
LAST_CHANCE_NS: Final = 300 * MILLISECOND  # a RESP proved the path: the reattach gets this long before the session is lost
DIAL_RETRY_NS: Final = 500 * MILLISECOND
PATIENCE_NS: Final = 30 * SECOND  # the longest wait after refusals (doubling), and after a preferred carrier did not work
HEAD_START_NS: Final = 60 * MILLISECOND  # for the path where the session was, before other carriers are tried
BESIDE_NS: Final = 100 * MILLISECOND  # no RESP in this time: the next carrier is started beside
DEAD_STREAM_NS: Final = 1 * SECOND  # as DEAD_MIN_NS, for carriers that repeat lost bytes themselves
