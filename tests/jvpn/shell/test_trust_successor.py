"""A client in a rotation of its gateway's key: which key it begins with, which one its session keeps, and what brings no key in."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from core.limits import SECOND
from core.reasons import Reason
from core.values import Admission, Instant
from core.wire.layout import Type
from jvpn.keys import limits as bounds
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW
from tests.jvpn.shell.test_trust_peer import NEW, Client
from tests.jvpn.shell.trusting import NODE, NOW_

OLD: Final = making.static("old")
OTHER_NODE: Final = bytes(8)
JUMPS: Final = frozenset({Type.REATTACH})
BOTH: Final = JUMPS | {Type.INIT}


def client_of(folder: Path, public: bytes = OLD, node: bytes | None = None, stale: str = "keep") -> Client:
    """Return a client whose keyset lists two keys of its gateway."""
    return Client(folder, public, stale, node, rotation=True)


def test_a_session_keeps_its_key_and_the_next_has_the_successor(tmp_path: Path) -> None:
    """[K-33] [K-44] [K-45] A rotation needs a hand at each client; or moves a session to a key that the gateway does not have it under."""
    client = client_of(tmp_path)
    assert client.at() == Admission()
    assert (client.peer.public, client.peer.state(OLD), client.peer.state(NEW)) == (NEW, "RETIRING", "ACTIVE")
    assert (client.peer.withheld(OLD), client.peer.withheld(NEW)) == (frozenset(), frozenset())
    told = [(NEW, Reason.KEY_LISTED), (OLD, Reason.KEY_VALID), (OLD, Reason.KEY_SUCCEEDED), (NEW, Reason.KEY_VALID)]
    assert client.place.changes() == told
    client.at()
    assert client.place.changes() == told


def test_a_successor_waits_for_its_time(tmp_path: Path) -> None:
    """[K-44] A key is used before the gateway serves under it, so nobody gets in; or the key that was configured is used before it is."""
    client = client_of(tmp_path).lists(lambda fields: fields["gateways"][1].update(not_before=NOW + 60))
    other = Client(tmp_path, NEW, rotation=True).lists(lambda fields: fields["gateways"][1].update(not_before=NOW + 60))
    assert client.at(NOW + 59) == other.at(NOW + 59) == Admission()
    assert client.peer.public == other.peer.public == OLD
    assert client.at(NOW + 60) == other.at(NOW + 60) == Admission()
    assert client.peer.public == other.peer.public == NEW


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda client: client.lists(lambda fields: fields["gateways"][0].update(not_after=NOW)), Reason.KEY_OUTDATED),
        (lambda client: client.lists(lambda fields: fields["gateways"].pop(0)), Reason.KEY_OUTDATED),
        (lambda client: client.revokes(OLD, "retired"), Reason.KEY_REVOKED),
        (lambda client: client.revokes(OLD), Reason.KEY_REVOKED),
    ],
)
def test_the_end_of_a_key_ends_its_session_and_the_next_begins(tmp_path: Path, spoil: Callable[[Client], Client], reason: Reason) -> None:
    """[K-40] [K-45] When the old key is over a client stays out until somebody edits its configuration, or goes on under the old key."""
    client = client_of(tmp_path)
    client.at()
    assert spoil(client).at() == Admission(None, {OLD: reason})
    assert (client.peer.public, client.peer.withheld(OLD), client.peer.withheld(NEW)) == (NEW, JUMPS, frozenset())
    client.lists(lambda _fields: None, 3).at(NOW - 60)
    assert client.peer.withheld(OLD) == JUMPS, "the process does not use it again, whatever a clock or a keyset says"


def test_a_key_that_is_listed_no_more_names_no_node_to_who_starts(tmp_path: Path) -> None:
    """[K-44] A client that is started after the rotation takes whatever key it finds, or has no way to find the right one."""

    def drop(fields: making.Fields) -> None:
        del fields["gateways"][0]

    assert client_of(tmp_path).lists(drop).at() == Admission(Reason.KEY_OUTDATED)
    known = client_of(tmp_path, node=NODE).lists(drop)
    assert (known.at(), known.peer.public, known.place.changes()[0]) == (Admission(), NEW, (NEW, Reason.KEY_LISTED))
    assert client_of(tmp_path, node=OTHER_NODE).lists(drop).at() == Admission(Reason.KEY_OUTDATED)


def test_what_contradicts_the_keyset_begins_nothing(tmp_path: Path) -> None:
    """[K-44] Of two gateways that the configuration means, one of its choosing is taken."""
    assert client_of(tmp_path, node=OTHER_NODE).at() == Admission(Reason.KEY_OUTDATED)
    assert client_of(tmp_path, node=NODE).at() == Admission()


def test_a_key_of_another_gateway_is_no_successor(tmp_path: Path) -> None:
    """[K-44] The newest key of all gateways is taken for that of the own one: each client is out as soon as another rotates."""
    client = client_of(tmp_path).lists(lambda fields: fields["gateways"][1].update(node=OTHER_NODE.hex()))
    assert (client.at(), client.peer.public, client.peer.state(OLD)) == (Admission(), OLD, "ACTIVE")


def test_a_keyset_that_is_put_right_is_followed(tmp_path: Path) -> None:
    """[K-44] A node that was written wrongly once stays with each client that has read it."""
    client = client_of(tmp_path).lists(lambda fields: fields["gateways"].pop())
    client.lists(lambda fields: fields["gateways"][0].update(node=OTHER_NODE.hex())).at()
    assert (client.lists(lambda _fields: None, 3).at(), client.peer.public) == (Admission(), NEW)


@pytest.mark.parametrize(
    ("spoil", "ended"),
    [
        (lambda client: client.revokes(NEW), Reason.KEY_REVOKED),
        (lambda client: client.lists(lambda fields: fields["gateways"].pop(), 3), Reason.KEY_OUTDATED),
    ],
)
def test_a_rotation_that_is_taken_back(tmp_path: Path, spoil: Callable[[Client], Client], ended: Reason) -> None:
    """[K-45] A successor that is revoked or taken off the list leaves every client outside; or the old key is used with no record of it."""
    client = client_of(tmp_path)
    client.at()
    before = client.place.changes()
    assert spoil(client).at() == Admission(None, {NEW: ended})
    assert (client.peer.public, client.peer.state(OLD), client.peer.withheld(OLD)) == (OLD, "ACTIVE", frozenset())
    assert client.peer.withheld(NEW) == JUMPS
    assert client.place.changes()[len(before) :][:2] == [(OLD, Reason.KEY_LISTED), (OLD, Reason.KEY_VALID)]


@pytest.mark.parametrize(
    ("spoil", "late"),
    [
        (lambda client: client.without("keyset"), 0),
        (lambda client: client.without("revocations"), 0),
        (lambda client: client.lists(lambda fields: fields.update(expires=NOW + 60)), 60 + bounds.CLOCK_TOLERANCE_S),
        (lambda client: client.lists(lambda fields: fields.update(created=NOW + 301)), 0),
    ],
)
def test_only_fresh_documents_bring_a_key_in(tmp_path: Path, spoil: Callable[[Client], Client], late: int) -> None:
    """[K-39] [K-44] A key is the gateway's because it stood in a keyset that is over, not accepted, or without a list beside it."""
    client = spoil(client_of(tmp_path))
    if late:
        client.place.documents.refresh(NOW, NOW_)
    assert client.at(NOW + late).refusal is not None
    assert (client.peer.public, client.peer.withheld(OLD)) == (OLD, BOTH)
    assert NEW not in dict(client.place.changes())


