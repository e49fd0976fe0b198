"""The committed corpus: true frames and programs to begin with, and the few inputs that together reach what all of them reach.

python -m lab.fuzz.corpus    begin a working corpus with true frames, and reduce it to tests/fuzz/corpus
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from core.limits import MTU_DEFAULT
from core.wire.inner import encode
from core.wire.layout import Change, Kind
from core.wire.records import (
    Close,
    Confirm,
    Direction,
    Hint,
    InitPayload,
    Probe,
    ProbeAck,
    ReattachPayload,
    ReattachRespPayload,
    RespPayload,
    pack,
)
from lab.fuzz.driver import COMMITTED, TARGETS, WORKING
from lab.fuzz.targets import MAKERS, RECORDS, Target
from lab.replay.states import CLIENT, GATEWAY, authentic
from lab.sim.frames import Health

FILES_MAX: Final = 18  # a target, so that all have less than 200
BYTES_MAX: Final = 16_384  # a target, so that all have less than 200 KiB
CONSIDERED: Final = 1_500  # the smallest inputs of the working corpus
COVERED = tuple[str, int, int]
HEADERS: Final = bytes.fromhex("45000064000000004006000000000000000000000000000000000000000000005018000000000000")
VNET: Final = bytes.fromhex("01012800280014001000")


def seeds(target: str) -> Iterator[bytes]:
    """Yield inputs that a fuzzer would need long to find: true ones."""
    examples = (InitPayload(1), RespPayload(0, 1, 2, 3), ReattachPayload(Change.MOVE, 1, 2, 3, 4), ReattachRespPayload(0, 0, 1, 2, 3),
                Confirm(MTU_DEFAULT), Probe(1, 2), ProbeAck(1, 2, 3, 4, 5), Close(1), Hint(1), Direction(1, 2, 3, 4, 5, 6))  # fmt: skip
    head = (1).to_bytes(8, "little") + MTU_DEFAULT.to_bytes(2, "little") + bytes(36)
    segment = bytes(2) + VNET + HEADERS + bytes(40)
    match target:
        case "parse" | "parse_data":
            yield from {kind: frame for frame, kind in authentic("gateway: demands cookies").items()}.values()
            yield from {kind: frame for frame, kind in authentic("gateway: candidate held").items()}.values()
        case "inner":
            kinds = {Kind.CONFIRM: pack(Confirm(MTU_DEFAULT)), Kind.PROBE: pack(Probe(1, 2)), Kind.CLOSE: pack(Close(1))}
            yield from (encode(kind, body) + b"\0" for kind, body in kinds.items())
            yield from (encode(Kind.IP, HEADERS[:20] + bytes(80)) + b"\1", encode(Kind.SEGMENT, segment) + b"\0")
            yield encode(Kind.IP, b"\x60\0\0\0\0\0" + bytes(34)) + b"\1"
        case "records":
            yield from (bytes((RECORDS.index(type(each)),)) + pack(each) for each in examples)
        case "ack":
            yield from (head + bytes((count,)) + bytes(16 * count) for count in (0, 1, 32))
        case "health":
            yield Health(Direction(1, 2, 3, 4, 5, 6), Direction(1, 2, 3, 4, 5, 6)).pack()
        case "segment":
            yield segment + b"\0"
        case "gateway" | "client":
            count = len(GATEWAY if target == "gateway" else CLIENT)
            for state in range(count):  # in each state each step, with what makes most of them go far
                yield from (bytes((state, step, 1, 1, 1, 0, 3, 1)) + bytes(24) for step in range(13))
                yield bytes((state, 10, 0, 1, 1, 3, 2, 0)) + MTU_DEFAULT.to_bytes(2, "little") + bytes((12, 0, 0, 0))
        case _:
            yield bytes(76)


def covered(run: Target, data: bytes) -> frozenset[COVERED]:
    """Return the steps from line to line in the core that an input takes."""
    found: set[COVERED] = set()
    last: dict[int, int] = {}

    def trace(frame: FrameType, event: str, _argument: object) -> object:
        name = frame.f_code.co_filename
        if "/core/" not in name or "/tests/" in name:
            return None
        if event == "line":
            found.add((name, last.get(id(frame), 0), frame.f_lineno))
            last[id(frame)] = frame.f_lineno
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]  # the type of a trace function names itself
    try:
        run(data)
    finally:
        sys.settrace(None)
    return frozenset(found)


def chosen(run: Target, kept: list[bytes], candidates: list[bytes]) -> list[bytes]:
    """Return what is kept anyway and the few inputs that reach most besides, greedily: each adds what none before has."""
    kept = list(kept)
    reached = {data: covered(run, data) for data in sorted(set(candidates), key=lambda data: (len(data), data))[:CONSIDERED]}
    have: set[COVERED] = set().union(*(covered(run, data) for data in kept))
    size = sum(map(len, kept))
    while len(kept) < FILES_MAX and reached:
        best = max(reached, key=lambda data: (len(reached[data] - have), -len(data)))
        if not reached[best] - have or size + len(best) > BYTES_MAX:
            break
        kept.append(best)
        have |= reached.pop(best)
        size += len(best)
    return kept


def write(folder: Path, inputs: list[bytes]) -> None:
    """Make a folder hold exactly these inputs, each under its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for data in inputs:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def main() -> None:
    """Reduce the working corpus of each target, and its seeds, to the committed one."""
    for target in TARGETS:
        run = MAKERS[target]()
        known = [
            data for folder in (WORKING / target, COMMITTED / target) if folder.is_dir() for data in map(Path.read_bytes, folder.iterdir())
        ]
        true = list(dict.fromkeys(seeds(target)))
        kept = chosen(run, true, known) if len(true) < FILES_MAX else chosen(run, [], [*known, *true])
        write(COMMITTED / target, kept)
        print(f"{target:12} {len(kept):3} inputs, {sum(map(len, kept))} bytes")


if __name__ == "__main__":
    main()
