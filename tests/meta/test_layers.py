"""The layers of the architecture: every contract holds, and every contract is seen to break when it is broken."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import ROOT

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
NAMES = {contract["id"]: contract["name"] for contract in LINTER["contracts"]}

# What is planted, as files with their text, and the contracts that must break: these and no other.
# New modules keep a plant harmless for the other contracts.
VIOLATIONS = {
    "the SIEM side sees the shell": ({"observability/planted.py": "import jvpn.shell"}, {"packages"}),
    "the shell sees the SIEM side": ({"jvpn/shell/planted.py": "import observability"}, {"packages"}),
    "audit sees the laboratory": ({"audit/planted.py": "import lab.planted", "lab/planted.py": ""}, {"packages"}),
    "the laboratory sees a test": ({"lab/planted.py": "from tests.support import ROOT"}, {"tests"}),
    "audit sees the tests": ({"audit/planted.py": "import tests"}, {"tests"}),
    "the shell sees the commands": (
        {"jvpn/shell/planted.py": "import jvpn.cli.planted", "jvpn/cli/planted.py": ""},
        {"packages", "cycles"},
    ),
    "the client's machine sees the gateway's": (
        {"core/client/planted.py": "import core.session.planted", "core/session/planted.py": ""},
        {"core"},
    ),
    "a module that no layer lists": ({"core/planted.py": ""}, {"core"}),
    "crypto sees wire, and wire sees crypto": (
        {"core/crypto/planted.py": "import core.wire.planted", "core/wire/planted.py": "import core.crypto"},
        {"core", "cycles"},
    ),
    "the life of a key sees the wire": ({"core/keys/planted.py": "import core.wire.layout"}, {"core"}),
    "what judges documents opens a file": ({"jvpn/keys/planted.py": "from pathlib import Path"}, {"pure"}),
    "what judges documents sees the shell": ({"jvpn/keys/planted.py": "import jvpn.shell.clock"}, {"packages", "pure", "cycles"}),
    "a table sees the wire": ({"core/session/states.py": "import core.wire.layout"}, {"tables"}),
    "a table sees its own machinery": (
        {"core/session/states.py": "import core.session.planted", "core/session/planted.py": ""},
        {"tables"},
    ),
    "what both machines share sees the wire": ({"core/machine.py": "import core.wire.layout"}, {"core", "tables"}),
    "the core opens a socket": ({"core/wire/planted.py": "import socket"}, {"pure"}),
    "the core reads a clock": ({"core/session/planted.py": "from time import monotonic_ns"}, {"pure"}),
    "the core runs a loop": ({"core/client/planted.py": "from asyncio import sleep"}, {"pure"}),
    "a second module of cryptography": ({"core/wire/planted.py": "from cryptography.hazmat.primitives import hashes"}, {"crypto"}),
    "libsodium in the shell": ({"jvpn/shell/planted.py": "import nacl.bindings"}, {"crypto"}),
    "audit sees the engine": ({"audit/planted.py": "import core.engine"}, {"audit"}),
    "audit sees the machine behind the table": (
        {"audit/planted.py": "import core.session.planted", "core/session/planted.py": ""},
        {"audit"},
    ),
    "audit computes a key": ({"audit/planted.py": "import core.crypto.primitives"}, {"audit"}),
    "the shell answers HTTP": ({"jvpn/shell/planted.py": "import waitress"}, {"quiet"}),
    "the shell counts with a library": ({"jvpn/shell/planted.py": "import prometheus_client"}, {"quiet"}),
    "TCP sees UDP": ({"jvpn/shell/transports/tcp.py": "import jvpn.shell.transports.udp"}, {"transports"}),
    "the store in memory sees SQLite's": ({"jvpn/shell/stores/memory.py": "import jvpn.shell.stores.sqlite"}, {"stores"}),
    "two modules need each other": (
        {"jvpn/shell/planted_a.py": "import jvpn.shell.planted_b", "jvpn/shell/planted_b.py": "import jvpn.shell.planted_a"},
        {"cycles"},
    ),
}


def lint(folder: Path) -> tuple[dict[str, bool], str]:
    """Check the packages in `folder` against the project's contracts: contract to kept, and the whole output."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache", "--no-logo"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100)
    output = done.stdout + done.stderr
    verdicts = {}
    for identity, name in NAMES.items():
        found = re.search(rf"^{re.escape(name)} (KEPT|BROKEN)", output, flags=re.MULTILINE)
        assert found, f"no verdict on {name!r}:\n{output}"
        verdicts[identity] = found[1] == "KEPT"
    assert done.returncode == (0 if all(verdicts.values()) else 1), output
    return verdicts, output


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the packages and the contracts to a place where they may be spoiled."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in LINTER["root_packages"]:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_all_contracts_hold() -> None:
    """The pictures in the documents would show another program than this one."""
    verdicts, output = lint(ROOT)
    assert all(verdicts.values()), output


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violation_is_seen_where_it_belongs(copy: Path, violation: str) -> None:
    """A contract would guard nothing: what it forbids could be done unseen."""
    planted, expected = VIOLATIONS[violation]
    for name, text in planted.items():
        path = copy / name
        assert path.parent.is_dir(), f"{name}: the plant needs a package to be planted in"
        with path.open("a") as file:
            file.write(f"\n{text}\n")
    verdicts, output = lint(copy)
    assert {identity for identity, kept in verdicts.items() if not kept} == expected, output


def test_every_contract_has_a_violation() -> None:
    """A new contract would never be seen to break."""
    assert set(NAMES) == set().union(*(expected for _, expected in VIOLATIONS.values()))
