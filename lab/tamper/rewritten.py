"""Classes in which history is rewritten by somebody who may have the keys of now; systemd's failures among them (A-64 to A-66)."""

from random import Random

from audit.files import CHECKPOINT, COSIGNED, SEALS
from audit.tlog.sealer import seal_name
from audit.verdict import Verdict
from lab.tamper.base import event_of
from lab.tamper.chain import changed
from lab.tamper.lines import place
from lab.tamper.material import chance
from lab.tamper.world import Want, World, canonical, found, framed, resealed, tamper


def rewritten(world: World, dice: Random, at: int) -> None:
    """Change an event, and make all that needs no key fit."""
    world.change(at, changed(world, at, dice))
    world.rewrite(world.lines, at)


def epoch(world: World, dice: Random) -> tuple[int, str, int]:
    """Choose an epoch that has ended; return its number, its seal's name, and the number of its EPOCH_SEALED."""
    chosen = dice.randrange(len(world.base.ends))
    return chosen, f"{SEALS}/{seal_name(chosen)}", world.base.ends[chosen]


@tamper("rewritten")
def rewritten_with_new_hashes(world: World, dice: Random) -> Want:
    """An event was changed and all after it hashed anew, head.json too: who has no key must not be able to write history."""
    at = place(world, dice)
    rewritten(world, dice, at)
    return found(world.base.signed_after(at), Verdict.SEAL_WRONG)


@tamper("rewritten")
def dropped_and_renumbered(world: World, dice: Random) -> Want:
    """An event was taken out and all after it numbered and hashed anew: no gap shows, but the tree is another."""
    at = dice.choice([at for at, line in enumerate(world.lines) if b'"event_type":"SESSION_' in line])  # a key's life would be broken too
    world.rewrite([*world.lines[:at], *world.lines[at + 1 :]], at)
    wrong = [end - 1 for end in world.base.ends if end > at] + [world.base.cosigned - 1] * (world.base.cosigned > at)
    return found(min(wrong), Verdict.SEAL_WRONG) if wrong else found(world.base.size - 1, Verdict.TAIL_CUT)


@tamper("rewritten")
def resealed_with_the_key_of_now(world: World, dice: Random) -> Want:
    """CVE-2023-31439, old entries sealed anew: history was rewritten and every seal made anew with the newest key, which must not count."""
    at = dice.randrange(world.base.ends[-1] + 1)
    rewritten(world, dice, at)
    world.seal(everything=True)
    world.remove(COSIGNED)
    end = world.base.signed_after(at) if at >= world.base.cosigned else min(end for end in world.base.ends if end >= at)
    first = min(end for end in world.base.ends)
    return found(min(first, end), Verdict.SEAL_WRONG)


@tamper("rewritten")
def one_epoch_resealed(world: World, dice: Random) -> Want:
    """CVE-2023-31439: one old epoch was rewritten and sealed anew with the newest key, the older ones left as they are."""
    at = dice.randrange(world.base.ends[-1] + 1)
    rewritten(world, dice, at)
    end = min(end for end in world.base.ends if end >= at)
    world.write(f"{SEALS}/{seal_name(world.base.ends.index(end))}", world.note(end + 1, world.base.now.log, world.base.now.signing))
    world.remove(COSIGNED)
    world.seal()
    return found(end, Verdict.SEAL_WRONG)


@tamper("rewritten")
def cut_and_continued(world: World, dice: Random) -> Want:
    """CVE-2023-31438, truncate and continue: an old epoch was cut, ended at once with a seal by the newest key, and other events follow."""
    old, _, end = epoch(world, dice)
    begins = world.base.ends[old - 1] + 1 if old else 0
    at = dice.randrange(max(begins, 1), end + 1)
    rest = [world.lines[end], *(line for line in world.lines[end + 1 :] if chance(dice, 0.7))]
    world.rewrite([*world.lines[:at], *rest] if at < end else [*world.lines[:at], resealed(world.lines[end], mono_us=1), *rest[1:]], at)
    world.remove(COSIGNED)
    world.seal(everything=True)
    return found(min(at, world.base.ends[0]), Verdict.SEAL_WRONG)


@tamper("rewritten")
def empty_epochs_forged(world: World, dice: Random) -> Want:
    """CVE-2023-31438, empty epochs: after an old seal the log was cut, and idle epochs up to now were sealed by the newest key."""
    old, _, end = epoch(world, dice)
    if old + 1 == len(world.base.ends):
        old, end = old - 1, world.base.ends[old - 1]
    now = world.base.now
    lines = list(world.lines[: end + 1])
    for number in range(old + 1, len(world.base.ends)):
        told = {"epoch": number, "key": now.public.hex(), "log": now.log.public.hex()}
        lines.append(resealed(world.lines[end], seal=told, event_id=f"{dice.randbytes(8).hex()}-w{len(lines):016x}"))
    seals = {number: world.read(f"{SEALS}/{seal_name(number)}") for number in range(old + 1)}
    world.rewrite(lines, end + 1)
    world.remove(COSIGNED)
    world.seal(everything=True)
    for number, seal in seals.items():  # the genuine ones stay
        world.write(f"{SEALS}/{seal_name(number)}", seal)
    return found(end + 1, Verdict.SEAL_WRONG)


@tamper("rewritten")
def epoch_left_out(world: World, dice: Random) -> Want:
    """The end of an epoch and its seal were taken out, and the rest made to follow: two epochs would be one, with one key too few."""
    old, name, end = epoch(world, dice)
    if old + 1 == len(world.base.ends):
        old, name, end = old - 1, f"{SEALS}/{seal_name(old - 1)}", world.base.ends[old - 1]
    world.rewrite([*world.lines[:end], *world.lines[end + 1 :]], end)
    world.remove(name)
    world.remove(COSIGNED)
    world.seal()
    stated = [line for line in world.lines[end : world.base.ends[old + 1]] if b'"seal"' in line]
    return found(event_of(stated[0])["seq"], Verdict.SEAL_WRONG)


@tamper("unsealed")
def unsealed_log(world: World, dice: Random) -> Want:
    """As in systemd #15425, an unsealed file verifies as good: all that was signed was taken away, and the events rewritten or not."""
    if chance(dice, 0.5):
        rewritten(world, dice, place(world, dice))
    for name in [CHECKPOINT, COSIGNED, *(f"{SEALS}/{path.name}" for path in (world.log / SEALS).iterdir())]:
        world.remove(name)
    return found(world.base.ends[0], Verdict.UNSEALED)


@tamper("unsealed")
def unsealed_from_the_start(world: World, dice: Random) -> Want:
    """As in systemd #15425: a log without a single seal or key was made of these events, as a program would that never heard of sealing."""
    lines = []
    for line in world.lines[: dice.randrange(2, world.base.size)]:
        event = event_of(line)
        event.pop("seal", None)
        if event["event_type"] != "EPOCH_SEALED":
            lines.append(framed(canonical(event)))
    for name in [CHECKPOINT, COSIGNED, *(f"{SEALS}/{path.name}" for path in (world.log / SEALS).iterdir())]:
        world.remove(name)
    world.rewrite(lines)
    return found(0, Verdict.UNSEALED)
