"""For the tests of observability: the run's OpenSearch nodes, a client, and a set-up of the test's own."""

import zlib
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from tests.observability.real import install
from tests.opensearch_fixture import opensearch_node, pytest_runtest_setup
from tests.opensearch_secured import secured_node

MONTH = "2026-09"  # of what `synthetic` writes

__all__ = ["opensearch_node", "pytest_runtest_setup", "secured_node"]


@pytest.fixture
def client(opensearch_node: Node) -> Iterator[OpenSearch]:
    """A client of the run's node."""
    made = connect(Cluster(url=opensearch_node.url, request_seconds=60))
    yield made
    made.close()


@pytest.fixture
def prefix(client: OpenSearch, request: pytest.FixtureRequest) -> str:
    """The beginning of all names of this test, set up."""
    case = zlib.crc32(request.node.nodeid.encode())  # of a parametrised test
    name: str = f"t-{request.node.originalname.removeprefix('test_')[:40].replace('_', '-')}-{case:08x}"
    install(client, name, months=(MONTH,))
    return name
