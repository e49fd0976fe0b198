"""No secret value meets a comparison, a dictionary or a branch: a static check over the types that mypy infers.

    python -m lab.secrecy [--json]

A *secret* is an expression whose type is the core's `Secret`, or a union or tuple with one; *laid open* is what its `expose()` gives, what
the functions of KEYED return, and what is computed from either in the same function. Refused are, for both: `==`, `!=`, `<`, `in` and the
like, since `same` alone compares [K-3]; a truth test (`if`, `while`, `and`, `not`, a conditional, a filter); a key or an index; text made
of it. `is None` looks at no byte and is allowed. `expose()` itself may stand only in the functions that hand the bytes to a library or a
file, which `EXPOSED_IN` names.

What this does not see: what the called libraries do, what Python does inside the operations that are allowed (concatenation, a constant
slice), and bytes that never were a `Secret`. Exit status 1 when anything is found, 2 when mypy cannot check the sources.
"""

import argparse
import ast
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from mypy import build
from mypy.inspections import find_by_location
from mypy.modulefinder import BuildSource
from mypy.nodes import Expression, MypyFile
from mypy.options import Options
from mypy.types import Instance, ProperType, TupleType, Type, UnionType, get_proper_type

from lab import command

ROOT: Final = Path(__file__).resolve().parents[1]
SECRET: Final = "core.crypto.secret.Secret"  # noqa: S105 - the name of a type
EXPOSE: Final = "expose"
KEYED: Final = frozenset({"hmac_sha256", "mac", "cookie_for", "cookie_proof", "decrypt"})
"""What is made with a key. Who learns from timing where a forgery differs from a mac, or from a block that was decrypted, can make one."""
TEXTS: Final = frozenset({"str", "repr", "format", "print", "ascii", "hash", "bool", "sorted", "set", "frozenset", "dict", "any", "all"})
EXPOSED_IN: Final[Mapping[str, frozenset[str]]] = {
    "audit.names": frozenset({"packed"}),
    "audit.pseudonym": frozenset({"Ring.names"}),
    "audit.tlog.epochs": frozenset({"LogKeys.__init__", "LogKeys.store", "fresh"}),
    "core.crypto.chain": frozenset({"correlation_of", "reattach_prologue", "seal"}),
    "core.crypto.noise": frozenset({"SymmetricState.mix_key_and_hash"}),
    "core.crypto.primitives": frozenset({"AesBlock.__init__", "argon2id", "expand", "hkdf", "hmac_sha256", "new_cipher"}),
    "jvpn.shell.keyfile": frozenset({"ratchet"}),
}
SHELL: Final = (
    "exported",
    "forks",
    "gateway",
    "keyfile",
    "keytext",
    "vault",
)  # where secrets pass in the shell; the self-test's are published answers


class Finding(NamedTuple):
    """One place where a secret is where it must not be."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class Unchecked(Exception):
    """mypy has found errors, so the types say nothing."""


def check(
    sources: Mapping[str, Path], root: Path = ROOT, secret: str = SECRET, exposed_in: Mapping[str, frozenset[str]] = EXPOSED_IN
) -> list[Finding]:
    """Return what is found in modules, given by name and file; raise Unchecked with mypy's errors."""
    options = Options()
    options.export_types, options.preserve_asts, options.incremental = True, True, False
    options.namespace_packages, options.explicit_package_bases, options.mypy_path = True, True, [str(root)]
    built = build.build([BuildSource(str(path), name, None) for name, path in sources.items()], options)
    if built.errors:
        raise Unchecked("\n".join(built.errors))
    found: list[Finding] = []
    for name, path in sources.items():
        tree = built.graph[name].tree
        shown = str(path.relative_to(root) if path.is_relative_to(root) else path)
        judge = _Module(shown, tree, built.types, secret, exposed_in.get(name, frozenset()))
        found += judge.findings(ast.parse(path.read_text(encoding="utf-8")))
    return found


