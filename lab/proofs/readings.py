"""Two readings of the window's integers: exact for one width, and for all widths at once with the bitmap as a set."""

from collections.abc import Callable
from inspect import signature
from typing import Any, Final, NamedTuple, Protocol

import z3

from core.crypto.replay import Verdict, step
from core.limits import COUNTER_LIMIT
from lab.proofs import integers, offsets
from lab.proofs.paths import Run, Unsupported

Step = Callable[..., tuple[Verdict, Any, Any]]
COUNTERS: Final = 2**64  # what the eight bytes of a DATA header can say


class State(NamedTuple):
    """A window in one reading: the highest counter and the bitmap, and the number n and the counter that is judged."""

    top: Any
    bitmap: Any
    counter: Any
    n: Any


class Reading(Protocol):
    """How integers are read: exactly for one width, or for all widths with the bitmap as a set."""

    name: str

    def symbols(self, run: Run) -> State:
        """Return the symbols; the same names in every run."""

    def call(self, function: Step, state: State) -> tuple[Verdict, Any, Any]:
        """Run one step."""

    def lifted(self, run: Run, top: z3.ExprRef, bitmap: z3.ExprRef) -> tuple[z3.ExprRef, z3.ExprRef]:
        """Return what a step returned as symbolic values; it may be plain numbers."""

    def ranges(self, state: State) -> z3.ExprRef:
        """Return what holds of counter and n by their type."""

    def sound(self, top: z3.ExprRef, bitmap: z3.ExprRef) -> z3.ExprRef:
        """Return I1."""

    def inside(self, top: z3.ExprRef, n: z3.ExprRef) -> z3.ExprRef:
        """Tell whether n is above top - W."""

    def bit(self, bitmap: z3.ExprRef, top: z3.ExprRef, n: z3.ExprRef) -> z3.ExprRef:
        """Return the bit of n; it is only asked where n is inside the window and not above its top."""

    def same(self, before: State, after: State) -> z3.ExprRef:
        """Tell whether a step left the window as it was."""

    def solver(self) -> z3.Solver:
        """Return a solver that suits."""


class Exact:
    """Integers in bit-vectors that hold them exactly, for one width; without a width, for the one that is shipped."""

    def __init__(self, width: int | None = None) -> None:
        self._given = () if width is None else (width,)
        self.width = width or shipped_width()
        self.name = f"W = {self.width:,}{' (as shipped)' if width is None else ''}"

    def _integer(self, run: Run, name: str, below: int) -> integers.Integer:
        low, high = 0, below - 1
        return integers.Integer(run, z3.BitVec(name, integers.width_of(low, high)), low, high, self.width)

    def symbols(self, run: Run) -> State:
        """Return symbols within their bounds."""
        counters = (self._integer(run, name, COUNTERS) for name in ("counter", "n"))
        return State(self._integer(run, "top", COUNTER_LIMIT), self._integer(run, "bitmap", 1 << self.width), *counters)

    def call(self, function: Step, state: State) -> tuple[Verdict, Any, Any]:
        """Run one step with this width."""
        return function(state.top, state.bitmap, state.counter, *self._given)

    def lifted(self, run: Run, top: z3.ExprRef, bitmap: z3.ExprRef) -> tuple[z3.ExprRef, z3.ExprRef]:
        """Add zero: a plain number becomes a symbolic one."""
        zero = integers.Integer(run, z3.BitVecVal(0, 1), 0, 0, self.width)
        return zero + top, zero + bitmap

    def ranges(self, state: State) -> z3.ExprRef:
        """Return the bounds of counter and n."""
        return z3.And([(each >= 0).formula for each in (state.counter, state.n)])

    def sound(self, top: z3.ExprRef, bitmap: z3.ExprRef) -> z3.ExprRef:
        """Compare with the numbers themselves."""
        return z3.And((top >= 0).formula, (top < COUNTER_LIMIT).formula, (bitmap >= 0).formula, (bitmap <= (1 << self.width) - 1).formula)

    def inside(self, top: z3.ExprRef, n: z3.ExprRef) -> z3.ExprRef:
        """Subtract and compare."""
        return (n > top - self.width).formula

    def bit(self, bitmap: z3.ExprRef, top: z3.ExprRef, n: z3.ExprRef) -> z3.ExprRef:
        """Shift the bit to the end of the vector; the offset is below the width, so the vector can be cut to hold no more than that."""
        vector = integers.resized(bitmap.vector, max(self.width, self.width.bit_length()) + 1)
        offset = integers.resized((top - n).vector, vector.size())
        return z3.Extract(0, 0, z3.LShR(vector, offset)) == 1

    def same(self, before: State, after: State) -> z3.ExprRef:
        """Compare the numbers."""
        return z3.And((before.top == after.top).formula, (before.bitmap == after.bitmap).formula)

    def solver(self) -> z3.Solver:
        """Return the solver for bit-vectors."""
        return z3.SolverFor("QF_BV")


