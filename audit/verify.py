"""The verifier: whether a log is what was written, all of it, in order (clauses A-50 to A-56).

It needs the files and nothing else, changes nothing, and stops at the first fault. A log that someone rewrote from some event to its end
with new hashes is sound in itself: compare `head` with one that was kept elsewhere (the SIEM has every hash).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from audit.canonical import LINE_BYTES_MAX, OPENING_BYTES, TAIL_BYTES, line_of, parse_valid, split
from audit.chain import BEFORE_GENESIS, Head, hashed
from audit.errors import EventRefused, LineMalformed, NoteMalformed
from audit.files import HEAD, SEGMENT, first_of, read_head, segments_in, tree_name, writer_is_there
from audit.machine import JUDGED, Machines
from audit.recovery import read_tree
from audit.schema import check
from audit.tlog.checkpoint import read_signed
from audit.tlog.merkle import Frontier
from audit.tlog.sealed import Sealing, Unsealed, Wanted
from audit.verdict import Fault, Result, Verdict

PROGRESS_LINES: Final = 4_096
NOTHING: Final = Wanted()
SEALS_IN: Final = b'","seal":{"epoch":'
NOWHERE: Final = Head("", -1, "")
Progress = Callable[[int, int], None]  # bytes read, bytes in all


class Raw(NamedTuple):
    """A line as it stands: bytes, number from 1, file name; the first event's number by the file's name; whether it is the last file."""

    data: bytes
    number: int
    file: str
    first: int | None
    last_file: bool


class Broken(Exception):
    """The first fault, on its way out."""

    def __init__(self, verdict: Verdict, found: str, seq: int | None = None) -> None:
        """Keep all three; `seq` where it is not the event at hand."""
        super().__init__(found)
        self.verdict = verdict
        self.found = found
        self.seq = seq


def verify(path: Path, progress: Progress | None = None, *, partial: bool = False, wanted: Wanted = NOTHING) -> Result:
    """Verify a log (a directory) or one file of lines. Never raises for what the files hold.

    A directory must begin with its genesis, reach its head.json, and be signed for; with `partial`, its oldest segments may have been put
    away; what is `wanted` of keys, witnesses and older checkpoints has to be there. A file may be any piece of a log: what it holds
    is verified from its first event on, and nobody has signed for it.
    """
    result = Result(str(path))
    try:
        whole = path.is_dir()
        spoilt = _look(result, path) if whole else None
        files = segments_in(path) if whole else [path]
        if not files:
            result.fault = Fault(*_nothing(result.durable, path), None if partial or result.durable is None else 0)
            return result
        result.fault = _unfit(path, files, wanted)
        if result.fault:
            return result
        if whole and wanted.go_on and wanted.known:
            files = _from_known(files, wanted.known)
            partial = partial or first_of(files[0]) > 0
        sealing = Sealing(path, _tree_before(path, files[0]) if partial else Frontier(), wanted, live=result.live) if whole else None
        if whole:  # what was begun since: the checkpoints that were read just now may be of it
            files += [each for each in segments_in(path) if each > files[-1]]
        _Walk(result, sealing, partial=partial or not whole).go(_lines(files, progress))
        if result.fault is None and whole:
            result.fault = _tail(result, spoilt)
        if sealing:
            _sealed(result, sealing)
    except Unsealed as error:
        result.fault = Fault(error.verdict, error.found, error.seq, error.file)
    except OSError as error:
        result.fault = Fault(Verdict.UNREADABLE, f"{error.filename or path}: {error.strerror}")
    except NoteMalformed as error:
        result.fault = Fault(Verdict.SEAL_WRONG, str(error))
    return result


def _look(result: Result, path: Path) -> LineMalformed | None:
    """See whether a writer is there and what head.json says, before the segments: the log only grows. Return what is wrong with it."""
    result.live = writer_is_there(path)
    try:
        result.durable = read_head(path)
    except LineMalformed as error:
        return error
    return None


class _Walk:
    """Goes over the lines and fills the result."""

    def __init__(self, result: Result, sealing: Sealing | None, *, partial: bool) -> None:
        self._result, self._sealing = result, sealing
        self._partial = partial
        self._machines = Machines()
        self._evidence: set[str] = set()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._chain_id, self._seq, self._hash = NOWHERE  # of the last event; no Head for each of them, which would be felt

    def go(self, lines: Iterator[Raw]) -> None:
        """Take line after line until the end or the first fault."""
        result, durable = self._result, self._result.durable or NOWHERE
        for raw in lines:
            try:
                self._take(raw, durable)
            except Broken as broken:
                if broken.verdict is Verdict.TAIL_CUT and result.live:
                    break  # the writer is about to complete it
                seq = self._expected(raw) if broken.seq is None else broken.seq
                result.fault = Fault(broken.verdict, broken.found, seq, raw.file, raw.number)
                break
        result.head = Head(self._chain_id, self._seq, self._hash) if self._chain_id else None
        result.tables_differ = self._machines.tables_differ
        for (event_type, reason), times in self._seen.items():
            result.by_type[event_type] += times
            result.by_reason[reason] += times

    def _expected(self, raw: Raw) -> int | None:
        """Return the number that the event on this line must have."""
        if self._chain_id:
            return self._seq + 1
        return raw.first if self._partial else 0

    def _take(self, raw: Raw, durable: Head) -> None:
        expected = self._seq + 1 if self._chain_id else self._expected(raw)
        if not raw.data:  # a crash leaves an empty segment where the next event goes
            if raw.first not in (None, expected):
                raise Broken(Verdict.NUMBER_WRONG, f"an empty segment, by its name for event {raw.first}")
            return
        event, digest, told = _read(raw)
        seq, event_class, kind = event["seq"], event["event_class"], event["event_type"]
        if raw.number == 1 and raw.first not in (None, expected if expected is not None else seq):
            raise Broken(Verdict.NUMBER_WRONG, f"the file's name says that it begins with {raw.first}")
        if expected != seq and expected is not None:
            raise Broken(Verdict.NUMBER_WRONG, f"seq {seq} where {expected} must be")
        self._link(event, seq, kind)
        if seq == durable.seq and (event["chain_id"], told) != (durable.chain_id, durable.hash):
            raise Broken(Verdict.CHAIN_BROKEN, f"{HEAD} names {durable.hash} of chain {durable.chain_id} for this event, here is {told}")
        if event_class == "evidence":
            self._first_time(event["event_id"])
        if kind in JUDGED and (contradiction := self._machines.judge(event)):
            raise Broken(Verdict.CONTRADICTION, contradiction)
        if self._sealing:
            try:
                self._sealing.take(event, digest)
            except Unsealed as error:
                raise Broken(error.verdict, error.found, error.seq) from None
        if not self._chain_id:
            self._result.first_seq = seq
        self._chain_id, self._seq, self._hash = event["chain_id"], seq, told
        self._seen[kind, event["reason_code"]] += 1
        if event_class == "integrity":
            self._count(event)

    def _first_time(self, event_id: str) -> None:
        """Evidence is here once (A-54)."""
        if event_id in self._evidence:
            raise Broken(Verdict.NUMBER_WRONG, f"evidence {event_id} is here for the second time")
        self._evidence.add(event_id)

    def _link(self, event: dict[str, Any], seq: int, kind: str) -> None:
        """Check that the event follows the one before it (A-22, A-52)."""
        before = event["prev_hash"]
        if (seq == 0) != (kind == "LOG_OPENED"):
            raise Broken(Verdict.CHAIN_BROKEN, f"{kind} at seq {seq}: LOG_OPENED is the first event, and only that")
        if seq == 0 and before != BEFORE_GENESIS:
            raise Broken(Verdict.CHAIN_BROKEN, "the first event names one before it")
        if not self._chain_id:
            return
        if event["chain_id"] != self._chain_id:
            raise Broken(Verdict.CHAIN_BROKEN, f"chain {event['chain_id']} where {self._chain_id} must be")
        if before != self._hash:
            raise Broken(Verdict.CHAIN_BROKEN, f"prev_hash is {before}, the event before has {self._hash}")

    def _count(self, event: dict[str, Any]) -> None:
        if event["event_type"] == "TELEMETRY_LOST":
            self._result.telemetry_lost += event["count"]
        elif event["event_type"] == "LOG_RESUMED":
            self._result.cut_bytes += event["metrics"]["cut_bytes"]


def _read(raw: Raw) -> tuple[dict[str, Any], bytes, str]:
    """Return the event of a line that is sound in itself (A-51), and its hash, as bytes and in hex."""
    if raw.last_file and not raw.data.endswith(b"\n") and len(raw.data) < LINE_BYTES_MAX:
        raise Broken(Verdict.TAIL_CUT, f"an incomplete line of {len(raw.data)} bytes")
    try:
        line = raw.data
        data = line[OPENING_BYTES:-TAIL_BYTES]
        digest = hashed(data)
        told = digest.hex()
        if line != line_of(data, told):
            _, other = split(line)  # a frame or a hash that is none is another fault
            raise Broken(Verdict.HASH_WRONG, f"the event's bytes have the hash {told}, the line says {other}")
        return parse_valid(data, check), digest, told
    except (LineMalformed, EventRefused) as error:
        raise Broken(Verdict.MALFORMED, str(error)) from error


def _lines(files: list[Path], progress: Progress | None) -> Iterator[Raw]:
    """Yield the lines of the files in order. A line that is too long comes in pieces, the first of which is malformed."""
    total = sum(file.stat().st_size for file in files)
    done = 0
    for path in files:
        named = SEGMENT.fullmatch(path.name)
        first = int(named[1]) if named else None
        last_file, name = path is files[-1], path.name
        with path.open("rb") as file:
            number = 0
            if path.stat().st_size == 0:
                yield Raw(b"", 0, name, first, last_file)
            while data := file.readline(LINE_BYTES_MAX):
                number += 1
                if progress is not None and number % PROGRESS_LINES == 0:
                    progress(done + file.tell(), total)
                yield Raw(data, number, name, first, last_file)
            done += file.tell()
    if progress is not None:
        progress(done, total)


def _from_known(files: list[Path], known: Path) -> list[Path]:
    """Return the segments from the one on that states the key under which the known checkpoint was signed (A-72).

    What is read here proves nothing; it says where to begin, and that the known checkpoint is met shows that this was right.
    """
    signed = read_signed(known)
    for number in reversed(range(len(files))):
        if signed and first_of(files[number]) < signed.says.size and SEALS_IN in files[number].read_bytes():
            return files[number:]
    return files


def _nothing(durable: Head | None, path: Path) -> tuple[Verdict, str]:
    if durable is None:
        return Verdict.UNREADABLE, f"{path} holds no segment of an audit log"
    return Verdict.TAIL_CUT, f"{HEAD} says that event {durable.seq} was durable, but there is no segment"


def _unfit(path: Path, files: list[Path], wanted: Wanted) -> Fault | None:
    """Return what makes it impossible to verify these files: a pipe among them, which might never end, or a wish that they cannot meet."""
    if files == [path]:
        if wanted == NOTHING:
            return None
        return Fault(Verdict.UNSEALED, f"{path} is one file, for which nobody has signed: what is wanted can be asked of its log only")
    for file in files:
        if not file.is_file():
            named = SEGMENT.fullmatch(file.name)
            return Fault(Verdict.UNREADABLE, f"{file} is no file, or a link to none", int(named[1]) if named else None, file.name)
    return None


def _tree_before(directory: Path, first: Path) -> Frontier:
    """Return the tree before the first event that is here: empty, or as a note says it, which the seals will show."""
    named = SEGMENT.fullmatch(first.name)
    size = int(named[1]) if named else 0
    tree = read_tree(directory, size) if size else Frontier()
    if tree is None:
        raise Unsealed(Verdict.UNSEALED, f"nothing says which tree came before event {size}", tree_name(size), size)
    return tree


def _sealed(result: Result, sealing: Sealing) -> None:
    """Add who has signed for how much, and what lacks."""
    try:
        if result.fault is None:
            sealing.end(result.head)
    except Unsealed as error:
        result.fault = Fault(error.verdict, error.found, error.seq, error.file)
    result.sealed, result.witnessed, result.signed = sealing.sealed, sealing.witnessed, sealing.signed
    result.key = sealing.log.vkey if sealing.log else ""


def _tail(result: Result, spoilt: LineMalformed | None) -> Fault | None:
    """Compare the end of the log with head.json (A-53), which may be spoilt: events that are wrong say more, so that is told only here."""
    head, durable = result.head, result.durable
    last = -1 if head is None else head.seq
    if spoilt:
        return Fault(Verdict.MALFORMED, str(spoilt), last + 1, HEAD)
    if durable is None:
        return (
            None
            if last <= 0 and result.live
            else Fault(Verdict.TAIL_CUT, f"{HEAD} is missing, so a cut end would not show", last + 1, HEAD)
        )
    if last < durable.seq:
        return Fault(Verdict.TAIL_CUT, f"{HEAD} says that event {durable.seq} was durable, the log ends with {last}", last + 1, HEAD)
    return None
