"""Classes of tampering with the chain: events missing, repeated, moved, foreign or invented, with hashes that fit (A-22, A-52, A-53)."""

from random import Random

from audit.verdict import Verdict
from lab.tamper.base import event_of, lines_in
from lab.tamper.lines import place
from lab.tamper.material import chance
from lab.tamper.world import Want, World, found, rechained, resealed, tamper


def changed(world: World, at: int, dice: Random) -> bytes:
    """Return a line whose event says that it was at another time: possible, and not what was written."""
    return resealed(world.lines[at], mono_us=event_of(world.lines[at])["mono_us"] + dice.randint(1, 10**6))


@tamper("order")
def event_dropped(world: World, dice: Random) -> Want:
    """An event was taken out: the one that somebody does not want to be known."""
    at = place(world, dice)
    world.put([*world.lines[:at], *world.lines[at + 1 :]])
    return found(at, Verdict.TAIL_CUT if at == world.base.size - 1 else Verdict.NUMBER_WRONG)


@tamper("order")
def events_dropped(world: World, dice: Random) -> Want:
    """Several events in a row were taken out: an hour is missing."""
    at = place(world, dice)
    after = min(at + dice.randint(2, 30), world.base.size)
    last = after == world.base.size
    world.put([*world.lines[:at], *world.lines[after:]])
    return found(at, Verdict.TAIL_CUT if last else Verdict.NUMBER_WRONG)


@tamper("order")
def event_doubled(world: World, dice: Random) -> Want:
    """A line stands there twice: something happened twice."""
    at = place(world, dice)
    world.put([*world.lines[: at + 1], *world.lines[at:]])
    return found(at + 1, Verdict.NUMBER_WRONG)


@tamper("order")
def events_swapped(world: World, dice: Random) -> Want:
    """Two events changed places: cause and effect are reversed."""
    one, two = sorted(dice.sample(range(world.base.size), 2))
    lines = list(world.lines)
    lines[one], lines[two] = lines[two], lines[one]
    world.put(lines)
    return found(one, Verdict.NUMBER_WRONG)


@tamper("order")
def event_moved(world: World, dice: Random) -> Want:
    """An event was moved to another place: it seems to have been earlier, or later."""
    one, two = dice.sample(range(world.base.size), 2)
    lines = list(world.lines)
    lines.insert(two, lines.pop(one))
    world.put(lines)
    return found(min(one, two), Verdict.NUMBER_WRONG)


@tamper("forged")
def event_forged(world: World, dice: Random) -> Want:
    """An event was changed and given a hash that fits, nothing else: it is not the one that the next one follows, or a key has signed."""
    at = place(world, dice)
    world.change(at, changed(world, at, dice))
    if at == world.base.signed_after(at):  # head.json, and then what is signed, come before the next event
        return found(at, Verdict.CHAIN_BROKEN if at == world.base.size - 1 else Verdict.SEAL_WRONG)
    return found(at + 1, Verdict.CHAIN_BROKEN)


@tamper("forged")
def event_inserted(world: World, dice: Random) -> Want:
    """An invented event was put in, with a number and a previous hash that fit: something that never happened."""
    at = dice.randrange(1, world.base.size)
    made = resealed(_telemetry(world), seq=at, prev_hash=event_of(world.lines[at])["prev_hash"], mono_us=dice.randint(1, 10**6))
    world.put([*world.lines[:at], made, *world.lines[at:]])
    if at == world.base.size - 1:
        return found(at, Verdict.CHAIN_BROKEN)  # head.json names another one
    if at + 1 in {world.base.cosigned, world.base.size}:
        return found(at, Verdict.SEAL_WRONG)
    return found(at + 1, Verdict.NUMBER_WRONG)


@tamper("forged")
def events_appended(world: World, dice: Random) -> Want:
    """Invented events were put behind the end, with a chain and a head.json that fit: nobody has signed for them."""
    for _ in range(dice.randint(1, 20)):
        world.lines.append(resealed(_telemetry(world), mono_us=dice.randint(1, 10**6)))
    world.rewrite(world.lines, world.base.size)
    return found(world.base.size, Verdict.UNSEALED)


