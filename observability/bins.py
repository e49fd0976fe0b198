"""Time in equal pieces: what was collected in small bins, made coarser until a picture or a table can hold it."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from observability.timeline import BIN_SECONDS, EPOCH, Story

BARS_MAX: Final = 60


def span(story: Story) -> tuple[datetime, datetime]:
    """Return the first and the last time of the logs, at least a second apart."""
    begin, end = story.first or EPOCH, story.last or EPOCH
    return begin, max(end, begin + timedelta(seconds=1))


def width_of(begin: datetime, end: datetime) -> int:
    """Return the width of a bin in seconds: a multiple of what was collected, and at most `BARS_MAX` of them."""
    return BIN_SECONDS * max(1, -(-int((end - begin).total_seconds()) // (BIN_SECONDS * BARS_MAX)))


def coarse(bins: Mapping[int, int], width: int) -> Counter[int]:
    """Return the bins put together into such of this width (seconds); each is named by its first second since 1970."""
    found: Counter[int] = Counter()
    for start, value in bins.items():
        found[start - start % width] += value
    return found


def floor_of(when: datetime, width: int) -> int:
    """Return the first second, since 1970, of the bin of this width that the time is in."""
    seconds = (when - EPOCH) // timedelta(seconds=1)
    return seconds - seconds % width


def starts(story: Story) -> tuple[int, range]:
    """Return the width of the bins that pictures of this story have, in seconds, and where each begins."""
    begin, end = span(story)
    width = width_of(begin, end)
    return width, range(floor_of(begin, width), floor_of(end, width) + width, width)
