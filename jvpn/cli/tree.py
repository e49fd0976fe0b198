"""The tree of an audit log, for others: `audit publish`, `audit prove`, `audit check`, `audit policy`."""

import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from audit.errors import AuditError, LineMalformed, NoteMalformed, PolicyMalformed, QuorumMissing
from audit.show import one_line
from audit.tlog import policy
from audit.tlog.policy import POLICY_BYTES_MAX, Policy
from audit.tlog.proof import PROOF_BYTES_MAX, Proof, parse_proof
from audit.tlog.publishing import Tree
from audit.verdict import MEANINGS, Verdict
from audit.verify import verify
from jvpn.cli.output import Exit, Json, answer, complain, date, say
from jvpn.shell.checked import Misconfigured
from jvpn.shell.errors import Unavailable

PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="A C2SP policy: the log's key, its witnesses, how many.", show_default=False),
]
LogDirectory = Annotated[Path, typer.Argument(help="The log's directory.", metavar="DIR", show_default=False)]
HASH: Final = re.compile("[0-9a-f]{64}")
UNTIL_THEN: Final = "what was published before still stands"


def publish(
    log: LogDirectory,
    out: Annotated[Path, typer.Option("--out", metavar="TREE", help="Where the tree is published.", show_default=False)],
    *,
    policy_file: PolicyFile = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until SIGTERM, with each new checkpoint.")] = False,
    every: Annotated[int, typer.Option("--every", metavar="SECONDS", help="With --follow: how often to look.", min=1)] = 10,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", metavar="FILE", help="Who vouches for https witnesses.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Publish a log's tree, cosigned by its witnesses.

    It is tiles of hashes, that anyone can serve, copy and prove from. Nothing of an event is in there but its hash. With --policy its
    witnesses are asked, and a checkpoint is published only when they are as many as the policy wants. The cosigned checkpoint is put
    into the log too, for `jvpn audit verify --policy`.
    """
    from observability.publication import Publication, Step  # noqa: PLC0415 - the network, which no other audit command may need

    def told(step: Step) -> None:
        for trouble in (*step.troubles, f"{step.lacks}; {UNTIL_THEN}" if step.lacks else ""):
            complain(trouble) if trouble else None
        if step.signed and step.published:
            signatures = len(step.published.signatures)
            shown = {"origin": step.signed.says.origin, "size": step.signed.says.size, "signatures": signatures}
            answer(shown) if json else say(f"{shown['origin']}: {shown['size']} events published, {signatures} signatures")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.DONE))
    wanted = load_policy(policy_file) if policy_file else None
    with _explained():
        publication = Publication(log, out, wanted, ca_file)
        told(step := publication.step())
        while follow:
            time.sleep(every)
            told(step := publication.step())
    if step.published is None:
        if step.signed is None:
            complain(f"{log} has no checkpoint yet")
        raise typer.Exit(Exit.FAILED)


def prove(
    tree: Annotated[Path, typer.Argument(help="The published tree.", metavar="TREE", show_default=False)],
    event: Annotated[int, typer.Argument(help="The event's number.", metavar="SEQ", min=0, show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The proof to write.", show_default=False)],
    *,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="DIR", help="Put the event itself into the file.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Prove that an event is in the log.

    The C2SP proof file is for whoever has the policy and nothing else. It leads from the event's hash to the published checkpoint. With
    --log the event goes with it; without, only its hash has to be known.
    """
    with _explained():
        proof = Tree(tree).proof(event, log)
    try:
        with out.open("xb") as file:
            file.write(proof.raw)
    except FileExistsError:
        raise Misconfigured(f"{out} is there already, and is not overwritten") from None
    answer({"proof": str(out), "index": event}) if json else say(f"{out}: event {event}")


def check(
    proof: Annotated[Path, typer.Argument(help="The proof file.", metavar="FILE", show_default=False)],
    policy_file: Annotated[Path, typer.Option("--policy", metavar="FILE", help="The C2SP policy to judge by.", show_default=False)],
    *,
    event_hash: Annotated[
        str | None, typer.Option("--hash", metavar="HEX", help="The event's hash, when the file has no event.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Check a proof: is this event in the policy's log?

    And have its witnesses seen that? Needs neither the log nor a network. Exit status: 0; 10 not a proof; 11 not the event; 17 not what
    was signed; 18 too few witnesses.
    """
    wanted = load_policy(policy_file)
    verdict, found, shown = Verdict.VERIFIED, "", {}
    try:
        with proof.open("rb") as file:
            given = parse_proof(file.read(PROOF_BYTES_MAX + 1))
        entry = _entry(given, event_hash)
        says = given.check(entry, wanted)
        names = {key: name for name, key in wanted.witnesses.items()}
        shown = {
            "origin": says.origin, "index": given.leaf, "size": says.size, "hash": entry.hex(),
            "cosigned": {names[each.witness]: date(each.time_s) for each in wanted.cosigned(given.signed)},
            "event": given.event(says),
        }  # fmt: skip
    except AuditError as error:
        verdict, found = _verdict(error), str(error)
    if json:
        answer({"verdict": verdict.name, "exit_status": verdict.value, "found": found, **shown})
    else:
        _say_checked(proof, verdict, found, shown)
    raise typer.Exit(verdict.value)


def make_policy(
    log: LogDirectory,
    *,
    witness: Annotated[
        list[str] | None, typer.Option("--witness", metavar="VKEY=URL", help="A witness's key, and where it is; may be repeated.")
    ] = None,
    quorum: Annotated[int | None, typer.Option("--quorum", metavar="N", help="How many must cosign; all, when not given.", min=1)] = None,
    json: Json = False,
) -> None:
    """Show a policy for a log.

    It is to be kept where an attacker of the log cannot write. The log is verified before, and its key taken from it: compare that with
    what its operator says. Witnesses want the same file.
    """
    result = verify(log)
    if result.fault or not result.key:
        raise Unavailable(f"{log}: {MEANINGS[result.verdict]}: {result.fault.found if result.fault else ''}")
    lines = [f"log {result.key}"]
    for number, text in enumerate(witness or (), 1):
        vkey, _, url = text.rpartition("=") if "=http" in text else (text, "", "")
        lines.append(f"witness w{number} {vkey} {url}".rstrip())
    names = [f"w{number}" for number in range(1, len(lines))]
    lines += [f"group witnesses {quorum or 'all'} {' '.join(names)}", "quorum witnesses"] if names else ["quorum none"]
    text = "".join(f"{line}\n" for line in lines)
    try:
        policy.parse(text.encode())
    except PolicyMalformed as error:
        raise Misconfigured(str(error)) from None
    answer({"policy": text, "log": result.key}) if json else say(text.rstrip())


def load_policy(path: Path) -> Policy:
    """Return the policy in a file; Misconfigured, which names the line."""
    try:
        with path.open("rb") as file:
            return policy.parse(file.read(POLICY_BYTES_MAX + 1))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from None
    except PolicyMalformed as error:
        raise Misconfigured(f"{path}: {error}") from None


def _entry(proof: Proof, told: str | None) -> bytes:
    """Return the hash that is to be proven: of the event in the file, or as it was told."""
    if proof.line:
        entry = proof.entry()
        if told and told != entry.hex():
            raise LineMalformed(f"the event in the file has the hash {entry.hex()}")
        return entry
    if told is None or not HASH.fullmatch(told):
        raise Misconfigured("the file has no event: --hash has to say its hash, 64 hex digits" if told is None else "--hash: 64 hex digits")
    return bytes.fromhex(told)


def _verdict(error: Exception) -> Verdict:
    if isinstance(error, NoteMalformed):
        return Verdict.MALFORMED
    if isinstance(error, LineMalformed):
        return Verdict.HASH_WRONG
    return Verdict.UNWITNESSED if isinstance(error, QuorumMissing) else Verdict.SEAL_WRONG


def _say_checked(proof: Path, verdict: Verdict, found: str, shown: dict[str, Any]) -> None:
    if verdict:
        say(f"{proof}: NOT PROVEN: {MEANINGS[verdict]}\n  found: {found}")
        return
    lines = [f"{proof}: PROVEN: event {shown['index']} of {shown['size']} of {shown['origin']}"]
    lines += [f"  cosigned by {name}, {when}" for name, when in shown["cosigned"].items()]
    lines += [f"  {one_line(shown['event'] | {'hash': shown['hash']})}"] if shown["event"] else [f"  hash {shown['hash']}"]
    say("\n".join(lines))


@contextmanager
def _explained() -> Iterator[None]:
    """Make of what is wrong with a log or a tree what the command says."""
    try:
        yield
    except AuditError as error:
        raise Unavailable(str(error)) from error
