"""The board of sessions: how many, how they end, how long they are without traffic."""

from typing import Final

from grafana_foundation_sdk.models import dashboard

from core import limits
from lab.grafana.panels import board, chart, number, rows_of
from lab.grafana.targets import computed, count, different, greatest, least, over_time, percentiles, rows, split, total
from observability.grafana import TIME_FIELD

MOVED: Final = "event_type:SESSION_MOVED AND NOT reason_code:REKEYED"
WINDOW_US: Final = limits.RECOVERY_WINDOW_NS // 1_000
LATE: Final = f"event_type:MOVE_MEASURED AND metrics.recovery_us:>{WINDOW_US}"


def sessions() -> dashboard.Dashboard:
    """Return the board."""
    return board(
        "jvpn-sessions",
        "sessions",
        "How many sessions there are, how they end, and how long they are without traffic around a jump.",
        ["node"],
        [
            number("Sessions born", "Nothing here while clients connect: look at refusals on the security board.",
                   over_time("event_type:SESSION_BORN")),
            number("Sessions ended", "Compare with the reasons below: only what the ends chose is good news.",
                   over_time("event_type:SESSION_ENDED")),
            number("Jumps", "Moves to another path. More than usual: look at their reasons on the switching board.", over_time(MOVED)),
            number("Recoveries beyond the window",
                   "Red: sessions were longer without traffic than policy allows; find the network's fault.",
                   over_time(LATE), red=1),
            chart("Born and ended", "Far more ends than births: sessions are being lost; look at the reasons beside.",
                  split("event_class:evidence", {"born": "event_type:SESSION_BORN", "ended": "event_type:SESSION_ENDED"}), bars=True),
            chart("Ends by reason", "TRANSPORT_LOST is the network, INVARIANT_BROKEN is ours: report it.",
                  over_time("event_type:SESSION_ENDED", by=["reason_code"]), bars=True),
            chart("States entered, at the gateway", "Much RECOVERING or DEGRADED: paths fail; VOLATILE: they lose packets.",
                  over_time("role:gateway AND event_type:(SESSION_BORN OR SESSION_MOVED OR SESSION_CHANGED OR SESSION_ENDED)",
                            by=["state.to"]), bars=True),
            chart("States entered, at the clients", "Much SEEKING: clients find their paths silent or closed.",
                  over_time("role:client AND event_type:(CLIENT_ATTACHED OR CLIENT_MOVED OR CLIENT_CHANGED OR CLIENT_ENDED)",
                            by=["state.to"]), bars=True),
            chart("Recovery time, by the gateway's clock",
                  "Red: beyond the recovery window. See which reason it is on the switching board.",
                  over_time("event_type:MOVE_MEASURED", percentiles("metrics.recovery_us"), alias="{{metric}}"), unit="µs", red=WINDOW_US),
            chart("Outage, by the clients' clocks",
                  "Higher than the gateway's by one way of the path; much higher: clocks or clients are slow.",
                  over_time("event_type:CLIENT_MOVED AND NOT reason_code:REKEYED", percentiles("metrics.outage_us"), alias="{{metric}}"),
                  unit="µs", red=WINDOW_US),
            chart("Handshake time", "Rising: the gateway is loaded, or the path is long.",
                  over_time("event_type:CLIENT_ATTACHED", percentiles("metrics.handshake_us"), alias="{{metric}}"), unit="µs"),
            chart("Traffic", "Nothing while sessions are attached: look at the gateway's TUN device.",
                  over_time("event_type:SESSION_HEALTH AND role:gateway", total("metrics.received_bytes"), alias="from clients"),
                  over_time("event_type:SESSION_HEALTH AND role:gateway", total("metrics.sent_bytes"), alias="to clients"), unit="bytes"),
            rows_of("Longest sessions", "How long each is seen. Beyond a day: sessions must end by their lifetime; report it.",
                    rows("session.correlation_id:*", "session.correlation_id",
                         [least(TIME_FIELD), greatest(TIME_FIELD), count(),
                          computed("(params.last - params.first) / 1000", first="1", last="2")]),
                    {"session.correlation_id": "Session", "Min": "First seen", "Max": "Last seen", "Count": "Events",
                     "Bucket Script": "Seen for, s"}, times=["First seen", "Last seen"], red={"Seen for, s": 86_400}),
            rows_of("Sessions by node", "A node without sessions gets no clients: look at how they find it.",
                    rows("", "node_id", [count(), different("session.correlation_id"), greatest(TIME_FIELD)]),
                    {"node_id": "Node", "Count": "Events", "Unique Count": "Sessions", "Max": "Last event"}, times=["Last event"]),
        ],
    )  # fmt: skip
