"""Published trees before a foreign client of transparency logs (torchwood): tiles, bundles, checkpoint and cosignature, as files."""

import json
import random
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

from audit.tlog import note
from audit.tlog.publishing import Publisher
from audit.verify import verify
from core.crypto.primitives import SigningKey
from tests.audit.made import events_of, lines_of, opened, records
from tests.audit.tlog.test_sealing import FACTS, sealed_log
from tests.interop.peers import ModulesError, built
from tests.support import MISSING, requires

pytestmark = [pytest.mark.timeout(900), requires("go")]  # the first test builds a Go program

NAME, SECRET, NOW = "witness.example/w", b"w" * 32, 1_790_000_000
WITNESS = SigningKey(SECRET)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The client, built."""
    try:
        return built("torchwood", tmp_path_factory.mktemp("torchwood"))
    except ModulesError as error:
        pytest.skip(f"{MISSING}go: {error}")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of more events than two tiles hold."""
    log = sealed_log(tmp_path_factory.mktemp("torchwood") / "log")
    again, journal = opened(log)
    with again:
        for _ in range(12):
            journal.write(*records([fact for fact in FACTS if fact.event.name in {"SESSION_REFUSED", "SESSION_CHANGED"}][:41]))
        assert journal.close()
    assert len(events_of(log)) > 512
    return log


def published(log: Path, out: Path) -> Path:
    """The log's tree, with a cosignature."""
    publisher = Publisher(log, out)
    signed = publisher.advance()
    assert signed
    line = note.cosign(signed.note.text, NAME, WITNESS, NOW)
    publisher.publish(signed.note._replace(signatures=(*signed.note.signatures, line)))
    return out


def judged(command: list[str], tree: Path, key: str) -> "subprocess.CompletedProcess[str]":
    """What the client says."""
    return subprocess.run([*command, str(tree), key, NAME, SECRET.hex()], capture_output=True, text=True, timeout=60, check=False)


def test_a_foreign_client_reads_the_whole_tree(command: list[str], log: Path, tmp_path: Path) -> None:
    """[A-68] [A-69] Monitors of the world could not follow our logs."""
    said = judged(command, published(log, tmp_path / "tree"), verify(log).key)
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    hashes = [json.loads(line)["hash"] for line in lines_of(log)]
    assert [b64decode(entry).hex() for entry in told["entries"]] == hashes
    assert (told["size"], told["time"]) == (len(hashes), NOW)


def test_it_refuses_what_was_changed(command: list[str], log: Path, tmp_path: Path) -> None:
    """[A-68] A changed tile would be read as the log, by the world or by us."""
    tree, key = published(log, tmp_path / "tree"), verify(log).key
    draw = random.Random("tiles")
    files = [path for path in tree.rglob("*") if path.is_file()]
    assert len(files) > 4
    for path in files:
        raw = path.read_bytes()
        at = draw.randrange(len(raw) // 2) if path.name == "checkpoint" else draw.randrange(len(raw))
        path.write_bytes(raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :])
        assert judged(command, tree, key).returncode == 1, path
        path.write_bytes(raw)
    assert judged(command, tree, key).returncode == 0
