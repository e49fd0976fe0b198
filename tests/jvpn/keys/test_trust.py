"""Trust: what outlives a restart, what a refusal leaves alone, and who is revoked."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import pytest

from core.crypto.primitives import SigningKey
from core.errors import PeerFault
from core.reasons import Reason
from jvpn.keys import envelope, limits
from jvpn.keys.envelope import Envelope, Role
from jvpn.keys.trust import Floor, Trust
from tests.jvpn.keys import making
from tests.jvpn.keys.making import DAY, NOW

PIN = bytes.fromhex(making.PIN)
TWO = making.document("root", making.body(making.root(2, keyset=["keyset 2"])), "root a", "root b")
THREE = making.document("root", making.body(making.root(3, keyset=["keyset 2"])), "root a", "root c")


def offered(trust: Trust, *documents: str, wall_s: int = NOW) -> Trust:
    """Return the trust with these documents, each offered for the role that it names."""
    for document in documents:
        trust = trust.offer(Role(document.split("\n")[0].removeprefix("jumping-vpn/1 ")), document.encode(), wall_s)
    return trust


def refused(trust: Trust, document: str, wall_s: int = NOW) -> Reason:
    """Return why a document is refused."""
    with pytest.raises(PeerFault) as fault:
        offered(trust, document, wall_s=wall_s)
    return fault.value.reason


def restarted(trust: Trust) -> Trust:
    """Return what is left after a restart: the pin and the floors."""
    return Trust(trust.pin, trust.floors)


def test_floors_outlive_a_restart() -> None:
    """[K-29] Whoever can restart a gateway serves it the list of before the revocation."""
    trust = offered(Trust(PIN), making.ROOT, making.revoking(making.revocations(7)))
    again = offered(restarted(trust), making.ROOT)
    assert refused(again, making.revoking(making.revocations(6))) is Reason.DOCUMENT_ROLLED_BACK
    other = making.changed(making.revocations(7), lambda fields: fields["revoked"].clear())
    assert refused(again, making.revoking(other)) is Reason.DOCUMENT_EQUIVOCATED
    assert again.refusal(NOW) is Reason.REVOCATIONS_STALE
    assert offered(again, making.revoking(making.revocations(7))).refusal(NOW) is None


def test_an_old_root_after_a_restart_is_no_root() -> None:
    """[K-28] After a restart the first root alone is served, and the keys that the second took away sign again."""
    trust = offered(Trust(PIN), making.ROOT, TWO, THREE)
    again = offered(restarted(trust), making.ROOT, TWO)
    assert refused(again, making.revoking(making.revocations())) is Reason.DOCUMENT_ROLLED_BACK
    assert offered(again, THREE, making.revoking(making.revocations())).refusal(NOW) is None


def test_a_root_that_is_known_resets_no_floor_again() -> None:
    """[K-29] Each restart walks over the root that changed a role's keys, and would forget that role's floor each time."""
    newer = making.document("keyset", making.body(making.keyset(9)), "keyset 2")
    older = making.document("keyset", making.body(making.keyset(8)), "keyset 2")
    trust = offered(Trust(PIN), making.ROOT, TWO, newer)
    assert refused(offered(restarted(trust), making.ROOT, TWO), older) is Reason.DOCUMENT_ROLLED_BACK


def test_another_history_of_roots_is_seen_after_a_restart() -> None:
    """[K-29] Old root keys make another version 2 and go on from there."""
    trust = offered(Trust(PIN), making.ROOT, TWO)
    another = making.document("root", making.body(making.root(2)), "root a", "root b")
    assert refused(offered(restarted(trust), making.ROOT), another) is Reason.DOCUMENT_EQUIVOCATED


def test_a_root_in_between_may_be_expired() -> None:
    """[K-27] A gateway that was off for long could never come to the present."""
    late = making.document(
        "root", making.body(making.root(2) | {"created": NOW + making.DAY, "expires": NOW + 900 * making.DAY}), "root a", "root b"
    )
    then = NOW + 400 * making.DAY
    trust = offered(Trust(PIN), making.ROOT, wall_s=then)
    assert refused(trust, making.set_of(making.keyset()), then) is Reason.DOCUMENT_EXPIRED
    fresh = making.revocations() | {"created": then - 1, "expires": then + 60}
    assert offered(trust, late, making.revoking(fresh), wall_s=then).refusal(then) is None


@pytest.mark.parametrize(("exchanged", "kept"), [("keyset", "revocations"), ("revocations", "keyset")])
def test_a_new_root_keeps_what_its_signers_signed(exchanged: str, kept: str) -> None:
    """[K-29] What keys signed that the new root took away would still be believed; or each new root would end all sessions."""
    trust = offered(Trust(PIN), making.ROOT, making.set_of(making.keyset()), making.revoking(making.revocations()))
    new = making.document("root", making.body(making.root(2, **{exchanged: ["another"]})), "root a", "root b")
    after = offered(trust, new)
    assert getattr(after, exchanged) is None
    assert getattr(after, kept) is getattr(trust, kept) is not None
    assert (Role(exchanged) in after.floors, Role(kept) in after.floors) == (False, True)


@pytest.mark.parametrize(
    ("ahead", "reason"), [(limits.CLOCK_TOLERANCE_S, None), (limits.CLOCK_TOLERANCE_S + 1, Reason.DOCUMENT_FROM_FUTURE)]
)
def test_a_clock_may_be_wrong_by_the_tolerance(ahead: int, reason: Reason | None) -> None:
    """[K-26] A gateway whose clock is slow by what is allowed would shut its door to everybody."""
    fields = making.revocations() | {"created": NOW + ahead, "expires": NOW + ahead + 60}
    trust = offered(Trust(PIN), making.ROOT)
    if reason is None:
        assert offered(trust, making.revoking(fields)).refusal(NOW) is None
    else:
        assert refused(trust, making.revoking(fields)) is reason


def test_a_refusal_changes_nothing() -> None:
    """[K-26] A forged list takes the place of the good one, or raises a floor that shuts out the next good one."""
    trust = offered(Trust(PIN), making.ROOT, making.revoking(making.revocations(1)))
    before = trust._asdict()
    for document in (making.revoking(making.revocations(2**53 - 1), "stranger"), making.revoking(making.revocations(9) | {"note": 1})):
        refused(trust, document)
    assert trust._asdict() == before
    assert offered(trust, making.revoking(making.revocations(2))).refusal(NOW) is None


@pytest.mark.parametrize(("at", "stale"), [(-1, False), (limits.CLOCK_TOLERANCE_S - 1, False), (limits.CLOCK_TOLERANCE_S, True)])
def test_a_list_is_stale_from_its_end_on(at: int, stale: bool) -> None:
    """[K-30] Whoever withholds new lists keeps a revoked device in for as long as they like, or a good gateway shuts too early."""
    trust = offered(Trust(PIN), making.ROOT, making.revoking(making.revocations()))
    assert (trust.refusal(NOW + 3_600 + at) is Reason.REVOCATIONS_STALE) == stale


def test_a_revoked_key_is_revoked_from_its_time_on() -> None:
    """[K-31] A revoked key comes in before or after its time, or as soon as the list is stale, and another one does not."""
    trust = offered(Trust(PIN), making.ROOT, making.revoking(making.revocations()))
    found = trust.ended(making.static("lost"), NOW)
    assert found is not None
    assert (found.kind, found.reason) == ("device", "lost")
    assert trust.ended(making.static("lost"), NOW - 61) is None
    assert trust.ended(making.static("lost"), NOW - 60) is not None
    assert trust.ended(making.static("found"), NOW) is None
    assert trust.ended(making.static("lost"), NOW + 90 * making.DAY) is not None
    assert Trust(PIN).ended(making.static("lost"), NOW) is None


def test_nothing_reads_a_payload_that_is_not_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """[K-22] The parser, which is larger than the verifier, is at the service of whoever writes to the directory."""
    read: list[str] = []
    assert "json" not in vars(envelope)
    real = json.loads

    def loading(text: str, *, object_pairs_hook: Callable[[list[tuple[str, object]]], object]) -> object:
        read.append(text)
        return real(text, object_pairs_hook=object_pairs_hook)

    monkeypatch.setattr(json, "loads", loading)
    trust = offered(Trust(PIN), making.ROOT)
    read.clear()
    other = making.document("root", making.body(making.root(2)), "root a")
    for document in (making.revoking(making.revocations(), "stranger"), making.document("keyset", b"{", "revocations"), other):
        refused(trust, document)
    strange = making.document("root", making.body(making.root(1) | {"created": 1}), "root a", "root b")
    assert refused(Trust(PIN), strange) is Reason.ROOT_NOT_PINNED
    assert read == []
    refused(trust, making.revoking(making.revocations(0)))
    assert len(read) == 1


def test_what_the_core_signs_verifies() -> None:
    """[K-21] Documents that are made here would be refused elsewhere, or carry a key's old signature beside its new one."""
    private = making.pair("revocations")[1][:32]
    made = envelope.sign(Envelope(Role.REVOCATIONS, making.body(making.revocations()), []), SigningKey(private))
    again = envelope.sign(made, SigningKey(private))
    assert envelope.render(made) == envelope.render(again) == making.revoking(making.revocations()).encode()
    assert envelope.parse(envelope.render(made)) == made


