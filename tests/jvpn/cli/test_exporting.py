"""`jvpn keys export` and `import`: a key leaves only encrypted and recorded, comes back as it was, and nothing is half there."""

import json
import os
import pty
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audit.verify import verify as verify_log
from core.errors import Invariant
from jvpn.cli import checks
from jvpn.shell import exported, keyfile, second, vault
from jvpn.shell.audit_link import AuditLink
from jvpn.shell.selftest import Finding
from jvpn.shell.vault import vault_of
from tests.audit.test_full_disk import in_a_small_file_system, small
from tests.jvpn.cli.calling import SECONDS, Jvpn, Process
from tests.jvpn.cli.test_keys import secrets
from tests.jvpn.cli.test_passphrase import written
from tests.jvpn.cli.test_trust import events
from tests.support import ROOT

__all__ = ["small"]
CHEAPLY = "from jvpn.shell import vault; vault.USUAL = vault.Costs(vault.MEMORY_KIB.start, vault.PASSES.start, 1)"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal at the lowest costs that are allowed."""
    monkeypatch.setattr(vault, "USUAL", vault.Costs(vault.MEMORY_KIB.start, vault.PASSES.start, 1))


@pytest.fixture
def place(jvpn: Jvpn, tmp_path: Path) -> Path:
    """Make a device's key, a gateway's and a passphrase file; return their folder."""
    for kind in ("device", "gateway"):
        assert jvpn("keygen", kind, "--out", tmp_path / f"{kind}.key").status == 0
    written(tmp_path / "p")
    return tmp_path


def words(place: Path, what: str, source: str, out: str, *more: object) -> list[object]:
    """Return the words of one export or import."""
    return ["keys", what, place / source, "--out", place / out, "--audit", place / "audit", "--export-passphrase-file", place / "p", *more]


@pytest.mark.parametrize("kind", ["device", "gateway"])
def test_a_key_comes_back_as_it_was(jvpn: Jvpn, place: Path, kind: str) -> None:
    """[K-36] [K-37] [K-38] A backup opens to another key, can be read by others, or no history tells that there is one."""
    before = json.loads((place / f"{kind}.key").read_text())
    told = jvpn(*words(place, "export", f"{kind}.key", "copy.key", "--json"))
    assert (told.status, told.json) == (
        0, {"exported": True, "file": str(place / "copy.key"), "kind": kind, "public": before["public"]},
    )  # fmt: skip
    assert stat.S_IMODE((place / "copy.key").stat().st_mode) == 0o600
    sealed = json.loads((place / "copy.key").read_text())
    assert (sealed["format"], sealed["kind"], sealed["kdf"]["name"]) == ("jvpn sealed key 1", "jvpn exported key 1", "argon2id")
    assert json.loads((place / f"{kind}.key").read_text()) == before
    assert jvpn(*words(place, "import", "copy.key", "again.key")).out.startswith(f"{place}/again.key: {kind} key, public key ")
    again = json.loads((place / "again.key").read_text())
    assert (again["format"], again["public"], again["private"]) == (before["format"], before["public"], before["private"])
    assert stat.S_IMODE((place / "again.key").stat().st_mode) == 0o600
    assert [again[name] for name in ("kek", "locator_keys") if name in again] != [before[name] for name in ("kek",) if name in before] or (
        kind == "device"
    )
    assert events(place / "audit") == [("KEY_CHANGED", "KEY_EXPORTED"), ("KEY_CHANGED", "KEY_IMPORTED")]
    assert verify_log(place / "audit").verdict.name == "VERIFIED"
    said = jvpn.everything + "".join(path.read_text() for path in (place / "audit").glob("*.jsonl"))
    assert not [secret for secret in secrets(place / f"{kind}.key") if secret in said]
    assert not [secret for secret in secrets(place / f"{kind}.key") if secret in (place / "copy.key").read_text()]


def test_what_a_gateway_exports_opens_no_row(jvpn: Jvpn, place: Path) -> None:
    """[K-36] A backup of last month opens the rows of last month, whose keys were destroyed everywhere else."""
    jvpn(*words(place, "export", "gateway.key", "copy.key"))
    text = vault_of(place / "p").opened(place / "copy.key", bytearray((place / "copy.key").read_bytes()))
    plain: dict[str, Any] = json.loads(text)
    assert set(plain) == {"format", "kind", "public", "private"}
    imported = place / "again.key"
    jvpn(*words(place, "import", "copy.key", imported.name))
    mine, theirs = (keyfile.load_gateway(path, keyfile.HOUR_NS * json.loads(path.read_text())["kek_hour"] + 26 * keyfile.HOUR_NS)
                    for path in (place / "gateway.key", imported))  # fmt: skip
    assert mine.kek.expose() != theirs.kek.expose()
    assert [each.public for each in mine.statics] == [each.public for each in theirs.statics]


def test_encrypted_files_at_both_ends(jvpn: Jvpn, place: Path) -> None:
    """[K-9] A key file under a passphrase of its own cannot be exported, or comes back laid open."""
    own = written(place / "own", "the passphrase of this machine")
    jvpn("keygen", "passphrase", "--file", place / "device.key", "--new-passphrase-file", own)
    assert "is encrypted: name a file" in jvpn(*words(place, "export", "device.key", "copy.key")).err
    assert jvpn(*words(place, "export", "device.key", "copy.key", "--passphrase-file", own)).status == 0
    assert jvpn(*words(place, "import", "copy.key", "again.key", "--passphrase-file", own)).status == 0
    assert keyfile.load_device(place / "again.key", vault_of(own)).public == keyfile.load_device(place / "device.key", vault_of(own)).public


def spoiled(place: Path) -> None:
    """Exchange the public part of an export, under its own seal."""
    key = exported.of_file(place / "device.key")
    key.public = exported.of_file(place / "gateway.key").public
    exported.write_export(place / "spoilt.key", key, vault_of(place / "p"))


@pytest.mark.parametrize(
    ("what", "source", "more", "said"),
    [
        ("export", "absent.key", (), "absent.key: cannot be read: No such file or directory"),
        ("export", "role.key", (), "role.key: format: found jvpn role key 1, allowed jvpn device key 1 or jvpn gateway key 1"),
        ("export", "copy.key", (), "is encrypted: name a file with its passphrase"),
        ("export", "device.key", ("--export-passphrase-file", "short"), "short: a passphrase of 5 bytes, allowed 12 to 1024"),
        ("export", "device.key", ("--out", "gateway.key"), "gateway.key: is there already and is not overwritten"),
        ("export", "device.key", ("--out", "link"), "link: is there already and is not overwritten"),
        ("export", "device.key", ("--out", "nowhere/x"), "nowhere/x: cannot be written: there is no such directory"),
        ("export", "device.key", ("--audit", "taken/audit"), "taken is no directory that this user can write"),
        ("import", "copy.key", ("--export-passphrase-file", "q"), "copy.key: the passphrase is another one, or the file is damaged"),
        ("import", "copy.key", ("--out", "device.key"), "device.key: is there already and is not overwritten"),
        ("import", "device.key", (), "device.key: not encrypted, so no exported key: make one with `jvpn keys export`"),
        ("import", "sealed.key", (), "sealed.key: format: found jvpn device key 1, allowed jvpn exported key 1"),
        ("import", "spoilt.key", (), "spoilt.key: public: does not belong to the private key: the file is damaged"),
    ],
)
def test_what_is_wrong_is_named(
    jvpn: Jvpn, place: Path, monkeypatch: pytest.MonkeyPatch, what: str, source: str, more: tuple[str, ...], said: str
) -> None:
    """[K-37] [K-38] A key is exported or taken in by mistake, something is overwritten, or who tries has to guess why it does not work."""
    monkeypatch.chdir(place)
    written(place / "q", "another passphrase")
    written(place / "short", "short\n")
    (place / "link").symlink_to("nowhere")
    (place / "taken").write_text("a file")
    keyfile.create_role(place / "role.key", os.urandom)
    keyfile.create_device(place / "sealed.key", os.urandom, vault_of(place / "p"))
    spoiled(place)
    assert jvpn(*words(place, "export", "device.key", "copy.key")).status == 0
    before = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    recorded = events(place / "audit")
    done = jvpn(*words(place, what, source, "new.key", *more))
    assert done.status == 2, done.err
    assert said in done.err
    assert done.out == ""
    assert events(place / "audit") == recorded, "what is wrong from the beginning is not recorded as done"
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()} == before


def test_the_history_comes_first(jvpn: Jvpn, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-37] A copy of a key is in the world, and the log that was full, or damaged, says nothing of it."""
    real = AuditLink.close
    monkeypatch.setattr(AuditLink, "close", lambda link: real(link) and False)
    said = jvpn(*words(place, "export", "device.key", "copy.key"))
    assert said.status == 2
    assert "nothing is changed, because the audit log did not take it" in said.err
    assert not (place / "copy.key").exists()


