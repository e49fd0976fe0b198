"""The state of an engine, all of it: what has changed since, by name, and back to where it was.

A snapshot walks from its roots through every object of the program and copies what can change: attributes, lists, dictionaries,
sets, queues. It knows no engine: what a later version adds is seen without a word here. Ciphers are compared as the objects they are.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

PROGRAM: Final = ("core", "tests", "lab")
NOISE: Final = {
    ("Tally", "_windows"): "sums of refusals: what Record says",
    ("Tally", "_earliest"): "when the first of those sums is due",
    ("Desk", "out"): "outputs, which are looked at themselves",
    ("Client", "out"): "outputs, which are looked at themselves",
    ("Desk", "_serial"): "numbers of records",
    ("Client", "_serial"): "numbers of records",
    ("Entropy", "count"): "bytes that were drawn",
    ("TwinKem", "count"): "encapsulations that were made",
    ("Front", "_arrivals"): "how many INITs came in the last second",
    ("Epoch", "_send"): "a cipher of the epoch's keys, made when first needed",
    ("Epoch", "_receive"): "the same",
    ("Front", "_secrets"): "cookie secrets, drawn when first needed",
}
"""What anybody's frame may change: class and attribute, and what it is."""


class Snapshot:
    """What everything reachable from `roots` was at the time."""

    def __init__(self, *roots: object) -> None:
        """Copy the state now."""
        self._objects: list[tuple[Any, dict[str, Any]]] = []
        self._boxes: list[tuple[Any, Any]] = []
        self._copies: dict[int, Any] = {}
        self._names: dict[int, str] = {}
        self._quiet: set[int] = set()
        waiting: list[tuple[Any, str, bool]] = [(root, type(root).__name__, False) for root in roots]
        seen: dict[int, Any] = {}
        while waiting:
            value, name, quiet = waiting.pop()
            if id(value) not in seen and not plain(value):
                seen[id(value)] = value  # and alive, so that its id stays its own
                waiting += list(self._keep(value, name, quiet=quiet))
        self._seen = seen

    def _keep(self, value: object, name: str, *, quiet: bool) -> Iterator[tuple[object, str, bool]]:
        """Copy one object; yield what it holds."""
        if isinstance(value, tuple | frozenset):
            yield from ((each, name, quiet) for each in value)
        elif isinstance(value, list | set | deque | dict):
            self._boxes.append((value, value.copy()))
            self._copies[id(value)], self._names[id(value)] = value.copy(), name
            if quiet:
                self._quiet.add(id(value))
            inside = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            yield from ((each, name, quiet) for each in inside)
        elif type(value).__module__.split(".")[0] in PROGRAM:
            held = attributes(value)
            self._objects.append((value, held))
            for key, each in held.items():
                yield each, f"{type(value).__name__}.{key}", quiet or (type(value).__name__, key) in NOISE

    def changes(self) -> list[str]:
        """Return the names of what is not as it was, sorted, without NOISE."""
        found = set()
        for owner, held in self._objects:
            now, name = attributes(owner), type(owner).__name__
            if now.keys() != held.keys():
                found |= {f"{name}.{key}" for key in now.keys() ^ held.keys()}
            for key, before in held.items():
                after = now.get(key)
                if after is not before and (name, key) not in NOISE and not alike(self._copies.get(id(before), before), after):
                    found.add(f"{name}.{key}")
        for box, before in self._boxes:
            if id(box) not in self._quiet and not alike(before, box):
                found.add(self._names[id(box)])
        return sorted(found)

    def restore(self) -> None:
        """Put everything back."""
        for owner, held in self._objects:
            for key in attributes(owner).keys() - held.keys():
                object.__delattr__(owner, key)
            for key, value in held.items():
                object.__setattr__(owner, key, value)
        for box, before in self._boxes:
            if isinstance(box, list):
                box[:] = before
            else:
                box.clear()
                (box.extend if isinstance(box, deque) else box.update)(before)


def plain(value: object) -> bool:
    """Tell whether nothing in this value can change."""
    return value is None or isinstance(value, int | str | bytes | float | Enum | type | FunctionType | MethodType | ModuleType)


def attributes(value: object) -> dict[str, Any]:
    """Return all attributes of an object, whether it has slots or a dictionary."""
    held = dict(vars(value)) if hasattr(value, "__dict__") else {}
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in {"__dict__", "__weakref__"} and hasattr(value, slot):
                held[slot] = getattr(value, slot)
    return held


def alike(before: object, after: object) -> bool:
    """Tell whether two values are the same or equal; secrets, which refuse to be compared, are equal when they are the same object."""
    try:
        return before is after or (type(before) is type(after) and bool(before == after))
    except TypeError:
        return False
