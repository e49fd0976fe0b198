"""The store is stolen (T-12).

ATTACK
    A thief has copied the file of the store, with its write-ahead log: every row, old ones too. They search it for secrets, exchange
    the sealed parts of rows, and start a gateway of their own on it, with the gateway's static key but without the key of the rows.

EXPECTED REFUSAL
    Session id and chain stand in rows sealed under a key that is not there; a row opens as itself only [K-5], and for as long as keys
    of its hour exist [K-6]. A gateway that cannot open a row does not know the session [R-13].

EXPECTED EVIDENCE
    TRAFFIC_REFUSED / SESSION_UNKNOWN
"""

from pathlib import Path

import pytest

from core import limits
from core.crypto.chain import unseal
from core.crypto.primitives import TagMismatch
from core.reasons import Reason
from core.session.desk import HOUR_S, Keks
from core.values import Ask, Instant
from jvpn.shell.stores.sqlite import SqliteStore
from tests.abuse.attack import own_path, untouched
from tests.core.frames import v4
from tests.core.world import World
from tests.jvpn.shell.storing import BOOT, NODE, Clock, take


def test_no_secret_stands_in_the_file(tmp_path: Path) -> None:
    """A backup of the store would be enough to take over every session."""
    world, clock = World().connected(), Clock()
    store = SqliteStore(tmp_path / "store", NODE, BOOT, clock)
    (born,) = world.store.asked
    store.submit([Ask(1, born.operation)])
    take(store, 1)
    stolen = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    store.close()
    session = world.session
    assert session.row
    assert session.row.sealed in stolen
    assert session.chain not in stolen
    assert session.session_id not in stolen
    assert world.kek not in stolen


def test_a_row_opens_only_as_itself() -> None:
    """Who can write to the store could give one session another's secrets, or an older chain, whose attempts are burnt."""
    world = World().connected()
    (row,) = world.store.rows.values()
    assert unseal(world.kek, row.sealed, row.handle, row.binding_version, row.kek) == (world.session.session_id, world.session.chain)
    for other in (
        (row.handle + 1, row.binding_version, row.kek),
        (row.handle, row.binding_version + 1, row.kek),
        (row.handle, row.binding_version, row.kek + 1),
    ):
        with pytest.raises(TagMismatch):
            unseal(world.kek, row.sealed, *other)


def test_a_gateway_without_the_key_of_the_rows() -> None:
    """Who has the store and the static key would own every session in it."""
    world = World().connected()
    world.kek = bytes(32)
    world.start_gateway()
    world.cut = {1, 2}
    world.host.move(v4(77))
    with untouched(world) as seen:
        frame = next(sent.frame for sent in world.sent if sent.kind == "REATTACH")
        world.inject(frame, own_path(world.host))
        world.now = Instant(world.now + 1)
        world.cut = set()
        world.run(5)
        assert not seen.answers()
        assert seen.refusals()[Reason.SESSION_UNKNOWN] >= 1


def test_old_keys_are_gone() -> None:
    """A copy of the rows from last week would open with what the gateway holds today."""
    keks, hours = Keks(480_000, bytes(32)), limits.LIFETIME_S_MAX // HOUR_S
    assert keks.at(480_000)
    assert keks.at(480_000 + hours + 2)
    assert keks.at(480_000) is None
    assert keks.at(480_000 + 1) is not None
