"""The board of security: who could not prove, who replays, who asks too much, and what the keys do."""

from typing import Final

from grafana_foundation_sdk.models import dashboard

from lab.grafana.panels import board, chart, number, rows_of
from lab.grafana.targets import count, different, events, greatest, over_time, rows, split, times
from lab.grafana.words import LIMITS, OWNERSHIP, REFUSALS, REPLAYS, SELF_CHECKS, any_of, failures_of_proof
from observability.grafana import TIME_FIELD

PROOF: Final = any_of("reason_code", failures_of_proof())
REPLAYED: Final = any_of("reason_code", REPLAYS)
OWNED: Final = any_of("reason_code", OWNERSHIP)
LIMITED: Final = any_of("reason_code", LIMITS)
REFUSED: Final = any_of("event_type", REFUSALS)
WHY: Final = "reason_code:$reason"


def security() -> dashboard.Dashboard:
    """Return the board."""
    return board(
        "jvpn-security",
        "security",
        "What was refused and why, who owns sessions, and what happens to keys. One event may stand for many messages: numbers are sums.",
        ["node", "reason"],
        [
            number("Failed proofs", "Red: somebody tries keys, or a device has the wrong one; see the table of devices.",
                   over_time(PROOF, times()), red=100),
            number("Replays refused", "A few are late copies of the network's; red: somebody sends recorded traffic.",
                   over_time(REPLAYED, times()), red=100),
            number("Conflicts of ownership", "Red: two gateways want one session, or traffic came from an unbound path; look at them.",
                   over_time(OWNED, times()), red=1),
            number("Failed self-tests", "Red: a process found its cryptography or randomness broken and stopped. Do not start it again.",
                   over_time(any_of("reason_code", SELF_CHECKS)), red=1),
            chart("Failed proofs by reason",
                  "HANDSHAKE_BAD_PROOF and DEVICE_UNKNOWN: strangers. REATTACH_BAD_PROOF: who knows a chain, not the key.",
                  over_time(f"{PROOF} AND {WHY}", times(), by=["reason_code"]), bars=True),
            chart("Replays by reason", "Nothing of a replay was delivered.",
                  over_time(f"{REPLAYED} AND {WHY}", times(), by=["reason_code"]), bars=True),
            chart("Limits reached", "Steady: a client is wrongly set up. A wave: a flood; cookies keep it out.",
                  over_time(f"{LIMITED} AND {WHY}", times(), by=["reason_code"]), bars=True),
            chart("Ownership of sessions", "OWNER_FENCED: another process has the session. STORE_LOST: the store did not answer.",
                  over_time("reason_code:(OWNER_FENCED OR VERSION_STALE OR STORE_LOST OR OWNERSHIP_CERTAIN OR TAKEN_OVER OR UNBOUND_PATH)",
                            by=["reason_code"]), bars=True),
            chart("Techniques (MITRE ATT&CK)", "What the refusals look like; the rules of detection say it with more care.",
                  split(REFUSED, {
                      "T1110 Brute Force": PROOF,
                      "T1550 Use Alternate Authentication Material": REPLAYED,
                      "T1563 Remote Service Session Hijacking": OWNED,
                      "T1499 Endpoint Denial of Service": LIMITED,
                  }, times()), bars=True),
            chart("Findings by severity", "3 medium, 4 high, 5 critical. Critical: act now.",
                  over_time("severity:>=3", by=["severity"]), bars=True),
            rows_of("Refused, by reason", "The most frequent ones first, with their meaning.",
                    rows(f"{REFUSED} AND {WHY}", "reason_code", [times(), count(), greatest("severity")], by="1"),
                    {"reason_code": "Reason", "Sum": "Refused", "Count": "Events", "Max": "Severity"}),
            rows_of("Sources of refused traffic", "Pseudonyms: equal means the same address. One at the top of a wave can be blocked.",
                    rows(f"{REFUSED} AND peer:*", "peer", [times(), different("reason_code"), greatest(TIME_FIELD)], by="1"),
                    {"peer": "Source", "Sum": "Refused", "Unique Count": "Reasons", "Max": "Last"}, times=["Last"]),
            rows_of("Devices with refusals", "Whose device it is: docs/guides/siem.md. `jvpn revoke` takes it off the allow list.",
                    rows(f"{REFUSED} AND device:*", "device", [times(), different("reason_code"), greatest(TIME_FIELD)], by="1"),
                    {"device": "Device", "Sum": "Refused", "Unique Count": "Reasons", "Max": "Last"}, times=["Last"]),
            chart("Keys", "KEY_EXPORTED that nobody ordered: somebody has a copy. KEY_REVOKED: its sessions end.",
                  over_time("event_type:KEY_CHANGED", by=["reason_code"]), bars=True),
            chart("Signed documents", "Anything but DOCUMENT_ACCEPTED: no new sessions may begin; see docs/guides/keys.md.",
                  over_time("event_type:DOCUMENT_JUDGED", by=["reason_code"]), bars=True),
            rows_of("Newest findings, medium and worse", "Read from the top; the event's hash finds its proof in the log.",
                    events(f"severity:>=3 AND {WHY}", 100),
                    {TIME_FIELD: "Time", "severity": "Severity", "event_type": "Event", "reason_code": "Reason", "node_id": "Node",
                     "event_hash": "Proof id"}),
        ],
    )  # fmt: skip
