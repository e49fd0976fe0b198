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

from core import limits
from core.crypto.secret import Secret
from core.reasons import Event, Reason
from core.session.desk import HOUR_S, Keks
from core.values import Ask, Create, Instant, Row
from jvpn.shell.stores.sqlite import SqliteStore
from lab.sim.frames import v4
from lab.sim.world import World
from tests.abuse.attack import own_path, untouched
from tests.core.exposed import laid_open
from tests.jvpn.shell.storing import BOOT, NODE, Clock, row, take


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
    assert isinstance(born.operation, Create)
    assert born.operation.row.sealed in stolen
    assert not [secret for secret in (*laid_open(session.secrets), world.kek.expose()) if secret in stolen]


def test_a_row_opens_only_as_itself() -> None:
    """Who can write to the store could give one session another's secrets, or an older chain, whose attempts are burnt."""
    world = World().connected()
    (mine,) = world.store.rows.values()
    keks, hour = Keks(mine.kek, world.kek), mine.kek
    assert laid_open(keks.unseal(mine, hour)) == laid_open(world.session.secrets)
    for name, value in mine._asdict().items():
        other = value + 1 if isinstance(value, int) else bytes((value[0] ^ 1,)) + value[1:]
        assert keks.unseal(Row(**mine._asdict() | {name: other}), hour) is None, name


def test_a_session_that_the_store_prolongs_or_gives_away() -> None:
    """Who can write to the store makes a session live for ever, or another device its owner, with the secrets of the one that has it."""
    for change in ({"expires": 2**40}, {"next": 60}, {"gateway_key": bytes(32)}, {"born": 0}):
        world = World().connected()
        for handle, mine in world.store.rows.items():
            world.store.rows[handle] = Row(**mine._asdict() | change)
        world.start_gateway()
        world.run(5_000, world.host.chat)
        assert Reason.SESSION_UNKNOWN in world.reasons(Event.TRAFFIC_REFUSED), change


def test_a_gateway_without_the_key_of_the_rows() -> None:
    """Who has the store and the static key would own every session in it."""
    world = World().connected()
    world.kek = Secret(bytes(32))
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
    keks, hours, secrets = Keks(480_000, Secret(bytes(32))), limits.LIFETIME_S_MAX // HOUR_S, (Secret(bytes(16)), Secret(bytes(32)))
    first, second, newest = (keks.seal(row(1, kek=480_000 + hour), bytes(12), secrets) for hour in (0, 1, hours + 2))
    assert keks.unseal(newest, newest.kek)
    assert keks.unseal(first, newest.kek) is None
    assert keks.unseal(second, newest.kek)
