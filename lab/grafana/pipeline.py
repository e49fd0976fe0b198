"""The board of the pipeline: does what happens arrive here, all of it, once, and soon?"""

from grafana_foundation_sdk.models import dashboard

from lab.grafana.panels import board, chart, number, rows_of
from lab.grafana.targets import Ask, computed, count, different, greatest, over_time, rows, so_far, times
from observability.grafana import TIME_FIELD


def pipeline() -> dashboard.Dashboard:
    """Return the board."""
    return board(
        "jvpn-pipeline",
        "pipeline health",
        "From a recorded fact to a stored document: how many, how full, how late, and what was refused on the way.",
        ["node"],
        [
            number("Events stored", "Nothing: no log arrives. Look at the shipper's status.json.", over_time("")),
            number("Evidence stored", "What must never be lost.", over_time("event_class:evidence")),
            number("Telemetry lost before the log", "Red: lost between process and log; the disk was too slow or full.",
                   over_time("event_type:TELEMETRY_LOST", times()), red=1),
            number("Processes started", "More than you started: something restarts them.", over_time("event_type:PROCESS_STARTED")),
            chart("Events stored, by type",
                  "A type that grows without a cause tells what is wrong.", over_time("", by=["event_type"]), bars=True),
            chart("Events stored, by node", "A node that stops: its shipper or its process does.", over_time("", by=["node_id"]),
            bars=True),
            chart("Events so far", "Flat while processes run: nothing arrives.",
                  so_far()),
            chart("Processes", "PROCESS_STARTED without a PROCESS_STOPPED before it: it crashed.",
                  over_time("event_type:(PROCESS_STARTED OR PROCESS_STOPPED)", by=["reason_code"]), bars=True),
            rows_of("Newest event of each log", "Older than a quarter of an hour while its process runs: its shipper waits or is gone.",
                    rows("", "chain_id", [count(), greatest(TIME_FIELD), greatest("seq")]),
                    {"chain_id": "Chain", "Count": "Events", f"Max {TIME_FIELD}": "Newest event", "Max seq": "Its number"},
                    times=["Newest event"]),
            rows_of("Stored twice", "Not 0: a batch was repeated across a rollover; numbers of other boards are too great by this.",
                    rows("", "chain_id", [count(), different("event_hash"), computed("params.all - params.one", all="1", one="2")]),
                    {"chain_id": "Chain", "Count": "Stored", "Unique Count": "Different", "Bucket Script": "Twice"}, red={"Twice": 1}),
            rows_of("Types of events", "All that the registry has and that happened.",
                    rows("", "event_type", [count(), greatest(TIME_FIELD)]),
                    {"event_type": "Type", "Count": "Events", "Max": "Newest"}, times=["Newest"]),
            rows_of("Schemas of events", "More than one after an upgrade is complete: an old process still writes.",
                    rows("", "schema", [count(), different("node_id")]),
                    {"schema": "Schema", "Count": "Events", "Unique Count": "Nodes"}),
            chart("Spool", "Above 80 %: the log's disk is too slow for what happens.",
                  Ask("jvpn_audit_spool_fill_ratio"), unit="percentunit", red=0.8),
            chart("Evidence before the log", "Committed, and not yet in the log. Rising: the log's disk is slow, or its writer is away.",
                  Ask("jvpn_gateway_evidence_waiting")),
            chart("What the shipper did", "quarantined: the cluster refused events for good; docs/guides/siem.md says what to do.",
                  Ask("sum by (result) (rate(jvpn_shipper_events_total[5m]))", "{{result}}")),
            chart("Breaker", "1: the shipper waits because the cluster fails.", Ask("jvpn_shipper_breaker_open"), red=1),
        ],
    )  # fmt: skip
