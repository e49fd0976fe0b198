"""Classes that a policy, a kept checkpoint or witnesses show: whose log it is, and whether there is another history (A-67)."""

from random import Random

from audit.files import CHECKPOINT, COSIGNED, SEALS
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.note import LOG, Verifier
from audit.tlog.sealer import seal_name
from audit.verdict import Verdict
from core.crypto.primitives import SigningKey
from lab.tamper.base import COSIGNED_S, KEPT, WITNESSES, cosign, lines_in, policy_of
from lab.tamper.material import chance
from lab.tamper.rewritten import rewritten
from lab.tamper.world import Blind, Look, Want, World, found, tamper


@tamper("key", Look.POLICY, Blind(Look.PLAIN))
def wrong_verification_key(world: World, dice: Random) -> Want:
    """As in systemd #11524, a wrong key verifies: the policy has another key, by one bit or more, and the log must not pass."""
    public = bytearray(world.base.key.public)
    public[dice.randrange(32)] ^= 1 << dice.randrange(8)
    other = dice.choice((bytes(public), dice.randbytes(32), world.base.now.public))
    world.policy = policy_of(Verifier(world.base.key.name, LOG, other))
    return found(0, Verdict.SEAL_WRONG)


@tamper("key", Look.POLICY, Blind(Look.PLAIN))
def log_of_another_key(world: World, dice: Random) -> Want:
    """A whole sound log by other keys stands in the place of this one: it verifies, and is somebody else's."""
    world.take(world.base.root / "other" / "log")
    if chance(dice, 0.5):  # its origin is the other's, or the policy has that with this key
        origin = Checkpoint.of(note.parse(world.read(CHECKPOINT))).origin
        world.policy = policy_of(Verifier(origin, LOG, world.base.key.public))
    return found(0, Verdict.SEAL_WRONG)


@tamper("witness", Look.POLICY, Blind(Look.PLAIN))
def cosignatures_removed(world: World, dice: Random) -> Want:
    """The cosigned checkpoint is gone: the log would be whatever its operator says."""
    world.remove(COSIGNED)
    if chance(dice, 0.5):
        world.write(COSIGNED + ".old", b"")
    return found(0, Verdict.UNWITNESSED)


@tamper("witness", Look.POLICY, Blind(Look.PLAIN))
def cosignatures_too_few(world: World, dice: Random) -> Want:
    """One witness of two is gone, stands there twice, or is a stranger by that name: the quorum is two of those that one knows."""
    signed = note.parse(world.read(COSIGNED))
    *ours, one, _ = signed.signatures
    stranger = note.cosign(signed.text, "w2", SigningKey(dice.randbytes(32)), COSIGNED_S)
    world.write(COSIGNED, signed._replace(signatures=(*ours, *dice.choice(((one,), (one, one), (one, stranger), (stranger,), ())))).raw)
    return found(world.base.cosigned - 1, Verdict.UNWITNESSED)


@tamper("witness")
def cosigned_spoilt(world: World, dice: Random) -> Want:
    """The cosigned checkpoint became no note at all: who asks for no witnesses is told too that somebody was there."""
    raw = world.read(COSIGNED)
    world.write(
        COSIGNED,
        dice.choice((b"", raw[: dice.randrange(len(raw))], b"\xff" + raw, raw.replace(b"\n", b"\r\n"), raw + b"x", dice.randbytes(90))),
    )
    return found(0, Verdict.SEAL_WRONG)


@tamper("witness", Look.POLICY)
def cosignature_forged(world: World, dice: Random) -> Want:
    """A cosignature's time or signature was changed: a line of a known witness has to be right."""
    signed = note.parse(world.read(COSIGNED))
    *ours, line, last = signed.signatures
    raw = bytearray(line.raw)
    raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    world.write(COSIGNED, signed._replace(signatures=(*ours, line._replace(raw=bytes(raw)), last)).raw)
    return found(world.base.cosigned - 1, Verdict.SEAL_WRONG)


@tamper("witness", Look.FRESH, Blind(Look.POLICY))
def cosigned_long_ago(world: World, dice: Random) -> Want:
    """The cosigned checkpoint is an old one: a log that was put back to it passes for the newest, unless one asks for fresh ones."""
    world.since_s = COSIGNED_S + dice.randint(1, 10**6)
    return found(world.base.cosigned - 1, Verdict.UNWITNESSED)


@tamper("witness", Look.POLICY, Blind(Look.PLAIN))
def wrong_witness_keys(world: World, dice: Random) -> Want:
    """The cosignatures are by witnesses that the auditor does not know: anybody can run some."""
    publics = {name: witness.public for name, witness in WITNESSES.items()}
    for name in dice.sample(("w1", "w2"), dice.randint(1, 2)):
        publics[name] = SigningKey(dice.randbytes(32)).public
    world.policy = policy_of(world.base.key, publics)
    return found(world.base.cosigned - 1, Verdict.UNWITNESSED)


def _put_back(world: World, dice: Random) -> int:
    """Put the log back to an older state, with everything that belonged to it; return its size."""
    world.take(dice.choice(world.base.older) / "log")
    return len(lines_in(world.log))


@tamper("rollback", Look.KEPT, Blind(Look.PLAIN))
def put_back_to_an_older_state(world: World, dice: Random) -> Want:
    """The log, its seals and its key were put back to an older valid state: it was like that once, and nothing is wrong in it."""
    return found(_put_back(world, dice), Verdict.TAIL_CUT)