@pytest.mark.parametrize("stale", ["keep", "end"])
def test_stale_documents_in_a_rotation(tmp_path: Path, stale: str) -> None:
    """[K-30] [K-45] The policy for stale documents is for one of the two keys alone."""
    client = client_of(tmp_path, stale=stale)
    client.at()
    order = client.at(NOW + 3_600 + bounds.CLOCK_TOLERANCE_S)
    assert (order.refusal, client.peer.withheld(OLD), client.peer.withheld(NEW)) == (Reason.REVOCATIONS_STALE, BOTH, BOTH)
    assert dict(order.ended) == ({} if stale == "keep" else {OLD: Reason.KEY_OUTDATED, NEW: Reason.KEY_OUTDATED})


def test_a_clock_that_is_set_forward_moves_nobody_for_good(tmp_path: Path) -> None:
    """[K-35] [K-45] A clock that jumps ahead for a moment leaves a client with a key that the gateway does not serve under yet."""
    client = client_of(tmp_path).lists(lambda fields: fields["gateways"][1].update(not_before=NOW + 600))
    client.at()
    client.at(NOW + 600, NOW + 30)
    assert (client.peer.public, client.peer.state(NEW)) == (NEW, "PRE_ACTIVE")
    assert client.at(NOW + 60) == Admission()
    assert (client.peer.public, client.peer.state(OLD), client.peer.withheld(OLD)) == (OLD, "ACTIVE", frozenset())


def test_a_clock_that_is_set_back_brings_no_key_back(tmp_path: Path) -> None:
    """[K-46] Who sets a client's clock back has it shake hands under the key that was stolen, as long as the process runs."""

    def soon(fields: making.Fields) -> None:
        fields["created"] = NOW
        fields["gateways"][1]["not_before"] = NOW - 600

    client = client_of(tmp_path).lists(soon)
    assert (client.at(), client.peer.public) == (Admission(), NEW)
    for back in (601, DAY, 400 * DAY):
        assert (client.at(NOW - back), client.peer.public, client.peer.state(OLD)) == (Admission(), NEW, "RETIRING")


def test_a_clock_that_is_held_keeps_no_list_fresh(tmp_path: Path) -> None:
    """[K-46] Who holds a client's clock, and the list of today back, keeps a key that was revoked in use for ever."""
    client = client_of(tmp_path)
    assert client.at() == Admission()
    later = Instant(NOW_ + (2 * 3_600 + bounds.CLOCK_TOLERANCE_S) * SECOND)  # the list was signed an hour ago, for two hours
    assert client.peer.admission(NOW, Instant(later - SECOND), NOW).refusal is None
    assert client.peer.admission(NOW, later, NOW).refusal is Reason.REVOCATIONS_STALE
    assert client.peer.admission(NOW, NOW_, NOW).refusal is None


def test_a_revocation_of_now_counts_for_a_clock_that_is_slow(tmp_path: Path) -> None:
    """[K-31] [K-46] A clock that is four minutes slow accepts the list of the emergency, and goes on with the key that is on it."""
    client = client_of(tmp_path)
    entry = {"fingerprint": hashlib.sha256(NEW).hexdigest(), "kind": "gateway", "since": NOW, "reason": "compromised"}
    fields = making.revocations(2) | {"created": NOW, "expires": NOW + DAY, "revoked": [entry]}
    client.place.put("revocations", making.revoking(fields))
    assert (client.at(NOW - bounds.CLOCK_TOLERANCE_S + 1), client.peer.public) == (Admission(), OLD)