class AllWidths:
    """Integers without bounds and the bitmap as the set of its one-bits: one proof for every W >= 1, with the lemma of `offsets`."""

    name = "every W >= 1 (bitmap as a set)"

    def __init__(self) -> None:
        self._width = z3.Int("width")
        self._member = z3.Function("bitmap", z3.IntSort(), z3.BoolSort())

    def symbols(self, run: Run) -> State:
        """Return symbols; which bits the bitmap has is an unknown function, inside the window."""
        run.shift_max = self._width
        top, counter, n = (offsets.Number(run, z3.Int(name)) for name in ("top", "counter", "n"))
        return State(top, offsets.Bits(run, lambda i: z3.And(i >= 0, i < self._width, self._member(i))), counter, n)

    def call(self, function: Step, state: State) -> tuple[Verdict, Any, Any]:
        """Run one step with an unknown width."""
        return function(state.top, state.bitmap, state.counter, offsets.Number(state.top.run, self._width))

    def lifted(self, run: Run, top: z3.ExprRef, bitmap: z3.ExprRef) -> tuple[z3.ExprRef, z3.ExprRef]:
        """Read plain numbers as terms and sets."""
        return offsets.Number(run, offsets.term_of(top)), offsets.bits_of(run, bitmap)

    def ranges(self, state: State) -> z3.ExprRef:
        """Counters are not negative, and a window has room for one."""
        return z3.And(self._width >= 1, (state.counter >= 0).formula, (state.n >= 0).formula)

    def sound(self, top: z3.ExprRef, bitmap: z3.ExprRef) -> z3.ExprRef:
        """Say it of the bit at an unknown offset; what holds of the bitmap before is built into `symbols`, for all offsets."""
        offset = z3.Int("offset")
        bounded = z3.Implies(bitmap.member(offset), z3.And(offset >= 0, offset < self._width))
        return z3.And((top >= 0).formula, (top < COUNTER_LIMIT).formula, bounded)

    def inside(self, top: z3.ExprRef, n: z3.ExprRef) -> z3.ExprRef:
        """Subtract and compare."""
        return n.term > top.term - self._width

    def bit(self, bitmap: z3.ExprRef, top: z3.ExprRef, n: z3.ExprRef) -> z3.ExprRef:
        """Ask the set."""
        return bitmap.member(top.term - n.term)

    def same(self, before: State, after: State) -> z3.ExprRef:
        """Compare the number, and the sets at an unknown offset."""
        offset = z3.Int("offset")
        return z3.And(before.top.term == after.top.term, before.bitmap.member(offset) == after.bitmap.member(offset))

    def solver(self) -> z3.Solver:
        """Return the general solver."""
        return z3.Solver()


def shipped_width() -> int:
    """Return the width that callers get who name none."""
    width = signature(step).parameters["width"].default
    if not isinstance(width, int):
        raise Unsupported("the window has no width of its own")
    return width
