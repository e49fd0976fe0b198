"""Every bound has one name and one value, which the code uses; the specification's numbers do not change unnoticed."""

import ast
import json
from inspect import signature
from typing import Final

import pytest

from core import limits
from core.client.attempts import Hand
from core.crypto import replay
from core.reasons import Carrier
from core.wire import layout
from lab.sim.device import arrive, here
from lab.sim.frames import there
from lab.sim.world import MS, World
from tests.support import ROOT

# fmt: off
SPECIFIED: Final = {  # protocol sections 1 to 6
    "WINDOW_PACKETS": 1_024, "COUNTER_LIMIT": 2**64 - 2**13 - 1, "LOOKAHEAD_ATTEMPTS": 64, "ATTEMPT_MAX": 65_534, "LOCATORS_PER_ACK": 32,
    "REKEY_AFTER_NS": 120 * 10**9, "REJECT_AFTER_NS": 180 * 10**9, "DRAINING_NS": 2 * 10**9,
    "SESSIONS_PER_DEVICE": 4, "MTU_DEFAULT": 1_280, "MTU_ALLOWED": (1_280, 1_380), "COOKIE_SECRET_NS": 120 * 10**9,
    "INIT_MEMORY_NS": 120 * 10**9, "INIT_MEMORY_MAX": 65_536, "HANDSHAKE_RETRY_NS": 500 * 10**6, "HANDSHAKE_TRIES": 5,
    "COOKIES_PER_HANDSHAKE": 3, "REATTACH_RETRY_NS": 50 * 10**6, "REATTACH_RETRY_CAP_NS": 10**9, "HINT_INTERVAL_NS": 10**9,
    "STORE_TIMEOUT_NS": 2 * 10**9, "LIFETIME_S": 8 * 3_600, "LIFETIME_S_MAX": 24 * 3_600, "TRANSPORT_LOSS_NS": 900 * 10**9,
    "TRANSPORT_LOSS_NS_MIN": 10 * 10**9, "RECOVERY_WINDOW_NS": 8 * 10**9, "VOLATILE_NS": 4 * 10**9, "STABLE_NS": 3 * 10**9,
    "LOSS_WINDOW_NS": 2 * 10**9, "LOSS_PERCENT": 20, "VOLUNTARY_PER_MINUTE": 8, "VOLUNTARY_COOLDOWN_NS": 1_500 * 10**6,
    "FORCED_PER_MINUTE": 30, "PENDING_MAX": 4_096, "PENDING_PER_DEVICE": 2, "PENDING_NS": 5 * 10**9, "PENDING_PER_PREFIX": 4,
    "HELD_PACKETS": 64, "HELD_BYTES": 131_072, "REFUSALS_PER_SECOND": 10, "SUMMARY_NS": 10 * 10**9, "REKEYS_PER_MINUTE": 8,
}
# fmt: on
UNITS: Final = {"MICROSECOND", "MILLISECOND", "SECOND"}
STATED_ELSEWHERE: Final = {"TRANSPORT_LOSS_NS_MIN"}  # in the schema of the configuration


def names() -> set[str]:
    """Return the names of all limits."""
    return {name for name in vars(limits) if name.isupper()} - UNITS


def used() -> set[str]:
    """Return the names that the product uses as attributes or imports, outside of the module itself."""
    found: set[str] = set()
    for folder in ("core", "jvpn", "audit", "observability"):
        for path in (ROOT / folder).rglob("*.py"):
            if path != ROOT / "core" / "limits.py":
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Attribute):
                        found.add(node.attr)
                    elif isinstance(node, ast.ImportFrom):
                        found |= {each.name for each in node.names}
    inside = ast.parse((ROOT / "core" / "limits.py").read_text())
    return found | {node.id for node in ast.walk(inside) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


@pytest.mark.parametrize("name", SPECIFIED)
def test_the_specification_s_number(name: str) -> None:
    """Two implementations would not agree, and nobody would have decided it."""
    assert getattr(limits, name) == SPECIFIED[name]


def test_every_limit_is_kept_by_some_code() -> None:
    """A bound would be written down and not kept."""
    assert names() - used() == STATED_ELSEWHERE


def test_limits_that_are_stated_elsewhere_are_the_same_there() -> None:
    """One number would have two values."""
    assert signature(replay.step).parameters["width"].default == limits.WINDOW_PACKETS
    seconds = limits.REJECT_AFTER_NS // limits.SECOND
    assert seconds * 10**9 < limits.COUNTER_LIMIT, "a key expires before a thousand million packets a second use it up"
    assert layout.confirm_length(limits.MTU_DEFAULT) == 1_328


def test_configurations_stay_inside_the_limits() -> None:
    """A file would be accepted that asks for what the core does not keep."""
    policy = json.loads((ROOT / "schemas" / "config" / "gateway.json").read_text())["properties"]["policy"]["properties"]
    assert policy["lifetime_s"]["maximum"] == limits.LIFETIME_S_MAX
    assert policy["transport_loss_s"]["minimum"] == limits.TRANSPORT_LOSS_NS_MIN // limits.SECOND
    assert policy["voluntary_per_minute"]["default"] == limits.VOLUNTARY_PER_MINUTE
    assert policy["forced_per_minute"]["default"] == limits.FORCED_PER_MINUTE


def test_deadlines_have_an_order() -> None:
    """A deadline that can never come first would be dead, and what it guards unguarded."""
    assert limits.REKEY_AFTER_NS + 2 * limits.PATIENCE_NS <= limits.REJECT_AFTER_NS, "there is time to rekey"
    assert limits.KEEPALIVE_NS * 2 < limits.SILENCE_NS, "one lost keepalive is not silence"
    assert limits.STORE_TIMEOUT_NS < limits.CANDIDATE_NS
    assert limits.STORE_TIMEOUT_NS < limits.PENDING_NS
    assert limits.PROBE_NS * 3 <= limits.DEAD_MIN_NS, "one lost probe is not death"
    assert limits.LOCATORS_PER_ACK <= limits.LOOKAHEAD_ATTEMPTS


def test_one_stream_does_not_collect_sessions() -> None:
    """An allowed device could fill the gateway's memory through one connection."""
    world = World()
    path = here(world.host, 900, Carrier.TCP, 900)
    for _ in range(50):
        arrive(world, Hand(world.client.keys, world.entropy, path, world.now).frame, path)
    assert len(world.desk.sessions) == limits.PENDING_PER_DEVICE
    assert len(world.desk.streams[there(path)]) <= limits.PENDING_PER_DEVICE + 1


def test_retired_indices_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each candidate that is replaced would leave a trace in memory for ever."""
    monkeypatch.setattr(limits, "PENDING_MAX", 5)
    world = World()
    for _ in range(30):
        arrive(world, Hand(world.client.keys, world.entropy, here(world.host, 900, 2, 9), world.now).frame, here(world.host, 900, 2, 9))
    assert len(world.desk.retired) <= 5
    world.run(limits.PENDING_NS // MS + 1)
    assert not world.desk.sessions
