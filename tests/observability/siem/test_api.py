"""CONTRACT: the calls of the plug-ins, against a stand-in that does what they document. No node with ISM or alerting can be run here."""

from copy import deepcopy
from typing import Any

import pytest
from opensearchpy.exceptions import ConflictError, NotFoundError

from observability.siem.api import Api
from observability.siem.documents import Kind, Piece, Setup, pieces
from observability.siem.plan import apply, compare

POLICIES, MONITORS, ROLES = "/_plugins/_ism/policies/", "/_plugins/_alerting/monitors", "/_plugins/_security/api/roles/"


class StandIn:
    """A cluster of plug-ins: policies with sequence numbers, monitors under names of its own, roles."""

    def __init__(self) -> None:
        """Nothing is put yet."""
        self.transport = self
        self.kept: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str]] = []

    def perform_request(self, method: str, path: str, params: dict[str, Any] | None = None, body: Any = None) -> Any:  # noqa: ANN401 - JSON in, JSON out
        """Answer."""
        self.asked.append((method, path))
        if path == "/_cat/plugins":
            return [{"component": f"opensearch-{name}"} for name in ("security", "index-management", "alerting")]
        if path.endswith(("/_settings", "/_mapping")):
            return {}
        if path == f"{MONITORS}/_search":
            wanted = body["query"]["term"]["monitor.name.keyword"]
            found = [(at, one) for at, (_, one) in self.kept.items() if one.get("name") == wanted]
            return {"hits": {"hits": [{"_id": at.rpartition("/")[2], "_source": one | {"enabled_time": 1}} for at, one in found]}}
        if method == "POST" and path == MONITORS:
            path, method = f"{MONITORS}/chosen-by-the-cluster", "PUT"
        if method == "PUT":
            self._put(path, params or {}, body)
        if path not in self.kept:
            raise NotFoundError(404, "not_found", {})
        if method == "DELETE":
            return self.kept.pop(path)
        return self._get(path)

    def _put(self, path: str, params: dict[str, Any], body: Any) -> None:  # noqa: ANN401 - a decoded answer
        number = self.kept[path][0] if path in self.kept else None
        if path.startswith(POLICIES) and number is not None and params != {"if_seq_no": number, "if_primary_term": 1}:
            raise ConflictError(409, "version_conflict_engine_exception", {})
        self.kept[path] = ((number or 0) + 1, deepcopy(body["policy"] if path.startswith(POLICIES) else body))

    def _get(self, path: str) -> Any:  # noqa: ANN401 - a decoded answer
        number, body = self.kept[path]
        name = path.rpartition("/")[2]
        if path.startswith(POLICIES):
            retry = {"retry": {"count": 3, "backoff": "exponential", "delay": "1m"}}
            states = [state | {"actions": [action | retry for action in state["actions"]]} for state in body["states"]]
            added = {"policy_id": name, "last_updated_time": 1, "schema_version": 21, "error_notification": None, "states": states}
            return {"_id": name, "_seq_no": number, "_primary_term": 1, "policy": body | added}
        return {name: body | {"reserved": False, "hidden": False, "static": False}}


@pytest.fixture
def wanted() -> list[Piece]:
    """What needs plug-ins, and a monitor."""
    monitor = Piece(Kind.MONITOR, "moved", {"name": "moved", "type": "monitor", "enabled": True, "triggers": [{"name": "t"}]})
    return [*(piece for piece in pieces(Setup(evidence_days=9)) if piece.kind in {Kind.ROLE, Kind.POLICY}), monitor]


def test_putting_twice_is_putting_once_and_a_change_is_put_back(wanted: list[Piece]) -> None:
    """Each run would say that policies differ, because a plug-in adds fields; or a policy could never be replaced."""
    cluster = StandIn()
    api = Api(cluster)  # type: ignore[arg-type]  # it has the one call that is used
    apply(api, compare(api, Setup(), lambda _: wanted))
    assert not compare(api, Setup(), lambda _: wanted).drift
    cluster.kept[f"{POLICIES}jvpn-audit-telemetry"][1]["states"][0]["actions"][0]["rollover"]["min_size"] = "1gb"
    cluster.kept[f"{MONITORS}/chosen-by-the-cluster"][1]["enabled"] = False
    cluster.kept[f"{ROLES}jvpn-audit-shipper"][1]["index_permissions"][0]["allowed_actions"].append("*")
    told = {change.piece.name: [each.path for each in change.differences] for change in compare(api, Setup(), lambda _: wanted).changes}
    assert told == {
        "jvpn-audit-telemetry": ["states[0].actions[0].rollover.min_size"],
        "moved": ["enabled"],
        "jvpn-audit-shipper": ["index_permissions[0].allowed_actions"],
    }
    apply(api, compare(api, Setup(), lambda _: wanted))
    assert not compare(api, Setup(), lambda _: wanted).drift
    assert cluster.asked.count(("POST", MONITORS)) == 1


def test_what_is_there_can_be_deleted(wanted: list[Piece]) -> None:
    """Monitors have names of the cluster's own: they would stay, and alert on nothing."""
    cluster = StandIn()
    api = Api(cluster)  # type: ignore[arg-type]  # it has the one call that is used
    apply(api, compare(api, Setup(), lambda _: wanted))
    for piece in wanted:
        assert api.get(piece.kind, piece.name) is not None
        assert api.delete(piece.kind, piece.name) == ""
        assert api.get(piece.kind, piece.name) is None
    assert cluster.kept == {}
