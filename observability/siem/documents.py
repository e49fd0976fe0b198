"""The pieces: every document that is put into a cluster, made from the registry and a few settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from observability.detections.findings import index_template
from observability.detections.load import load
from observability.detections.monitors import monitors
from observability.names import PREFIX, Names
from observability.template import FIELDS_MAX, mappings

MONTHS_AHEAD: Final = 2  # indices of evidence that are made in advance: the shipper's role cannot make one
PRIORITY: Final = 200
TIMESTAMP: Final = {"timestamp_field": {"name": "@timestamp"}}  # a stream's own, in the words of the cluster
MONTH_DAYS: Final = 31


class Kind(Enum):
    """What a piece is; in this order they are put, so that none names another that is not there yet."""

    COMPONENT = "component template"
    PIPELINE = "ingest pipeline"
    TEMPLATE = "index template"
    STREAM = "data stream"
    INDEX = "index"
    ROLE = "role"
    POLICY = "policy"
    MONITOR = "monitor"


NEEDS: Final = {
    Kind.ROLE: ("opensearch-security", "security plug-in"),
    Kind.POLICY: ("opensearch-index-management", "index management plug-in (ISM); `jvpn siem retain` does it without"),
    Kind.MONITOR: ("opensearch-alerting", "alerting plug-in"),
}
"""The plug-in without which a cluster knows no such thing, and what people call it."""


class Piece(NamedTuple):
    """One document, in the form in which it is put."""

    kind: Kind
    name: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Settings. Days and gigabytes; 0 days: kept for ever. ``months``: of evidence to have an index for, as `YYYY-MM`."""

    prefix: str = PREFIX
    replicas: int = 0
    telemetry_days: int = 90
    evidence_days: int = 0
    rollover_days: int = 7
    rollover_gb: int = 10
    months: tuple[str, ...] = ()


def pieces(setup: Setup) -> list[Piece]:
    """Return all pieces, in the order in which they are put."""
    names = Names(setup.prefix)
    found = [
        Piece(Kind.COMPONENT, f"{setup.prefix}-events", {"template": {"mappings": mappings()}}),
        Piece(Kind.COMPONENT, f"{setup.prefix}-settings", {"template": {"settings": {"index": index_settings(setup)}}}),
        Piece(Kind.PIPELINE, _pipeline(setup), _arrival()),
        Piece(Kind.TEMPLATE, f"{setup.prefix}-evidence", _template(setup, names.evidence)),
        Piece(Kind.TEMPLATE, f"{setup.prefix}-telemetry", _template(setup, names.telemetry) | {"data_stream": TIMESTAMP}),
        Piece(Kind.TEMPLATE, names.findings, index_template(names.findings, setup.replicas)),
        Piece(Kind.STREAM, names.telemetry, {}),
        Piece(Kind.INDEX, names.findings, {}),
        *(Piece(Kind.INDEX, names.month(month), {}) for month in setup.months),
        Piece(Kind.ROLE, f"{setup.prefix}-shipper", shipper_role(names)),
        Piece(Kind.ROLE, f"{setup.prefix}-reader", reader_role(setup.prefix)),
        *_policies(setup, names),
        *_monitors(setup),
    ]
    return sorted(found, key=lambda piece: list(Kind).index(piece.kind))


def index_settings(setup: Setup) -> dict[str, Any]:
    """Return what each index must have, below `index`. Append-only: otherwise who may create may also overwrite (A-94, T-39)."""
    return {
        "append_only": {"enabled": "true"},
        "final_pipeline": _pipeline(setup),
        "mapping": {"total_fields": {"limit": str(FIELDS_MAX)}},
    }


def shipper_role(names: Names) -> dict[str, Any]:
    """Return the least role that can ship (A-94): create, in indices that are there; look at telemetry, to send no event of it twice.

    It cannot make an index: who can, makes one with settings of their own, in which events can be overwritten.
    """
    create = ["indices:data/write/bulk*", "indices:data/write/index"]
    look = ["indices:admin/data_stream/get", "indices:admin/refresh*", "indices:data/read/search"]
    return {
        "description": "Ships audit events and findings. Made by jvpn siem install.",
        "cluster_permissions": ["indices:data/write/bulk", "indices:admin/index_template/get"],
        "index_permissions": [
            {"index_patterns": [names.evidence], "allowed_actions": create},
            {"index_patterns": [names.telemetry], "allowed_actions": [*create, *look]},
            {"index_patterns": [names.findings], "allowed_actions": [*create]},
        ],
    }


def reader_role(prefix: str) -> dict[str, Any]:
    """Return the role of dashboards, detections and `jvpn siem reconcile`: read and look, nothing else."""
    look = ["indices:admin/get", "indices:admin/mappings/get", "indices:admin/mappings/fields/get*", "indices:admin/refresh*"]
    return {
        "description": "Reads audit events. Made by jvpn siem install.",
        "cluster_permissions": ["cluster_composite_ops_ro"],
        "index_permissions": [{"index_patterns": [f"{prefix}-*"], "allowed_actions": ["read", *look, "indices:admin/resolve/index"]}],
    }


def _monitors(setup: Setup) -> Iterator[Piece]:
    """Yield the detections as monitors; they look at the indices of an installation with the usual prefix."""
    if setup.prefix == PREFIX:
        yield from (Piece(Kind.MONITOR, name, body) for name, body in monitors(load()))


def _pipeline(setup: Setup) -> str:
    return f"{setup.prefix}-arrival"


def _arrival() -> dict[str, Any]:
    stamp = {"set": {"field": "ingest.received", "value": "{{{_ingest.timestamp}}}"}}
    return {"description": "When the cluster took the event; whatever the sender says about that is replaced.", "processors": [stamp]}


def _template(setup: Setup, pattern: str) -> dict[str, Any]:
    own = {"number_of_shards": "1", "number_of_replicas": str(setup.replicas)}
    parts = [f"{setup.prefix}-settings", f"{setup.prefix}-events"]
    return {"index_patterns": [pattern], "composed_of": parts, "priority": PRIORITY, "template": {"settings": {"index": own}}}


def _policies(setup: Setup, names: Names) -> Iterator[Piece]:
    """Yield ISM policies: roll telemetry over, delete what is over its days."""
    roll = {"rollover": {"min_index_age": f"{setup.rollover_days}d", "min_size": f"{setup.rollover_gb}gb"}}
    yield _policy(names.telemetry, names.telemetry, [roll], "min_rollover_age", setup.telemetry_days)
    if setup.evidence_days:  # an index is as old as its creation, up to MONTHS_AHEAD before its month, and a month is 31 days
        days = setup.evidence_days + MONTH_DAYS * (1 + MONTHS_AHEAD)
        yield _policy(f"{setup.prefix}-evidence", names.evidence, [], "min_index_age", days)


def _policy(name: str, pattern: str, actions: list[dict[str, Any]], since: str, days: int) -> Piece:
    over = [{"state_name": "over", "conditions": {since: f"{days}d"}}] if days else []
    states = [{"name": "kept", "actions": actions, "transitions": over}]
    states += [{"name": "over", "actions": [{"delete": {}}], "transitions": []}] if days else []
    body = {
        "description": "Audit events of Jumping VPN. Made by jvpn siem install.",
        "default_state": "kept",
        "states": states,
        "ism_template": [{"index_patterns": [pattern], "priority": PRIORITY}],
    }
    return Piece(Kind.POLICY, name, body)
