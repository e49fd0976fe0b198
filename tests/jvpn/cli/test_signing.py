"""What signs: a document or key that services would refuse is not signed, and what cannot be done is known before anything is."""

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jvpn.cli import signing
from jvpn.shell.audit_link import AuditLink
from jvpn.shell.forms import key_text
from tests.jvpn.cli.calling import Jvpn
from tests.jvpn.cli.test_trust import events
from tests.jvpn.keys import making

DAY_S = 86_400
HOUR_NS = 3_600 * 10**9
Fields = dict[str, Any]


class Ceremony:
    """A directory with keys, a root and what the test signs."""

    def __init__(self, jvpn: Jvpn, folder: Path) -> None:
        self.jvpn, self.dir, self.plain = jvpn, folder / "trust", folder / "plain.json"
        assert jvpn("keys", "root", "--out", self.dir).status == 0

    def fields(self, role: str, **values: object) -> Fields:
        """Return a document that is good now."""
        now = int(time.time())
        body: Fields = {
            "root": {"roles": self.root()["roles"]},
            "keyset": {"gateways": []},
            "revocations": {"revoked": []},
        }[role]
        return {"role": role, "version": 1, "created": now, "expires": now + DAY_S, **body, **values}

    def root(self) -> Fields:
        """Return what the first root says."""
        return dict(self.jvpn("keys", "verify", self.dir / "root.1.signed", "--json").json)

    def sign(self, fields: Fields, *keys: str, out: str = "") -> Any:  # noqa: ANN401 - what a command said, of a private type
        """Sign; return what the command said."""
        self.plain.write_text(json.dumps(fields))
        role = fields["role"]
        signers = [word for key in keys or (role,) for word in ("--key", self.dir / f"{key}.key")]
        path = self.dir / (out or (f"root.{fields['version']}.signed" if role == "root" else f"{role}.signed"))
        return self.jvpn("keys", "sign", role, self.plain, *signers, "--out", path)


