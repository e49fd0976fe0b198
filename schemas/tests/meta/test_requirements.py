"""The pinned lists in requirements/ and the dependencies in pyproject.toml must say the same."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

LISTS = ("runtime", "dev", "siem")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(name: str) -> list[Requirement]:
    """Return what pyproject.toml asks for in the list `name`: the runtime always, and the group of that name."""
    lines = list(PROJECT["project"]["dependencies"])
    groups = [] if name == "runtime" else [name]
    while groups:
        for entry in PROJECT["dependency-groups"][groups.pop()]:
            if isinstance(entry, str):
                lines.append(entry)
            else:
                groups.append(entry["include-group"])
    return [Requirement(line) for line in lines]


def pinned(path: Path) -> list[tuple[Requirement, list[str]]]:
    """Parse a pinned list into requirements with their hashes; a line of any other form is an error."""
    text = re.sub(r"^ *#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    entries = []
    for line in text.splitlines():
        requirement, *hashes = line.split("--hash=")
        entries.append((Requirement(requirement.strip()), [entry.strip() for entry in hashes]))
    return entries


@pytest.mark.parametrize("name", LISTS)
def test_every_dependency_is_pinned_in_range(name: str) -> None:
    """An installation from the list would lack a library, or have a version that the project says it cannot use."""
    versions: dict[str, list[str]] = {}
    for requirement, _ in pinned(ROOT / "requirements" / f"{name}.txt"):
        versions.setdefault(canonicalize_name(requirement.name), []).append(next(iter(requirement.specifier)).version)
    for requirement in wanted(name):
        found = versions.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement.name} is not in requirements/{name}.txt: make lock"
        assert all(requirement.specifier.contains(version) for version in found), f"{requirement} against {found}: make lock"


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_is_exact_and_hashed(name: str) -> None:
    """Two installations could differ, or a replaced file be installed."""
    entries = pinned(ROOT / "requirements" / f"{name}.txt")
    assert len(entries) >= len(wanted(name))
    for requirement, hashes in entries:
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", entry) for entry in hashes), requirement


@pytest.mark.parametrize("name", LISTS)
def test_no_place_is_named(name: str) -> None:
    """A mirror could not be used: where packages come from is the installer's configuration, not ours."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert "index" not in text
    assert "find-links" not in text


@pytest.mark.parametrize("name", ["dev", "siem"])
def test_the_lists_agree(name: str) -> None:
    """Tests would run against other versions than those that are deployed."""
    runtime, larger = (
        {(entry.name, entry.specifier) for entry, _ in pinned(ROOT / "requirements" / f"{each}.txt")} for each in ("runtime", name)
    )
    assert runtime < larger
