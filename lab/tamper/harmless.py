"""Classes that are no tampering with the log: what lies beside it, and what says less than it could. An alarm here would be a false one."""

import os
from random import Random

from audit.files import CHECKPOINT, COSIGNED, HEAD, RECENT, SEALS, tree_name
from audit.tlog import note
from audit.tlog.sealer import seal_name
from core.crypto.primitives import SigningKey
from lab.tamper.base import COSIGNED_S
from lab.tamper.material import chance
from lab.tamper.world import NOTHING, Look, Want, World, tamper


@tamper("harmless")
def garbage_beside(world: World, dice: Random) -> Want:
    """Files that are none of the log's lie in its directory: drafts of a crash, an editor's copies, names that only look like segments."""
    first = dice.choice(world.base.starts)
    like = f"audit-{first:020d}"
    names = (
        ".head.json", ".checkpoint", "core", f"{like}.jsonl.bak", f"{like}.json", f".{like}.jsonl", f"{like}.jsonl~",
        f"audit-{first}.jsonl",
        "Audit-" + "0" * 20 + ".jsonl", "audit-" + "9" * 21 + ".jsonl", f"{SEALS}/lost+found", f"{SEALS}/{seal_name(0)}.old",
    )  # fmt: skip
    for name in dice.sample(names, 3):
        world.write(name, dice.choice((b"", dice.randbytes(300), world.lines[0], b"z" * 100_000)))
    (world.log / "directory").mkdir()
    os.mkfifo(world.log / "pipe")
    return NOTHING


@tamper("harmless")
def copies_beside(world: World, dice: Random) -> Want:
    """Files of the log are there a second time under names that mean nothing: a backup."""
    for name in dice.sample((HEAD, CHECKPOINT, COSIGNED, world.segment(0)), 2):
        world.write(f"{name}.{dice.choice(('bak', 'orig', '1', '~'))}", world.read(name))
    return NOTHING


@tamper("harmless")
def memory_of_evidence_changed(world: World, dice: Random) -> Want:
    """recent.json was changed or removed: it helps the writer to start, and says nothing of the log (A-44)."""
    world.remove(RECENT) if chance(dice, 0.3) else world.write(RECENT, dice.randbytes(dice.randrange(100)))
    return NOTHING


@tamper("harmless", Look.POLICY)
def tree_notes_changed_under_a_whole_log(world: World, dice: Random) -> Want:
    """A note of a tree was changed or removed, and the whole log is there: the tree is counted from its first event (A-61)."""
    name = tree_name(dice.choice(world.base.starts))
    world.remove(name) if chance(dice, 0.3) else world.write(name, dice.randbytes(dice.randrange(100)))
    return NOTHING


@tamper("harmless")
def head_of_before(world: World, dice: Random) -> Want:
    """head.json names an older event of this log: it may be a second old when a process is killed (A-34)."""
    world.head(world.lines[: dice.randrange(1, world.base.size)])
    return NOTHING


@tamper("harmless", Look.POLICY)
def signatures_of_strangers(world: World, dice: Random) -> Want:
    """Signatures of keys that nobody asked for stand in seals, checkpoint and cosigned: lines of others are ignored (A-63)."""
    for name in (CHECKPOINT, COSIGNED, f"{SEALS}/{seal_name(dice.randrange(len(world.base.ends)))}"):
        signed = note.parse(world.read(name))
        stranger = SigningKey(dice.randbytes(32))
        line = dice.choice((note.sign(signed.text, "stranger", stranger), note.cosign(signed.text, "w1", stranger, COSIGNED_S)))
        lines = [*signed.signatures, line]
        dice.shuffle(lines)
        world.write(name, signed._replace(signatures=tuple(lines)).raw)
    return NOTHING


@tamper("harmless")
def seal_of_no_epoch(world: World, dice: Random) -> Want:
    """A file lies among the seals for an epoch that has not ended: nothing that is signed rests on it."""
    world.write(
        f"{SEALS}/{seal_name(len(world.base.ends) + dice.randrange(100))}", dice.choice((b"", world.read(CHECKPOINT), dice.randbytes(99)))
    )
    return NOTHING


@tamper("harmless")
def segment_links_to_itself_elsewhere(world: World, dice: Random) -> Want:
    """A segment was moved to another disk, with a link in its place: it is the same."""
    name = world.segment(dice.randrange(len(world.base.starts)))
    (world.root / "elsewhere").write_bytes(world.read(name))
    world.remove(name)
    (world.log / name).symlink_to(world.root / "elsewhere")
    return NOTHING
