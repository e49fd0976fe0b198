"""For the tests of the laboratory: the run's OpenSearch node."""

from tests.opensearch_fixture import opensearch_node, pytest_runtest_setup

__all__ = ["opensearch_node", "pytest_runtest_setup"]
