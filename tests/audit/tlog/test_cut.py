"""A log whose beginning was put away, and whose end somebody takes away."""

from pathlib import Path

import orjson

from audit.chain import Head
from audit.files import CHECKPOINT, segments_in, write_head
from audit.verdict import Verdict
from audit.verify import verify
from tests.audit.tlog.test_sealing import sealed_log


def test_it_cannot_be_cut_at_a_seal(tmp_path: Path) -> None:
    """[A-66] Who may write there, and has no key at all, would take away the newest events, and their checkpoint with them."""
    log = sealed_log(tmp_path / "log", segment_bytes=3_000)
    segments_in(log)[0].unlink()
    assert verify(log, partial=True).verdict is Verdict.VERIFIED
    lines = {path: path.read_bytes().splitlines(keepends=True) for path in segments_in(log)}
    events = [orjson.loads(line) for each in lines.values() for line in each]
    *_, seal, _ = [line for line in events if line["event"]["event_type"] == "EPOCH_SEALED"]
    last = seal["event"]["seq"]
    for path, each in lines.items():
        kept = [line for line in each if orjson.loads(line)["event"]["seq"] <= last]
        path.write_bytes(b"".join(kept)) if kept else path.unlink()
    write_head(log, Head(seal["event"]["chain_id"], last, seal["hash"]))
    (log / CHECKPOINT).unlink()
    result = verify(log, partial=True)
    assert result.head == Head(seal["event"]["chain_id"], last, seal["hash"])
    assert (result.verdict, result.fault and result.fault.file) == (Verdict.UNSEALED, CHECKPOINT)
