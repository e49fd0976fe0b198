"""The board of jumps: from where to where, why, how often, and what they cost."""

from typing import Final

from grafana_foundation_sdk.models import dashboard

from lab.grafana.panels import board, chart, number, rows_of
from lab.grafana.sessions import MOVED
from lab.grafana.targets import count, different, greatest, over_time, percentiles, rows, split, times, total
from lab.grafana.words import SWITCH_ABUSE, any_of
from observability.grafana import TIME_FIELD

REFUSED: Final = any_of("reason_code", SWITCH_ABUSE)
WHY: Final = "reason_code:$reason"


def switching() -> dashboard.Dashboard:
    """Return the board."""
    return board(
        "jvpn-switching",
        "transport switching",
        "From which carrier to which sessions jump, why, how often, and what a jump costs.",
        ["node", "reason"],
        [
            number("Jumps", "More than usual: see the reasons below; one cause for all is the network's.", over_time(f"{MOVED} AND {WHY}")),
            number("Rekeys", "New keys on the same path; nothing here for hours while sessions carry traffic: report it.",
                   over_time("event_type:SESSION_MOVED AND reason_code:REKEYED")),
            number("Moves refused by the limits", "Red: somebody switches faster than policy allows; look at the session below.",
                   over_time(REFUSED, times()), red=1),
            number("Address changes and NAT rebindings", "Many of one session: its NAT forgets quickly; shorten its keepalive.",
                   over_time("event_type:SESSION_MOVED AND reason_code:(MOVED_ADDRESS_CHANGED OR MOVED_HINTED)")),
            chart("Jumps by reason", "PATH_DEAD and PATH_CLOSED are the network's, POLICY is yours.",
                  over_time(f"{MOVED} AND {WHY}", by=["reason_code"]), bars=True),
            chart("From carrier to carrier", "All in one direction: that carrier is blocked or broken on the way.",
                  over_time(f"{MOVED} AND {WHY}", by=["transport.from", "transport.to"]), bars=True),
            rows_of("Reasons of jumps", "The first row is where to begin.",
                    rows(f"event_type:SESSION_MOVED AND {WHY}", "reason_code", [count(), different("session.correlation_id")]),
                    {"reason_code": "Reason", "Count": "Jumps", "Unique Count": "Sessions"}),
            rows_of("Sessions that jump most", "The first rows flap: compare their last jump and the carriers between which they go.",
                    rows(f"{MOVED} AND {WHY}", "session.correlation_id", [count(), different("transport.to"), greatest(TIME_FIELD)]),
                    {"session.correlation_id": "Session", "Count": "Jumps", "Unique Count": "Carriers", "Max": "Last jump"},
                    times=["Last jump"]),
            chart("Silence before a jump, 95 % of them, by reason", "How long nothing came before the move was committed.",
                  over_time(f"{MOVED} AND {WHY}", percentiles("metrics.gap_us", ["95"]), by=["reason_code"]), unit="µs"),
            chart("Commit time", "From the confirmation to the store's answer. Rising: the store is slow.",
                  over_time("event_type:MOVE_MEASURED", percentiles("metrics.commit_us"), alias="{{metric}}"), unit="µs"),
            chart("Attempts of clients", "Unanswered ones: the path that was tried does not reach the gateway.",
                  split("event_type:CLIENT_CHANGED", {
                      "started": "reason_code:ATTEMPT_STARTED", "proven": "reason_code:ATTEMPT_PROVEN",
                      "unanswered": "reason_code:ATTEMPT_UNANSWERED"}), bars=True),
            chart("Time of an attempt, at the client", "From its first message to the first packet of the new epoch.",
                  over_time("event_type:CLIENT_MOVED", percentiles("metrics.attempt_us"), alias="{{metric}}"), unit="µs"),
            chart("Trouble of paths", "What clients and gateway noticed before sessions jumped.",
                  over_time("reason_code:(PATH_SILENT OR PATH_CLOSED OR QUALITY_LOW OR QUALITY_DEGRADED OR RECOVERY_OVER)",
                            by=["reason_code"]), bars=True),
            chart("Packets held while a move was committed", "Many: the store is slow, and packets wait for it.",
                  over_time("event_type:MOVE_MEASURED", total("metrics.held_packets"), alias="held"), bars=True),
            rows_of("Who was refused a move", "A device at the top of both tables is broken, or abuses its session: `jvpn close` ends it.",
                    rows(REFUSED, "session.correlation_id", [times(), greatest(TIME_FIELD)], by="1"),
                    {"session.correlation_id": "Session", "Sum": "Refused", "Max": "Last"}, times=["Last"]),
            rows_of("Carriers of sessions", "Which carrier sessions end up on.",
                    rows(MOVED, "transport.to", [count(), different("session.correlation_id")]),
                    {"transport.to": "Carrier", "Count": "Jumps to it", "Unique Count": "Sessions"}),
        ],
    )  # fmt: skip
