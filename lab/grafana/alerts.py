"""The twelve alert rules: each a query, the sum or last value of its series, and a threshold.

No rule groups by terms: without hits such a query has no series, and a rule without data says nothing. What is not in the events comes
from Prometheus, and the rule's label `source` says so.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import alerting, common, expr

from lab.grafana.security import OWNED, PROOF, REPLAYED
from lab.grafana.switching import REFUSED
from lab.grafana.targets import Ask, Query, over_time, times
from observability.grafana import FOLDER_UID, OPENSEARCH_UID, PROMETHEUS_UID

EVERY_S: Final = 60
MINUTE_S: Final = 60
HOUR_S: Final = 60 * MINUTE_S
EXPRESSION: Final = "__expr__"
EPOCH_S: Final = 15 * MINUTE_S
GROUP: Final = "Jumping VPN"

Severity = Literal["critical", "high", "medium"]
Compared = Literal["gt", "lt"]


class Rule(NamedTuple):
    """`over_s`: the range of the query; `for_s`: how long it must hold; `calc`: what of the series is compared with the limit."""

    uid: str
    title: str
    query: Query | Ask
    over_s: int
    compared: Compared
    limit: float
    severity: Severity
    what: str
    calc: Literal["sum", "last", "max"] = "sum"
    for_s: int = 0


def table() -> Sequence[Rule]:
    """Return the rules."""
    return (
        Rule("jvpn-gap", "Cluster and log are not the same", Ask("sum by (instance) (jvpn_shipper_findings)"),
             5 * MINUTE_S, "gt", 0, "critical",
             "The last comparison found it: `jvpn siem reconcile` says what, and sends again what is missing. "
             "Other content, or events that were never recorded: somebody wrote into the cluster.", "last"),
        Rule("jvpn-checkpoint-age", "The log is not sealed: no seal for more than two epochs", over_time("event_type:EPOCH_SEALED"),
             2 * EPOCH_S + 5 * MINUTE_S, "lt", 1, "high",
             "Look whether the gateways run and their logs are writable, then whether the shipper ships."),
        Rule("jvpn-quorum", "The log was not cosigned for an hour", Ask("time() - jvpn_audit_cosigned_timestamp_seconds"),
             5 * MINUTE_S, "gt", HOUR_S, "high",
             "Nobody vouches that all see the same log. Look at `jvpn audit publish` and at the witnesses that do not answer.",
             "last", 5 * MINUTE_S),
        Rule("jvpn-dropped", "Records were lost or refused before the log",
             over_time("event_type:(TELEMETRY_LOST OR RECORD_REFUSED)", times()),
             15 * MINUTE_S, "gt", 0, "high",
             "The disk of the log was too slow or full, or a record did not fit its schema; the integrity board says which."),
        Rule("jvpn-spool", "The ring before the log is more than 80 % full", Ask("jvpn_audit_spool_fill_ratio"),
             5 * MINUTE_S, "gt", 0.8, "medium", "The disk of the log is too slow for what happens; soon telemetry is lost.",
             "last", MINUTE_S),
        Rule("jvpn-quarantine", "The cluster refused events for good",
             Ask('increase(jvpn_shipper_events_total{result="quarantined"}[15m])'),
             15 * MINUTE_S, "gt", 0, "high", "They are in the shipper's quarantine; docs/guides/siem.md says what to do with them.", "max"),
        Rule("jvpn-breaker", "The shipper waits because the cluster fails", Ask("jvpn_shipper_breaker_open"),
             5 * MINUTE_S, "gt", 0, "medium", "Nothing is lost: the log waits. Look at the cluster; the shipper's status.json says why.",
             "last", 5 * MINUTE_S),
        Rule("jvpn-dual-active",
             "Two owners of one session, or traffic from an unbound path", over_time(OWNED, times()), 5 * MINUTE_S, "gt", 0,
             "critical", "It was refused. Look at both gateways: one of them holds what is not its own, or somebody sends in its name."),
        Rule("jvpn-replays", "A burst of replays", over_time(REPLAYED, times()), 5 * MINUTE_S, "gt", 100, "high",
             "Somebody sends recorded traffic. Nothing of it was delivered; the security board has the sources."),
        Rule("jvpn-failed-proofs", "A burst of failed proofs", over_time(PROOF, times()), 5 * MINUTE_S, "gt", 100, "high",
             "Somebody tries keys, or a device has the wrong one; the security board has sources and devices."),
        Rule("jvpn-switch-rate", "Moves are refused by the limits", over_time(REFUSED, times()), 5 * MINUTE_S, "gt", 50, "medium",
             "A device flaps or abuses its session; the switching board has its session, `jvpn close` ends it."),
        Rule("jvpn-heartbeat", "No event at all", over_time(""), EPOCH_S + 5 * MINUTE_S, "lt", 1, "critical",
             "Even an idle process seals its log each quarter of an hour: gateways, shipper or cluster are down."),
    )  # fmt: skip


def rules() -> alerting.RuleGroup:
    """Return all rules as one group, evaluated each minute."""
    return alerting.RuleGroup(
        folder_uid=FOLDER_UID, interval=alerting.Duration(EVERY_S), title=GROUP, rules=[_rule(rule) for rule in table()]
    )


def _rule(rule: Rule) -> alerting.Rule:
    asked = isinstance(rule.query, Ask)
    query = rule.query.build() if isinstance(rule.query, Ask) else rule.query.without_variables().build()
    reduced = expr.TypeReduce(
        datasource=common.DataSourceRef(type_val=EXPRESSION, uid=EXPRESSION),
        expression="A",
        reducer=rule.calc,
        ref_id="B",
        settings=expr.ExprTypeReduceSettings(mode="dropNN"),
    )
    evaluator = expr.ExprTypeThresholdConditionsEvaluator(params=[rule.limit], type_val=rule.compared)
    judged = expr.TypeThreshold(
        conditions=[expr.ExprTypeThresholdConditions(evaluator=evaluator)],
        datasource=common.DataSourceRef(type_val=EXPRESSION, uid=EXPRESSION),
        expression="B",
        ref_id="C",
    )
    return alerting.Rule(
        uid=rule.uid,
        title=rule.title,
        condition="C",
        data=[
            _part("A", PROMETHEUS_UID if asked else OPENSEARCH_UID, query, rule.over_s),
            _part("B", EXPRESSION, reduced, rule.over_s),
            _part("C", EXPRESSION, judged, rule.over_s),
        ],
        no_data_state="NoData",
        exec_err_state="Error",
        for_val=f"{rule.for_s}s",
        folder_uid=FOLDER_UID,
        rule_group=GROUP,
        org_id=1,
        annotations={"summary": rule.title, "description": rule.what},
        labels={"severity": rule.severity, "source": "prometheus" if asked else "opensearch"},
    )


def _part(ref: str, uid: str, model: Dataquery, over_s: int) -> alerting.Query:
    span = alerting.RelativeTimeRange(from_val=alerting.Duration(over_s), to=alerting.Duration(0))
    return alerting.Query(datasource_uid=uid, model=model, query_type="", ref_id=ref, relative_time_range=span)
