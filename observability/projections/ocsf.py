"""Projection to OCSF 1.8.0 (https://schema.ocsf.io/1.8.0); the classes in use are in `schemas/ocsf/`, which tests validate against.

With `record_integrity` the event says OCSF 1.9.0 and has that version's profile of this name: `attestation_list` with fingerprint, chain
and previous event. Its fingerprints are the hashes of the own events, over RFC 8785 bytes of what stands in `unmapped.jvp`, not over the
OCSF form of the event: that form follows from the own event, and a verifier finds it again by projecting (docs/adr/0022-projections.md).
"""

from collections.abc import Mapping
from typing import Any, Final

from audit.chain import BEFORE_GENESIS
from observability.projections.own import NAMESPACE, Restored, beside, carrier, epoch_us, sentence
from observability.projections.own import restored as own_event
from observability.projections.table import Told, table

SHA_256, HEX = 3, 1  # ids of OCSF's fingerprint: algorithm, encoding
OTHER: Final = 99
DENIED: Final = 2
POLICY: Final = 5
INBOUND, OUTBOUND = 1, 2
PROTOCOLS: Final = {"udp": 17, "tcp": 6}  # IANA's numbers
TUNNEL, NETWORK, AUTHENTICATION, ENTITY, LOG, APPLICATION = 4014, 4001, 3002, 3004, 1008, 6002


def project(event: Mapping[str, Any], event_hash: str, *, record_integrity: bool = False) -> dict[str, Any]:
    """Return the OCSF event of a valid own event. Pure; KeyError for an event type or reason that the registry does not have."""
    words = table()
    told = words.told[event["event_type"], event["reason_code"]]
    kind = told.ocsf
    status, status_text = words.outcomes[event["outcome"]]
    meaning = words.meanings[event["reason_code"]]
    made: dict[str, Any] = {
        "activity_id": told.activity,
        "activity_name": event["event_type"] if told.activity == OTHER else kind.activities[told.activity],
        "category_uid": kind.category,
        "category_name": kind.category_name,
        "class_uid": kind.uid,
        "class_name": kind.name,
        "type_uid": kind.uid * 100 + told.activity,
        "type_name": f"{kind.name}: {kind.activities[told.activity]}",
        "severity_id": event["severity"],
        "severity": words.severities[event["severity"]].ocsf,
        "status_id": status,
        "status": status_text,
        "status_code": event["reason_code"],
        "status_detail": meaning,
        "message": sentence(event, meaning),
        "time": epoch_us(event["time"]) // 1_000,
        "device": {"uid": event["node_id"], "type_id": OTHER, "type": f"VPN {event['role']}", "boot_uid": event["boot_id"]},
        "metadata": _metadata(event, told, record_integrity=record_integrity),
        "raw_data_hash": {"algorithm_id": SHA_256, "algorithm": "SHA-256", "value": event_hash},
        "unmapped": {NAMESPACE: beside(event, event_hash)},
    }
    if told.denied:
        disposition = words.dispositions[told.denied]
        made |= {"action_id": DENIED, "action": "Denied", "disposition_id": told.denied, "disposition": disposition}
    if "count" in event:
        made["count"] = event["count"]
    if told.duration:
        made["duration"] = event["metrics"][told.duration] // 1_000
    made |= _of_class(kind.uid, event)
    if record_integrity:
        made["attestation_list"] = [_attestation(event, event_hash)]
    return made


def restore(projected: Mapping[str, Any]) -> Restored:
    """Return the own event. Raises ``NotRestorable``."""
    unmapped = projected.get("unmapped")
    return own_event(unmapped.get(NAMESPACE) if isinstance(unmapped, Mapping) else None)


def _metadata(event: Mapping[str, Any], told: Told, *, record_integrity: bool) -> dict[str, Any]:
    words = table()
    made: dict[str, Any] = {
        "version": words.version_with_integrity if record_integrity else words.version,
        "profiles": ["host", *(["security_control"] if told.denied else []), *(["record_integrity"] if record_integrity else [])],
        "product": {"name": words.product["name"], "vendor_name": words.product["vendor"]},
        "uid": _uid(event["chain_id"], event["seq"]),
        "original_event_uid": event["event_id"],
        "event_code": event["reason_code"],
        "log_name": "audit",
        "log_provider": "jvpn",
        "log_version": event["schema"],
        "original_time": event["time"],
        "sequence": event["seq"],
        "labels": [event["event_class"]],
    }
    if correlation := event.get("session", {}).get("correlation_id"):
        made["correlation_uid"] = correlation
    return made


