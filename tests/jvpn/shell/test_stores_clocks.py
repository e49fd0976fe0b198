"""The wall clock is wrong for a moment, for an hour, or at the start: what cannot be undone waits for a second opinion (O-12, K-6)."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.values import Get, Outcome
from jvpn.shell import keyfile
from jvpn.shell.clock import past
from jvpn.shell.entropy import entropy
from jvpn.shell.gateway import GatewayProcess
from jvpn.shell.stores.base import OWNER_GRACE_S, PURGE_EVERY_S
from jvpn.shell.stores.sqlite import SqliteStore
from jvpn.shell.vault import PLAIN
from tests.jvpn.shell.storing import BOOT, LIFETIME, NODE, START, Clock, ask, create, end, move, outbox, outcomes

DAY_S = 86_400


class Clocks:
    """The wall, which tests set, and the clock that only goes on."""

    def __init__(self) -> None:
        self.wall, self.since = Clock(), Clock()
        self.since.seconds = 1_000

    def go_on(self, seconds: int) -> None:
        """Let time pass."""
        self.wall.seconds += seconds
        self.since.seconds += seconds


def opened(path: Path, clocks: Clocks) -> SqliteStore:
    """Open a store that lives by these clocks."""
    return SqliteStore(path / "store", NODE, BOOT, clocks.wall, clocks.since)


@pytest.mark.parametrize("wrong_for", [0, 1, PURGE_EVERY_S, 3 * PURGE_EVERY_S])
@pytest.mark.parametrize("by", [9 * 3_600, 365 * DAY_S, -365 * DAY_S], ids=["nine hours", "a year", "a year back"])
def test_a_wall_clock_that_is_wrong_for_a_while_deletes_nothing(tmp_path: Path, by: int, wrong_for: int) -> None:
    """O-12: one wrong answer of a time server would end every session of a gateway, without evidence of an end."""
    clocks = Clocks()
    store = opened(tmp_path, clocks)
    birth = create(7, 1)
    ask(store, birth)
    clocks.wall.seconds += by
    ask(store, Get(8), Get(8))
    clocks.go_on(wrong_for)
    ask(store, Get(8), Get(8))
    clocks.wall.seconds -= by
    assert outcomes(ask(store, move(7, 1, 2))) == [Outcome.WON]
    store.close()
    assert [stamped.fact.serial for stamped in outbox(tmp_path / "store")] == [1, 2]


def test_a_start_under_a_wrong_clock_deletes_nothing_that_lives(tmp_path: Path) -> None:
    """O-12: a machine that starts before its clock is right would lose every session."""
    clocks = Clocks()
    first = opened(tmp_path, clocks)
    ask(first, create(7, 1), create(8, 2), end(8, 3))
    first.close()
    clocks.wall.seconds += DAY_S
    second = opened(tmp_path, clocks)
    assert outcomes(ask(second, Get(7), Get(8))) == [Outcome.FOUND, Outcome.ABSENT]
    clocks.go_on(PURGE_EVERY_S - 1)
    clocks.wall.seconds -= DAY_S
    clocks.go_on(PURGE_EVERY_S)
    assert outcomes(ask(second, Get(7))) == [Outcome.FOUND]
    second.close()


def test_what_has_expired_goes_all_the_same(tmp_path: Path) -> None:
    """O-12: rows would pile up for ever."""
    clocks = Clocks()
    first = opened(tmp_path, clocks)
    ask(first, create(7, 1))
    first.close()
    clocks.go_on(LIFETIME + OWNER_GRACE_S + 1)
    second = opened(tmp_path, clocks)
    assert outcomes(ask(second, Get(7))) == [Outcome.FOUND], "a live row: the first look is only one look"
    clocks.go_on(PURGE_EVERY_S)
    assert outcomes(ask(second, Get(7))) == [Outcome.ABSENT]
    second.close()


def test_a_clock_of_what_is_surely_past() -> None:
    """O-12, K-6: setting the wall clock forward would make things old; or setting it back would not hold them."""
    clocks = Clocks()
    now = past(clocks.wall, clocks.since)
    for go_on, set_by, expected in ((0, 0, 0), (5, 0, 5), (0, 100, 5), (10, 0, 15), (0, -200, -85), (0, 100, 15), (7, 0, 22)):
        clocks.go_on(go_on)
        clocks.wall.seconds += set_by
        assert now() == (START + expected) * 10**9


def test_a_wrong_reading_destroys_no_key(tmp_path: Path) -> None:
    """K-6: a step of the wall clock would destroy the keys of the present, and the gateway could not start when it is right again."""
    clocks, path = Clocks(), tmp_path / "gateway.key"
    tmp_path.chmod(0o700)
    keyfile.create_gateway(path, entropy, clocks.wall())
    process = cast("Any", SimpleNamespace(_past=past(clocks.wall, clocks.since), _hour=clocks.wall() // keyfile.HOUR_NS))
    process._config, process._vault = SimpleNamespace(key=path), PLAIN
    process._hourly = lambda at: GatewayProcess._hourly(process, at)
    process._compare_clocks = lambda _at_zero: None
    process._still_stored = lambda: None  # the store is looked at elsewhere
    process._judge_at = 2**63  # documents are judged elsewhere
    second: Callable[[], None] = lambda: GatewayProcess._second(process, cast("Any", clocks.since()))  # noqa: E731 - of this test alone
    before = path.read_bytes()
    clocks.wall.seconds += 30 * 3_600
    second()
    assert path.read_bytes() == before
    clocks.wall.seconds -= 30 * 3_600
    second()
    clocks.go_on(3_600)
    second()
    assert path.read_bytes() != before, "an hour that passed is an hour"
    assert keyfile.load_gateway(path, clocks.wall()).kek_hour == clocks.wall() // keyfile.HOUR_NS - keyfile.KEPT_HOURS
