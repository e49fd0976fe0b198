"""The directory of signed documents: what is read, what is kept before it is used, and what a gateway is told to do."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from core.reasons import Event, Reason
from core.values import Fact, Instant
from jvpn.keys import limits
from jvpn.keys.envelope import Role
from jvpn.shell import trust
from jvpn.shell.admission import Keys
from jvpn.shell.checked import Misconfigured
from jvpn.shell.config import TrustConfig
from jvpn.shell.errors import Unavailable
from jvpn.shell.trust import Documents
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW

NODE: Final = bytes.fromhex("0011223344556677")
NOW_: Final = Instant(1)


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


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty place."""
    return Place(tmp_path)


def test_what_is_served_is_believed_and_said_once(place: Place) -> None:
    """[K-32] Documents are there and not used, or each reading fills the log."""
    place.whole()
    assert place.refresh() == [(role, Reason.DOCUMENT_ACCEPTED) for role in (1, 2, 3)]
    assert place.refresh() == []
    assert place.documents.trust.refusal(NOW) is None
    place.put("revocations", making.revoking(making.revocations(2)))
    assert place.refresh() == [(3, Reason.DOCUMENT_ACCEPTED)]
    assert place.told[-1].binding_version == 2


def test_nothing_is_served(place: Place) -> None:
    """[K-30] A directory that somebody emptied lets everybody in, or says nothing."""
    missing = [(role, Reason.DOCUMENT_MISSING) for role in (1, 2, 3)]
    assert place.refresh() == missing
    assert place.refresh() == []
    place.dir.rmdir()
    place.open()
    assert place.refresh() == missing
    assert place.documents.trust.refusal(NOW) is Reason.REVOCATIONS_STALE


def test_an_old_list_is_refused_after_a_restart(place: Place) -> None:
    """[K-29] The floors were kept nowhere, or under another name than they are looked for."""
    place.whole().put("revocations", making.revoking(making.revocations(5)))
    place.refresh()
    place.open()
    place.put("revocations", making.revoking(making.revocations(4)))
    assert (3, Reason.DOCUMENT_ROLLED_BACK) in place.refresh()
    assert place.documents.trust.refusal(NOW) is Reason.REVOCATIONS_STALE


