"""Every world of an abuse case has to be sound when the case is over, whatever was done to it."""

from tests.core.checks import sound_worlds

__all__ = ["sound_worlds"]
