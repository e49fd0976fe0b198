"""Classes in which the events cannot be true; their makers have the log and every key of now (A-54 to A-56)."""

from random import Random

from audit.verdict import Verdict
from lab.tamper.base import event_of
from lab.tamper.world import Want, World, found, resealed, tamper


def _of(world: World, *kinds: str, reason: str = "") -> list[int]:
    """Return the numbers of events of these types, and of this reason if one is given."""
    events = [event_of(line) for line in world.lines]
    return [event["seq"] for event in events if event["event_type"] in kinds and reason in {"", event["reason_code"]}]


def _insert(world: World, at: int, line: bytes) -> Want:
    """Put an event in that cannot be, and make all after it follow, signed by the keys of now."""
    world.rewrite([*world.lines[:at], line, *world.lines[at:]], at)
    world.seal()
    return found(at, Verdict.CONTRADICTION)


@tamper("story")
def evidence_repeated(world: World, dice: Random) -> Want:
    """Evidence was recorded a second time, later, with everything made to follow: a session would have moved twice."""
    one = dice.choice([at for at, line in enumerate(world.lines) if b'"event_class":"evidence"' in line and at + 1 < world.base.size])
    at = dice.randrange(one + 1, world.base.size)
    return _insert(world, at, world.lines[one])._replace(verdicts=(Verdict.NUMBER_WRONG,))


@tamper("story")
def transition_that_no_row_allows(world: World, dice: Random) -> Want:
    """A session was made to go where no row of the table leads: back to PENDING, or on from TERMINATED."""
    events = [event_of(line) for line in world.lines]
    moves = [event for event in events if event["event_type"] in {"SESSION_CHANGED", "SESSION_BORN", "SESSION_MOVED", "SESSION_ENDED"}]
    at = dice.choice([event["seq"] for event in moves if event["state"]["to"] != "PENDING"])
    state = event_of(world.lines[at])["state"]
    wrong = dice.choice(({"from": "TERMINATED"}, {"to": "PENDING"}, {"from": "TERMINATED", "to": "ATTACHED"}))
    world.change(at, resealed(world.lines[at], state=state | wrong))
    world.rewrite(world.lines, at)
    world.seal()
    return found(at, Verdict.CONTRADICTION)


@tamper("story")
def session_born_twice(world: World, dice: Random) -> Want:
    """A session that exists was born again, for another device: the new owner would be its owner from the beginning."""
    one = dice.choice(_of(world, "SESSION_BORN"))
    at = dice.randrange(one + 1, world.base.size)
    twin = resealed(world.lines[one], event_id=f"{dice.randbytes(8).hex()}-{dice.getrandbits(64):016x}", boot_id=dice.randbytes(8).hex())
    return _insert(world, at, twin)


@tamper("story")
def session_moved_after_its_end(world: World, dice: Random) -> Want:
    """A session that has ended was moved once more: somebody would have used it after it was closed."""
    ended = dice.choice([each for each in _of(world, "SESSION_ENDED") if each + 1 < world.base.size])
    event, born = event_of(world.lines[ended]), dice.choice(_of(world, "SESSION_BORN"))
    at = dice.randrange(ended + 1, world.base.size)
    made = resealed(world.lines[born], session=event["session"], boot_id=dice.randbytes(8).hex(),
                    event_id=f"{dice.randbytes(8).hex()}-{dice.getrandbits(64):016x}")  # fmt: skip
    return _insert(world, at, made)


@tamper("story")
def key_in_a_wrong_step(world: World, dice: Random) -> Want:
    """A key was made to come back from where it was given up: a withdrawn or outdated key would be good again."""
    at = dice.choice(_of(world, "KEY_CHANGED") or _of(world, "SESSION_BORN"))
    event = event_of(world.lines[at])
    if event["event_type"] != "KEY_CHANGED":
        return transition_that_no_row_allows(world, dice)
    state = dice.choice(
        ({"from": "DEACTIVATED", "to": "ACTIVE"}, {"from": "DESTROYED", "to": "PRE_ACTIVE"}, {"from": "COMPROMISED", "to": "RETIRING"})
    )
    world.change(at, resealed(world.lines[at], state=event["state"] | state))
    world.rewrite(world.lines, at)
    world.seal()
    return found(at, Verdict.CONTRADICTION)


@tamper("story")
def document_rolled_back(world: World, dice: Random) -> Want:
    """A document about keys is accepted, and right after it one of an older version: a revocation would be undone unseen."""
    at = dice.choice(_of(world, "DOCUMENT_JUDGED") or _of(world, "SESSION_BORN"))
    event = event_of(world.lines[at])
    if event["event_type"] != "DOCUMENT_JUDGED":
        return transition_that_no_row_allows(world, dice)
    version = event["document"]["version"]
    older = resealed(world.lines[at], document=event["document"] | {"version": dice.randint(0, version - 1)},
                     event_id=f"{event['boot_id']}-{dice.getrandbits(64):016x}")  # fmt: skip
    return _insert(world, at + 1, older)