def _of_class(uid: int, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what only this class has."""
    here = {"uid": event["node_id"]}
    ends = {"src_endpoint": {"uid": event["peer"]}} if "peer" in event else {}
    if uid == TUNNEL:
        user = {"user": {"uid": event["device"]}} if "device" in event else {}
        return {"tunnel_type_id": 0, "tunnel_type": "Unknown", **_session(event), **_connection(event), **ends, **user}
    if uid == NETWORK:
        inner = {**_connection(event).get("connection_info", {"direction_id": _direction(event)}), **_session(event)}
        return {"dst_endpoint": here, "connection_info": inner, **ends, **_traffic(event)}
    if uid == AUTHENTICATION:
        service = {"name": table().product["name"]}
        return {"user": {"uid": event["device"]}, "service": service, "dst_endpoint": here, "is_remote": True, **ends}
    if uid == ENTITY:
        return {"entity": _entity(event)}
    if uid == LOG:
        return {"log_name": "audit", "log_provider": "jvpn", "log_type_id": OTHER, "log_type": "Audit"}
    return {"app": {"name": table().product["name"], "vendor_name": table().product["vendor"], "uid": event["role"]}}


def _session(event: Mapping[str, Any]) -> dict[str, Any]:
    session = event.get("session")
    if session is None:
        return {}
    names = {"uid": session.get("pseudonym"), "uid_alt": session.get("correlation_id")}
    return {"session": {"is_vpn": True, **{name: value for name, value in names.items() if value}}}


def _connection(event: Mapping[str, Any]) -> dict[str, Any]:
    name = carrier(event)
    if not name:
        return {}
    number = {"protocol_num": PROTOCOLS[name]} if name in PROTOCOLS else {}
    return {"connection_info": {"direction_id": _direction(event), "protocol_name": name, **number}}


def _direction(event: Mapping[str, Any]) -> int:
    return INBOUND if event["role"] == "gateway" else OUTBOUND


def _traffic(event: Mapping[str, Any]) -> dict[str, Any]:
    measured = event.get("metrics", {})
    if "received_bytes" not in measured:
        return {}
    ways = {
        f"{what}_{way}": measured[f"{done}_{what}"] for what in ("bytes", "packets") for way, done in (("in", "received"), ("out", "sent"))
    }
    return {"traffic": ways | {what: ways[f"{what}_in"] + ways[f"{what}_out"] for what in ("bytes", "packets")}}


def _entity(event: Mapping[str, Any]) -> dict[str, Any]:
    if "key" in event:
        key = event["key"]
        return {"type_id": OTHER, "type": "Key", "name": key["kind"].lower(), "uid": key["pseudonym"]}
    document = event["document"]
    return {"type_id": POLICY, "type": "Policy", "name": document["role"], "version": str(document["version"])}


def _attestation(event: Mapping[str, Any], event_hash: str) -> dict[str, Any]:
    """Return the attestation of OCSF 1.9.0's profile record_integrity, without signatures: the log's checkpoints sign for all events."""
    made = {
        "uid": event["event_id"],
        "authority_uid": event["node_id"],
        "chain_uid": event["chain_id"],
        "fingerprint": _fingerprint(event_hash),
    }
    if event["prev_hash"] != BEFORE_GENESIS:
        made["prev_event"] = {"uid": _uid(event["chain_id"], event["seq"] - 1), "fingerprint": _fingerprint(event["prev_hash"])}
    return made


def _fingerprint(value: str) -> dict[str, Any]:
    return {"algorithm_id": SHA_256, "algorithm": "SHA-256", "encoding_id": HEX, "encoding": "Hex", "value": value}


def _uid(chain: str, seq: int) -> str:
    return f"{chain}:{seq}"
