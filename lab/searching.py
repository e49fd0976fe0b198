"""What searches within bounds have in common, whatever they search: a counter-example, and bounds that are given on a command line."""

import argparse
from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, TypeVar

A = TypeVar("A")
INCOMPLETE: Final = 3
"""The exit status of a search that found nothing, and did not see everything within its bounds."""


class Found(NamedTuple, Generic[A]):
    """A counter-example: the claim that is broken, and what was done from the beginning on."""

    claim: str
    actions: tuple[A, ...]


def numbers(text: str, names: Sequence[str]) -> dict[str, int]:
    """Return what NAME=NUMBER,... gives, each name one of `names`."""
    given = dict(each.split("=", 1) for each in text.split(",") if each)
    if set(given) - set(names) or not all(value.isdigit() for value in given.values()):
        raise argparse.ArgumentTypeError(f"NAME=NUMBER with names of {', '.join(names)}")
    return {name: int(value) for name, value in given.items()}
