"""Documents are forged (T-30).

ATTACK
    Somebody who can write to the directory of documents, and has one key of each lower role, puts there: a list signed by the key of the
    keyset, a keyset served as a list, a new root with one old signature, a payload exchanged under good signatures, an endless file.

EXPECTED REFUSAL
    The role is in the signed bytes [K-21]; nothing is read before the role's own keys, and enough of them, vouch for it [K-22]; a new
    root needs two of the old keys [K-27]; a file beyond 1 MiB is not read further [K-21]. What was believed is believed [K-26].

EXPECTED EVIDENCE
    DOCUMENT_JUDGED / DOCUMENT_UNSIGNED
    DOCUMENT_JUDGED / DOCUMENT_ROLE_WRONG
    DOCUMENT_JUDGED / DOCUMENT_BAD_SIGNATURE
    DOCUMENT_JUDGED / DOCUMENT_TOO_LARGE
"""

from pathlib import Path
from typing import Final

import pytest

from core.reasons import Event, Reason
from tests.jvpn.keys import making
from tests.jvpn.keys.making import NOW
from tests.jvpn.shell.trusting import Place

EMPTY: Final = making.changed(making.revocations(2), lambda fields: fields["revoked"].clear())
LINES: Final = making.revoking(making.revocations()).split("\n")
EXCHANGED: Final = "\n".join([LINES[0], making.text(making.body(EMPTY)), *LINES[2:]])
TAKEN: Final = making.document("root", making.body(making.root(2, root=["root a", "mine", "mine too"])), "root a", "mine", "mine too")


@pytest.mark.parametrize(
    ("name", "document", "reason"),
    [
        ("revocations", making.revoking(EMPTY, "keyset"), Reason.DOCUMENT_UNSIGNED),
        ("revocations", making.document("revocations", making.body(EMPTY), "revocations", over="keyset"), Reason.DOCUMENT_BAD_SIGNATURE),
        ("revocations", making.set_of(making.keyset(2)), Reason.DOCUMENT_ROLE_WRONG),
        ("revocations", EXCHANGED, Reason.DOCUMENT_BAD_SIGNATURE),
        ("revocations", making.revoking(making.revocations(2)) + "x" * 2_000_000, Reason.DOCUMENT_TOO_LARGE),
        ("root.2", TAKEN, Reason.DOCUMENT_UNSIGNED),
    ],
)
def test_nothing_forged_is_believed(tmp_path: Path, name: str, document: str, reason: Reason) -> None:
    """Who can write to a directory would decide who comes in."""
    place = Place(tmp_path).whole()
    place.refresh()
    before = place.documents.trust
    place.put(name, document)
    place.refresh()
    told = [fact.reason for fact in place.told if fact.event is Event.DOCUMENT_JUDGED]
    assert told.count(reason) == 1
    assert place.documents.trust == before
    assert place.documents.trust.refusal(NOW) is None
    assert place.documents.trust.ended(making.static("lost"), NOW)
