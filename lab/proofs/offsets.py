"""The second reading of the window, for every width at once: integers without bounds, and the bitmap as the set of its one-bits.

It trusts one lemma, which says what Python's operators do to the set B of the one-bits of an integer that is not negative, a >= 0:
`b << a` moves each element up by a; `b >> a` moves each down by a and drops what falls below 0; `&` intersects; `|` unites; 1 is {0};
2**a - 1 is {0, ..., a - 1}; and b > 0 is: B is not empty. (The reading in `integers.py` does without it, for one width at a time.)
"""

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import z3

from lab.proofs.paths import Condition, Run, Unsupported

Member = Callable[[Any], Any]


class Number:
    """An integer without bounds."""

    __hash__ = None  # type: ignore[assignment]  # equality is a formula, not a truth value

    def __init__(self, run: Run, term: z3.ExprRef) -> None:
        self.run, self.term = run, term

    def __index__(self) -> int:
        raise Unsupported("a symbolic integer is used as a plain one")

    def __gt__(self, value: object) -> Condition:
        return Condition(self.run, self.term > term_of(value))

    def __ge__(self, value: object) -> Condition:
        return Condition(self.run, self.term >= term_of(value))

    def __lt__(self, value: object) -> Condition:
        return Condition(self.run, self.term < term_of(value))

    def __le__(self, value: object) -> Condition:
        return Condition(self.run, self.term <= term_of(value))

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]  # a formula, not a truth value
        return Condition(self.run, self.term == term_of(value))

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]  # a formula, not a truth value
        return Condition(self.run, self.term != term_of(value))

    def __sub__(self, value: object) -> "Number":
        return Number(self.run, self.term - term_of(value))

    def __add__(self, value: object) -> "Number":
        return Number(self.run, self.term + term_of(value))

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __rlshift__(self, value: object) -> "Bits":
        if value == 1:
            return Power(self.run, amount_of(self.run, self))
        return bits_of(self.run, value) << self

    def __rrshift__(self, value: object) -> "Bits":
        return bits_of(self.run, value) >> self


class Bits:
    """An integer that is not negative, as the set of its one-bits."""

    __hash__ = None  # type: ignore[assignment]  # equality is a formula, not a truth value

    def __init__(self, run: Run, member: Member) -> None:
        self.run, self.member = run, member

    def __lshift__(self, value: object) -> "Bits":
        amount = amount_of(self.run, value)
        return Bits(self.run, lambda i: self.member(i - amount))

    def __rshift__(self, value: object) -> "Bits":
        amount = amount_of(self.run, value)
        return Bits(self.run, lambda i: z3.And(i >= 0, self.member(i + amount)))

    def __and__(self, value: object) -> "Bits":
        other = bits_of(self.run, value)
        both: Member = lambda i: z3.And(self.member(i), other.member(i))  # noqa: E731 - it is used in either branch
        return Lowest(self.run, both) if isinstance(value, int) and value == 1 else Bits(self.run, both)

    def __or__(self, value: object) -> "Bits":
        other = bits_of(self.run, value)
        return Bits(self.run, lambda i: z3.Or(self.member(i), other.member(i)))

    __rand__, __ror__ = __and__, __or__

    def _compared(self, value: object, compare: Callable[[int, int], bool]) -> Condition:  # noqa: ARG002 - for `Lowest`, which can
        raise Unsupported(f"a set of bits is compared with {value}: its size as a number is not known")

    def __gt__(self, value: object) -> Condition:
        return self._compared(value, gt)

    def __ge__(self, value: object) -> Condition:
        return self._compared(value, ge)

    def __lt__(self, value: object) -> Condition:
        return self._compared(value, lt)

    def __le__(self, value: object) -> Condition:
        return self._compared(value, le)

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]  # a formula, not a truth value
        return self._compared(value, eq)

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]  # a formula, not a truth value
        return self._compared(value, ne)

    def __bool__(self) -> bool:
        return bool(self != 0)


class Lowest(Bits):
    """What `& 1` leaves: nothing or the bit 0, so the number 0 or 1, which can be compared with plain ones."""

    def _compared(self, value: object, compare: Callable[[int, int], bool]) -> Condition:
        if not isinstance(value, int):
            raise Unsupported("a single bit is compared with something that is not known")
        return Condition(self.run, z3.If(self.member(z3.IntVal(0)), z3.BoolVal(compare(1, value)), z3.BoolVal(compare(0, value))))


class Power(Bits):
    """2 to the power of a symbolic number: one bit, and one less than it is all bits below."""

    def __init__(self, run: Run, exponent: z3.ExprRef) -> None:
        super().__init__(run, lambda i: i == exponent)
        self._exponent = exponent

    def __sub__(self, value: object) -> Bits:
        if value != 1:
            raise Unsupported("only 1 is taken from a power of two")
        return Bits(self.run, lambda i: z3.And(i >= 0, i < self._exponent))


def amount_of(run: Run, value: object) -> z3.ExprRef:
    """Return the amount of a shift, and note that it has to be one that Python takes and memory bears."""
    amount = term_of(value)
    run.oblige("a shift is by 0 to the window's width", z3.And(amount >= 0, amount <= run.shift_max))
    return amount


def term_of(value: object) -> z3.ExprRef:
    """Return a number as a term."""
    if isinstance(value, Number):
        return value.term
    if isinstance(value, int):
        return z3.IntVal(value)
    raise Unsupported(f"an operation of a symbolic number with {type(value).__name__}")


def bits_of(run: Run, value: object) -> Bits:
    """Return a set of bits; a plain integer has the bits that it has."""
    if isinstance(value, Bits):
        return value
    if isinstance(value, int) and value >= 0:
        ones = [place for place in range(value.bit_length()) if value >> place & 1]
        return Bits(run, lambda i: z3.Or([i == place for place in ones]))
    raise Unsupported(f"an operation of a set of bits with {type(value).__name__}")
