"""What is shipped: the wheel is built, and its content compared with what it may and must hold."""

import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.support import ROOT

PACKAGES = {"core", "audit", "observability", "jvpn", "schemas"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Build the wheel in this process, without a network, into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as opened:
        yield opened


def names(wheel: zipfile.ZipFile) -> list[PurePosixPath]:
    """List the files in the wheel."""
    return [PurePosixPath(name) for name in wheel.namelist()]


def test_top_level_names(wheel: zipfile.ZipFile) -> None:
    """A generic name more would overwrite another distribution's package without a word; the laboratory would be shipped."""
    metadata = {name for name in {path.parts[0] for path in names(wheel)} if name.endswith(".dist-info")}
    assert {path.parts[0] for path in names(wheel)} - metadata == PACKAGES


def test_the_contract_with_readers_is_shipped(wheel: zipfile.ZipFile) -> None:
    """An installed gateway could not validate its own events."""
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "schemas").rglob("*") if path.is_file()}
    shipped = {str(path) for path in names(wheel) if path.parts[0] == "schemas"}
    assert "schemas/registry.toml" in shipped
    assert any(name.startswith("schemas/events/") and name.endswith(".json") for name in shipped)
    assert shipped == here


def test_the_rules_are_shipped(wheel: zipfile.ZipFile) -> None:
    """An installed `jvpn detect` would look for nothing, or `jvpn metrics --rules` show none."""
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "observability").rglob("*.yml")}
    assert {PurePosixPath(path).parts[1] for path in here} == {"detections", "prometheus"}
    assert here == {str(path) for path in names(wheel) if path.suffix == ".yml"}


def test_only_sources_are_shipped(wheel: zipfile.ZipFile) -> None:
    """Compiled leftovers of one machine would be installed on all."""
    assert not [path for path in names(wheel) if "__pycache__" in path.parts or path.suffix in {".pyc", ".so", ".log", ".pem", ".key"}]


def test_the_command_is_installed(wheel: zipfile.ZipFile) -> None:
    """`jvpn` would not be found, or would start a module that is not shipped."""
    (entry_points,) = [path for path in names(wheel) if path.name == "entry_points.txt"]
    text = wheel.read(str(entry_points)).decode()
    assert "jvpn = jvpn.cli.main:run" in text
    assert PurePosixPath("jvpn/cli/main.py") in names(wheel)
