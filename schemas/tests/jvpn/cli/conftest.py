"""The command for the tests of this folder."""

import pytest

from tests.jvpn.cli.calling import Jvpn


@pytest.fixture
def jvpn(capfd: pytest.CaptureFixture[str]) -> Jvpn:
    """Return the command."""
    return Jvpn(capfd)
