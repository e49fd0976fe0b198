"""The guard of copies: engines are held weakly, and each service has it."""

import gc
from typing import Any, cast

from jvpn.shell import forks
from jvpn.shell.driver import Driver
from jvpn.shell.tun import MemoryTun


class Engine:
    """Counts how often it was told to forget."""

    def __init__(self) -> None:
        self.times = 0

    def forget(self) -> None:
        """Count."""
        self.times += 1


def test_an_engine_that_is_gone_is_not_kept() -> None:
    """Every engine of a long test run, or of a client that reconnects, would stay in memory with its keys."""
    before, engine = len(forks._GUARDED), Engine()
    forks.guard(engine)
    forks.guard(engine)
    assert len(forks._GUARDED) == before + 1
    del engine
    gc.collect()
    assert len(forks._GUARDED) <= before


def test_each_engine_forgets_once() -> None:
    """[D-9] The copy would still hold the keys of one of two engines."""
    engines = [Engine(), Engine()]
    for engine in engines:
        forks.guard(engine)
    forks._forget()
    assert [engine.times for engine in engines] == [1, 1]


def test_each_driver_guards_the_engine_that_it_has() -> None:
    """[D-9] The guard is there, and no service has it; or a client that made a new engine is guarded no more."""
    first, second, port = Engine(), Engine(), MemoryTun("guarded")
    driver = Driver(cast("Any", first), [], port, None)
    driver.engine = cast("Any", second)
    forks._forget()
    assert (first.times, second.times) == (0, 1)
    port.close()
