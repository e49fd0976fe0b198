"""Classes of tampering with what was signed: seals and checkpoint (A-62 to A-66)."""

from random import Random

from audit.files import CHECKPOINT, COSIGNED, SEALS
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.sealer import seal_name
from audit.verdict import Verdict
from core.crypto.primitives import SigningKey
from lab.tamper.base import event_of
from lab.tamper.material import chance
from lab.tamper.rewritten import epoch
from lab.tamper.world import Want, World, found, resealed, tamper


@tamper("unsealed")
def seal_removed(world: World, dice: Random) -> Want:
    """One epoch's seal was removed, as the first step to rewrite that epoch: nobody has signed for it."""
    _, name, end = epoch(world, dice)
    world.remove(name)
    return found(end, Verdict.UNSEALED)


@tamper("signature")
def seal_of_another(world: World, dice: Random) -> Want:
    """A seal was replaced by another genuine one, of another epoch or another log: each is good, and not of this tree."""
    old, name, end = epoch(world, dice)
    others = [number for number in range(len(world.base.ends)) if number != old]
    there = world.base.root / "other" / "log" / SEALS
    world.write(
        name,
        world.read(f"{SEALS}/{seal_name(dice.choice(others))}") if chance(dice, 0.5) else dice.choice(sorted(there.iterdir())).read_bytes(),
    )
    return found(end, Verdict.SEAL_WRONG)


@tamper("signature")
def seal_damaged(world: World, dice: Random) -> Want:
    """A byte of a seal was changed, or its end is gone: what is not whole is no signature."""
    _, name, end = epoch(world, dice)
    seal = world.read(name)
    at = dice.randrange(len(seal))
    world.write(name, seal[:at] if chance(dice, 0.2) else seal[:at] + bytes((seal[at] ^ dice.randrange(1, 256),)) + seal[at + 1 :])
    return found(end, Verdict.SEAL_WRONG)


@tamper("signature")
def seal_signed_by_half(world: World, dice: Random) -> Want:
    """A seal has one of its two signatures: neither the log's key, which is there for ever, nor an epoch's vouches alone."""
    _, name, end = epoch(world, dice)
    signed = note.parse(world.read(name))
    world.write(name, signed._replace(signatures=(dice.choice(signed.signatures),)).raw)
    return found(end, Verdict.SEAL_WRONG)


@tamper("signature")
def seal_signed_by_another(world: World, dice: Random) -> Want:
    """A seal was signed by a stranger's keys under the log's name: a name is no signature."""
    _, name, end = epoch(world, dice)
    keys = [SigningKey(dice.randbytes(32)), SigningKey(dice.randbytes(32)), world.base.now.log]
    world.write(name, world.note(end + 1, *dice.sample(keys, 2)))
    return found(end, Verdict.SEAL_WRONG)


@tamper("signature")
def checkpoint_removed(world: World, dice: Random) -> Want:
    """The checkpoint was removed, with or without head.json set back: the newest events are nobody's."""
    world.remove(CHECKPOINT)
    if chance(dice, 0.5):
        world.head(world.lines[: dice.randrange(1, world.base.size)])
    return found(max(world.base.ends[-1] + 1, world.base.cosigned), Verdict.UNSEALED)


@tamper("signature")
def checkpoint_of_before(world: World, dice: Random) -> Want:
    """An older genuine checkpoint, or a seal, was put in the checkpoint's place: what came after it may be anything."""
    if chance(dice, 0.5):
        world.write(CHECKPOINT, world.read(COSIGNED))
        return found(max(world.base.ends[-1] + 1, world.base.cosigned), Verdict.UNSEALED)
    _, name, end = epoch(world, dice)
    world.write(CHECKPOINT, world.read(name))
    return found(end, Verdict.SEAL_WRONG)  # behind its EPOCH_SEALED the next key signs


@tamper("signature")
def checkpoint_says_another(world: World, dice: Random) -> Want:
    """The checkpoint was changed to say another size, root or log: no key has signed that."""
    signed = note.parse(world.read(CHECKPOINT))
    says = Checkpoint.of(signed)
    size = dice.choice([each for each in range(1, 2 * world.base.size) if each != says.size])
    made, seq, verdict = dice.choice((
        (says._replace(size=size), min(size - 1, world.base.size), Verdict.SEAL_WRONG if size < says.size else Verdict.TAIL_CUT),
        (says._replace(root=dice.randbytes(32)), says.size - 1, Verdict.SEAL_WRONG),
        (says._replace(origin=f"jvp-audit/{dice.randbytes(16).hex()}"), says.size - 1, Verdict.SEAL_WRONG),
    ))  # fmt: skip
    world.write(CHECKPOINT, signed._replace(text=made.text).raw)
    return found(seq, verdict)


@tamper("signature")
def checkpoint_forged(world: World, dice: Random) -> Want:
    """The checkpoint was signed anew by a stranger, by one of its two keys, or by an older one's seal: it has to be the keys of now."""
    now, stranger = world.base.now, SigningKey(dice.randbytes(32))
    keys = dice.choice(
        ((now.log,), (now.signing,), (now.log, stranger), (stranger, now.signing), (stranger, stranger), (now.log, now.following().signing))
    )
    world.write(CHECKPOINT, world.note(world.base.size, *keys))
    return found(world.base.size - 1, Verdict.SEAL_WRONG)


@tamper("signature")
def checkpoint_spoilt(world: World, dice: Random) -> Want:
    """The checkpoint became no note at all: cut, empty, not UTF-8, or a thousand signatures long."""
    raw = world.read(CHECKPOINT)
    line = raw.splitlines(keepends=True)[-1]
    spoilt = (
        b"",
        raw[: dice.randrange(len(raw))],
        b"\xff" + raw,
        raw.replace(b"\n", b"\r\n"),
        raw + line * 64,
        raw.replace(b"=\n", b"\n"),
        raw + b"x",
    )
    world.write(CHECKPOINT, dice.choice(spoilt))
    return found(max(world.base.ends[-1] + 1, world.base.cosigned), Verdict.SEAL_WRONG)


@tamper("signature")
def key_changed_in_the_middle(world: World, dice: Random) -> Want:
    """An event that states keys was made to state others, and all after it made to follow: the keys of somebody else take over."""
    stated = [at for at, line in enumerate(world.lines) if b'"seal"' in line and at]
    at = dice.choice(stated)
    seal = event_of(world.lines[at])["seal"]
    name, value = dice.choice((("key", dice.randbytes(32).hex()), ("log", dice.randbytes(32).hex()), ("epoch", seal["epoch"] + 1)))
    world.change(at, resealed(world.lines[at], seal=seal | {name: value}))
    world.rewrite(world.lines, at)
    return found(at, Verdict.SEAL_WRONG)
