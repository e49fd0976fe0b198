"""Classes under a lock that says that a writer is at work: it forgives the end that is not yet there, and nothing else (A-53, A-66)."""

from random import Random

from audit.files import CHECKPOINT, SEALS
from audit.tlog.sealer import seal_name
from audit.verdict import Verdict
from lab.tamper.lines import place
from lab.tamper.rewritten import rewritten
from lab.tamper.world import NOTHING, Want, World, found, resealed, tamper


@tamper("live")
def held_open_and_rewritten(world: World, dice: Random) -> Want:
    """The log was rewritten, the checkpoint removed, and the lock held: as if it were still to be signed, which is done before all else."""
    at = place(world, dice)
    rewritten(world, dice, at)
    world.remove(CHECKPOINT)
    world.locked = True
    wrong = [size for size in (*(end + 1 for end in world.base.ends), world.base.cosigned) if size > at]
    unsigned = max(world.base.ends[-1] + 1, world.base.cosigned)
    return found(min(wrong) - 1, Verdict.SEAL_WRONG) if wrong else found(unsigned, Verdict.UNSEALED)


@tamper("live")
def held_open_and_cut(world: World, dice: Random) -> Want:
    """The end was cut off, in a line or between two, head.json made to fit, and the lock held: more was signed than is there."""
    at = dice.randrange(1, world.base.size)
    world.put(world.lines[:at])
    world.head()
    torn = world.base.lines[at][: dice.randrange(len(world.base.lines[at]))]
    if torn and at not in world.base.starts:
        world.put([*world.lines, torn])
    world.locked = True
    return found(at, Verdict.TAIL_CUT)


@tamper("live")
def held_open_with_a_seal_missing(world: World, dice: Random) -> Want:
    """A seal was removed and the lock held: a writer records nothing before the seal is there, so something behind it gives that away."""
    number = dice.randrange(len(world.base.ends))
    world.remove(f"{SEALS}/{seal_name(number)}")
    world.locked = True
    return found(world.base.ends[number], Verdict.UNSEALED)


@tamper("harmless")
def written_at_this_moment(world: World, dice: Random) -> Want:
    """A writer is at work, with an incomplete line and events behind the checkpoint: the result says that, and how far it is signed."""
    for _ in range(dice.randrange(3)):
        world.lines.append(resealed(next(line for line in world.lines if b'"SESSION_REFUSED"' in line or b'"HANDSHAKE_PROVEN"' in line)))
    world.rewrite(world.lines, world.base.size)
    world.put([*world.lines, world.lines[-1][: dice.randrange(1, len(world.lines[-1]))]])
    world.locked = True
    return NOTHING
