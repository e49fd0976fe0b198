"""The board of the log itself: is it whole, sealed, witnessed, and was anything lost?"""

from typing import Final

from grafana_foundation_sdk.models import dashboard

from lab.grafana.panels import board, chart, number, rows_of
from lab.grafana.targets import Ask, computed, count, different, events, greatest, least, over_time, rows, times, total
from observability.grafana import TIME_FIELD

OPENINGS: Final = "event_type:(LOG_OPENED OR LOG_RESUMED OR LOG_CLOSED)"


def integrity() -> dashboard.Dashboard:
    """Return the board."""
    return board(
        "jvpn-integrity",
        "audit integrity",
        "Is the log whole, sealed and witnessed? What decides is `jvpn audit verify`; this board says when to run it.",
        ["node"],
        [
            number("Telemetry lost", "Red: the disk of the log was too slow or full; the numbers of other boards are too small by this.",
                   over_time("event_type:TELEMETRY_LOST", times()), red=1),
            number("Records refused by their schema", "Red: a process recorded what it must not be able to. Its bytes are kept: report it.",
                   over_time("event_type:RECORD_REFUSED"), red=1),
            number("Bytes cut after crashes", "Red: a last line was incomplete after a crash. Who else could have cut it? Verify the log.",
                   over_time("event_type:LOG_RESUMED", total("metrics.cut_bytes")), unit="bytes", red=1),
            number("Epochs sealed", "One each quarter of an hour for every running process. None: the log is not sealed any more.",
                   over_time("event_type:EPOCH_SEALED")),
            rows_of("Is each chain whole?",
                    "Missing is not 0: events are not here (or the range begins inside a burst: widen it). Compare with the log.",
                    rows("", "chain_id", [
                        least("seq"), greatest("seq"), count(), different("event_hash"),
                        computed("params.last - params.first + 1 - params.events", first="1", last="2", events="4")]),
                    {"chain_id": "Chain", "Min": "From seq", "Max": "To seq", "Count": "Stored", "Unique Count": "Different",
                     "Bucket Script": "Missing"}, red={"Missing": 1}),
            rows_of("Openings and closings", "LOG_RESUMED without LOG_CLOSED before it: that process was killed.",
                    events(OPENINGS, 100),
                    {TIME_FIELD: "Time", "event_type": "Event", "reason_code": "Reason", "node_id": "Node", "seq": "Seq",
                     "event_hash": "Proof id"},
                    reasons=["LOG_STARTED", "LOG_CONTINUED", "LOG_TAIL_TORN", "LOG_STOPPED"]),
            chart("Last number of each chain", "A line that ends while its process runs: nothing arrives any more; look at the shipper.",
                  over_time("", greatest("seq"), by=["chain_id"])),
            chart("Epoch of the signing key", "A line that does not rise for half an hour: the log is not sealed.",
                  over_time("event_type:EPOCH_SEALED", greatest("seal.epoch"), by=["node_id"])),
            chart("Events by class", "Evidence is durable with its effect; telemetry may be lost, and then it is counted.",
                  over_time("", by=["event_class"]), bars=True),
            chart("Lost and refused records", "When it happened: compare with the load and the disk of that time.",
                  over_time("event_type:(TELEMETRY_LOST OR RECORD_REFUSED)", times(), by=["reason_code"]), bars=True),
            rows_of("Epochs of each node", "The signing keys in use; the verifier follows them.",
                    rows("event_type:EPOCH_SEALED", "node_id", [greatest("seal.epoch"), count(), greatest(TIME_FIELD)]),
                    {"node_id": "Node", "Max seal.epoch": "Epoch", "Count": "Seals", f"Max {TIME_FIELD}": "Last seal"},
                    times=["Last seal"]),
            rows_of("Vocabulary of the writers", "More than one row after an upgrade is complete: an old process still writes.",
                    rows("event_type:(LOG_OPENED OR LOG_RESUMED)", "genesis.registry", [count(), different("node_id")]),
                    {"genesis.registry": "Hash of the registry", "Count": "Openings", "Unique Count": "Nodes"}),
            chart("Age of the newest checkpoint", "Red: the log is not signed any more.",
                  Ask("jvpn_audit_checkpoint_age_seconds"), unit="s", red=1_800),
            chart("Witnesses and quorum", "Fewer witnesses than the quorum: nobody vouches that all see the same log.",
                  Ask("jvpn_audit_witnesses", "witnesses"), Ask("jvpn_audit_witness_quorum", "quorum")),
            number("Events missing in the cluster", "Red: the comparison found events of the log that are not stored. Ship them again.",
                   Ask('jvpn_shipper_findings{finding="missing"}'), calc="lastNotNull", red=1),
        ],
    )  # fmt: skip
