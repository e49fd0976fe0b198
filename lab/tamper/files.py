"""Classes of tampering with the files of a log: removed, renamed, emptied, doubled, or no files any more (A-30, A-34, A-53)."""

import os
from random import Random

from audit.files import CHECKPOINT, COSIGNED, HEAD, segment_name, tree_name
from audit.verdict import Verdict
from lab.tamper.base import event_of
from lab.tamper.chain import changed
from lab.tamper.material import chance
from lab.tamper.rewritten import epoch, rewritten
from lab.tamper.world import Blind, Look, Want, World, canonical, found, tamper


def _segment(world: World, dice: Random, first: int = 0) -> tuple[int, str, int, int]:
    """Choose a segment; return its place, its name, its first event and that after its last."""
    at = dice.randrange(first, len(world.base.starts))
    return at, world.segment(at), world.base.starts[at], (*world.base.starts, world.base.size)[at + 1]


@tamper("files")
def segment_removed(world: World, dice: Random) -> Want:
    """A segment was removed, the first, the last or one between: a day is missing."""
    at, name, first, _ = _segment(world, dice)
    world.remove(name)
    return found(first, Verdict.TAIL_CUT if at == len(world.base.starts) - 1 else Verdict.NUMBER_WRONG)


@tamper("files")
def segments_removed(world: World, dice: Random) -> Want:
    """All segments, or all from some on, were removed: what is left says that there was more."""
    first = dice.choice(world.base.starts)
    for start in world.base.starts:
        if start >= first:
            world.remove(segment_name(start))
    return found(first, Verdict.TAIL_CUT)


@tamper("files")
def segment_emptied(world: World, dice: Random) -> Want:
    """A segment was emptied: its name is there, and nothing in it."""
    at, name, first, _ = _segment(world, dice)
    world.write(name, b"")
    return found(first, Verdict.TAIL_CUT if at == len(world.base.starts) - 1 else Verdict.NUMBER_WRONG)


@tamper("files")
def segment_renamed(world: World, dice: Random) -> Want:
    """A segment was given the name of another place, or a name that is none: what is in it seems to be missing, or something else."""
    at, name, first, after = _segment(world, dice)
    last = at == len(world.base.starts) - 1
    other = dice.choice([each for each in range(first + 1, after + 1) if each not in world.base.starts] or [first])
    there = segment_name(other) if other != first and chance(dice, 0.5) else f"audit-{first}.jsonl"
    (world.log / name).rename(world.log / there)
    return found(first, Verdict.TAIL_CUT if last and there != segment_name(other) else Verdict.NUMBER_WRONG)


@tamper("files")
def segment_doubled(world: World, dice: Random) -> Want:
    """A segment is there a second time under another number: the same things happened twice."""
    _, name, _, _ = _segment(world, dice)
    other = dice.choice([each for each in range(2 * world.base.size) if each not in world.base.starts])
    world.write(segment_name(other), world.read(name))
    return found(next((start for start in world.base.starts if start > other), world.base.size), Verdict.NUMBER_WRONG)


@tamper("files")
def segments_swapped(world: World, dice: Random) -> Want:
    """Two segments have each other's names: the days are in another order."""
    one, two = sorted(dice.sample(range(len(world.base.starts)), 2))
    names = world.segment(one), world.segment(two)
    held = [world.read(name) for name in names]
    world.write(names[0], held[1])
    world.write(names[1], held[0])
    return found(world.base.starts[one], Verdict.NUMBER_WRONG)


@tamper("files")
def segment_is_no_file(world: World, dice: Random) -> Want:
    """A directory, a pipe or a link to nowhere stands in the place of a segment: a verifier that waits or falls over says nothing."""
    _, name, first, _ = _segment(world, dice)
    world.remove(name)
    make = dice.choice(
        (lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to(path.name))
    )
    make(world.log / name)
    return found(first, Verdict.UNREADABLE)


@tamper("files")
def segment_links_elsewhere(world: World, dice: Random) -> Want:
    """A segment became a link to a changed copy outside of the log: what counts is what is in it."""
    _, name, first, after = _segment(world, dice)
    at = dice.randrange(first, after)
    there = world.root / "elsewhere"
    there.write_bytes(
        b"".join([*world.lines[first:at], world.lines[at].replace(b'"mono_us":', b'"mono_us":1', 1), *world.lines[at + 1 : after]])
    )
    world.remove(name)
    (world.log / name).symlink_to(there)
    return found(at, Verdict.HASH_WRONG)


@tamper("head")
def head_removed(world: World, dice: Random) -> Want:
    """head.json was removed, the end cut or not: a cut end would not show."""
    at = dice.choice((world.base.size, dice.randrange(1, world.base.size)))
    world.put(world.lines[:at])
    world.remove(HEAD)
    return found(at, Verdict.TAIL_CUT)


@tamper("head")
def head_names_another(world: World, dice: Random) -> Want:
    """head.json names another event than the one that is there, or one beyond the end: it is what cut or forged ends are measured by."""
    at = dice.choice((world.base.size - 1, dice.randrange(world.base.size)))
    event = event_of(world.lines[at])
    right = {"chain_id": event["chain_id"], "hash": world.lines[at][-67:-3].decode(), "seq": at}
    name, value = dice.choice(
        (("chain_id", dice.randbytes(16).hex()), ("hash", dice.randbytes(32).hex()), ("seq", world.base.size + dice.randrange(10**6)))
    )
    world.write(HEAD, canonical(right | {name: value}) + b"\n")
    return found(world.base.size, Verdict.TAIL_CUT) if name == "seq" else found(at, Verdict.CHAIN_BROKEN)


