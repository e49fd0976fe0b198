"""The gateway's data plane: DATA by epoch and path, what is inside, and what is never delivered."""

from collections.abc import Mapping
from typing import Final

from core import limits
from core.reasons import Reason
from core.session.desk import Desk
from core.session.session import Candidate, Session
from core.session.states import Input
from core.session.timers import watch_quality
from core.values import Instant, Path, Transmit
from core.wire.epoch import Epoch
from core.wire.inner import IP, encode
from core.wire.inner import parse as parse_inner
from core.wire.layout import Change, Kind, Malformed
from core.wire.messages import Run
from core.wire.records import Confirm, Hint, Probe, ProbeAck, pack, unpack

HINTS: Final = {change: encode(Kind.HINT, pack(Hint(change))) for change in Change}
IPV4: Final = 4


class DataPlane:
    """Opens DATA and acts on its inner frames."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def data(self, runs: Mapping[int, Run], path: Path, packets: dict[int, list[bytes]], now: Instant) -> None:
        """Open a burst's DATA, index by index, and act on what is inside; what proves nothing is counted."""
        desk = self.desk
        for index, run in runs.items():
            known = desk.indices.get(index)
            if known is None:
                refused = [Reason.CONFIRM_STALE if index in desk.retired else Reason.INDEX_UNKNOWN] * len(run)
            elif now - known[1].born >= limits.REJECT_AFTER_NS:  # [D-8]: no clock ends it while a commit is asked
                refused = [Reason.KEY_EXPIRED] * len(run)
            elif path != known[1].path:  # [D-5]: before window and AEAD
                refused = self._unbound(*known, run, path, now)
            else:
                refused = self._opened(*known, run, packets.setdefault(known[0].handle, []), now)
            for reason in refused:
                desk.stranger(reason, path, now)

    def _opened(self, session: Session, epoch: Epoch, run: Run, packets: list[bytes], now: Instant) -> list[Reason]:
        """Act on what is in one epoch's frames, each on what the one before left; return why others are refused."""
        refused, mtu, before, opened = list[Reason](), self.desk.policy.mtu, epoch.received, epoch.open(run)  # in this order
        if epoch is session.active and epoch.received > before:
            session.heard_at = now
            if session.quality_at is None:
                watch_quality(session, epoch, now)
                self.desk.changed.add(session)
        for plain in opened:
            if not isinstance(plain, bytes):
                refused.append(plain)
                continue
            try:
                kind, body = parse_inner(plain, mtu)
                if kind is IP and (epoch is session.active or epoch is session.draining):  # draining: delivers, changes nothing [D-6]
                    self._deliver(session, body, packets, now)
                elif epoch is session.active:
                    self.inner(session, kind, body, packets, now)
                elif session.candidate and epoch is session.candidate.epoch:
                    self._candidate_inner(session, session.candidate, kind, body, now)
                elif epoch is not session.draining:  # a frame before it ended the session
                    refused.append(Reason.INDEX_UNKNOWN)
            except Malformed:
                self.desk.refusals.add(session, Reason.INNER_MALFORMED, epoch.path.remote, now)
        return refused

    def inner(self, session: Session, kind: Kind, body: bytes, packets: list[bytes], now: Instant) -> None:
        """Act on one inner frame of the active epoch."""
        epoch = session.active
        match kind:
            case Kind.IP:
                self._deliver(session, body, packets, now)
            case Kind.PROBE if epoch:
                probe = unpack(Probe, body)
                self.desk.route(session, now, probed=True)
                self.desk.out += epoch.seal([encode(Kind.PROBE_ACK, pack(ProbeAck(*probe, epoch.received, epoch.top, epoch.born)))])
                epoch.rest()  # a probe is all that an idle session says; who sends packets too pays two microseconds for this
            case Kind.CONFIRM:
                unpack(Confirm, body)
                session.acknowledge()  # the ACK before was lost
            case Kind.CLOSE:
                session.hear(Input.PEER_CLOSED, now)
            case Kind.HEALTH:
                pass
            case _:
                self.desk.refusals.add(session, Reason.UNEXPECTED_MESSAGE, epoch.path.remote if epoch else None, now)

    def _candidate_inner(self, session: Session, candidate: Candidate, kind: Kind, body: bytes, now: Instant) -> None:
        """CONFIRM alone asks for the commit, as it alone shows that the path carries L; the rest is held for the answer [R-20]."""
        if kind is Kind.CONFIRM:
            if unpack(Confirm, body).mtu != self.desk.policy.mtu:
                self.desk.refusals.add(session, Reason.INNER_MALFORMED, candidate.epoch.path.remote, now)
            elif not session.commit_ticket:
                session.hear(Input.CONFIRM_PROVEN, now)
        elif len(candidate.held) < limits.HELD_PACKETS and candidate.held_bytes + len(body) <= limits.HELD_BYTES:
            candidate.held.append((kind, body))
            candidate.held_bytes += len(body)
        else:
            self.desk.refusals.add(session, Reason.PENDING_FULL_DATA, candidate.epoch.path.remote, now)

    def _deliver(self, session: Session, packet: bytes, packets: list[bytes], now: Instant) -> None:
        """Pass on an inner packet whose source the device owns [I-20]."""
        source, destination = (packet[12:16], packet[16:20]) if packet[0] >> 4 == IPV4 else (packet[8:24], packet[24:40])
        if source not in (session.device.inner4, session.device.inner6):
            self.desk.refusals.add(session, Reason.INNER_SOURCE_SPOOFED, None, now)
        elif destination in self.desk.routes and not self.desk.policy.device_to_device:
            self.desk.refusals.add(session, Reason.INNER_DESTINATION_FORBIDDEN, None, now)
        else:
            packets.append(packet)

    def _unbound(self, session: Session, epoch: Epoch, run: Run, path: Path, now: Instant) -> list[Reason]:
        """Never roam in silence: a genuine newer packet from elsewhere gets a hint, sampled; nothing is delivered [R-40]."""
        refused = []
        for counter, frame in run:
            fresh = session.hinted_at is None or now - session.hinted_at >= limits.HINT_INTERVAL_NS
            sampled = epoch is session.active and fresh and counter > epoch.top
            plain = epoch.open([(counter, frame)], keep=False)[0] if sampled else Reason.UNBOUND_PATH
            if isinstance(plain, bytes):
                session.hinted_at = now  # a forged packet leaves the second's hint to a genuine one
                self.hint(session, epoch, Change.MOVE, path, now)
                self.desk.refusals.add(session, Reason.UNBOUND_PATH, path.remote, now)
            else:
                refused.append(plain)
        return refused

    def hint(self, session: Session, epoch: Epoch, change: Change, path: Path, now: Instant) -> None:
        """Send a hint on a path; to rekey at most once a second, whatever was hinted elsewhere."""
        if change is Change.REKEY:
            if session.rekey_hinted_at is not None and now - session.rekey_hinted_at < limits.HINT_INTERVAL_NS:
                return
            session.rekey_hinted_at = now
        self.desk.out += [Transmit(path, run.frames) for run in epoch.seal([HINTS[change]])]