def test_nothing_is_moved_by_a_library_that_fails(jvpn: Jvpn, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-38] A key is taken in by a library that computes with it what nobody else does."""
    jvpn(*words(place, "export", "device.key", "copy.key"))
    with monkeypatch.context() as patched:
        patched.setattr(checks, "run", lambda: [Finding("X25519", "RFC 7748", passed=False, detail="another answer")])
        for what, source in (("export", "device.key"), ("import", "copy.key")):
            assert jvpn(*words(place, what, source, "new.key")).status == 3

    def differs(_seed: bytes) -> None:
        raise Invariant("both reach the same shared secret")

    monkeypatch.setattr(second, "pair", differs)
    for what, source in (("export", "device.key"), ("import", "copy.key")):
        said = jvpn(*words(place, what, source, "new.key"))
        assert (said.status, "the key fails its pairwise test" in said.err) == (3, True)
    assert not (place / "new.key").exists()


def test_an_export_is_never_laid_open(jvpn: Jvpn, place: Path) -> None:
    """[K-36] The command that takes the encryption of a key file away does so with a backup, which nobody then protects."""
    jvpn(*words(place, "export", "device.key", "copy.key"))
    said = jvpn("keygen", "passphrase", "--file", place / "copy.key", "--passphrase-file", place / "p", "--plain")
    assert (said.status, "an exported key is never laid open" in said.err) == (2, True)
    written(place / "q", "another passphrase")
    assert jvpn("keygen", "passphrase", "--file", place / "copy.key", "--passphrase-file", place / "p", "--new-passphrase-file",
                place / "q").status == 0  # fmt: skip
    assert jvpn("keys", "destroy", place / "copy.key", "--yes", "--passphrase-file", place / "q", "--audit", place / "audit").status == 0
    assert events(place / "audit")[-1] == ("KEY_CHANGED", "KEY_DESTROYED")


KILLED = (
    CHEAPLY
    + """