@tamper("head")
def head_spoilt(world: World, dice: Random) -> Want:
    """head.json is not in its form: empty, cut, in other spaces, with numbers in other forms, with more in it."""
    raw = world.read(HEAD)
    spoilt = (
        b"", raw[: dice.randrange(len(raw))], raw + b"\n", b" " + raw, b"[]\n", b"\xff\xfe", b"[" * 5_000, dice.randbytes(100),
        raw.replace(b'"seq":', b'"seq":0'), raw.replace(b'"seq":', b'"seq":-'), raw.replace(b"}", b',"x":1}'), raw.replace(b"}", b".0}"),
        raw.replace(b"\n", b"\r\n"),
    )  # fmt: skip
    world.write(HEAD, dice.choice(spoilt))
    return found(world.base.size, Verdict.MALFORMED)


@tamper("copies", Look.PARTIAL_POLICY, Blind(Look.FILE))
def copied_segment_rewritten(world: World, dice: Random) -> Want:
    """As in systemd #35595, remote logs unsealed: a copied segment was rewritten, which only its log shows: a file has no signature."""
    at = dice.randrange(len(world.base.starts))
    first, after = world.base.starts[at], (*world.base.starts, world.base.size)[at + 1]
    changed_at = dice.randrange(first, after)
    rewritten(world, dice, changed_at)
    world.file = world.segment(at)
    return found(world.base.signed_after(changed_at), Verdict.SEAL_WRONG)


def _put_away(world: World, dice: Random) -> int:
    """Put the oldest segments away, with their notes; return the first event that is left."""
    stated = max(at for at, line in enumerate(world.lines) if b'"seal"' in line)
    starts = [start for start in world.base.starts[1:] if start <= stated]
    first = dice.choice(starts)
    for start in world.base.starts:
        if start < first:
            world.remove(segment_name(start))
            world.remove(tree_name(start))
    return first


@tamper("copies", Look.PARTIAL)
def rest_of_a_log_rewritten(world: World, dice: Random) -> Want:
    """As in systemd #35595: the oldest segments were put away, and the rest rewritten with new hashes: the tree has the old ones."""
    first = _put_away(world, dice)
    at = dice.randrange(first, world.base.size)
    lines = world.lines
    world.change(at, changed(world, at, dice))
    world.rewrite(world.lines, at)
    for start in world.base.starts:
        if start < first:
            world.remove(segment_name(start))
    stated = next(each for each in range(first, world.base.size) if b'"seal"' in lines[each])
    wrong = [
        size
        for size in (*(end + 1 for end in world.base.ends if end > stated), world.base.cosigned, world.base.size)
        if size > max(at, stated)
    ]
    return found(min(wrong) - 1, Verdict.SEAL_WRONG)


@tamper("copies", Look.PARTIAL)
def tree_note_changed(world: World, dice: Random) -> Want:
    """The note of the tree before what is left was changed: the seals would be of another past than the one that they were made for."""
    first = _put_away(world, dice)
    name = tree_name(first)
    raw = world.read(name)
    stated = next(each for each in range(first, world.base.size) if b'"seal"' in world.lines[each])
    peak = raw.index(b'["') + 2 + 67 * dice.randrange(first.bit_count()) + dice.randrange(64)
    other = dice.choice([digit for digit in b"0123456789abcdef" if digit != raw[peak]])
    world.write(name, raw[:peak] + bytes((other,)) + raw[peak + 1 :])
    wrong = [
        size for size in (*(end + 1 for end in world.base.ends if end > stated), world.base.cosigned, world.base.size) if size > stated
    ]
    return found(min(wrong) - 1, Verdict.SEAL_WRONG)


@tamper("copies", Look.PARTIAL)
def tree_note_spoilt(world: World, dice: Random) -> Want:
    """The note of the tree before what is left is missing, empty or another segment's: nothing says what came before."""
    name = tree_name(_put_away(world, dice))
    first = int(name[6:26])
    spoilt = (
        None,
        b"",
        b"{}\n",
        b"\xff",
        b"[" * 5_000,
        world.read(name).replace(b'"size":', b'"size":1'),
        world.read(name).replace(b'["', b'["00', 1),
        b"null",
    )
    chosen = dice.choice(spoilt)
    world.remove(name) if chosen is None else world.write(name, chosen)
    return found(first, Verdict.UNSEALED)


@tamper("copies", Look.PARTIAL)
def hole_in_the_rest_of_a_log(world: World, dice: Random) -> Want:
    """More was put away than the oldest: a segment is missing between, which --partial does not allow."""
    first = _put_away(world, dice)
    left = [start for start in world.base.starts if start > first]
    start = dice.choice(left) if left else first
    world.remove(segment_name(start))
    if start == first:
        return found(None, Verdict.TAIL_CUT)
    return found(start, Verdict.TAIL_CUT if start == world.base.starts[-1] else Verdict.NUMBER_WRONG)


@tamper("signature")
def signed_file_is_no_file(world: World, dice: Random) -> Want:
    """A pipe stands in the place of a seal or a checkpoint: a verifier that waits or falls over says nothing."""
    _, name, end = epoch(world, dice)
    name, seq = dice.choice(((name, end), (CHECKPOINT, max(world.base.ends[-1] + 1, world.base.cosigned)), (COSIGNED, 0)))
    world.remove(name)
    os.mkfifo(world.log / name)
    return found(seq, Verdict.SEAL_WRONG)