class _Module:
    """One module with the types of its expressions."""

    def __init__(
        self, file: str, typed: MypyFile | None, types: Mapping[Expression, Type], secret: str, exposed_in: frozenset[str]
    ) -> None:
        self._file, self._typed, self._types, self._secret, self._exposed_in = file, typed, types, secret, exposed_in

    def findings(self, tree: ast.Module) -> Iterator[Finding]:
        """Yield what is wrong anywhere in the module."""
        for function, body in _scopes(tree):
            open_names = self._laid_open(body)
            for node in body:
                yield from self._judged(node, open_names)
                if isinstance(node, ast.Call) and _called(node) == EXPOSE and function not in self._exposed_in:
                    yield Finding(self._file, node.lineno, f"{EXPOSE}() in {function}, which is not on the list of those that may")

    def _judged(self, node: ast.AST, names: frozenset[str]) -> Iterator[Finding]:
        for part, use in _uses(node):
            if self._is_secret(part, names):
                yield Finding(self._file, part.lineno, f"{use}: {ast.unparse(part)}")

    def _is_secret(self, node: ast.expr, names: frozenset[str]) -> bool:
        """Tell whether an expression is a secret, or laid open in this function."""
        place = node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0
        typed = find_by_location(self._typed, *place) if self._typed else None
        kind = self._types.get(typed) if typed else None
        return (kind is not None and self._holds(get_proper_type(kind))) or self._open(node, names)

    def _holds(self, kind: ProperType) -> bool:
        match kind:
            case Instance():
                return any(base.fullname == self._secret for base in kind.type.mro)
            case UnionType() | TupleType():
                return any(self._holds(get_proper_type(each)) for each in kind.items)
            case _:
                return False

    def _open(self, node: ast.expr, names: frozenset[str]) -> bool:
        """Tell whether bytes of a secret may be in the value; lengths, and what a function makes of them, are not those bytes."""
        match node:
            case ast.Name():
                return node.id in names
            case ast.Call():
                return _called(node) in {EXPOSE, *KEYED} or (
                    _called(node) in {"bytes", "bytearray", "int", "list", "tuple"} and any(self._open(each, names) for each in node.args)
                )
            case ast.BinOp():
                return self._open(node.left, names) or self._open(node.right, names)
            case ast.Subscript() | ast.Starred():
                return self._open(node.value, names)
            case ast.Tuple() | ast.List():
                return any(self._open(each, names) for each in node.elts)
            case ast.IfExp():
                return self._open(node.body, names) or self._open(node.orelse, names)
            case ast.NamedExpr():
                return self._open(node.value, names)
            case _:
                return False

    def _laid_open(self, body: Sequence[ast.AST]) -> frozenset[str]:
        """Return the names that are bound to bytes of a secret anywhere in the function, whatever the order."""
        names: frozenset[str] = frozenset()
        while True:
            more = names | {name for node in body for name in self._bound(node, names)}
            if more == names:
                return names
            names = more

    def _bound(self, node: ast.AST, names: frozenset[str]) -> Iterator[str]:
        match node:
            case ast.Assign(targets=targets, value=value) if self._open(value, names):
                yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
            case ast.AugAssign(target=ast.Name(id=name), value=value) if self._open(value, names):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if self._open(value, names):
                yield name
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if self._open(value, names):
                yield name
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value) if self._open(value, names):
                yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))
            case _:
                pass


def _scopes(tree: ast.Module) -> Iterator[tuple[str, list[ast.AST]]]:
    """Yield each function by its qualified name, and the module, with the nodes that are its own."""

    def own(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield child
                yield from own(child)

    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, list[ast.AST]]]:
        yield name or "<module>", list(own(node))
        for child in ast.walk(node):
            if (
                child is not node
                and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and _parent(tree, child) is node
            ):
                yield from walk(child, f"{name}.{child.name}" if name else child.name)

    yield from walk(tree, "")


def _parent(tree: ast.Module, wanted: ast.AST) -> ast.AST:
    """Return the function, class or module right around a definition."""

    def search(node: ast.AST, around: ast.AST) -> ast.AST | None:
        for child in ast.iter_child_nodes(node):
            if child is wanted:
                return around
            inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else around
            if (found := search(child, inner)) is not None:
                return found
        return None

    return search(tree, tree) or tree


def _called(node: ast.Call) -> str:
    """Return the last name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""


def _uses(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:  # noqa: C901, PLR0912 - one case a form of the language
    """Yield the parts of a node that decide something, or become a key or a text; with the words for it."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            for operator, one, other in zip(ops, [left, *others], others, strict=False):
                if not isinstance(operator, ast.Is | ast.IsNot):
                    yield from ((part, "compared") for part in (one, other))
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.Assert(test=test):
            yield test, "a branch depends on it"
        case ast.BoolOp(values=values):
            yield from ((value, "a branch depends on it") for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand, "a branch depends on it"
        case ast.comprehension(ifs=ifs):
            yield from ((test, "a branch depends on it") for test in ifs)
        case ast.Match(subject=subject):
            yield subject, "a branch depends on it"
        case ast.Subscript(slice=index):
            yield index, "used as an index or a key"
        case ast.Dict(keys=keys):
            yield from ((key, "used as a key") for key in keys if key is not None)
        case ast.Set(elts=elements):
            yield from ((element, "used as a key") for element in elements)
        case ast.FormattedValue(value=value):
            yield value, "made a text"
        case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod(), right=value):
            yield value, "made a text"
        case ast.Call(args=args) if _called(node) in TEXTS:
            yield from ((each, f"given to {_called(node)}()") for each in args)
        case _:
            pass


def modules() -> dict[str, Path]:
    """Return the modules of the core, those of SHELL, and the audit's keys, by name."""
    core = [path for path in sorted((ROOT / "core").rglob("*.py")) if path.name != "__init__.py"]
    shell = [ROOT / "jvpn" / "shell" / f"{name}.py" for name in SHELL]
    audit = [ROOT / "audit" / f"{name}.py" for name in ("names", "pseudonym", "tlog/epochs")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (*core, *shell, *audit)}


def main(arguments: Sequence[str]) -> int:
    """Check core and shell and show what is found."""
    parser = argparse.ArgumentParser(prog="python -m lab.secrecy", description="No secret meets a comparison, a dictionary or a branch.")
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    given = parser.parse_args(arguments)
    try:
        found = check(modules())
    except Unchecked as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps({"modules": len(modules()), "findings": [each._asdict() for each in found]}))
    else:
        for each in found:
            print(each)
        print(f"{len(modules())} modules, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    command.run(main, "lab.secrecy")