def test_the_floor_is_a_value() -> None:
    """A trust that was handed out would change under whoever holds it."""
    trust = offered(Trust(PIN), making.ROOT)
    assert isinstance(trust.floors, MappingProxyType)
    assert trust.floors[Role.ROOT] == Floor(1, PIN)
    assert not dataclasses.is_dataclass(trust)


def test_what_a_document_says_is_what_was_written() -> None:
    """[K-24] [K-25] [K-33] A value lands in another field, or the two keys of a rotation become one."""
    trust = offered(Trust(PIN), making.ROOT, making.set_of(making.keyset(3)), making.revoking(making.revocations(2)))
    assert trust.root
    assert trust.keyset
    assert trust.revocations
    assert {role: (each.threshold, len(each.keys)) for role, each in trust.root.roles.items()} == {
        Role.ROOT: (2, 3), Role.KEYSET: (1, 1), Role.REVOCATIONS: (1, 1),
    }  # fmt: skip
    old, new = trust.keyset.gateways
    assert old._asdict() == {"node": bytes.fromhex("0011223344556677"), "public": making.static("old"),
                              "not_before": NOW - 60 * making.DAY, "not_after": NOW + making.DAY}  # fmt: skip
    assert (new.node, new.public) == (old.node, making.static("new"))
    assert new.not_before < old.not_after
    assert (trust.keyset.version, trust.revocations.version) == (3, 2)
    assert trust.revocations.expires - trust.revocations.created <= limits.REVOCATIONS_LIFE_S


