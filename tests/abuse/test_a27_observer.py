"""Somebody watches two networks that a device uses one after the other (T-27).

ATTACK
    An observer keeps everything from both networks and looks for bytes that are the same, to know whether it is the same session.

EXPECTED REFUSAL
    Nothing but type, version and zeros is common: no session id, no index, no locator stands in two messages [R-4] [D-3] [H-11]. A
    repeated message on the same path is the same bytes, and says nothing new [R-30].

EXPECTED EVIDENCE
    none: listening leaves no trace.
"""

from core.wire.layout import Type
from lab.sim.frames import v4
from lab.sim.world import World

RUN = 4  # bytes: the length of an index


def pieces(frame: bytes) -> set[bytes]:
    """Return all pieces of four bytes, without type, version, zeros and the counter of DATA."""
    parts = (frame[4:8], frame[16:]) if frame[0] == Type.DATA else (frame[4:],)
    return {part[at : at + RUN] for part in parts for at in range(len(part) - RUN + 1)} - {bytes(RUN)}


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
    assert {frame[0] for frame in second} >= {Type.DATA, Type.REATTACH, Type.REATTACH_RESP}
    assert not {piece for frame in first for piece in pieces(frame)} & {piece for frame in second for piece in pieces(frame)}


def test_the_same_path_would_be_recognised() -> None:
    """The case above would prove nothing."""
    world = World().connected()
    before = len(world.sent)
    world.host.chat()
    first, second = ({piece for sent in part for piece in pieces(sent.frame)} for part in (world.sent[:before], world.sent[before:]))
    assert first & second
