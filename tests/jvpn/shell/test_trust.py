"""The directory of signed documents: what is read, what is kept before it is used, and what a gateway is told to do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.reasons import Reason
from jvpn.keys import limits
from jvpn.keys.envelope import Role
from jvpn.shell import trust
from jvpn.shell.checked import Misconfigured
from jvpn.shell.errors import Unavailable
from tests.jvpn.keys import making
from tests.jvpn.keys.making import NOW
from tests.jvpn.shell.trusting import Place


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
    with capture_logs() as lines:
        assert [place.refresh(), place.refresh()] == [[], []]
        assert place.documents.trust.floors[Role.REVOCATIONS].version == 1
        assert place.keys.unkept() == "no room"
        monkeypatch.undo()
        assert place.refresh() == [(3, Reason.DOCUMENT_ACCEPTED)]
        assert place.refresh() == []
        assert place.keys.unkept() is None
    assert [each["event"] for each in lines] == ["floors_not_kept", "floors_kept"], "once a change, and not each half minute"


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