def test_floors_that_cannot_be_kept_are_not_used(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-29] While the disk is full a list is used that a restart would have forgotten, so the older one comes back."""
    place.whole()
    place.refresh()

    def full(_path: Path, _data: bytes) -> None:
        raise Unavailable("no room")

    monkeypatch.setattr(trust, "replace", full)
    place.put("revocations", making.revoking(making.revocations(2)))
    assert place.refresh() == []
    assert place.documents.trust.floors[Role.REVOCATIONS].version == 1
    monkeypatch.undo()
    assert place.refresh() == [(3, Reason.DOCUMENT_ACCEPTED)]


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"format": "jvpn trust 2"}', b'{"format": "jvpn trust 1", "pin": "", "floors": {"x": {}}}']
)
def test_a_damaged_file_of_floors_stops_the_start(place: Place, text: bytes) -> None:
    """A file that was cut would count as none, and old documents as new."""
    path = place.state / trust.NAME
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match=r"trust\.json: damaged"):
        place.open()


def test_another_pin_begins_anew(place: Place) -> None:
    """An operator who begins anew with another root could never do so without deleting files by hand."""
    place.whole().refresh()
    path = place.state / trust.NAME
    fields = json.loads(path.read_text())
    assert fields["pin"] == making.PIN
    assert trust.floors(path, bytes(32)) == {}
    assert set(trust.floors(path, bytes.fromhex(making.PIN))) == set(Role)


def test_roots_are_walked_in_their_order(place: Place) -> None:
    """[K-27] A new root is overlooked, or the tenth is read before the second."""
    place.whole()
    for number in range(2, 12):
        signers = ("root a", "root b") if number % 2 else ("root b", "root c")
        place.put(f"root.{number}", making.document("root", making.body(making.root(number)), *signers))
    assert place.refresh()[0] == (1, Reason.DOCUMENT_ACCEPTED)
    assert place.documents.trust.root
    assert place.documents.trust.root.version == 11
    place.open()
    place.refresh()
    assert place.documents.trust.root
    assert place.documents.trust.root.version == 11


@pytest.mark.parametrize(
    "spoil", [lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/zero"), lambda path: path.write_bytes(b"x" * 2_000_000)]
)
def test_what_is_no_document_costs_little(place: Place, spoil: Callable[[Path], object]) -> None:
    """A directory, a device or an endless file in the place of a document would stop the gateway."""
    place.put("root.1", making.ROOT)
    spoil(place.dir / "revocations.signed")
    assert place.refresh()[-1][1] in {Reason.DOCUMENT_MISSING, Reason.DOCUMENT_TOO_LARGE}
    assert len(trust.read(place.dir / "revocations.signed") or b"") <= limits.DOCUMENT_BYTES_MAX + 1


def test_what_cannot_be_read_is_told_once(place: Place) -> None:
    """A document that its mode hides counts as missing, and the log does not say why; or says it every half minute."""
    path = place.dir / "revocations.signed"
    place.put("root.1", making.ROOT)
    path.symlink_to(path)  # refused to root, too
    with capture_logs() as lines:
        assert (3, Reason.DOCUMENT_MISSING) in place.refresh()
        place.refresh()
    assert [(each["event"], each["error"]) for each in lines] == [
        ("document_unreadable", f"{path}: cannot be read: Too many levels of symbolic links")
    ]
    path.unlink()
    place.put("revocations", making.revoking(making.revocations()))
    assert place.refresh() == [(3, Reason.DOCUMENT_ACCEPTED)]
    assert place.documents.unreadable == {}


def test_a_directory_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    """The roots are there, and nobody learns that they cannot be found."""
    place = Place(tmp_path)
    place.dir.rmdir()
    place.dir.write_text("no directory")
    place.refresh()
    assert place.documents.unreadable[place.dir] == f"{place.dir}: cannot be read: Not a directory"


LOST, FOUND, OWN = making.static("lost"), making.static("found"), making.static("new")


def test_a_revoked_device_ends_and_is_recorded(place: Place) -> None:
    """[K-34] [K-31] A device on the list of revocations stays in, or leaves without a record; or the others leave, too."""
    order = place.whole().keys.admission([OWN], [LOST, FOUND], NOW, NOW_)
    assert (order.refusal, dict(order.ended)) == (None, {LOST: Reason.KEY_REVOKED})
    assert (LOST, Reason.KEY_REVOKED) in place.changes()
    assert FOUND not in dict(place.changes())
    count = len(place.told)
    place.keys.admission([OWN], [LOST, FOUND], NOW, NOW_)
    assert len(place.told) == count
    assert place.keys.states() == {"ACTIVE": 2, "COMPROMISED": 1}


def test_devices_that_come_and_go_are_recorded(place: Place) -> None:
    """A device that is enrolled or taken off while the gateway runs leaves no event; or 65,000 that were there before each leave two."""
    place.whole().keys.admission([OWN], [FOUND], NOW, NOW_)
    newcomer = making.static("newcomer")
    place.keys.admission([OWN], [FOUND, newcomer], NOW, NOW_)
    place.keys.admission([OWN], [newcomer], NOW, NOW_)
    assert [each for each in place.changes() if each[0] != OWN] == [
        (newcomer, Reason.KEY_LISTED), (newcomer, Reason.KEY_VALID), (FOUND, Reason.KEY_WITHDRAWN),
    ]  # fmt: skip
    order = place.keys.admission([OWN], [FOUND], NOW, NOW_)
    assert FOUND not in order.ended


@pytest.mark.parametrize("stale", ["keep", "end"])
def test_a_list_that_is_stale_shuts_the_door(tmp_path: Path, stale: str) -> None:
    """[K-30] Policy decides about live sessions, and never about new ones."""
    place = Place(tmp_path, stale).whole()
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_).refusal is None
    late = NOW + 3_600 + limits.CLOCK_TOLERANCE_S
    order = place.keys.admission([OWN], [FOUND], late, NOW_)
    assert order.refusal is Reason.REVOCATIONS_STALE
    assert dict(order.ended) == ({} if stale == "keep" else {OWN: Reason.KEY_OUTDATED})
    stales = [fact for fact in place.told if fact.reason is Reason.REVOCATIONS_STALE]
    place.keys.admission([OWN], [FOUND], late + 30, NOW_)
    assert [fact for fact in place.told if fact.reason is Reason.REVOCATIONS_STALE] == stales != []


@pytest.mark.parametrize(
    ("own", "days", "ended", "path"),
    [
        ("old", 0, None, [Reason.KEY_VALID, Reason.KEY_SUCCEEDED]),
        ("new", 0, None, [Reason.KEY_VALID]),
        ("old", 2, Reason.KEY_OUTDATED, [Reason.KEY_OUTDATED]),
        ("new", -1.5, Reason.KEY_OUTDATED, []),
        ("stranger", 0, Reason.KEY_OUTDATED, []),
    ],
)
def test_a_gateway_s_own_key_has_its_time(place: Place, own: str, days: float, ended: Reason | None, path: list[Reason]) -> None:
    """[K-33] During a rotation both keys are accepted; before and after its time, or unlisted, a key opens nothing."""
    wall = NOW + int(days * DAY)
    place.whole()
    place.put("root.1", making.ROOT)
    keyset = making.keyset() | {"created": NOW - 2 * DAY}
    revocations = making.revocations() | {"created": wall - 60, "expires": wall + 60}
    place.put("keyset", making.set_of(keyset))
    place.put("revocations", making.revoking(revocations))
    if days < 0:
        early = making.document("root", making.body(making.root() | {"created": NOW - 9 * DAY}), "root a", "root b")
        place.put("root.1", early)
        pin = hashlib.sha256(making.body(making.root() | {"created": NOW - 9 * DAY})).digest()
        place.config = TrustConfig(dir=place.dir, root=pin, stale="keep")
        place.open()
    public = making.static(own)
    order = place.keys.admission([public], [], wall, NOW_)
    assert (order.refusal, order.ended.get(public)) == (ended, ended)
    assert [reason for _, reason in place.changes() if reason is not Reason.KEY_LISTED] == path


def test_a_gateway_s_next_key_waits_for_the_keyset(place: Place) -> None:
    """[K-33] A gateway that has its next key before the keyset has it gives that key up, and clients that follow the keyset find nobody."""
    following = making.static("following")
    order = place.whole().keys.admission([following, OWN], [], NOW, NOW_)
    assert (order.refusal, dict(order.ended)) == (None, {following: Reason.KEY_OUTDATED})
    assert place.keys.states() == {"ACTIVE": 1, "PRE_ACTIVE": 1}
    entry = {"node": NODE.hex(), "public": making.text(following), "not_before": NOW, "not_after": NOW + DAY}
    place.put("keyset", making.set_of(making.changed(making.keyset(2), lambda fields: fields["gateways"].append(entry))))
    order = place.keys.admission([following, OWN], [], NOW, NOW_)
    assert (order.refusal, dict(order.ended)) == (None, {})
    assert place.keys.states() == {"ACTIVE": 1, "RETIRING": 1}
    place.put("keyset", making.set_of(making.keyset(3)))
    assert dict(place.keys.admission([following, OWN], [], NOW, NOW_).ended) == {following: Reason.KEY_OUTDATED}
    assert (following, Reason.KEY_WITHDRAWN) in place.changes()


def test_a_keyset_that_is_gone_frees_nobody(tmp_path: Path) -> None:
    """[K-33] Who takes the keyset away, and waits for a restart, has the gateway serve under a key that was taken off it."""
    place = Place(tmp_path).whole()
    place.put("keyset", making.set_of(making.keyset()))
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_).refusal is None
    (place.dir / "keyset.signed").unlink()
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_).refusal is None, "as long as the process knows its times"
    place.open()
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_).refusal is Reason.KEY_OUTDATED


def test_without_a_keyset_only_revocation_counts(place: Place) -> None:
    """A gateway whose operator makes no keyset would let nobody in."""
    place.whole()
    (place.dir / "keyset.signed").unlink()
    assert place.keys.admission([OWN], [], NOW, NOW_).refusal is None
    assert place.keys.admission([LOST], [], NOW, NOW_).refusal is Reason.KEY_REVOKED


@pytest.mark.parametrize("stale", ["keep", "end"])
def test_a_clock_that_is_set_forward_ends_nothing(tmp_path: Path, stale: str) -> None:
    """[K-35] Whoever sets a gateway's clock forward, a broken time server too, ends all sessions for good; or lets outdated keys serve."""
    place = Place(tmp_path, stale).whole()
    place.keys.admission([OWN], [FOUND], NOW, NOW_)
    order = place.keys.admission([OWN], [FOUND], NOW + 61 * DAY, NOW_, NOW + 60)
    assert (order.refusal, dict(order.ended)) == (Reason.REVOCATIONS_STALE, {})
    assert place.keys.states() == {"ACTIVE": 2}
    old = making.static("old")
    place.open()
    then = making.revocations() | {"created": NOW + 2 * DAY - 60, "expires": NOW + 2 * DAY + 60}
    place.keys.admission([old], [], NOW, NOW_)
    place.put("revocations", making.revoking(then | {"version": 2}))
    order = place.keys.admission([old], [], NOW + 2 * DAY, NOW_, NOW + 60)
    assert (order.refusal, dict(order.ended)) == (Reason.KEY_OUTDATED, {})
    assert place.keys.admission([OWN], [FOUND], NOW, NOW_, NOW).refusal is None, "a list that was signed then says that it is then"


def test_a_gateway_is_served_under_the_key_that_is_valid(tmp_path: Path) -> None:
    """[K-34] In the time of a rotation one revoked key of two closes the gateway for everybody, or is served on."""
    place = Place(tmp_path).whole()
    order = place.keys.admission([OWN, LOST], [], NOW, NOW_)
    assert order.refusal is None
    assert dict(order.ended) == {LOST: Reason.KEY_REVOKED}