OTHERS: Final = {"node": "00" * 8, "public": making.text(making.static("others")), "not_before": NOW - 60, "not_after": NOW + making.DAY}
REVOKED: Final = making.changed(
    making.revocations(),
    lambda fields: fields["revoked"].append(
        {"fingerprint": hashlib.sha256(making.static("new")).hexdigest(), "kind": "gateway", "since": NOW - 60, "reason": "compromised"}
    ),
)


def test_the_keys_of_one_gateway_follow_each_other() -> None:
    """[K-33] A gateway would offer an old key for ever, or one whose time has not come."""
    trust = offered(Trust(PIN), making.ROOT, making.set_of(making.keyset()))
    old, new = trust.listing(making.static("old")), trust.listing(making.static("new"))
    assert old
    assert new
    assert trust.listing(making.static("lost")) is None
    assert trust.successor(old, NOW) == new
    assert trust.successor(old, new.not_before - 1) is None
    assert trust.successor(new, NOW) is None
    assert Trust(PIN).listing(making.static("old")) is None
    assert Trust(PIN).successor(old, NOW) is None


def test_what_a_gateway_offers() -> None:
    """[K-33] [K-44] A client would begin under a key that is over, revoked, another gateway's, or not the newest; or would find none."""
    keyset = making.set_of(making.changed(making.keyset(), lambda fields: fields["gateways"].append(OTHERS)))
    trust = offered(Trust(PIN), making.ROOT, keyset, making.revoking(REVOKED))
    old, new, node = making.static("old"), making.static("new"), bytes.fromhex("0011223344556677")

    def found(public: bytes, node: bytes | None, wall_s: int) -> bytes | None:
        entry = trust.offered(public, node, wall_s)
        return entry.public if entry else None

    assert [found(each, None, NOW - 61) for each in (old, new)] == [new, new]
    assert [found(each, None, NOW - making.DAY - 1) for each in (old, new)] == [old, old]
    assert [found(each, None, NOW) for each in (old, new)] == [old, old], "the newest is revoked"
    assert [trust.begins(each, None, NOW) for each in (old, new)] == [(old, None), (old, None)]
    assert found(old, None, NOW + making.DAY) is None, "and the other's time is over"
    assert trust.begins(new, None, NOW + making.DAY - 1) == (old, Reason.REVOCATIONS_STALE)
    assert found(making.static("found"), None, NOW) is None
    assert found(making.static("found"), node, NOW) == old
    assert found(old, node, NOW) == old
    assert found(old, bytes(8), NOW) is None
    assert Trust(PIN).offered(old, node, NOW) is None


