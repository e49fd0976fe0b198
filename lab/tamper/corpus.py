"""Running the corpus: each class at random positions, and clean logs; what was missed is named by what makes it again."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from audit.verdict import Result
from lab.tamper import chain, files, harmless, lines, live, rewritten, seals, stories, trust
from lab.tamper.base import Base, build
from lab.tamper.clean import clean
from lab.tamper.world import CLASSES, Blind, Tamper, Want, World

MODULES: Final = (lines, chain, rewritten, seals, trust, stories, files, live, harmless)
"""Where the classes are; importing them lists them."""
BASES: Final = 12
MISSES_KEPT: Final = 20
MEMORY: Final = Path("/dev/shm")  # nosec B108  # noqa: S108 - folders in it have random names; in memory it costs nothing to make logs durable
CLEAN: Final = "clean logs"


@dataclass
class Outcome:
    """What a class has come to: positions tried, and what was missed, each with what makes it again."""

    name: str
    cases: int = 0
    tried: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    positions: set[str] = field(default_factory=set)
    verdicts: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    said: list[str] = field(default_factory=list)

    def take(self, result: Result) -> None:
        """Count what was found."""
        self.tried += 1
        self.verdicts[result.verdict.name] += 1

    def add(self, other: "Outcome") -> None:
        """Add another part of the same class."""
        self.cases, self.tried, self.missed = self.cases + other.cases, self.tried + other.tried, self.missed + other.missed
        self.verdicts += other.verdicts
        self.ways += other.ways
        self.positions |= other.positions
        self.said = [*self.said, *other.said][:MISSES_KEPT]

    def miss(self, why: str, again: str) -> None:
        """Keep what was missed."""
        self.missed += 1
        if len(self.said) < MISSES_KEPT:
            self.said.append(f"{self.name}: {why}\n  again: {again}")


class Bases:
    """The sound logs of a seed, each built when it is first needed, in a folder that goes when the run ends."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Keep both."""
        self._folder, self._seed, self._built = folder, seed, dict[int, Base]()
        self.seed = seed

    def __getitem__(self, number: int) -> Base:
        """Return one of them."""
        if number not in self._built:
            other = build(self._folder / f"{number}-other", f"{self._seed}/other/{number}")
            self._built[number] = build(self._folder / str(number), f"{self._seed}/base/{number}", other=other.root)
        return self._built[number]

    def build_all(self) -> None:
        """Build them all, before other processes take part."""
        for number in range(BASES):
            self[number]

    @contextmanager
    def case(self, name: str, number: int) -> Iterator[tuple[World, Random]]:
        """Make the world and the dice of one case."""
        dice = Random(f"{self._seed}/{name}/{number}")  # nosec B311  # the same case in each run
        root = self._folder / f"case-{os.getpid()}"
        root.mkdir()
        try:
            yield World(self[dice.randrange(BASES)], root), dice
        finally:
            shutil.rmtree(root)


@contextmanager
def bases(seed: int) -> Iterator[Bases]:
    """Make a place for the bases of a seed."""
    with tempfile.TemporaryDirectory(prefix="tamper-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Bases(Path(folder), seed)


def run(kind: Tamper, made: Bases, cases: range) -> Outcome:
    """Try a class at as many positions."""
    outcome = Outcome(kind.name)
    outcome.cases = len(cases)
    for number in cases:
        with made.case(kind.name, number) as (world, dice):
            want = kind.act(world, dice)
            outcome.positions.add(f"{world.base.root.name}/{want.seq}")
            why = judged(kind, world, want, outcome)
        if why:
            outcome.miss(why, f"python -m lab.tamper --seed {made.seed} --class {kind.name} --case {number}")
    return outcome


def judged(kind: Tamper, world: World, want: Want, outcome: Outcome) -> str:
    """Verify what an attacker has left; return what is wrong with what was found, or nothing."""
    try:
        result = world.look(kind.look)
        blind = world.look(kind.blind.look) if kind.blind else None
    except Exception as error:  # noqa: BLE001 - a verifier that falls over has missed it, whatever it stumbled on
        return f"the verifier raised {error!r}"
    outcome.take(result)
    return missed(want, result) or (wrongly_seen(kind.blind, blind) if kind.blind and blind else "")


def run_clean(made: Bases, cases: range) -> Outcome:
    """Verify as many clean logs of random shapes."""
    outcome = Outcome(CLEAN)
    outcome.cases = len(cases)
    for number in cases:
        with tempfile.TemporaryDirectory(prefix="clean-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
            for shape, result in clean(Path(folder), f"{made.seed}/{CLEAN}/{number}"):
                outcome.ways[shape] += 1
                outcome.take(result)
                if result.fault:
                    outcome.miss(
                        f"false alarm, {shape}: {said(result)}", f"python -m lab.tamper --seed {made.seed} --class clean --case {number}"
                    )
    return outcome


def missed(want: Want, result: Result) -> str:
    """Return what is wrong with what was found, or nothing."""
    seq = result.fault.seq if result.fault else None
    if result.verdict in want.verdicts and seq == want.seq:
        return ""
    names = " or ".join(verdict.name for verdict in want.verdicts)
    return f"{names} at {want.seq} must be found, {said(result)} was"


def wrongly_seen(blind: Blind, result: Result) -> str:
    """Return what is wrong with what a look saw that cannot see this class, or nothing."""
    if result.verdict is blind.verdict:
        return ""
    return f"{blind.look.name} is documented to say {blind.verdict.name}, {said(result)} was"


def said(result: Result) -> str:
    """Return what a verification found, short."""
    return f"{result.verdict.name} at {result.fault.seq} ({result.fault.found})" if result.fault else result.verdict.name


def classes() -> dict[str, Tamper]:
    """Return all classes by name."""
    return CLASSES
