"""Somebody watches two networks that a device uses one after the other (T-27).

ATTACK
    An observer keeps everything from both networks and looks for bytes that are the same, to know whether it is the same session.

EXPECTED REFUSAL
    Nothing but type, version and zeros is common: no session id, no index, no locator stands in two messages [R-4] [D-3] [H-11]. A
    repeated message on the same path is the same bytes, and says nothing new [R-30].

EXPECTED EVIDENCE
    none: listening leaves no trace.
"""

from tests.core.frames import v4
from tests.core.world import World

RUN = 4  # bytes: the length of an index


def pieces(frame: bytes) -> set[bytes]:
    """Return all pieces of four bytes behind the first four, but for the high bytes of counters."""
    return {frame[at : at + RUN] for at in range(4, len(frame) - RUN + 1)} - {bytes(RUN)}


def test_two_paths_have_nothing_in_common() -> None:
    """Whoever sees a phone on two networks would know that it is one phone."""
    world = World().connected()
    world.host.chat()
    world.run(20)
    before = len(world.sent)
    world.host.move(v4(77))
    world.run(300, world.host.chat)
    first = [sent.frame for sent in world.sent[:before]]
    second = [sent.frame for sent in world.sent[before:] if v4(77) in {sent.path.local.address, sent.path.remote.address}]
    assert {frame[0] for frame in second} >= {4, 5, 6}
    seen = {piece: number for number, frame in enumerate(first) for piece in pieces(frame)}
    common = {piece for frame in second for piece in pieces(frame)} & seen.keys()
    counters = {number.to_bytes(8, "little")[at : at + RUN] for number in range(200) for at in range(8 - RUN + 1)}
    assert len([piece for piece in common if not any(piece.startswith(each[:2]) or piece.endswith(b"\0\0") for each in counters)]) == 0
    ids = {session.session_id for session in world.desk.sessions.values()}
    assert not any(each in frame for each in ids for frame in [*first, *second])
