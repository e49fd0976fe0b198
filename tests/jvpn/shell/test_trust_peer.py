"""The gateway's key as a client judges it: what must be there before anything begins, and what ends a session."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from core.reasons import Event, Reason
from core.values import Admission
from jvpn.keys import limits as bounds
from jvpn.shell.admission import Peer
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW
from tests.jvpn.shell.trusting import NOW_, Place

NEW: Final = making.static("new")
END: Final = {NEW: Reason.KEY_OUTDATED}


class Client:
    """A client's documents and its gateway's keys: one alone, or two that are in `rotation`."""

    def __init__(
        self, folder: Path, public: bytes = NEW, stale: str = "keep", node: bytes | None = None, *, rotation: bool = False
    ) -> None:
        self.place, self.public = Place(folder, stale).whole(), public
        self.peer = Peer(self.place.documents, public, self.place.serial, self.place.told.append, stale=stale, node=node)
        self.rotation = rotation
        self.lists(lambda _fields: None, 1)

    def at(self, wall_s: int = NOW, sure_s: int | None = None) -> Admission:
        """Judge the key at this time."""
        return self.peer.admission(wall_s, NOW_, wall_s if sure_s is None else sure_s)

    def state(self) -> str:
        """Return the state of the configured key."""
        return self.peer.state(self.public)

    def without(self, name: str) -> "Client":
        """Take a document away."""
        (self.place.dir / f"{name}.signed").unlink()
        return self

    def lists(self, change: Callable[[making.Fields], object], version: int = 2) -> "Client":
        """Serve another keyset."""
        fields = making.keyset(version)
        fields["gateways"] = fields["gateways"][0 if self.rotation else 1 :]
        self.place.put("keyset", making.set_of(making.changed(fields, change)))
        return self

    def revokes(self, public: bytes, reason: str = "compromised", version: int = 2) -> "Client":
        """Serve a list with this gateway's key."""
        entry = {"fingerprint": hashlib.sha256(public).hexdigest(), "kind": "gateway", "since": NOW - 1, "reason": reason}
        self.place.put(
            "revocations", making.revoking(making.changed(making.revocations(version), lambda fields: fields["revoked"].append(entry)))
        )
        return self


def test_a_key_that_is_listed_and_not_revoked_is_used(tmp_path: Path) -> None:
    """[K-39] A client with sound documents never connects, or leaves no record of why it does."""
    client = Client(tmp_path)
    assert client.at() == Admission()
    assert client.state() == "ACTIVE"
    assert client.place.changes() == [(NEW, Reason.KEY_VALID)]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda client: client.without("root.1"), Reason.REVOCATIONS_STALE),
        (lambda client: client.without("revocations"), Reason.REVOCATIONS_STALE),
        (lambda client: client.without("keyset"), Reason.KEY_OUTDATED),
        (lambda client: client.lists(lambda fields: fields["gateways"].pop()), Reason.KEY_OUTDATED),
        (lambda client: client.lists(lambda fields: fields["gateways"][0].update(not_before=NOW + 1)), Reason.KEY_OUTDATED),
        (lambda client: client.lists(lambda fields: fields["gateways"][0].update(not_after=NOW)), Reason.KEY_OUTDATED),
        (lambda client: client.lists(lambda fields: fields.update(created=NOW - DAY, expires=NOW - DAY + 1)), Reason.KEY_OUTDATED),
        (lambda client: client.revokes(NEW), Reason.KEY_REVOKED),
        (lambda client: client.revokes(NEW, "retired"), Reason.KEY_REVOKED),
    ],
)
def test_without_word_for_the_key_nothing_begins(tmp_path: Path, spoil: Callable[[Client], Client], reason: Reason) -> None:
    """[K-39] A thief of the gateway's key is taken for the gateway by every client whose documents are missing, old, or name the key."""
    assert spoil(Client(tmp_path)).at().refusal is reason


