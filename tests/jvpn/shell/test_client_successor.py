"""Which of its gateway's keys the client process gives an engine, and what it lets that engine send."""

from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core import limits
from core.client.attempts import Keys
from core.client.client import Client
from core.client.contact import ClientPolicy
from core.client.states import State
from core.crypto.primitives import PrivateKey
from core.reasons import Reason
from core.values import Admission, Instant, Output
from core.wire.layout import Type
from jvpn.shell.client import ClientProcess
from jvpn.shell.entropy import entropy
from lab.sim.twins import TwinKem
from tests.jvpn.keys import making

OLD, NEW = making.static("old"), making.static("new")
JUMPS = frozenset({Type.REATTACH})
BOTH = JUMPS | {Type.INIT}
NOW = Instant(10**12)


class Running:
    """A client process without its parts, whose engine is in a state under the old key, and whose documents offer the new one."""

    def __init__(self, state: State, refusal: Reason | None = None) -> None:
        self.let: list[frozenset[int]] = []  # what was withheld each time that something was executed
        self.driver = SimpleNamespace(execute=self._execute, withheld=BOTH, engine=None)
        keys = Keys(PrivateKey(entropy(32)), OLD, TwinKem())
        peer = SimpleNamespace(
            public=NEW,
            admission=lambda *_: Admission(refusal),
            withheld=lambda public: frozenset() if public == NEW else JUMPS,
        )
        self.process = SimpleNamespace(
            _keys=keys, _peer=peer, _policy=ClientPolicy(), _past=lambda: 0, _refusal=refusal, _judge_at=NOW, _connect_at=NOW, _wait=1,
            _spare={}, _transports=[], driver=self.driver, engine=Client(keys, ClientPolicy(), entropy),
        )  # fmt: skip
        self.process.engine.state = state
        if state in {State.ATTACHED, State.SEEKING}:
            self.process.engine.life = SimpleNamespace(gateway=OLD)
        for name in ("_judge_keys", "_withhold"):
            setattr(self.process, name, partial(getattr(ClientProcess, name), cast("Any", self.process)))

    def _execute(self, _outputs: list[Output]) -> None:
        self.let.append(self.driver.withheld)

    def second(self, now: Instant = NOW) -> Client:
        """Let a second pass; return the engine."""
        ClientProcess._second(cast("Any", self.process), now)
        engine: Client = self.process.engine
        return engine


@pytest.mark.parametrize("state", [State.ATTACHED, State.SEEKING])
def test_what_lives_keeps_its_key(state: State) -> None:
    """[K-45] A session's next jump is under a key that the gateway does not have it under: it is lost in a rotation that was planned."""
    running = Running(state)
    assert (running.second().gateway(), running.let) == (OLD, [JUMPS])
    assert running.process.engine.keys.gateway == NEW, "a handshake beside its jumps is under the offered key"


def test_a_handshake_under_way_is_begun_again_under_the_offered_key() -> None:
    """[K-44] A client that is connecting when the key changes asks five times for a gateway that is not there any more."""
    running = Running(State.CONNECTING)
    assert (running.second().keys.gateway, running.let) == (NEW, [frozenset()])


@pytest.mark.parametrize("state", [State.IDLE, State.CLOSED])
def test_what_begins_has_the_offered_key_and_may_send(state: State) -> None:
    """[K-44] [K-45] After the end of its session a client begins under the old key again, or its INIT is kept back for half a minute."""
    running = Running(state)
    engine = running.second()
    assert (engine.keys.gateway, engine.state, running.let[-1]) == (NEW, State.CONNECTING, frozenset())
    assert running.driver.engine is engine


def test_the_first_engine_has_the_offered_key() -> None:
    """[K-44] A client that starts after a rotation lets five INITs under the old key go by before it begins under the new one."""
    running = Running(State.IDLE)
    running.process._judge_keys(NOW)
    assert (running.process.engine.keys.gateway, running.let) == (NEW, [frozenset()])


def test_nothing_begins_while_the_documents_refuse() -> None:
    """[K-39] [K-45] A client comes back after its key's end although nothing fresh says under which key."""
    running = Running(State.CLOSED, Reason.REVOCATIONS_STALE)
    assert running.second(Instant(NOW + limits.SECOND)).state is State.CLOSED
