"""The first of many: a list that stops growing and goes on counting, so that a report's size does not follow the log's (A-105)."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Kept(Generic[T]):
    """The first ``most`` things that were added, and how many there were."""

    most: int
    items: list[T] = field(default_factory=list)
    total: int = 0

    def add(self, item: T) -> None:
        """Keep it while there is room; count it anyway."""
        self.total += 1
        if len(self.items) < self.most:
            self.items.append(item)

    @property
    def left_out(self) -> int:
        """Return how many were counted and not kept."""
        return self.total - len(self.items)
