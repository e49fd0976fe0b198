"""The window, broken in every way that one small slip can break it: proofs that refuse none of these would prove nothing.

Each mutant is the shipped function with one change in its syntax tree. Its name is the changed line, before and after.
"""

import ast
import textwrap
from collections.abc import Callable, Iterator, Mapping
from inspect import getsource
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import core.crypto.replay as shipped
from core.crypto.replay import Verdict
from lab.proofs.paths import Unsupported
from lab.proofs.readings import AllWidths, Exact, Step
from lab.proofs.window import Finding, prove

COMPARISONS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
OPPOSITES: Final[Mapping[type[ast.operator], type[ast.operator]]] = MappingProxyType(
    {ast.Sub: ast.Add, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
)
SWAPPED: Final[Mapping[str, str]] = MappingProxyType({"top": "counter", "counter": "top"})
SLIDE: Final = "return (ACCEPT, counter, bitmap << shift & (1 << width) - 1 | 1)"
EQUIVALENT: Final[Mapping[str, str]] = MappingProxyType(  # changes that change nothing, each with the reason
    {
        "if bitmap >> age & 1 > 0:  =>  if bitmap >> age & 1 != 0:": "a bit is 0 or 1",
        "if shift >= width:  =>  if shift > width:": "at a shift by exactly the width everything is shifted out, and both lines leave 1",
        "if shift >= width:  =>  if shift >= width + 1:": "the same",
        f"{SLIDE}  =>  {SLIDE.replace('- 1', '- 2')}": "the mask's lowest bit meets a zero that was shifted in, and `| 1` sets it",
    }
)


class Mutant(NamedTuple):
    """A changed function, and what was changed."""

    name: str
    function: Step


class _Put(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, target: ast.AST, replacement: ast.AST) -> None:
        self._target, self._replacement = target, replacement

    def visit(self, node: ast.AST) -> Any:  # noqa: ANN401 - as in the base class, which changes one kind of node into another
        """Replace the target; look into everything else."""
        return self._replacement if node is self._target else super().visit(node)


def mutants(function: Callable[..., Any] = shipped.step) -> list[Mutant]:
    """Return every mutant of the function."""
    source = textwrap.dedent(getsource(function))
    places = [(place, number) for place, (_, node) in enumerate(_places(ast.parse(source))) for number, _ in enumerate(_alternatives(node))]
    return [_mutant(ast.parse(source), *place) for place in places]


def judge(mutant: Mutant, width: int, query_seconds: float) -> Finding | None:
    """Return the first condition that the mutant breaks, with a situation that shows it; None if it breaks none.

    It is read for all widths at once, as that is quick; what that reading cannot follow is read exactly, for this width.
    """
    try:
        proof = prove(mutant.function, AllWidths(), query_seconds=query_seconds, first_only=True)
    except Unsupported:
        proof = prove(mutant.function, Exact(width), query_seconds=query_seconds, first_only=True)
    return proof.findings[0] if proof.findings else None


def _mutant(tree: ast.Module, place: int, number: int) -> Mutant:
    statement, target = list(_places(tree))[place]
    before, changed = _text(statement), list(_alternatives(target))[number]
    tree = ast.fix_missing_locations(_Put(target, changed).visit(tree))
    namespace = dict(vars(shipped))
    exec(compile(tree, "<mutant>", "exec"), namespace)  # nosec B102  # noqa: S102 - our own source with one change
    return Mutant(f"{before}  =>  {_text(statement)}", namespace[shipped.step.__name__])


def _text(statement: ast.stmt) -> str:
    """Return the first line of a statement: an `if` without its body."""
    return ast.unparse(statement).splitlines()[0]


def _places(tree: ast.Module) -> Iterator[tuple[ast.stmt, ast.AST]]:
    """Yield each expression of the function's body, with its statement."""
    for statement in ast.walk(tree):
        match statement:
            case ast.If(test=root) | ast.Assign(value=root) | ast.Return(value=ast.expr() as root):
                yield from ((statement, node) for node in ast.walk(root))
            case _:
                pass


def _alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of an expression."""
    match node:
        case ast.Compare(left, [operator], [right]):
            yield from (ast.Compare(left, [other()], [right]) for other in COMPARISONS if not isinstance(operator, other))
            yield from (ast.Compare(left, [operator], [ast.BinOp(right, by, ast.Constant(1))]) for by in (ast.Add(), ast.Sub()))
            yield from (ast.Constant(value=answer) for answer in (True, False))
        case ast.BinOp(left, operator, right):
            yield ast.BinOp(left, OPPOSITES[type(operator)](), right)
            yield from (left, right)
        case ast.Constant(value=int(value)):
            yield from (ast.Constant(value + by) for by in (1, -1))
        case ast.Name(name) if name in SWAPPED:
            yield ast.Name(SWAPPED[name], ast.Load())
        case ast.Name(word) if word in Verdict.__members__:
            yield from (ast.Name(other, ast.Load()) for other in Verdict.__members__ if other != word)
        case _:
            pass
