"""The static check of secrets: it finds each forbidden use when it is planted, and nothing in the core."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from core.crypto import primitives
from core.wire import macs
from lab import secrecy
from lab.secrecy import Finding, Unchecked, check, modules

HEAD = """
class Secret:
    def expose(self) -> bytes:
        return b""
    def check(self) -> bool:
        return True

class Child(Secret):
    pass

def public(key: Secret) -> bytes:
    return b""

def mac(key: Secret, before: bytes) -> bytes:
    return b""
"""
PLANTED = {
    "secret == other": ("compared: secret", "compared: other"),
    "secret != b''": ("compared: secret",),
    "b'' == secret": ("compared: secret",),
    "secret in [1]": ("compared: secret",),
    "1 in (secret, 2)": ("compared: (secret, 2)",),
    "[x for x in [1] if secret]": ("a branch depends on it: secret",),
    "not secret": ("a branch depends on it: secret",),
    "secret or None": ("a branch depends on it: secret",),
    "1 if secret else 2": ("a branch depends on it: secret",),
    "table[secret]": ("used as an index or a key: secret",),
    "{secret: 1}": ("used as a key: secret",),
    "{secret}": ("used as a key: secret",),
    "f'{secret}'": ("made a text: secret",),
    "f'{secret.expose()!r}'": ("made a text: secret.expose()",),
    "'%s' % secret": ("made a text: secret",),
    "str(secret)": ("given to str(): secret",),
    "hash(secret)": ("given to hash(): secret",),
    "maybe == 1": ("compared: maybe",),
    "child == 1": ("compared: child",),
    "secret.expose() == b''": ("compared: secret.expose()",),
    "secret.expose()[0] == 1": ("compared: secret.expose()[0]",),
    "(b'x' + secret.expose())[:3] in [b'']": ("compared: (b'x' + secret.expose())[:3]",),
    "[1, 2][secret.expose()[0]]": ("used as an index or a key: secret.expose()[0]",),
    "[byte for byte in secret.expose() if byte == 3]": ("compared: byte",),
    "mac(secret, b'') == b''": ("compared: mac(secret, b'')",),
    "b'' != mac(secret, b'')[:8]": ("compared: mac(secret, b'')[:8]",),
    "mac(secret, b'') in {b''}": ("compared: mac(secret, b'')",),
    "int(bytes(secret.expose()), 16) > 5": ("compared: int(bytes(secret.expose()), 16)",),
}
ALLOWED = [
    "secret is None",
    "maybe is not None",
    "public(secret) == b''",
    "len(mac(secret, b'')) == 4",
    "secret.check()",
    "len(secret.expose()) == 4",
    "secret.expose() + b'x'",
]
BLOCKS = {
    "    if secret:\n        return 1": {"a branch depends on it: secret"},
    "    while maybe:\n        return 1": {"a branch depends on it: maybe"},
    "    raw = secret.expose()\n    head = raw[:4]\n    if head == b'':\n        return 1": {"compared: head"},
    "    for byte in secret.expose():\n        if byte > 3:\n            return 1": {"compared: byte"},
    "    a, b = secret.expose(), 1\n    return a == b''": {"compared: a"},
    "    if (raw := secret.expose()) == b'':\n        return raw": {"compared: (raw := secret.expose())"},
    "    total = b''\n    total += secret.expose()\n    return total == b''": {"compared: total"},
    "    right = mac(secret, b'')\n    if right == b'':\n        return 1": {"compared: right"},
    "    match secret:\n        case _:\n            return 1": {"a branch depends on it: secret"},
}


def found(tmp_path: Path, body: str, exposed_in: frozenset[str] = frozenset({"use"})) -> list[Finding]:
    """Check a module with one function of this body."""
    arguments = "secret: Secret, other: Secret, child: Child, maybe: Secret | None, table: dict[object, int]"
    (tmp_path / "planted.py").write_text(f"{HEAD}\ndef use({arguments}) -> object:\n{body}\n    return None\n")
    return check({"planted": tmp_path / "planted.py"}, tmp_path, "planted.Secret", {"planted": exposed_in})


@pytest.mark.timeout(300)
def test_every_planted_use_is_found(tmp_path: Path) -> None:
    """[K-7] A comparison with a secret, a branch on one, or a log line with one would pass the review unseen."""
    lines = [f"    {expression}" for expression in PLANTED] + [f"    {expression}" for expression in ALLOWED]
    judged = found(tmp_path, "\n".join(lines))
    first = len(HEAD.splitlines()) + 3
    by_line: dict[int, list[str]] = {}
    for each in judged:
        by_line.setdefault(each.line - first, []).append(each.what)
    assert {expression: tuple(sorted(by_line.get(at, []))) for at, expression in enumerate([*PLANTED, *ALLOWED])} == (
        {expression: tuple(sorted(said)) for expression, said in PLANTED.items()} | dict.fromkeys(ALLOWED, ())
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("body", BLOCKS)
def test_bytes_that_were_laid_open_are_followed(tmp_path: Path, body: str) -> None:
    """A secret is given another name, and then compared."""
    assert {each.what for each in found(tmp_path, body)} == BLOCKS[body]


def test_secrets_are_laid_open_only_where_it_is_allowed(tmp_path: Path) -> None:
    """Bytes of a secret are taken out where nobody looks for them."""
    (only,) = found(tmp_path, "    secret.expose()", frozenset())
    assert (only.file, only.what) == ("planted.py", "expose() in use, which is not on the list of those that may")


def test_sources_that_mypy_refuses_are_not_passed(tmp_path: Path) -> None:
    """Types that are wrong say nothing, and the check says that all is well."""
    with pytest.raises(Unchecked, match="undefined"):
        found(tmp_path, "    return undefined")


@pytest.mark.timeout(300)
def test_the_core_keeps_its_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """[K-7] The core compares a secret in a way that shows where it differs, or writes one down."""
    assert secrecy.main([]) == 0, capsys.readouterr().out
    assert f"{len(modules())} modules, 0 findings" in capsys.readouterr().out


def test_what_is_made_with_a_key_is_what_the_core_has() -> None:
    """[M-6] A function that makes macs is renamed, and what it makes may be compared in any way."""
    made = [(primitives, "hmac_sha256"), (macs, "mac"), (macs, "cookie_for"), (macs, "cookie_proof"), (primitives.AesBlock, "decrypt")]
    assert {name for _, name in made} == secrecy.KEYED
    assert all(callable(getattr(where, name)) for where, name in made)


def test_the_list_of_exposures_is_exact() -> None:
    """A function may lay secrets open that does not exist any more, or does not do so."""
    allowed: Mapping[str, frozenset[str]] = secrecy.EXPOSED_IN
    found = {(each.file, each.what.split(" in ")[1].split(",")[0]) for each in check(modules(), exposed_in={})}
    assert found == {(f"{name.replace('.', '/')}.py", function) for name, functions in allowed.items() for function in functions}
