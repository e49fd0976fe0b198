"""Frames that nobody can react to any more. Worlds that differ only in them are one world; a test compares with a search that keeps all.

All numbers only grow: a path that is closed, a handshake or attempt that is not waited for, an epoch that is dropped, a number that is
burnt never come back.
"""

from collections.abc import Iterable

from core.session.states import State
from lab.coupled.device import Device
from lab.coupled.process import Process
from lab.coupled.store import Rows
from lab.coupled.words import UNDER_KEYS, Frame


def for_client(frame: Frame, at: Device) -> bool:
    """Tell whether a client can ever react to a frame."""
    epoch = frame.epoch
    if epoch.path not in {at.path, at.other}:
        return False
    waited = (epoch.name.hand, epoch.path) in at.hands if not epoch.attempt else (epoch.attempt, epoch.path) in at.attempts
    if frame.kind in UNDER_KEYS:
        return waited or epoch in {at.committed, at.draining, at.newborn, *at.confirming}
    return waited


def for_gateways(frame: Frame, processes: Iterable[Process], rows: Rows, *, fresh: bool) -> bool:
    """Tell whether a process can ever react to a frame; `fresh`: there may be new processes."""
    epoch = frame.epoch
    if frame.kind == "INIT":
        return fresh or any(epoch.name.hand not in each.inits for each in processes)
    row = dict(rows).get(epoch.name)
    if frame.kind == "REATTACH":
        if row is not None and row.live and epoch.attempt >= row.next:
            return True
        held = [at for each in processes for name, at in each.sessions if name == epoch.name]
        return any(at.state is not State.TERMINATED and epoch.attempt >= at.next for at in held)
    for each in processes:
        if each.boot == epoch.boot:
            at = dict(each.sessions).get(epoch.name)
            return at is not None and epoch in {at.active, at.candidate, at.draining if frame.kind == "IP" else None}
    return False
