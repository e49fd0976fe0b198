"""How a cluster is asked about a piece, given one, and told to forget one.

Roles, policies and monitors are the plug-ins' own calls. Those of index management and alerting were written from their documentation:
no node with these plug-ins can be run by the tests, which check what is sent against a stand-in.
"""

from collections.abc import Mapping
from typing import Any, Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, RequestError

from observability.siem.documents import Kind, Piece

PATHS: Final = {
    Kind.COMPONENT: "/_component_template/{}",
    Kind.PIPELINE: "/_ingest/pipeline/{}",
    Kind.TEMPLATE: "/_index_template/{}",
    Kind.STREAM: "/_data_stream/{}",
    Kind.INDEX: "/{}",
    Kind.ROLE: "/_plugins/_security/api/roles/{}",
    Kind.POLICY: "/_plugins/_ism/policies/{}",
    Kind.MONITOR: "/_plugins/_alerting/monitors/{}",
}
SEARCH_MONITORS: Final = "/_plugins/_alerting/monitors/_search"


class Api:
    """One cluster. Every method raises what ``opensearchpy`` raises."""

    def __init__(self, client: OpenSearch) -> None:
        """``client``: with credentials that may do this."""
        self.client = client

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        """Send one request; return the decoded answer."""
        return self.client.transport.perform_request(method, path, params=params or None, body=body)

    def plugins(self) -> set[str]:
        """Return the plug-ins that the cluster has."""
        return {each["component"] for each in self.ask("GET", "/_cat/plugins", format="json")}

    def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """Return what the cluster has, in the form in which it is put; None when it has none."""
        try:
            said = self._said(kind, name)
        except NotFoundError:
            return None
        match kind:
            case Kind.COMPONENT:
                said = said["component_templates"][0]["component_template"]
            case Kind.TEMPLATE:
                said = said["index_templates"][0]["index_template"]
            case Kind.PIPELINE | Kind.ROLE:
                said = said[name]
            case Kind.POLICY:
                said = said["policy"]
            case Kind.MONITOR:
                said = said and said["_source"]
            case Kind.STREAM:
                said = {} if said["data_streams"] else None  # 200 and none at all, where a plain index has the name
            case Kind.INDEX:
                said = {}  # that it is there is all
        return said if isinstance(said, dict) else None

    def backing(self, stream: str) -> list[str]:
        """Return the indices of a data stream, the one that is written to last. Raises ``NotFoundError`` also when it is none."""
        found = self.ask("GET", PATHS[Kind.STREAM].format(stream))["data_streams"]
        if not found:
            raise NotFoundError(404, "index_not_found_exception", {"error": {"type": "index", "reason": f"{stream} is not a data stream"}})
        return [index["index_name"] for index in found[0]["indices"]]

    def put(self, piece: Piece) -> None:
        """Put a piece, whether there is one already or not; a stream or an index only where there is none."""
        path, params, body = PATHS[piece.kind].format(piece.name), {}, piece.body or None
        if piece.kind is Kind.POLICY:
            body = {"policy": piece.body}
            if (known := self._known(piece)) is not None:  # a policy is replaced by who has seen it
                params = {"if_seq_no": known["_seq_no"], "if_primary_term": known["_primary_term"]}
        elif piece.kind is Kind.MONITOR:
            known = self._known(piece)
            if known is None:
                self.ask("POST", PATHS[piece.kind].format("").rstrip("/"), piece.body)
                return
            path = PATHS[piece.kind].format(known["_id"])
        self.ask("PUT", path, body, **params)

    def delete(self, kind: Kind, name: str) -> str:
        """Delete a piece; return why the cluster keeps it, or nothing."""
        if kind is Kind.MONITOR:
            known = self._said(kind, name)
            name = known["_id"] if known else name
        try:
            self.ask("DELETE", PATHS[kind].format(name))
        except RequestError as error:
            return str(error.info["error"]["reason"] if isinstance(error.info, Mapping) else error.error)
        return ""

    def _known(self, piece: Piece) -> Any:  # noqa: ANN401 - a decoded answer
        try:
            return self._said(piece.kind, piece.name)
        except NotFoundError:
            return None

    def _said(self, kind: Kind, name: str) -> Any:  # noqa: ANN401 - a decoded answer
        if kind is not Kind.MONITOR:
            return self.ask("GET", PATHS[kind].format(name))
        hits = self.ask("GET", SEARCH_MONITORS, {"query": {"term": {"monitor.name.keyword": name}}})["hits"]["hits"]
        return hits[0] if hits else None
