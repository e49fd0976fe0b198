"""What the logs of the corpus tell: sessions that jump, keys, documents, refusals and losses, as the tables allow them."""

from collections.abc import Sequence
from random import Random
from typing import Final

from audit.event import Moment
from audit.record import pack
from audit.vocabulary import vocabulary
from core.keys.states import Kind
from core.keys.states import State as Key
from core.reasons import Event, Reason
from core.session.states import State
from core.values import Endpoint, Fact, Instant

NODE: Final = b"a node's"
WALL: Final = 1_795_000_000_000_000_000
STEP_NS: Final = 1_000_000  # the clock of the corpus goes on by this each time it is read
REMOTE: Final = Endpoint(bytes(10) + b"\xff\xff\xc0\x00\x02\x07", 51_820)
P, A, V, R, T = State.PENDING, State.ATTACHED, State.VOLATILE, State.RECOVERING, State.TERMINATED
KEYSET, REVOCATIONS = 2, 3
STRIDE: Final = 1_000  # serials of one story


class Clock:
    """A clock that goes on by a step each time it is read."""

    def __init__(self) -> None:
        """Begin."""
        self.ns = 0

    def __call__(self) -> Moment:
        """Read it."""
        self.ns += STEP_NS
        return Moment(WALL + self.ns, self.ns)


def chance(dice: Random, share: float) -> bool:
    """Return True in so many of all cases, from 0 to 1."""
    return dice.random() < share


def session(handle: int, jumps: int) -> list[Fact]:
    """Return a session from its handshake to its end, with so many jumps, each refused once before."""
    facts = [_step(Event.SESSION_CHANGED, Reason.HANDSHAKE_PROVEN, 0, P, P), _step(Event.SESSION_CHANGED, Reason.BIRTH_ASKED, 1, P, P)]
    facts.append(_step(Event.SESSION_BORN, Reason.HANDSHAKE_COMPLETED, 2, P, A, 1))
    version, binding = 2, 1
    for _ in range(jumps):
        for reason, before, after in ((Reason.QUALITY_LOW, A, V), (Reason.REATTACH_ACCEPTED, V, V), (Reason.MOVE_ASKED, V, V)):
            version += 1
            facts.append(_step(Event.SESSION_CHANGED, reason, version, before, after, binding))
        version, binding = version + 1, binding + 1
        facts.append(_step(Event.SESSION_MOVED, Reason.MOVED_QUALITY, version, V, A, binding)._replace(attempt=1, measures=(40, 900, 0, 0)))
        facts.append(_step(Event.SESSION_REFUSED, Reason.COOLDOWN, version, A, A)._replace(times=2))
    facts.append(_step(Event.SESSION_CHANGED, Reason.PATH_CLOSED, version + 1, A, R, binding))
    facts.append(_step(Event.SESSION_ENDED, Reason.CLOSED_BY_OPERATOR, version + 2, R, T, binding))
    return [fact._replace(handle=handle, serial=handle * STRIDE + number) for number, fact in enumerate(facts)]


def keys(handle: int) -> list[Fact]:
    """Return the life of a key, and documents that speak of keys."""
    life = ((Reason.KEY_LISTED, None, Key.PRE_ACTIVE), (Reason.KEY_VALID, Key.PRE_ACTIVE, Key.ACTIVE),
            (Reason.KEY_SUCCEEDED, Key.ACTIVE, Key.RETIRING), (Reason.KEY_OUTDATED, Key.RETIRING, Key.DEACTIVATED))  # fmt: skip
    facts = [
        Fact(Event.KEY_CHANGED, reason, 0, 0, Instant(version), state_from=before or 0, state_to=after, state_version=version,
             carrier_to=Kind.GATEWAY, device=handle.to_bytes(32, "little")) for version, (reason, before, after) in enumerate(life)
    ]  # fmt: skip
    for role, version in ((KEYSET, handle), (REVOCATIONS, handle), (KEYSET, handle + 1)):
        facts.append(Fact(Event.DOCUMENT_JUDGED, Reason.DOCUMENT_ACCEPTED, 0, 0, Instant(9), carrier_to=role, binding_version=version))
    return [fact._replace(serial=handle * STRIDE + number) for number, fact in enumerate(facts)]


def lost(handle: int, times: int) -> list[Fact]:
    """Return the shell's notice that it could not send so many records."""
    return [Fact(Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, handle * STRIDE, 0, Instant(1), times=times)]


def told(dice: Random, stories: int, first: int) -> list[Fact]:
    """Return so many stories, one through the other, each in its order; `first` is the first handle, so that none comes twice."""
    rows = [session(first + number, dice.randrange(2)) for number in range(stories)]
    if chance(dice, 0.7):  # most logs speak of keys
        rows.append(keys(first + stories))
    if chance(dice, 0.5):  # half of them of a loss
        rows.append(lost(first + stories + 1, dice.randrange(1, 50)))
    facts = []
    while rows := [row for row in rows if row]:
        facts.append(dice.choice(rows).pop(0))
    return facts


def records(facts: Sequence[Fact], boot: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return telemetry and evidence among these facts as the shell sends them; evidence has its serial as outbox id."""
    made: tuple[list[bytes], list[bytes]] = ([], [])
    for fact in facts:
        evidence = vocabulary().kinds[fact.event.name].event_class == "evidence"
        made[evidence].append(pack(fact, WALL, boot, fact.serial if evidence else 0))
    return made


def _step(event: Event, reason: Reason, version: int, before: State, after: State, binding: int = 0) -> Fact:
    fact = Fact(event, reason, 0, 0, Instant(version * STEP_NS), correlation=b"correlates these", state_from=before, state_to=after)
    return fact._replace(
        state_version=version, binding_version=binding, device=bytes(31) + b"\1", remote=REMOTE, carrier_from=1, carrier_to=1
    )