@pytest.fixture
def ceremony(jvpn: Jvpn, tmp_path: Path) -> Ceremony:
    """Return a directory after the first root was made."""
    return Ceremony(jvpn, tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in a directory."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_version_is_raised(ceremony: Ceremony) -> None:
    """[K-29] A keyset is given out that every gateway refuses as rolled back, or as another one of the same version."""
    assert ceremony.sign(ceremony.fields("keyset", version=7)).status == 0
    before = contents(ceremony.dir)
    for version in (6, 7):
        said = ceremony.sign(ceremony.fields("keyset", version=version, expires=int(time.time()) + 2 * DAY_S))
        assert said.status == 2
        assert f"version: found {version}, allowed 8 or more: {ceremony.dir} has version 7 of the keyset" in said.err
        assert contents(ceremony.dir) == before
    assert ceremony.sign(ceremony.fields("keyset", version=9)).status == 0
    signed = ceremony.dir / "keyset.signed"
    again = ("keys", "sign", "keyset", signed, "--key", ceremony.dir / "keyset.key", "--out", signed)
    assert ceremony.jvpn(*again).status == 0, "a signature more is no new version"


def test_what_nobody_vouches_for_has_no_version(ceremony: Ceremony) -> None:
    """[K-29] Who can write to the directory puts the greatest version there, and the operator cannot sign any more."""
    (ceremony.dir / "keyset.signed").write_text(making.set_of(making.keyset(2**53 - 1)))
    assert ceremony.sign(ceremony.fields("keyset")).status == 0


def test_roots_go_one_by_one(ceremony: Ceremony) -> None:
    """[K-27] Two keepers come together, and sign a root that does not follow the one that is believed."""
    before = contents(ceremony.dir)
    for version in (1, 3):
        said = ceremony.sign(ceremony.fields("root", version=version, expires=int(time.time()) + 9), "root-a", "root-b")
        assert (said.status, contents(ceremony.dir)) == (2, before)
        assert f"version: found {version}, allowed 2: {ceremony.dir} has version 1 of the root" in said.err
    assert ceremony.sign(ceremony.fields("root", version=2), "root-a", "root-b").status == 0
    said = ceremony.sign(ceremony.fields("root", version=2, expires=int(time.time()) + 9), "root-a", "root-b")
    assert (said.status, "found 2, allowed 3" in said.err) == (2, True)


def test_a_key_of_another_role_does_not_sign(ceremony: Ceremony) -> None:
    """[K-22] A keyset with a signature that counts for nothing replaces the good one, and no gateway takes the next."""
    before = contents(ceremony.dir)
    for role, key in (("keyset", "revocations"), ("keyset", "root-a"), ("revocations", "keyset"), ("root", "keyset")):
        said = ceremony.sign(ceremony.fields(role, version=2), key)
        assert (said.status, contents(ceremony.dir)) == (2, before)
        assert f"{key}.key: its key " in said.err
        assert f"does not sign for the role {role}: sign with a key that the newest root in {ceremony.dir} names for it" in said.err


def test_without_a_root_nothing_is_signed(ceremony: Ceremony, tmp_path: Path) -> None:
    """Whose key may sign is not known, and it is signed all the same; or who keeps the roots elsewhere cannot sign."""
    (tmp_path / "other").mkdir()
    said = ceremony.sign(ceremony.fields("keyset"), out="../other/keyset.signed")
    assert (said.status, "no root is there" in said.err, contents(tmp_path / "other")) == (2, True, {})
    words = ("keys", "sign", "keyset", ceremony.plain, "--key", ceremony.dir / "keyset.key", "--out", tmp_path / "other" / "k")
    assert ceremony.jvpn(*words, "--dir", ceremony.dir).status == 0


def test_a_first_root_is_signed_by_its_own_keys(ceremony: Ceremony, tmp_path: Path) -> None:
    """[K-27] A root that was written by hand could not be the first."""
    (tmp_path / "other").mkdir()
    assert ceremony.sign(ceremony.fields("root"), "root-b", "root-c", out="../other/root.1.signed").status == 0
    assert ceremony.jvpn("keys", "verify", tmp_path / "other" / "root.1.signed").status == 0


@pytest.mark.parametrize(
    ("times", "said"),
    [((600, DAY_S), "created: found "), ((-DAY_S, -1), "expires: found ")],
)
def test_a_document_of_another_time_is_not_signed(ceremony: Ceremony, times: tuple[int, int], said: str) -> None:
    """[K-26] A clock that is ahead, or a number that was copied, makes a document that everybody refuses."""
    now = int(time.time())
    for role in ("root", "keyset"):
        done = ceremony.sign(ceremony.fields(role, version=2, created=now + times[0], expires=now + times[1]), "root-a")
        assert (done.status, said in done.err) == (2, True)


def test_a_root_that_waits_for_signatures_stops_nobody(ceremony: Ceremony) -> None:
    """[K-26] Between the signatures of two keepers the list is not renewed, and everybody is out a day later."""
    assert ceremony.sign(ceremony.fields("root", version=2), "root-a").status == 0
    renewal = ("keys", "revoke", "--dir", ceremony.dir, "--key", ceremony.dir / "revocations.key")
    assert ceremony.jvpn(*renewal).status == 0
    assert ceremony.jvpn("keys", "verify", ceremony.dir / "revocations.signed").status == 0
    (ceremony.dir / "root.2.signed").write_text("no root")
    said = ceremony.jvpn(*renewal)
    assert (said.status, "root.2.signed: DOCUMENT_MALFORMED: line 1" in said.err) == (2, True)


@pytest.mark.parametrize("spoil", ["root-c.key", "root.1.signed", "audit"])
def test_a_ceremony_is_whole_or_not_at_all(jvpn: Jvpn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    """Two of three root keys are there and no root; or keys that no history knows."""
    out, log = tmp_path / "ceremony", tmp_path / "audit"
    if spoil == "audit":
        real = AuditLink.close
        monkeypatch.setattr(AuditLink, "close", lambda link: real(link) and False)
    else:
        out.mkdir()
        (out / spoil).write_text("is there")
        monkeypatch.setattr("jvpn.shell.keyfile.create_role", lambda *_: pytest.fail("a key was made"))
    said = jvpn("keys", "root", "--out", out, "--audit", log)
    assert (said.status, said.out) == (2, "")
    assert (contents(out) if out.exists() else {}) == ({} if spoil == "audit" else {spoil: b"is there"})
    assert ("nothing is changed, because" if spoil == "audit" else "is there already") in said.err
    assert log.exists() == (spoil == "audit")


@pytest.mark.parametrize("what", ["root", "revoke", "sign", "destroy"])
def test_a_log_that_cannot_be_is_known_first(ceremony: Ceremony, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A key is revoked, made or destroyed, and only then the command finds that there is no place for the record."""
    (tmp_path / "file").write_text("no directory")
    ceremony.plain.write_text(json.dumps(ceremony.fields("keyset")))
    before, folder = contents(ceremony.dir), ceremony.dir
    monkeypatch.setattr("jvpn.shell.keyfile.load_role", lambda *_: pytest.fail("a key was opened"))
    words: dict[str, tuple[object, ...]] = {
        "root": ("--out", tmp_path / "other"),
        "revoke": ("--dir", folder, "--key", folder / "revocations.key"),
        "sign": ("keyset", ceremony.plain, "--key", folder / "keyset.key", "--out", folder / "keyset.signed"),
        "destroy": (folder / "root-c.key", "--yes"),
    }
    said = ceremony.jvpn("keys", what, *words[what], "--audit", tmp_path / "file" / "audit")
    assert (said.status, "is no directory that this user can write" in said.err) == (2, True)
    assert (contents(folder), (tmp_path / "other").exists()) == (before, False)


@pytest.mark.parametrize("what", ["revoke", "sign", "destroy"])
def test_the_record_comes_before_the_change(ceremony: Ceremony, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A list is replaced, or a key destroyed, and the log that is full or damaged says nothing of it."""
    ceremony.plain.write_text(json.dumps(ceremony.fields("keyset")))
    folder = ceremony.dir
    before, real = contents(folder), AuditLink.close
    monkeypatch.setattr(AuditLink, "close", lambda link: real(link) and False)
    words: dict[str, tuple[object, ...]] = {
        "revoke": ("--dir", folder, "--key", folder / "revocations.key"),
        "sign": ("keyset", ceremony.plain, "--key", folder / "keyset.key", "--out", folder / "keyset.signed"),
        "destroy": (folder / "root-c.key", "--yes"),
    }
    said = ceremony.jvpn("keys", what, *words[what], "--audit", tmp_path / "audit")
    assert (said.status, "nothing is changed, because the audit log" in said.err) == (2, True)
    assert contents(folder) == before


def test_what_cannot_be_written_is_not_recorded(ceremony: Ceremony, tmp_path: Path) -> None:
    """The history says that a list was made which nobody could write."""
    words = ("keys", "sign", "keyset", ceremony.plain, "--key", ceremony.dir / "keyset.key", "--dir", ceremony.dir)
    ceremony.plain.write_text(json.dumps(ceremony.fields("keyset")))
    said = ceremony.jvpn(*words, "--out", tmp_path / "absent" / "keyset.signed", "--audit", tmp_path / "audit")
    assert (said.status, "cannot be written" in said.err, (tmp_path / "audit").exists()) == (2, True, False)


def test_what_is_signed_others_may_read(ceremony: Ceremony) -> None:
    """The gateway's own user cannot read the list that root's timer renews, and nobody comes in; or anybody can read a key."""
    old = os.umask(0o077)
    try:
        assert ceremony.sign(ceremony.fields("keyset")).status == 0
        assert ceremony.jvpn("keys", "revoke", "--dir", ceremony.dir, "--key", ceremony.dir / "revocations.key").status == 0
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ceremony.dir.iterdir()}
    assert {mode for name, mode in modes.items() if name.endswith(".signed")} == {0o644}
    assert {mode for name, mode in modes.items() if name.endswith(".key")} == {0o600}


def revoke(ceremony: Ceremony, *words: object) -> Any:  # noqa: ANN401 - what a command said, of a private type
    """Revoke keys, or renew the list."""
    return ceremony.jvpn("keys", "revoke", *words, "--dir", ceremony.dir, "--key", ceremony.dir / "revocations.key")


def ahead(monkeypatch: pytest.MonkeyPatch, by_ns: int) -> Callable[[], None]:
    """Set this machine's clock ahead; return what sets it right."""
    monkeypatch.setattr(signing, "wall", lambda: time.time_ns() + by_ns)
    return monkeypatch.undo


def test_a_key_that_a_fast_clock_revoked_is_called_accepted(ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-31] A stolen device is on the list, each command says so, and it comes in until the time that a wrong clock wrote there."""
    lost = key_text(making.static("lost"))
    right = ahead(monkeypatch, 5 * HOUR_NS)
    assert "by this machine's clock" in revoke(ceremony, lost).out
    right()
    said = revoke(ceremony)
    assert said.status == 0
    assert "is accepted until" in said.err
    assert "the list until now says that it was made at" in said.err
    for words in (("verify", ceremony.dir / "revocations.signed"),):
        shown = ceremony.jvpn("keys", *words)
        assert (shown.status, "is accepted until" in shown.err) == (0, True)
        assert len(ceremony.jvpn("keys", *words, "--json").json["to_come"]) == 1
    said = revoke(ceremony, lost)
    assert (said.status, said.err) == (0, "")
    assert ceremony.jvpn("keys", "verify", ceremony.dir / "revocations.signed", "--json").json["to_come"] == {}


def test_a_list_that_is_signed_by_hand_is_looked_at_too(ceremony: Ceremony) -> None:
    """[K-31] A time that is to come, and was typed, passes in silence."""
    entry = {"fingerprint": "ab" * 32, "kind": "device", "since": int(time.time()) + 900, "reason": "lost"}
    said = ceremony.sign(ceremony.fields("revocations", revoked=[entry]))
    assert (said.status, f"{'ab' * 32} is accepted until" in said.err) == (0, True)


def test_what_was_recorded_is_what_was_done(ceremony: Ceremony, tmp_path: Path) -> None:
    """[K-65] The key is gone, and the history does not have it once."""
    assert ceremony.jvpn("keys", "destroy", ceremony.dir / "root-c.key", "--yes", "--audit", tmp_path / "audit").status == 0
    assert not (ceremony.dir / "root-c.key").exists()
    assert events(tmp_path / "audit") == [("KEY_CHANGED", "KEY_DESTROYED")]
