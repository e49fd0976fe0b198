"""Which histories of keys and documents the table of a key's life allows, and that a verifier names the first event that it does not."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.chain import genesis
from audit.machine import Machines
from audit.record import Stamped
from audit.verdict import Verdict
from audit.verify import verify
from core.errors import require
from core.keys.states import Input, Kind, State
from core.keys.table import ROWS
from core.reasons import Event, Reason
from core.values import Fact, Instant
from jvpn.keys.life import Key
from tests.audit.made import BEFORE, BOOT, WALL, a_log, builder, event_of
from tests.jvpn.keys import making
from tests.jvpn.shell.trusting import Place

GENESIS: dict[str, Any] = {"event_type": "LOG_OPENED", "genesis": genesis()}
P, A, R, D, C, X = State
BIRTHS = (Reason.KEY_GENERATED, Reason.KEY_IMPORTED, Reason.KEY_LISTED)


def change(reason: Reason, version: int, states: tuple[int, State], name: str = "a", kind: Kind = Kind.DEVICE) -> Fact:
    """Return a fact about a key."""
    return Fact(Event.KEY_CHANGED, reason, version + 1, 0, Instant(version), state_from=states[0], state_to=states[1],
                state_version=version, carrier_to=kind, device=making.static(name))  # fmt: skip


def accepted(role: int, version: int, reason: Reason = Reason.DOCUMENT_ACCEPTED) -> Fact:
    """Return a fact about a document: of a root (1), a keyset (2) or a list of revocations (3)."""
    return Fact(Event.DOCUMENT_JUDGED, reason, 1, 0, Instant(1), carrier_to=role, binding_version=version)


def judged(*facts: Fact | dict[str, Any], boot: bytes = BOOT, ours: dict[str, Any] = GENESIS) -> list[str | None]:
    """Return what is said to each, after a genesis."""
    machines = Machines()
    machines.judge(ours)
    build = builder().of_record
    return [machines.judge(fact if isinstance(fact, dict) else build(Stamped(fact, WALL, boot), BEFORE)) for fact in facts]


LIFE = (
    change(Reason.KEY_LISTED, 0, (0, P)), change(Reason.KEY_VALID, 1, (P, A)), change(Reason.KEY_EXPORTED, 2, (A, A)),
    change(Reason.KEY_SUCCEEDED, 3, (A, R)), change(Reason.KEY_OUTDATED, 4, (R, D)), change(Reason.KEY_REVOKED, 5, (D, C)),
    change(Reason.KEY_DESTROYED, 6, (C, X)),
)  # fmt: skip


@given(st.lists(st.sampled_from([each for each in Input if each is not Input.INVARIANT_BROKEN]), max_size=12), st.sampled_from(BIRTHS))
def test_what_a_key_records_can_be_true(heard: list[Input], birth: Reason) -> None:
    """A-56: the log of a gateway that does all by its table is called impossible."""
    told: list[Fact] = []
    key = Key(Kind.GATEWAY, making.static("own"), lambda: len(told) + 1, told.append, held=True)
    key.born(birth, Instant(0))
    for each in heard:
        key.hear(each, Instant(1))
    assert set(judged(*told)) == {None}


@pytest.mark.parametrize("state", State)
def test_a_key_that_breaks_a_claim_is_recorded_soundly(state: State) -> None:
    """A-56: the record of a fault is taken for a forgery."""
    told: list[Fact] = []
    key = Key(Kind.DEVICE, making.static("a"), lambda: len(told) + 1, told.append, held=True)
    key.state, key.accepted = state, True
    key.abandon(Instant(1))
    require(bool(told), "it recorded something")
    assert judged(*told) == [None]


@given(st.sampled_from(list(State)), st.sampled_from(list(State)), st.sampled_from(sorted(row.reason for row in ROWS if row.reason)))
def test_what_no_row_of_the_table_does_is_a_contradiction(before: State, after: State, reason: Reason) -> None:
    """A-56: a forged or mistaken change of a key passes: one that was destroyed or revoked is valid again."""
    found = any(before in row.states and (row.goes_to or before) is after and row.reason is reason for row in ROWS)
    found |= reason is Reason.INVARIANT_BROKEN and before is after and before >= D
    (verdict,) = judged(change(reason, 3, (before, after)))
    assert (verdict is None) == found
    assert verdict is None or verdict.startswith("no row of the table of keys leads from")


def test_a_life_goes_on_where_it_was() -> None:
    """A-56: a history with a step taken out, told twice or exchanged passes when each step is possible by itself."""
    assert set(judged(*LIFE)) == {None}
    left_out = judged(*LIFE[:3], LIFE[4])
    assert left_out[:3] == [None] * 3
    assert left_out[3] == "version 4 of the key leaves RETIRING, but it was in ACTIVE with version 2"
    twice = judged(*LIFE[:3], LIFE[2])
    assert twice[3] == "version 2 of the key leaves ACTIVE, but it was in ACTIVE with version 2"
    other = judged(*LIFE[:2], change(Reason.KEY_OUTDATED, 2, (P, D)))
    assert other[2] == "version 2 of the key leaves PRE_ACTIVE, but it was in ACTIVE with version 1"


@pytest.mark.parametrize(
    "fact",
    [change(Reason.KEY_LISTED, 0, (0, A)), change(Reason.KEY_LISTED, 1, (0, P)), change(Reason.KEY_LISTED, 0, (P, P)),
     change(Reason.KEY_VALID, 0, (0, P))],
)  # fmt: skip
def test_a_key_is_born_in_one_way(fact: Fact) -> None:
    """A-56: a key is valid from its first event on, and nothing says who let it in."""
    (verdict,) = judged(fact)
    assert verdict is not None
    assert verdict.startswith("a key begins in PRE_ACTIVE with version 0, not in")


def test_each_key_of_each_process_has_its_own_life() -> None:
    """A-56: two keys, two kinds or two starts of a process are compared with each other; or a key that is listed again with what it was."""
    assert set(judged(*LIFE[:3], change(Reason.KEY_VALID, 1, (P, A), "b"), change(Reason.KEY_VALID, 1, (P, A), kind=Kind.ROLE))) == {None}
    assert set(judged(*LIFE[:5], LIFE[0], LIFE[1])) == {None}, "taken off the list, and listed anew"
    machines, build = Machines(), builder().of_record
    machines.judge(GENESIS)
    for boot in (BOOT, b"2nd boot"):
        assert machines.judge(build(Stamped(LIFE[1], WALL, boot), BEFORE)) is None


@pytest.mark.parametrize(
    "event", [{"event_type": "TELEMETRY_LOST"}, {"event_type": "RECORD_REFUSED"}, GENESIS | {"event_type": "LOG_RESUMED"}]
)
def test_after_a_loss_nothing_is_concluded(event: dict[str, Any]) -> None:
    """A-56: lost telemetry is taken for a contradiction."""
    assert judged(*LIFE[:2], event, LIFE[4])[-1] is None
    assert judged(accepted(3, 5), event, accepted(3, 4))[-1] is None


def test_versions_of_documents_do_not_go_down() -> None:
    """A-56 [K-29]: a gateway that took an old list of revocations leaves a log that verifies."""
    assert set(judged(accepted(1, 1), accepted(3, 4), accepted(3, 4), accepted(3, 7), accepted(2, 1), accepted(3, 8))) == {None}
    assert judged(accepted(3, 4), accepted(2, 1), accepted(3, 3))[-1] == "revocations 3 was accepted after 4"
    assert judged(accepted(3, 4), accepted(3, 3, Reason.DOCUMENT_ROLLED_BACK)) == [None, None]
    assert judged(accepted(1, 1), accepted(3, 4), accepted(1, 2), accepted(3, 1))[-1] is None, "a new root may forget"
    assert judged(accepted(1, 2), accepted(3, 4), accepted(1, 2), accepted(3, 1))[-1] == "revocations 1 was accepted after 4"
    assert judged(accepted(1, 2), accepted(1, 1))[-1] == "root 1 was accepted after 2"
    assert judged(accepted(1, 2), accepted(1, 4))[-1] == "root 4 was accepted after 2: versions go one by one"
    assert judged(accepted(2, 0)) == ["keyset was accepted with version 0"]


def test_what_a_gateway_records_of_documents_can_be_true(tmp_path: Path) -> None:
    """A-56: roots that are walked in their order, a role that begins anew, or a restart, are taken for a contradiction."""
    place = Place(tmp_path).whole()
    place.put("revocations", making.revoking(making.revocations(5)))
    place.refresh()
    for number, signers in ((2, ("root b", "root c")), (3, ("root a", "root b"))):
        other = making.root(number, revocations=["other"]) if number == 3 else making.root(number)
        place.put(f"root.{number}", making.document("root", making.body(other), *signers))
    place.put("revocations", making.document("revocations", making.body(making.revocations(1)), "other"))
    place.refresh()
    assert place.documents.trust.revocations
    told = [fact for fact in place.told if fact.event is Event.DOCUMENT_JUDGED and fact.reason is Reason.DOCUMENT_ACCEPTED]
    assert [(fact.carrier_to, fact.binding_version) for fact in told][-3:] == [(1, 2), (1, 3), (3, 1)]
    assert set(judged(*place.told)) == {None}
    place.open()
    before = len(place.told)
    place.refresh()
    assert set(judged(*place.told[before:])) == {None}


def test_another_programs_keys_are_not_judged_by_our_table() -> None:
    """A-56: the log of another release, or one that does not say which table of keys it had, is called impossible."""
    impossible = change(Reason.KEY_VALID, 3, (X, A))
    for theirs in ({"key_table": "0" * 64}, {"key_table": None}):
        stated = {name: value for name, value in (GENESIS["genesis"] | theirs).items() if value}
        assert judged(impossible, ours=GENESIS | {"genesis": stated}) == [None]
    assert judged(impossible) != [None]


def test_the_verifier_names_the_first_event_that_cannot_be(tmp_path: Path) -> None:
    """A-56: an operator is told that something is wrong with a log of a million events, and not where."""
    bad = change(Reason.KEY_VALID, 7, (X, A))._replace(serial=50)
    log = a_log(tmp_path / "log", [*LIFE, bad, change(Reason.KEY_REVOKED, 8, (A, C))._replace(serial=51)])
    fault = verify(log).fault
    assert fault is not None
    assert (fault.verdict, fault.seq) == (Verdict.CONTRADICTION, len(LIFE) + 1)
    assert fault.found == "no row of the table of keys leads from DESTROYED to ACTIVE because of KEY_VALID"
    assert event_of(bad)["reason_code"] == "KEY_VALID"
    sound = a_log(tmp_path / "sound", list(LIFE))
    assert verify(sound).verdict is Verdict.VERIFIED