@tamper("forged")
def event_foreign(world: World, dice: Random) -> Want:
    """An event names another chain: it was taken from another log, or is to be found under another name."""
    at = dice.randrange(1, world.base.size)
    world.change(at, resealed(world.lines[at], chain_id=dice.randbytes(16).hex()))
    return found(at, Verdict.CHAIN_BROKEN)


@tamper("forged")
def spliced_with_another_log(world: World, dice: Random) -> Want:
    """From some event on it is another log, made to follow, chain and head.json and all: half of another gateway's history."""
    other = lines_in(world.base.root / "other" / "log")
    at = dice.randrange(1, min(len(other), world.base.size))
    if chance(dice, 0.5):  # as it is, or with this log's name
        world.put([*world.lines[:at], *other[at:]])
        return found(at, Verdict.CHAIN_BROKEN)
    chain, opened = event_of(world.lines[0])["chain_id"], [line for line in other[at:] if b'"LOG_' not in line and b'"EPOCH_' not in line]
    rest = [resealed(line, chain_id=chain) for line in opened] or [_telemetry(world)]
    world.rewrite([*world.lines[:at], *rest], at)
    size = len(world.lines)
    signed = [end + 1 for end in world.base.ends if end < at] + [each for each in (world.base.cosigned, world.base.size) if each <= size]
    wrong = [each for each in signed if each > at]
    if wrong:
        return found(min(wrong) - 1, Verdict.SEAL_WRONG)
    return found(size, Verdict.TAIL_CUT)


@tamper("forged")
def begun_again_in_the_middle(world: World, dice: Random) -> Want:
    """A second LOG_OPENED was put in, all after it made to follow: what was before it is to look like another log's."""
    at = dice.randrange(1, world.base.size)
    world.rewrite([*world.lines[:at], world.lines[0], *world.lines[at:]], at)
    return found(at, Verdict.CHAIN_BROKEN)


@tamper("forged")
def beginning_cut(world: World, dice: Random) -> Want:
    """The first events were cut off and the rest numbered and hashed anew: the log begins after what somebody did."""
    cut = dice.randrange(1, world.base.size - 1)
    world.rewrite(world.lines[cut:])
    return found(0, Verdict.CHAIN_BROKEN)


@tamper("forged")
def genesis_follows_something(world: World, dice: Random) -> Want:
    """The first event names one before it: as if there had been more, which is gone."""
    world.put(list(rechained([resealed(world.lines[0], prev_hash=dice.randbytes(32).hex()), *world.lines[1:]], 1)))
    world.head()
    return found(0, Verdict.CHAIN_BROKEN)


@tamper("tail")
def end_cut(world: World, dice: Random) -> Want:
    """The end was cut off between two lines: the newest is what an intruder wants to be gone."""
    at = place(world, dice)
    world.put(world.lines[:at])
    return found(at, Verdict.TAIL_CUT)


@tamper("tail")
def end_torn(world: World, dice: Random) -> Want:
    """The end was cut off within a line: as if it had been a crash."""
    at = place(world, dice)
    cut = world.lines[at][: dice.randrange(1, len(world.lines[at]))]
    world.put([*world.lines[:at], cut])
    return found(at, Verdict.TAIL_CUT)


@tamper("tail")
def end_cut_with_head(world: World, dice: Random) -> Want:
    """The end was cut off, and head.json made to fit: what was signed is more than what is there."""
    at = dice.randrange(1, world.base.size)
    world.put(world.lines[:at])
    world.head()
    return found(at, Verdict.TAIL_CUT)


def _telemetry(world: World) -> bytes:
    """Return a line of which there may be as many as one likes."""
    return next(line for line in world.lines if b'"SESSION_REFUSED"' in line or b'"HANDSHAKE_PROVEN"' in line)
