"""For the tests of observability: the run's OpenSearch node."""

from tests.opensearch_fixture import opensearch_node

__all__ = ["opensearch_node"]
