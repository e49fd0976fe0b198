"""For all tests of the core: every world that a test made is looked at when the test is over."""

from tests.core.checks import sound_worlds

__all__ = ["sound_worlds"]
