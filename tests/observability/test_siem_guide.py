"""The guide for SIEM engineers: what it names is there, and its questions can be answered with what it names."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from audit.vocabulary import vocabulary
from lab.opensearch_node import Node
from observability.names import Names
from observability.siem.api import Api
from observability.siem.documents import Setup
from observability.siem.removal import uninstall
from observability.template import mappings
from tests.meta.documents import as_after_a_demo, broken_links, run
from tests.support import ROOT, requires

GUIDE = ROOT / "docs" / "guides" / "siem.md"
TEXT = GUIDE.read_text(encoding="utf-8")
NAME = re.compile(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b")
NOT_OURS = {"SSL_CERT_FILE"}
QUERY = re.compile(r"`([a-z_]+(?:\.[a-z_]+)?: [^`\n]+)`")
FIELD = re.compile(r"(\w+(?:\.\w+)?): ")
NODE = requires("opensearch")
CLUSTER = "http://127.0.0.1:9200"


def fields_of(properties: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the names of the fields of a mapping."""
    for name, below in properties.items():
        if "properties" in below:
            yield from fields_of(below["properties"], f"{above}{name}.")
        else:
            yield above + name


MAPPED = frozenset(fields_of(mappings()["properties"]))


def test_every_name_exists() -> None:
    """An alert would wait for an event or a reason that can never come."""
    kinds = vocabulary().kinds
    known = set(kinds) | {reason for kind in kinds.values() for reason in kind.reasons}
    assert not set(NAME.findall(TEXT)) - known - NOT_OURS
    assert not broken_links(GUIDE)


def test_every_query_asks_for_fields_that_are_mapped() -> None:
    """A query on a field that is not there finds nothing and looks like good news."""
    queries = QUERY.findall(TEXT)
    assert len(queries) >= 6
    assert not {field for query in queries for field in FIELD.findall(query)} - MAPPED


@pytest.mark.parametrize(
    ("event", "needed"),
    [
        ("SESSION_MOVED", {"session", "device", "transport", "peer", "binding"}),
        ("CLIENT_MOVED", {"session"}),
        ("MOVE_MEASURED", {"session", "binding"}),
        ("SESSION_REFUSED", {"count"}),
        ("TRAFFIC_REFUSED", {"count"}),
        ("HANDSHAKE_REFUSED", {"count", "device"}),
    ],
)
def test_an_event_has_what_the_guide_looks_for_in_it(event: str, needed: set[str]) -> None:
    """The answer to who, why or how long would be a field that this event never has."""
    assert needed <= vocabulary().kinds[event].fields
    assert event in TEXT


def test_a_measured_move_says_how_long() -> None:
    """The answer to how long would be missing."""
    assert "recovery_us" in vocabulary().kinds["MOVE_MEASURED"].measures


@NODE
@pytest.mark.timeout(900)
def test_every_command_works(tmp_path: Path, opensearch_node: Node, client: OpenSearch) -> None:
    """The first thing that a SIEM engineer types would fail, or ship nothing."""
    as_after_a_demo(tmp_path)
    try:
        assert run(TEXT.replace(CLUSTER, opensearch_node.url), tmp_path, cluster=True) >= 12
        events = sum(path.read_bytes().count(b"\n") for path in (tmp_path / "demo-report/run/gateway-audit").glob("audit-*.jsonl"))
        assert client.count(index=Names().readable)["count"] == events > 0
    finally:
        uninstall(Api(client), Setup(), data=True)


def test_blocks_that_need_a_cluster_are_passed_over_without_one(tmp_path: Path) -> None:
    """A run without a cluster would count commands that nobody ran."""
    assert run("<!-- with a cluster -->\n```sh\nfalse\n```\n", tmp_path) == 0
    with pytest.raises(AssertionError):
        run("<!-- with a cluster -->\n```sh\nfalse\n```\n", tmp_path, cluster=True)