def test_why_nothing_is_offered() -> None:
    """[K-44] Who asks why a client does not connect is told of documents where it is a key, or of another key."""
    only = making.changed(making.keyset(), lambda fields: fields["gateways"].pop(0))
    trust = offered(Trust(PIN), making.ROOT, making.set_of(only), making.revoking(REVOKED))
    new, found = making.static("new"), making.static("found")
    assert trust.begins(new, None, NOW) == (new, Reason.KEY_REVOKED)
    assert trust.begins(found, None, NOW) == (found, Reason.KEY_OUTDATED)
    assert Trust(PIN).begins(new, None, NOW) == (new, Reason.REVOCATIONS_STALE)


def test_a_client_begins_nothing_under_a_key_that_is_not_valid() -> None:
    """[K-39] A client would give its identity to whoever holds a key that was revoked, is over, or was never listed."""
    lost = making.static("lost")
    stale = offered(Trust(PIN), making.ROOT, making.set_of(making.keyset()))
    assert stale.beginning(making.static("new"), NOW) is Reason.REVOCATIONS_STALE
    unlisted = offered(Trust(PIN), making.ROOT, making.revoking(making.revocations()))
    assert unlisted.beginning(making.static("new"), NOW) is Reason.KEY_OUTDATED
    trust = offered(stale, making.revoking(making.revocations()))
    assert trust.beginning(lost, NOW) is Reason.KEY_REVOKED
    assert trust.beginning(making.static("found"), NOW) is Reason.KEY_OUTDATED
    assert trust.beginning(making.static("new"), NOW) is None
    assert trust.beginning(making.static("old"), NOW) is None


@pytest.mark.parametrize(
    ("at", "soon"),
    [
        (0, set()),
        (1_200, set()),  # the list lives for two hours, and is one hour old
        (1_201, {Role.REVOCATIONS}),
        (90 * DAY - limits.KEYSET_SOON_S, {Role.REVOCATIONS}),
        (90 * DAY - limits.KEYSET_SOON_S + 1, {Role.KEYSET, Role.REVOCATIONS}),
        (365 * DAY - limits.ROOT_SOON_S + 1, {Role.ROOT, Role.KEYSET, Role.REVOCATIONS}),
    ],
)
def test_what_runs_out_soon_is_known_before(at: int, soon: set[Role]) -> None:
    """[K-26] Nobody is warned before nobody comes in; or always, so that nobody listens."""
    trust = Trust(bytes.fromhex(making.PIN))
    for role, document in (
        ("root", making.ROOT),
        ("keyset", making.set_of(making.keyset())),
        ("revocations", making.revoking(making.revocations())),
    ):
        trust = trust.offer(Role(role), document.encode(), NOW)
    assert set(trust.expiring(NOW + at)) == soon
    assert Trust(b"").expiring(NOW) == {}
