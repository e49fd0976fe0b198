"""A directory of signed documents for tests: what is served there, and what is recorded of it."""

from pathlib import Path
from typing import Final

from core.reasons import Event, Reason
from core.values import Fact, Instant
from jvpn.shell.admission import Keys
from jvpn.shell.config import TrustConfig
from jvpn.shell.trust import Documents
from tests.jvpn.keys import making
from tests.jvpn.keys.making import NOW

NODE: Final = bytes.fromhex("0011223344556677")
NOW_: Final = Instant(1)
LOST, FOUND, OWN = making.static("lost"), making.static("found"), making.static("new")


class Place:
    """A directory of documents, a state directory, and what was recorded."""

    def __init__(self, folder: Path, stale: str = "keep") -> None:
        self.dir, self.state, self.told = folder / "trust", folder / "state", list[Fact]()
        for each in (self.dir, self.state):
            each.mkdir(exist_ok=True)
        self.config = TrustConfig(dir=self.dir, root=bytes.fromhex(making.PIN), stale=stale)
        self.open()

    def open(self) -> None:
        """Begin, as a process does."""
        self.documents = Documents(self.config, self.state, self.serial, self.told.append)
        self.keys = Keys(self.documents, NODE, self.serial, self.told.append, stale=self.config.stale)

    def serial(self) -> int:
        """Return the next serial."""
        return len(self.told) + 1

    def put(self, name: str, document: str) -> None:
        """Serve a document."""
        (self.dir / f"{name}.signed").write_text(document)

    def whole(self) -> "Place":
        """Serve all three."""
        self.put("root.1", making.ROOT)
        self.put("keyset", making.set_of(making.keyset()))
        self.put("revocations", making.revoking(making.revocations()))
        return self

    def refresh(self, wall_s: int = NOW) -> list[tuple[int, Reason]]:
        """Read all; return what is recorded newly: codes of roles, and reasons."""
        before = len(self.told)
        self.documents.refresh(wall_s, NOW_)
        return [(fact.carrier_to, fact.reason) for fact in self.told[before:] if fact.event is Event.DOCUMENT_JUDGED]

    def changes(self) -> list[tuple[bytes, Reason]]:
        """Return the recorded changes of keys."""
        return [(fact.device, fact.reason) for fact in self.told if fact.event is Event.KEY_CHANGED]