import os, signal, sys
from pathlib import Path
from jvpn.shell import exported, files
from jvpn.cli.main import main
def dying(real):
    def die(*words, **more):
        if not any(isinstance(word, (str, Path)) and str(word).endswith(sys.argv[1]) for word in words[:1]):
            return real(*words, **more)
        if sys.argv[2] == "after":
            real(*words, **more)
        os.kill(os.getpid(), signal.SIGKILL)
    return die
where = {"draft": (files, "_draft"), "name": (files, "create")}[sys.argv[3]]
setattr(*where, dying(getattr(*where)))
exported.create = files.create
sys.exit(main(sys.argv[4:]))
"""
)


@pytest.mark.parametrize(("what", "source"), [("export", "device.key"), ("import", "copy.key")])
@pytest.mark.parametrize(("when", "where", "there"), [("before", "draft", False), ("after", "draft", False), ("after", "name", True)])
def test_killed_in_between(jvpn: Jvpn, place: Path, what: str, source: str, when: str, where: str, there: bool) -> None:
    """[K-37] A power cut leaves half a key under its name, spoils the one that was, or a copy that no history knows."""
    assert jvpn(*words(place, "export", "device.key", "copy.key")).status == 0
    before, count = (place / source).read_bytes(), len(events(place / "audit"))
    with Process(*words(place, what, source, "new.key"), program=("-c", KILLED, "new.key", when, where)) as killed:
        assert killed.end().status == -9
    assert (place / source).read_bytes() == before
    assert len(events(place / "audit")) == count + 1
    assert (place / "new.key").exists() is there
    if not there:
        assert jvpn(*words(place, what, source, "new.key")).status == 0
    opened = exported.of_export(place / "new.key", vault_of(place / "p")) if what == "export" else exported.of_file(place / "new.key")
    assert opened.public == keyfile.load_device(place / "device.key").public


@pytest.mark.parametrize(("what", "source"), [("export", "device.key"), ("import", "copy.key")])
def test_a_full_disk(jvpn: Jvpn, place: Path, small: Path, what: str, source: str) -> None:
    """[K-37] On a full disk half a key is left under its name, or a supervisor is told that the command was wrong."""
    assert jvpn(*words(place, "export", "device.key", "copy.key")).status == 0
    program = [sys.executable, "-c", CHEAPLY + "\nimport sys\nfrom jvpn.cli.main import main\nsys.exit(main(sys.argv[1:]))"]
    command = [*program, *map(str, words(place, what, source, "new.key", "--out", small / "new.key"))]
    fill = f"head -c 1000000 /dev/zero > {shlex.quote(str(small / 'filler'))} 2>/dev/null"
    done = in_a_small_file_system(small, 64, ["sh", "-c", f"{fill}; {shlex.join(command)}; echo status $?"])
    assert "status 1\n" in done.stdout, done.stderr
    assert f"{small}/new.key: cannot be written: No space left on device" in done.stderr
    assert {path.name for path in small.with_name("small.kept").iterdir()} == {"filler"}


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        (["correct horse battery", "correct horse battery"], 0, "exported key, encrypted"),
        (["correct horse battery", "correct horse batterx"], 2, "the terminal: the two passphrases differ"),
        (["tiny"], 2, "the terminal: a passphrase of 4 bytes, allowed 12 to 1024"),
    ],
)
def test_the_passphrase_is_asked_for(place: Path, typed: list[str], status: int, said: str) -> None:
    """[K-36] A passphrase has to stand in an argument or a file, is shown while it is typed, or a slip in it locks the copy for good."""
    ours, theirs = pty.openpty()
    command = ["keys", "export", place / "device.key", "--out", place / "copy.key", "--audit", place / "audit"]
    program = [sys.executable, "-c", CHEAPLY + "\nimport sys\nfrom jvpn.cli.main import main\nsys.exit(main(sys.argv[1:]))"]
    process = subprocess.Popen([*program, *map(str, command)], cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, start_new_session=True)  # fmt: skip
    asked = ""
    for line in typed:
        while not asked.endswith(": ") and (more := process.stderr.read(1) if process.stderr else ""):
            asked += more
        os.write(ours, f"{line}\n".encode())
        asked += "\n"
    out, err = process.communicate(timeout=SECONDS)
    for each in (ours, theirs):
        os.close(each)
    assert process.returncode == status, err
    assert said in out + err
    assert asked.startswith("Passphrase of the exported key: ")
    assert not [line for line in typed if line in asked + out + err]
    assert (place / "copy.key").exists() is (status == 0)


def test_without_a_terminal_a_file_is_needed(jvpn: Jvpn, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that forgets the passphrase waits for ever."""
    with open(os.devnull, encoding="ascii") as nothing:  # noqa: PTH123 - a stream in the place of another
        monkeypatch.setattr(sys, "stdin", nothing)
        for what in ("export", "import"):
            if what == "import":
                jvpn(*words(place, "export", "device.key", "copy.key"))
            source = "device.key" if what == "export" else "copy.key"
            said = jvpn("keys", what, place / source, "--out", place / "n", "--audit", place / "audit")
            assert (said.status, "--export-passphrase-file: missing, and there is no terminal" in said.err) == (2, True)
