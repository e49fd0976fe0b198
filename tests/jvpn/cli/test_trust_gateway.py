"""What `jvpn keys status` and `jvpn doctor` say of a gateway in a rotation that goes wrong."""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import given
from jvpn.shell.clock import boottime
from jvpn.shell.config import load_gateway
from jvpn.shell.trust import Documents
from tests.jvpn.cli.calling import Jvpn

STRANGER = "A" * 43 + "="
NODE, DAY_S = "0011223344556677", 86_400
CONFIG = """node = "{node}"
key = "gateway.key"
devices = "devices.json"
state = "state"
[listen]
udp = ["127.0.0.1:51820"]
[tun]
kind = "pump"
[trust]
dir = "trust"
root = "{digest}"
"""


class Place:
    """A gateway's directory with a root, a list of revocations and keysets that the test signs."""

    def __init__(self, jvpn: Jvpn, folder: Path) -> None:
        self.jvpn, self.folder, self.version = jvpn, folder, 0
        self.does("keys", "root", "--out", folder / "trust")
        self.does("keys", "revoke", "--dir", folder / "trust", "--key", folder / "trust" / "revocations.key")
        self.does("keygen", "gateway", "--out", folder / "gateway.key")
        digest = jvpn("keys", "verify", folder / "trust" / "root.1.signed", "--json").json["digest"]
        self.config = folder / "gateway.toml"
        self.config.write_text(CONFIG.format(node=NODE, digest=digest))
        (folder / "devices.json").write_text('{"format": "jvpn devices 1", "devices": []}')

    def does(self, *words: object) -> str:
        """Run a command that works."""
        said = self.jvpn(*words)
        assert said.status == 0, said.err
        return said.out

    def own(self) -> str:
        """Return the newest public key of the gateway."""
        return str(json.loads((self.folder / "gateway.key").read_text())["public"])

    def lists(self, *publics: str, node: str = NODE, life: int = 90 * DAY_S) -> None:
        """Sign a keyset with these keys, the one that is offered last."""
        self.version, now = self.version + 1, int(time.time())
        fields = {
            "role": "keyset", "version": self.version, "created": now, "expires": now + life,
            "gateways": [{"node": node, "public": public, "not_before": now - DAY_S + nth, "not_after": now + DAY_S}
                         for nth, public in enumerate(publics)],
        }  # fmt: skip
        (self.folder / "keyset.json").write_text(json.dumps(fields))
        trust = self.folder / "trust"
        self.does("keys", "sign", "keyset", self.folder / "keyset.json", "--key", trust / "keyset.key", "--out", trust / "keyset.signed")

    def says(self) -> tuple[int, str | None, str]:
        """Return exit status and reason of the status, and how doctor calls the documents."""
        status = self.jvpn("keys", "status", "--config", self.config, "--json")
        (found,) = [
            each for each in self.jvpn("doctor", "--config", self.config, "--json").json["checks"] if each["name"] == "signed documents"
        ]
        return status.status, status.json["nobody_new_because"], found["state"]


def dropped(place: Place) -> None:
    """Drop the one key that is listed."""
    place.lists(place.own())
    place.does("keygen", "rotate", "--file", place.folder / "gateway.key", "--static")
    place.does("keygen", "rotate", "--file", place.folder / "gateway.key", "--drop", "--yes")


@pytest.mark.parametrize("mistake", [dropped, lambda place: place.lists(place.own(), node="ff" * 8), lambda place: place.lists(STRANGER)])
def test_a_gateway_that_would_let_nobody_in_is_called_so(jvpn: Jvpn, tmp_path: Path, mistake: Callable[[Place], None]) -> None:
    """[K-33] A tired operator drops the key that is listed, or lists another: each command says that all is well, and nobody gets in."""
    place = Place(jvpn, tmp_path)
    assert place.says() == (0, None, "ok")
    mistake(place)
    assert place.says() == (1, "KEY_OUTDATED", "missing")


def test_a_rotation_that_is_under_way_is_called_sound(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-33] Between the two steps of a rotation an operator is told to stop."""
    place = Place(jvpn, tmp_path)
    old = place.own()
    place.lists(old)
    place.does("keygen", "rotate", "--file", tmp_path / "gateway.key", "--static")
    assert place.says() == (0, None, "ok")
    place.lists(old, place.own())
    assert place.says() == (0, None, "ok")
    place.does("keygen", "rotate", "--file", tmp_path / "gateway.key", "--drop", "--yes")
    assert place.says() == (0, None, "ok")


def documents(place: Place) -> str:
    """Return what doctor finds of the documents."""
    found = place.jvpn("doctor", "--config", place.config, "--json").json["checks"]
    return str(next(each["found"] for each in found if each["name"] == "signed documents"))


def seen(place: Place) -> None:
    """Let a gateway have seen what is there."""
    config = load_gateway(place.config)
    config.state.mkdir(exist_ok=True)
    Documents(given(config.trust, "it is in the file"), config.state, lambda: 0, lambda _: None).refresh(int(time.time()), boottime())


def test_a_floor_is_not_called_a_belief(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-29] What was seen once reads as what is believed now, so nobody looks for the keyset that is gone."""
    place = Place(jvpn, tmp_path)
    place.lists(place.own())
    place.lists(place.own())
    seen(place)
    assert documents(place) == "root 1, keyset 2, revocations 1"
    (tmp_path / "trust" / "root.2.signed").write_text("no root")
    assert documents(place) == "root 1 (another: DOCUMENT_MALFORMED), keyset 2, revocations 1"
    (tmp_path / "trust" / "root.2.signed").unlink()
    (tmp_path / "trust" / "keyset.signed").unlink()
    assert documents(place) == "KEY_OUTDATED: root 1, keyset none (DOCUMENT_MISSING, seen up to 2), revocations 1"
    place.version = 0
    place.lists(place.own())
    assert documents(place) == "KEY_OUTDATED: root 1, keyset none (DOCUMENT_ROLLED_BACK, seen up to 2), revocations 1"


