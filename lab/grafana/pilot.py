"""The board for a pilot: are the promises kept, and what happened in one session, event by event?"""

from typing import Final

from grafana_foundation_sdk.models import dashboard

from lab.grafana.panels import WIDE, board, chart, chosen, log_of, number, rows_of
from lab.grafana.sessions import LATE, MOVED, WINDOW_US
from lab.grafana.targets import count, different, events, greatest, lines, over_time, percentiles, rows, split, times
from observability.grafana import TIME_FIELD

ONE: Final = f"session.correlation_id:* AND {chosen('session')}"
WHY: Final = chosen("reason")


def pilot() -> dashboard.Dashboard:
    """Return the board."""
    return board(
        "jvpn-pilot",
        "pilot audit",
        "Are the promises kept? Choose a session to see it event by event, each row with the hash that finds its proof in the log.",
        ["node", "session", "reason"],
        [
            number("Jumps within the recovery window", "The promise.",
                   over_time(f"event_type:MOVE_MEASURED AND metrics.recovery_us:[0 TO {WINDOW_US}]")),
            number("Jumps beyond it", "Red: the promise was broken this often.", over_time(LATE), red=1),
            number("Longest recovery", "Red: beyond the window.",
                   over_time("event_type:MOVE_MEASURED", greatest("metrics.recovery_us"), alias="longest"), calc="max", unit="µs",
                   red=WINDOW_US),
            number("Most jumps in one minute, all sessions", "Compare with the number of sessions: the limit is for each of them.",
                   over_time(MOVED, interval="1m"), calc="max"),
            chart("Kept and broken promises", "Broken ones in a row: the network's fault of that time.",
                  split("event_type:MOVE_MEASURED", {
                      "within the window": f"metrics.recovery_us:[0 TO {WINDOW_US}]", "beyond": f"metrics.recovery_us:>{WINDOW_US}"}),
                  bars=True, colours={"within the window": "green", "beyond": "red"}),
            chart("Recovery of the chosen sessions", "Each jump, by the gateway's clock.",
                  over_time(f"event_type:MOVE_MEASURED AND {ONE}", percentiles("metrics.recovery_us"), alias="{{metric}}"),
                  unit="µs", red=WINDOW_US),
            rows_of("Seen from both ends", "A role without sessions: its log does not arrive, and half of the story is missing.",
                    rows("session.correlation_id:*", "role", [count(), different("session.correlation_id"), different("event_type")]),
                    {"role": "Role", "Count": "Events", "Unique Count session.correlation_id": "Sessions",
                     "Unique Count event_type": "Types of events"}),
            rows_of("Why, in the chosen sessions", "What happened to them, most frequent first.",
                    rows(f"{ONE} AND {WHY}", "reason_code", [count(), greatest(TIME_FIELD)]),
                    {"reason_code": "Reason", "Count": "Events", "Max": "Last"}, times=["Last"]),
            chart("States that the chosen sessions entered", "RECOVERING without a jump after it: the path came back, or never did.",
                  over_time(f"state.to:* AND {ONE}", by=["state.to"]), bars=True),
            chart("Refused in the chosen sessions", "What somebody tried in their name.",
                  over_time(f"event_type:(SESSION_REFUSED OR CLIENT_REFUSED) AND {ONE}", times(), by=["reason_code"]), bars=True),
            rows_of("The chosen sessions, event by event",
                    "The proof id is the event's hash: `jvpn audit show` finds it, `jvpn audit verify` proves it.",
                    events(f"{ONE} AND {WHY}", 500),
                    {TIME_FIELD: "Time", "role": "At", "event_type": "Event", "reason_code": "Reason", "state.to": "State",
                     "transport.to": "Carrier", "chain_id": "Chain", "seq": "Seq", "event_hash": "Proof id"}).span(WIDE),
            log_of("Evidence of the chosen sessions", "Births, jumps and ends as they are in the log.",
            lines(f"event_class:evidence AND {ONE}")),
        ],
    )  # fmt: skip
