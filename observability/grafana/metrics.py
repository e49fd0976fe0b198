"""The metrics that boards and alert rules ask Prometheus for: what is not in the log, and no more.

Whoever serves `/metrics` serves these names and labels. Each series also has the labels that Prometheus adds (`instance`, `job`).
"""

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """`kind`: gauge, counter or histogram, as Prometheus has them. `source`: the process that serves it."""

    name: str
    kind: str
    source: str
    meaning: str
    labels: tuple[str, ...] = ()


CHECKPOINT_AGE: Final = Metric(
    "jvpn_audit_checkpoint_age_seconds", "gauge", "gateway", "Seconds since the newest signed checkpoint of the log."
)
WITNESSES: Final = Metric("jvpn_audit_witnesses", "gauge", "witness", "Witnesses whose cosignature the newest witnessed checkpoint has.")
QUORUM: Final = Metric("jvpn_audit_witness_quorum", "gauge", "witness", "Witnesses that the policy asks for.")
SPOOL_FILL: Final = Metric("jvpn_audit_spool_fill_ratio", "gauge", "gateway", "How full the ring before the audit writer is, 0 to 1.")
EMIT: Final = Metric("jvpn_audit_emit_seconds", "histogram", "gateway", "Time from a recorded fact to its durable event.")
SHIPPED: Final = Metric(
    "jvpn_shipper_events_total",
    "counter",
    "shipper",
    "Events by what became of them: read, created, duplicate or quarantined.",
    ("result",),
)
BREAKER: Final = Metric("jvpn_shipper_breaker_open", "gauge", "shipper", "1 while the shipper waits because the cluster fails, else 0.")
MISSING: Final = Metric(
    "jvpn_shipper_missing_events", "gauge", "shipper", "Events of the log that the last comparison did not find in the cluster."
)

METRICS: Final = (CHECKPOINT_AGE, WITNESSES, QUORUM, SPOOL_FILL, EMIT, SHIPPED, BREAKER, MISSING)