@tamper("rollback")
def put_back_but_for_the_cosigned(world: World, dice: Random) -> Want:
    """The log was put back to before what witnesses cosigned, and that is there: it is of more events than the log has."""
    cosigned = world.read(COSIGNED)
    older = [each for each in world.base.older if len(lines_in(each / "log")) < world.base.cosigned]
    world.take(dice.choice(older) / "log")
    world.write(COSIGNED, cosigned)
    return found(len(lines_in(world.log)), Verdict.TAIL_CUT)


@tamper("rollback", Look.GO_ON)
def rewritten_since_it_was_kept(world: World, dice: Random) -> Want:
    """What came after the kept checkpoint was rewritten with new hashes: who goes on from there reads that, and only that."""
    rewritten(world, dice, dice.randrange(world.base.kept, world.base.size))
    return found(world.base.size - 1, Verdict.SEAL_WRONG)


def _cut_back(world: World, size: int) -> None:
    """Leave the first events, with what was signed for them, and a head.json that fits."""
    world.put(world.lines[:size])
    world.head()
    for number, end in enumerate(world.base.ends):
        if end >= size:
            world.remove(f"{SEALS}/{seal_name(number)}")


@tamper("rollback", Look.KEPT, Blind(Look.POLICY))
def cut_back_to_what_was_cosigned(world: World, dice: Random) -> Want:
    """The log was cut after the last cosigned event, and that checkpoint made the newest: everybody has signed what is left."""
    _cut_back(world, world.base.cosigned)
    world.write(CHECKPOINT, world.read(COSIGNED))
    world.known = dice.choice((world.base.root / KEPT, world.base.log / CHECKPOINT))
    return found(world.base.cosigned, Verdict.TAIL_CUT)


@tamper("rollback")
def cut_back_to_the_end_of_an_epoch(world: World, dice: Random) -> Want:
    """The log was cut right after an old seal, which serves as checkpoint, or there is none: a seal is no checkpoint of what comes next."""
    number = dice.randrange(len(world.base.ends))
    end = world.base.ends[number]
    _cut_back(world, end + 1)
    if world.base.cosigned > end + 1:
        world.remove(COSIGNED)
    if chance(dice, 0.5):
        world.remove(CHECKPOINT)
        return found(end + 1, Verdict.UNSEALED)
    world.write(CHECKPOINT, world.read(f"{SEALS}/{seal_name(number)}"))
    return found(end, Verdict.SEAL_WRONG)


@tamper("split", Look.KEPT, Blind(Look.PLAIN))
def another_history(world: World, dice: Random) -> Want:
    """Split view: the log was put back, and went on by its own writer and keys to another history, which the auditor is shown."""
    world.take(world.base.root / "split" / "log")
    size = len(lines_in(world.log))
    world.known = dice.choice((world.base.root / KEPT, world.base.log / CHECKPOINT))
    known = world.base.kept if world.known.name == KEPT else world.base.size
    return found(known - 1, Verdict.SEAL_WRONG) if known <= size else found(size, Verdict.TAIL_CUT)


@tamper("split", Look.POLICY, Blind(Look.PLAIN))
def another_history_that_one_witness_saw(world: World, dice: Random) -> Want:
    """Witness rollback: one witness was put back with the log and cosigned the other history too; the quorum is two."""
    world.take(world.base.root / "split" / "log")
    world.remove(COSIGNED)
    size = cosign(world.log, (dice.choice(("w1", "w2", "w3")),), COSIGNED_S + dice.randrange(10**6))
    return found(size - 1, Verdict.UNWITNESSED)


@tamper("split", Look.KEPT, Blind(Look.POLICY))
def another_history_that_the_quorum_saw(world: World, dice: Random) -> Want:
    """Witness rollback: as many witnesses as the quorum wants were put back, or lie; only who kept a checkpoint sees that."""
    world.take(world.base.root / "split" / "log")
    world.remove(COSIGNED)
    cosign(world.log, tuple(dice.sample(("w1", "w2", "w3"), 2)), COSIGNED_S + dice.randrange(10**6))
    size = len(lines_in(world.log))
    return found(world.base.kept - 1, Verdict.SEAL_WRONG) if world.base.kept <= size else found(size, Verdict.TAIL_CUT)


@tamper("split")
def cosigned_of_the_other_history(world: World, dice: Random) -> Want:
    """The genuine cosigned checkpoint of one history was put beside the other: it vouches for one of them."""
    there = World(world.base, world.root / "there")
    cosign_all = tuple(dice.sample(("w1", "w2", "w3"), 2))
    there.remove(COSIGNED)
    size = cosign(there.log, cosign_all)
    cosigned = there.read(COSIGNED)
    world.take(world.base.root / "split" / "log")
    world.write(COSIGNED, cosigned)
    here = len(lines_in(world.log))
    return found(size - 1, Verdict.SEAL_WRONG) if size <= here else found(here, Verdict.TAIL_CUT)


@tamper("split", Look.KEPT, Blind(Look.PLAIN))
def newest_epoch_rewritten_with_its_key(world: World, dice: Random) -> Want:
    """The newest epoch, behind what was cosigned, was rewritten and signed by its own key: only who kept a checkpoint of it sees that."""
    at = dice.randrange(max(world.base.ends[-1] + 1, world.base.cosigned), world.base.kept)
    rewritten(world, dice, at)
    world.seal()
    return found(world.base.kept - 1, Verdict.SEAL_WRONG)
