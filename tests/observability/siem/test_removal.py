"""Taking the set-up away, on a real node: never what was recorded, unless somebody says so."""

from pathlib import Path

from opensearchpy import OpenSearch

from lab.opensearch_node import Node
from observability.siem.api import Api
from observability.siem.documents import Kind, Setup
from observability.siem.plan import compare
from observability.siem.removal import uninstall
from tests.observability.real import as_documents, install, ship, stored
from tests.observability.synthetic import Scribe, health
from tests.opensearch_fixture import NEEDS_NODE

pytestmark = NEEDS_NODE


def test_what_was_recorded_stays_and_can_be_gone_on_with(tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str) -> None:
    """Who takes the set-up away would lose history, or leave an index that takes everything, or nothing."""
    Scribe(tmp_path / "log").close()
    ship(tmp_path / "log", opensearch_node, prefix)
    removed = {each.name: each.kept for each in uninstall(Api(client), Setup(prefix=prefix), data=False)}
    assert stored(client, prefix) == as_documents(tmp_path / "log")
    assert removed[f"{prefix}-evidence"] == ""
    assert Api(client).get(Kind.TEMPLATE, f"{prefix}-evidence") is None
    assert removed[f"{prefix}-telemetry"]
    assert removed[f"{prefix}-arrival"] == "indices that stay name it"
    scribe = Scribe(tmp_path / "log")
    scribe.write_together([health(1)])
    scribe.close()
    install(client, prefix)  # and here it goes on
    more = len(as_documents(tmp_path / "log"))
    assert ship(tmp_path / "log", opensearch_node, prefix) == {"read": more, "created": more}
    assert stored(client, prefix) == as_documents(tmp_path / "log")


def test_everything_goes_when_that_is_wanted_and_nothing_of_others(
    tmp_path: Path, opensearch_node: Node, client: OpenSearch, prefix: str
) -> None:
    """A test installation would leave its events behind, or take somebody else's with it."""
    install(client, f"x{prefix}")
    Scribe(tmp_path / "log").close()
    ship(tmp_path / "log", opensearch_node, prefix)
    ship(tmp_path / "log", opensearch_node, f"x{prefix}", "other")
    api = Api(client)
    assert not [each for each in uninstall(api, Setup(prefix=prefix), data=True) if each.kept]
    assert list(client.indices.get(index=f"{prefix}*", params={"expand_wildcards": "all"})) == []
    assert {change.absent for change in compare(api, Setup(prefix=prefix)).changes} == {True}
    assert uninstall(api, Setup(prefix=prefix), data=True) == []
    assert not compare(api, Setup(prefix=f"x{prefix}")).drift
    assert stored(client, f"x{prefix}") == as_documents(tmp_path / "log")
