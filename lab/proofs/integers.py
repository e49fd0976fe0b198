"""Symbolic integers of bounded size, held exactly in two's complement bit-vectors that are as wide as the values need.

Each integer knows the least and the greatest value that it can have, so no operation can overflow. One thing has to be proved on the way:
that a shift is by 0 to `shift_max`. The width of what is shifted relies on it, and so does Python, which raises an error below and takes
any amount of memory above.
"""

from collections.abc import Callable
from operator import and_, or_
from typing import Any

import z3

from lab.proofs.paths import Condition, Run, Unsupported


class Integer:
    """An integer from `low` to `high`."""

    __hash__ = None  # type: ignore[assignment]  # equality is a formula, not a truth value

    def __init__(self, run: Run, vector: z3.ExprRef, low: int, high: int, shift_max: int) -> None:
        self.run, self.low, self.high, self.shift_max = run, low, high, shift_max
        self.vector = resized(vector, width_of(low, high))

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __index__(self) -> int:
        raise Unsupported("a symbolic integer is used as a plain one")

    def _other(self, value: object) -> "Integer":
        if isinstance(value, Integer):
            return value
        if isinstance(value, int):
            return Integer(self.run, z3.BitVecVal(value, width_of(value, value)), value, value, self.shift_max)
        raise Unsupported(f"an operation of a symbolic integer with {type(value).__name__}")

    def _new(self, vector: z3.ExprRef, low: int, high: int) -> "Integer":
        return Integer(self.run, vector, low, high, self.shift_max)

    def _compared(self, value: object, compare: Callable[[Any, Any], Any]) -> Condition:
        other = self._other(value)
        width = max(self.vector.size(), other.vector.size())
        return Condition(self.run, compare(resized(self.vector, width), resized(other.vector, width)))

    def __lt__(self, value: object) -> Condition:
        return self._compared(value, lambda a, b: a < b)

    def __le__(self, value: object) -> Condition:
        return self._compared(value, lambda a, b: a <= b)

    def __gt__(self, value: object) -> Condition:
        return self._compared(value, lambda a, b: a > b)

    def __ge__(self, value: object) -> Condition:
        return self._compared(value, lambda a, b: a >= b)

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]  # a formula, not a truth value
        return self._compared(value, lambda a, b: a == b)

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]  # a formula, not a truth value
        return self._compared(value, lambda a, b: a != b)

    def __add__(self, value: object) -> "Integer":
        other = self._other(value)
        low, high = self.low + other.low, self.high + other.high
        width = width_of(low, high, self, other)
        return self._new(resized(self.vector, width) + resized(other.vector, width), low, high)

    def __sub__(self, value: object) -> "Integer":
        other = self._other(value)
        low, high = self.low - other.high, self.high - other.low
        width = width_of(low, high, self, other)
        return self._new(resized(self.vector, width) - resized(other.vector, width), low, high)

    def __rsub__(self, value: object) -> "Integer":
        return self._other(value) - self

    def _bitwise(self, value: object, operation: Callable[[Any, Any], Any]) -> tuple["Integer", Any, int]:
        other = self._other(value)
        width = width_of(self.low, self.high, self, other)
        return other, operation(resized(self.vector, width), resized(other.vector, width)), width

    def __and__(self, value: object) -> "Integer":
        other, vector, width = self._bitwise(value, and_)
        bounds = [each.high for each in (self, other) if each.low >= 0]  # the result is at most each operand that is not negative
        return self._new(vector, *((0, min(bounds)) if bounds else (-1 << width - 1, (1 << width - 1) - 1)))

    def __or__(self, value: object) -> "Integer":
        other, vector, width = self._bitwise(value, or_)
        natural = min(self.low, other.low) >= 0
        return self._new(vector, *((0, (1 << width - 1) - 1) if natural else (-1 << width - 1, (1 << width - 1) - 1)))

    def _amount(self, value: object) -> "Integer":
        """Return a shift's amount, and note that it has to be one."""
        amount = self._other(value)
        in_range = z3.And((amount >= 0).formula, (amount <= self.shift_max).formula)
        self.run.oblige(f"a shift is by 0 to {self.shift_max}", in_range)
        return amount

    def __lshift__(self, value: object) -> "Integer":
        amount = self._amount(value)
        low, high = min(self.low << self.shift_max, 0), max(self.high << self.shift_max, 0)
        width = max(width_of(low, high), self.shift_max.bit_length() + 1)
        return self._new(resized(self.vector, width) << self._short(amount, width), low, high)

    def __rshift__(self, value: object) -> "Integer":
        amount = self._amount(value)
        width = max(self.vector.size(), self.shift_max.bit_length() + 1)
        return self._new(resized(self.vector, width) >> self._short(amount, width), min(self.low, 0), max(self.high, 0))

    def _short(self, amount: "Integer", width: int) -> z3.ExprRef:
        """Return an amount in the width of what it shifts; by its obligation the bits that are cut off are zero."""
        bits = self.shift_max.bit_length()
        return z3.ZeroExt(width - bits, z3.Extract(bits - 1, 0, resized(amount.vector, max(amount.vector.size(), bits))))

    __radd__, __rand__, __ror__ = __add__, __and__, __or__

    def __rlshift__(self, value: object) -> "Integer":
        return self._other(value) << self

    def __rrshift__(self, value: object) -> "Integer":
        return self._other(value) >> self


def width_of(low: int, high: int, *operands: Integer) -> int:
    """Return how many bits hold low to high, and the operands too, in two's complement."""
    return max(low.bit_length() + 1, high.bit_length() + 1, *(int(operand.vector.size()) for operand in operands), 1)


def resized(vector: z3.ExprRef, width: int) -> z3.ExprRef:
    """Return a vector sign-extended, or cut where its bounds say that nothing is lost."""
    more = width - vector.size()
    return z3.SignExt(more, vector) if more > 0 else z3.Extract(width - 1, 0, vector) if more < 0 else vector