def test_a_key_that_is_listed_later_is_used_then(tmp_path: Path) -> None:
    """[K-39] A client that was told the new key before the keyset came refuses it for ever."""
    client = Client(tmp_path, making.static("newest"))
    assert (client.at().refusal, client.state()) == (Reason.KEY_OUTDATED, "PRE_ACTIVE")
    entry = {"node": "0011223344556677", "public": making.text(making.static("newest")), "not_before": NOW, "not_after": NOW + DAY}
    assert client.lists(lambda fields: fields["gateways"].append(entry)).at() == Admission()


@pytest.mark.parametrize(
    ("spoil", "reason", "state"),
    [
        (lambda client: client.revokes(NEW), Reason.KEY_REVOKED, "COMPROMISED"),
        (lambda client: client.revokes(NEW, "retired"), Reason.KEY_REVOKED, "DEACTIVATED"),
        (lambda client: client.lists(lambda fields: fields["gateways"].pop()), Reason.KEY_OUTDATED, "DEACTIVATED"),
        (lambda client: client.lists(lambda fields: fields["gateways"][0].update(not_after=NOW)), Reason.KEY_OUTDATED, "DEACTIVATED"),
    ],
)
def test_a_key_that_is_over_ends_the_session_for_good(
    tmp_path: Path, spoil: Callable[[Client], Client], reason: Reason, state: str
) -> None:
    """[K-40] A session under a gateway's key that somebody stole goes on; or comes back with a clock, or when documents are taken away."""
    client = Client(tmp_path)
    client.at()
    order = spoil(client).at()
    assert (order.refusal, dict(order.ended), client.state()) == (reason, {NEW: reason}, state)
    recorded = client.place.changes()
    assert len(recorded) == 2
    for wall_s in (NOW + 30, NOW - 60):
        assert client.at(wall_s).refusal is not None
    assert client.without("keyset").at().ended.keys() == {NEW}
    assert client.place.changes() == recorded


@pytest.mark.parametrize(("stale", "ended"), [("keep", {}), ("end", END)])
@pytest.mark.parametrize("late", [3_600 + bounds.CLOCK_TOLERANCE_S, 90 * DAY + bounds.CLOCK_TOLERANCE_S])
def test_stale_documents_stop_what_is_new(tmp_path: Path, stale: str, ended: dict[bytes, Reason], late: int) -> None:
    """[K-39] Whoever withholds the documents keeps a stolen gateway's key in use; or every session ends because a list is late."""
    client = Client(tmp_path, stale=stale)
    client.lists(lambda fields: fields["gateways"][0].update(not_after=NOW + 400 * DAY)).at()
    order = client.at(NOW + late)
    assert (order.refusal, dict(order.ended)) == (Reason.REVOCATIONS_STALE, ended)
    told = [fact.reason for fact in client.place.told if fact.event is Event.DOCUMENT_JUDGED]
    assert told.count(Reason.REVOCATIONS_STALE) == 1


def test_a_keyset_that_expires_vouches_for_nothing(tmp_path: Path) -> None:
    """[K-39] Whoever withholds the keyset keeps a key in it that the next one would not list."""
    client = Client(tmp_path).lists(lambda fields: fields.update(expires=NOW + 60))
    assert client.at() == Admission()
    assert client.at(NOW + 60 + bounds.CLOCK_TOLERANCE_S) == Admission(Reason.KEY_OUTDATED)
    assert client.lists(lambda _fields: None, 3).at(NOW + 60 + bounds.CLOCK_TOLERANCE_S) == Admission()


@pytest.mark.parametrize("stale", ["keep", "end"])
def test_a_clock_that_is_set_forward_ends_nothing(tmp_path: Path, stale: str) -> None:
    """[K-35] A laptop whose clock jumps ahead loses its session for good, or begins another under a key whose time is over."""
    client = Client(tmp_path, stale=stale)
    client.at()
    order = client.at(NOW + 70 * DAY, NOW + 60)
    assert order.refusal is not None
    assert not order.ended
    assert client.at(NOW + 60) == Admission()