def test_a_check_judges_the_documents(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-30] A gateway that is called good lets nobody in after its restart; or one that ends at the start is called good."""
    place = Place(jvpn, tmp_path)

    def checked() -> tuple[int, str, str]:
        said = jvpn("gateway", "--config", place.config, "--check")
        return said.status, said.out, said.err

    told = f"{place.config}: good\nsigned documents: root 1, keyset none (DOCUMENT_MISSING), revocations 1\n"
    assert checked() == (0, told, "")
    seen(place)
    (tmp_path / "trust" / "revocations.signed").unlink()
    status, out, err = checked()
    assert (status, out) == (1, ""), "a check that passed would say that somebody can come in"
    assert err == (
        f"jvpn: {place.config}: starts, and nobody new comes in: REVOCATIONS_STALE: "
        "root 1, keyset none (DOCUMENT_MISSING), revocations none (DOCUMENT_MISSING, seen up to 1)\n"
    )
    (tmp_path / "state" / "trust.json").write_text("{")
    status, out, err = checked()
    assert (status, out) == (2, "")
    assert "trust.json: damaged" in err


def test_an_offered_key_that_is_not_in_the_key_file_is_told(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-33] The keyset is brought before the key, every command says that all is well, and clients get silence."""
    place = Place(jvpn, tmp_path)

    def offered() -> tuple[str, str]:
        found = jvpn("doctor", "--config", place.config, "--json").json["checks"]
        return next((each["state"], each["found"]) for each in found if each["name"] == "offered key")

    place.lists(place.own())
    assert offered() == ("ok", "none is missing")
    place.lists(place.own(), STRANGER)
    assert offered() == ("missing", f"{STRANGER}: offered, not loaded")
    said = jvpn("gateway", "--config", place.config, "--check")
    assert (said.status, said.out) == (1, "")
    assert said.err == f"jvpn: {place.config}: the keyset offers a key that is not in the key file, {STRANGER}: clients get silence\n"


def noted(place: Place) -> tuple[list[str], str, str]:
    """Return of which documents the status warns, what it says of it, and how doctor calls the documents."""
    said = place.jvpn("keys", "status", "--config", place.config)
    soon = place.jvpn("keys", "status", "--config", place.config, "--json").json["expires_soon"]
    (found,) = [
        each for each in place.jvpn("doctor", "--config", place.config, "--json").json["checks"] if each["name"] == "signed documents"
    ]
    return soon, said.err, found["state"]


def test_what_runs_out_soon_is_told_before(jvpn: Jvpn, tmp_path: Path) -> None:
    """[K-30] The first that an operator hears of a keyset, a root or a list that nobody renewed is that nobody comes in."""
    place = Place(jvpn, tmp_path)
    place.lists(place.own())
    assert noted(place) == ([], "", "ok")
    place.lists(place.own(), life=29 * DAY_S)
    soon, said, state = noted(place)
    assert (soon, state) == (["keyset"], "note")
    assert said.startswith("jvpn: note: keyset: runs out at ")
    assert place.says() == (0, None, "note"), "a warning is no failure"


def forbidden(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let the system refuse a file to this user, as it never does to root."""
    real = os.open

    def opened(name: Any, flags: int, *more: int, **others: int) -> int:  # noqa: ANN401 - as the real one
        if Path(name) == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(name, flags, *more, **others)

    monkeypatch.setattr(os, "open", opened)


@pytest.mark.parametrize("what", ["keyset.signed", "root.1.signed"])
def test_what_is_there_and_cannot_be_read_is_called_so(jvpn: Jvpn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """An operator looks for a document that is there, where its mode has to be changed."""
    place = Place(jvpn, tmp_path)
    place.lists(place.own())
    assert jvpn("gateway", "--config", place.config, "--check").status == 0
    path = tmp_path / "trust" / what
    forbidden(monkeypatch, path)
    why = f"{path}: cannot be read: Permission denied"
    assert f"jvpn: {why}\n" in jvpn("keys", "status", "--config", place.config).err
    said = jvpn("keys", "status", "--config", place.config, "--json")
    assert (said.json["unreadable"], said.json["documents"][what.partition(".")[0]]) == ([why], "DOCUMENT_MISSING")
    (found,) = [each for each in jvpn("doctor", "--config", place.config, "--json").json["checks"] if each["name"] == "signed documents"]
    assert (found["state"], found["advice"]) == ("missing", why)
    said = jvpn("gateway", "--config", place.config, "--check")
    assert (said.status, f"jvpn: {place.config}: {why}\n" in said.err) == (1, True)
    said = jvpn("keys", "verify", path)
    assert (said.status, said.err) == (1, f"jvpn: {why}\n")
