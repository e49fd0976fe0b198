"""The command for the tests of this folder, and the run's OpenSearch node."""

import pytest

from tests.jvpn.cli.calling import Jvpn
from tests.opensearch_fixture import opensearch_node, pytest_runtest_setup

__all__ = ["opensearch_node", "pytest_runtest_setup"]


@pytest.fixture
def jvpn(capfd: pytest.CaptureFixture[str]) -> Jvpn:
    """Return the command."""
    return Jvpn(capfd)
