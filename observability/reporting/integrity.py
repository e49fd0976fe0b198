"""Can the logs be trusted: what the verifier checked, what it found, and who has signed (clause A-100)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from audit.verdict import MEANINGS, Verdict
from observability import page
from observability.reporting.material import Judged, Material
from observability.reporting.words import clock, count

CHECKS: Final = (
    (Verdict.MALFORMED, "each line is an event in its one form, valid by its schema", "A-51"),
    (Verdict.HASH_WRONG, "each event has the hash that stands beside it", "A-51"),
    (Verdict.CHAIN_BROKEN, "each event names the hash of the one before it", "A-52"),
    (Verdict.NUMBER_WRONG, "numbers have no gap, and evidence stands once", "A-22, A-54"),
    (Verdict.CONTRADICTION, "each transition is a row of the state machines' tables", "A-55, A-56"),
    (Verdict.TAIL_CUT, "the end is where head.json and the checkpoint have it", "A-53"),
    (Verdict.UNSEALED, "the log's keys have signed for all events", "A-66"),
    (Verdict.SEAL_WRONG, "seals and checkpoint are of these events, by these keys", "A-64, A-66"),
    (Verdict.UNWITNESSED, "a quorum of the policy's witnesses has cosigned", "A-67"),
)
SIGNATURES: Final = frozenset({Verdict.UNSEALED, Verdict.SEAL_WRONG, Verdict.UNWITNESSED})
FAILED: Final = "FAILED"


def alarms(material: Material) -> str:
    """Return what must be read before anything else; nothing where all is well."""
    return "".join(
        page.alarm(
            f"✗ Do not rely on {log.label}: {MEANINGS[log.result.verdict]}.",
            f"{log.path}: {fault.found}.{_where(log)}",
            f"What this report says of {log.label} is from the {count(log.result.events, 'event')} before that.",
        )
        for log in material.logs
        if (fault := log.result.fault)
    )


def section(material: Material) -> str:
    """Return what was found of each log, and what was checked."""
    return "\n".join(_one(material, log) for log in material.logs) + page.paragraph(
        "Every event carries the hash of the one before it, and the log's key has signed for a tree over all of them. Compare the key, and"
        " the hash of the last event or the root, with what was kept elsewhere: that shows a log that somebody made anew. Telemetry may be"
        " lost under load and is counted then; births, jumps and ends of sessions are stored with the change itself.",
        "soft",
    )


def _one(material: Material, log: Judged) -> str:
    verdict = "✓ The log is complete and unchanged." if log.sound else f"✗ Do not rely on this log: {MEANINGS[log.result.verdict]}."
    parts = [
        page.heading(f"{log.label}: {log.path}", f"log-{log.label}"),
        page.paragraph(verdict, f"verdict {'good' if log.sound else 'bad'}"),
    ]
    if log.result.fault:
        parts.append(page.paragraph(f"Found: {log.result.fault.found}.{_where(log)}"))
    if log.result.live:
        parts.append(page.paragraph("A writer has this log open; what it adds after this moment is not in this report."))
    columns = [("what", ""), ("found", "code")]
    parts.append(page.table(f"{log.label}: what the log is, and who has signed for it", columns, _found(material, log)))
    columns = [("what was checked", ""), ("result", "verdict"), ("clause", "")]
    parts.append(page.table(f"{log.label}: what the verifier checked", columns, checked(material, log)))
    return "\n".join(parts)


def _where(log: Judged) -> str:
    fault = log.result.fault
    if fault is None or (fault.seq is None and not fault.file):
        return ""
    event = f" It stands at event {fault.seq}" if fault.seq is not None else " It stands"
    place = f", {fault.file}" + (f" line {fault.line}" if fault.line else "") if fault.file else ""
    return f"{event}{place}. Events from there on are not in this report."


def _found(material: Material, log: Judged) -> Iterator[tuple[str, str]]:
    """Yield what an auditor compares with what was kept elsewhere."""
    result = log.result
    yield "verdict", f"{result.verdict.name} (exit status {result.verdict.value})"
    if result.head is None or result.first_seq is None:
        yield "sound events", "none"
        return
    number = material.logs.index(log)
    begun, ended = material.story.written[number]
    yield "written by", "; ".join(material.story.writers[number])
    yield "from, to (UTC)", f"{clock(begun)} to {clock(ended)}"
    yield "sound events", f"{result.events}, numbers {result.first_seq} to {result.head.seq}"
    yield "chain", result.head.chain_id
    yield "hash of the last sound event", result.head.hash
    if log.says and log.signed:
        yield "checkpoint", f"{log.says.origin}, {count(log.says.size, 'event')}"
        yield "root of the checkpoint", f"{log.says.root.hex()} ({log.says.text.splitlines()[2]})"
        yield "signed by", "; ".join(_signers(log))
    yield "signed for", f"events 0 to {result.sealed - 1}" if result.sealed else "nothing"
    yield "the log's key", result.key or "none"
    yield "cosigned by", _cosigners(material, log)
    yield "epochs that were sealed", str(result.by_type["EPOCH_SEALED"])
    yield "telemetry lost", count(result.telemetry_lost, "record")
    yield "records refused by their schema", str(result.by_type["RECORD_REFUSED"])
    yield "opened again", f"{result.by_type['LOG_RESUMED']}, torn bytes cut then: {result.cut_bytes}"


def _signers(log: Judged) -> Iterator[str]:
    """Yield the keys whose signatures on the checkpoint the verifier has checked."""
    long_lived = log.result.key.split("+")[1] if log.result.key else ""
    for each in log.signed.signatures if log.signed else ():
        if log.says and each.name == log.says.origin:
            yield f"{each.id.hex()} ({'the log' if each.id.hex() == long_lived else 'the epoch'})"


def _cosigners(material: Material, log: Judged) -> str:
    if material.request.policy is None:
        return "not judged: no policy was given"
    if not log.cosigned:
        return "nobody" if material.request.policy.quorum != "none" else "nobody; the policy wants none"
    said = (f"{name}, {datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC" for name, time_s in log.cosigned)
    return f"{'; '.join(said)}: events 0 to {log.result.witnessed - 1}"


def checked(material: Material, log: Judged) -> Iterator[tuple[str, str, str]]:
    """Yield each check, how it ended, and its clause. The verifier stops at the first fault."""
    fault, whole = log.result.fault, log.path.is_dir()
    for verdict, what, clause in CHECKS:
        yield what, _ended(material, log, verdict), clause
    if fault is not None and fault.verdict not in {verdict for verdict, _, _ in CHECKS}:
        yield "the log can be read", FAILED, "A-50"
    policy = material.request.policy
    key = "not asked: no policy was given" if policy is None else _unless(log, "held") if whole else "not asked of a single file"
    yield "the key that names the log is the policy's", key, "A-67"
    known = "not asked: no kept checkpoint was given" if material.request.known is None else _unless(log, "held")
    yield "the log goes on from the checkpoint that was kept", known, "A-67"


def _ended(material: Material, log: Judged, verdict: Verdict) -> str:
    fault, policy = log.result.fault, material.request.policy
    if fault is not None and fault.verdict is verdict:
        return FAILED + (f" at event {fault.seq}" if fault.seq is not None else "")
    if verdict in SIGNATURES and not log.path.is_dir():
        return "not asked of a single file"
    if verdict is Verdict.UNWITNESSED and (policy is None or policy.quorum == "none"):
        return "not asked: " + ("no policy was given" if policy is None else "the policy wants none")
    if fault is not None and verdict in SIGNATURES | {Verdict.TAIL_CUT}:
        return "not concluded"
    if verdict is Verdict.CONTRADICTION and log.result.tables_differ:
        return "not compared: a program with other tables wrote it"
    return "held" if fault is None else "held up to there" if log.result.events else "not reached"


def _unless(log: Judged, text: str) -> str:
    return text if log.sound else "not concluded"
