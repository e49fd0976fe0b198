"""Encrypted key files on the command line, and a gateway that starts with one."""

import json
from pathlib import Path

import pytest

from jvpn.shell import vault
from tests.jvpn.cli.calling import Jvpn, gateway_files


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal at the lowest costs that are allowed."""
    monkeypatch.setattr(vault, "USUAL", vault.Costs(vault.MEMORY_KIB.start, vault.PASSES.start, 1))


def written(path: Path, text: str = "correct horse battery\n") -> Path:
    """Write a passphrase file."""
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_key_is_made_changed_and_laid_open(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-9] A key that was made under a passphrase cannot be used, or the passphrase cannot be changed."""
    key, one, two = tmp_path / "d.key", written(tmp_path / "one"), written(tmp_path / "two", "another passphrase")
    made = jvpn("keygen", "device", "--out", key, "--passphrase-file", one, "--json")
    assert made.status == 0
    assert json.loads(key.read_text())["public"] == made.json["public"]
    changed = jvpn("keygen", "passphrase", "--file", key, "--passphrase-file", one, "--new-passphrase-file", two, "--json")
    assert changed.json == {"encrypted": True, "file": str(key)}
    said = jvpn("keygen", "passphrase", "--file", key, "--passphrase-file", one, "--plain")
    assert (said.status, said.err) == (2, f"jvpn: {key}: the passphrase is another one, or the file is damaged\n")
    assert jvpn("keygen", "passphrase", "--file", key, "--passphrase-file", two, "--plain").out == f"{key}: plain\n"
    assert json.loads(key.read_text())["public"] == made.json["public"]


def test_one_way_has_to_be_chosen(jvpn: Jvpn, tmp_path: Path) -> None:
    """A key file is laid open because an option was forgotten."""
    for words in ((), ("--plain", "--new-passphrase-file", tmp_path / "p")):
        said = jvpn("keygen", "passphrase", "--file", tmp_path / "k", *words)
        assert (said.status, said.err) == (2, "jvpn: --new-passphrase-file, --plain: one of the two is needed, and only one\n")


def test_a_gateway_with_an_encrypted_key(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-9] The configuration's passphrase is not used where the key is read: by the service, the doctor, or enrolling."""
    config = gateway_files(tmp_path, jvpn)
    (key,) = tmp_path.glob("*.key")
    passphrase = written(tmp_path / "passphrase")
    jvpn("keygen", "passphrase", "--file", key, "--new-passphrase-file", passphrase)
    said = jvpn("gateway", "--config", config, "--check")
    assert said.status == 2
    assert "is encrypted: name a file with its passphrase" in said.err
    config.write_text(f'key_passphrase = "{passphrase}"\n' + config.read_text())
    assert jvpn("enroll", "laptop", "--gateway-config", config, "--out", tmp_path / "laptop").status == 0
    assert jvpn("gateway", "--config", config, "--check").status == 0
    doctor = jvpn("doctor", "--config", config, "--json")
    assert [each["state"] for each in doctor.json["checks"] if each["name"] == "key"] == ["ok"]
    passphrase.chmod(0o644)
    assert f"{passphrase}: " in jvpn("gateway", "--config", config, "--check").err
