"""The gateway's front door: handshakes, admitted cheaply first and held as pending records until the client confirms."""

from collections import Counter, deque

from core import limits
from core.crypto.chain import born
from core.crypto.noise import IKHFS, Handshake
from core.crypto.primitives import BadPublicKey, Kem, PrivateKey, TagMismatch
from core.crypto.secret import Secret
from core.errors import PeerFault
from core.reasons import STATUS_REASON, Carrier, Cause, Event, Reason, Status
from core.session.desk import Desk
from core.session.session import Candidate, Session
from core.session.states import Input, State
from core.values import Device, Endpoint, Fact, Instant, Path, Record, Transmit
from core.wire.epoch import Epoch
from core.wire.layout import INIT_MAC1, INIT_MAC2, Change, Malformed
from core.wire.macs import check_mac, cookie_for, cookie_proof, k1
from core.wire.messages import encode, init_header
from core.wire.records import Cookie, Init, InitPayload, Resp, RespPayload, pack, unpack

V4_MAPPED = bytes(10) + b"\xff\xff"


class Front:
    """Answers INIT: with RESP and a pending session, with COOKIE under load, or with silence."""

    def __init__(self, desk: Desk, kem: Kem) -> None:
        """Keep the KEM that answers handshakes; cookie secrets are drawn when first needed."""
        self._desk, self._kem = desk, kem
        self._accepted, self._secrets = dict[bytes, Instant](), list[tuple[Instant, Secret]]()
        self._arrivals: deque[Instant] = deque(maxlen=limits.INIT_PER_SECOND)
        self.counts = Counts()

    def init(self, frame: bytes, message: Init, path: Path, now: Instant) -> None:
        """Judge one INIT in the order of protocol section 2; raise PeerFault for silence [H-20]."""
        static = self._addressed(frame)
        self._desk.admit(static.public)
        self._forget(now)
        if message.mac1 in self._accepted:
            raise PeerFault(Reason.INIT_REPEATED)  # [H-21]: before any public-key operation
        if path.carrier == Carrier.UDP and self._loaded(path, now) and not self._cookie_proven(frame, path, now):
            raise PeerFault(self._demand_cookie(message, static, path, now))
        if len(self.counts) >= limits.PENDING_MAX:
            raise PeerFault(Reason.LIMIT_PENDING)
        handshake = Handshake(IKHFS, initiator=False, prologue=b"jumping-vpn/1 handshake" + init_header(message.sender_index),
                              static=static, remote=None, kem=self._kem, entropy=self._desk.entropy)  # fmt: skip
        try:
            payload = unpack(InitPayload, handshake.read(message.noise, self._admit))
            if payload.carrier != path.carrier:  # a copy: an answer would be a proof of refusal in the copier's hand [H-29]
                raise PeerFault(Reason.TRANSPORT_MISMATCH)
            self._accepted[message.mac1] = Instant(now + limits.INIT_MEMORY_NS)
            if len(self._accepted) > limits.INIT_MEMORY_MAX:
                del self._accepted[next(iter(self._accepted))]
            self._answer(message, handshake, static, path, now)
        except (TagMismatch, BadPublicKey, Malformed):  # a malformed ML-KEM key is found when the answer is made
            raise PeerFault(Reason.HANDSHAKE_BAD_PROOF) from None

    def _addressed(self, frame: bytes) -> PrivateKey:
        """Return the static key whose K1 made mac1 [K-10]; raise PeerFault when none did."""
        static = next((key for key in self._desk.statics if check_mac(frame, INIT_MAC1, k1(key.public))), None)
        if static is None:
            raise PeerFault(Reason.MAC1_WRONG)
        return static

    def _admit(self, public: bytes) -> None:
        if public not in self._desk.devices:
            raise PeerFault(Reason.DEVICE_UNKNOWN)
        self._desk.admit(public)

    def _answer(self, message: Init, handshake: Handshake, static: PrivateKey, path: Path, now: Instant) -> None:
        desk, device = self._desk, self._desk.devices[handshake.remote]
        every = desk.by_device.get(device.public, ())
        mine = sorted((session for session in every if session.state is State.PENDING), key=lambda session: session.since)
        spare = [session for session in mine if not session.commit_ticket]
        status = Status.OK  # [H-26]
        if self.counts.exhausted(device.public, now):
            status = Status.LIMIT_SESSIONS  # [H-28]
        elif sum(session.active is not None for session in every) >= limits.SESSIONS_PER_DEVICE:
            status = Status.LIMIT_SESSIONS
        elif len(mine) >= limits.PENDING_PER_DEVICE and not spare:
            status = Status.LIMIT_PENDING
        index = desk.new_index()
        reply = RespPayload(status, index, desk.policy.lifetime_s, desk.policy.version)
        frame = encode(Resp(index, message.sender_index, handshake.write(pack(reply))))
        if status is Status.OK:
            if len(mine) >= limits.PENDING_PER_DEVICE:  # the oldest makes room, so that replays cannot lock a device out [H-22]
                spare[0].hear(Input.CANDIDATE_EXPIRED, now)
                self.counts.changed(spare[0], now)
            self._hold_pending((static, device), handshake, (index, message.sender_index), path, now)
        else:
            desk.out.append(Record(Fact(Event.HANDSHAKE_REFUSED, STATUS_REASON[status], desk.serial(), 0, now, carrier_to=path.carrier,
                                        device=device.public, remote=path.remote, times=1)))  # fmt: skip
        desk.out.append(Transmit(path, [frame]))

    def _hold_pending(
        self, parties: tuple[PrivateKey, Device], handshake: Handshake, indices: tuple[int, int], path: Path, now: Instant
    ) -> None:
        """Keep a pending session, until its CONFIRM [H-27] or its end."""
        desk, birth = self._desk, born(handshake)
        while (handle := int.from_bytes(desk.entropy(6), "little")) in desk.sessions:
            pass
        session = Session(desk, handle, parties, (birth.session_id, birth.chain), now)
        epoch = Epoch(*indices, (birth.k_down, birth.k_up), path, 0, now)
        session.hold(Candidate(epoch, Instant(now + limits.PENDING_NS), Change.MOVE, Cause.POLICY, 0))
        desk.add(session)
        self.counts.came(session, path.remote)
        fact = session.fact(Event.SESSION_CHANGED, Reason.HANDSHAKE_PROVEN, now)._replace(carrier_to=path.carrier, remote=path.remote)
        session.last_serial = fact.serial
        desk.out.append(Record(fact))

    def _loaded(self, path: Path, now: Instant) -> bool:
        """Tell whether this INIT has to prove its source address first [H-23]."""
        busy = len(self._arrivals) == self._arrivals.maxlen and now - self._arrivals[0] < limits.SECOND
        self._arrivals.append(now)
        return busy or len(self.counts) > limits.PENDING_MAX // 2 or self.counts.crowd(path.remote) >= limits.PENDING_PER_PREFIX

    def _cookie_proven(self, frame: bytes, path: Path, now: Instant) -> bool:
        cookies = [cookie_for(secret, *path.remote) for made, secret in self._secrets if now - made < 2 * limits.COOKIE_SECRET_NS]
        return any(check_mac(frame, INIT_MAC2, cookie) for cookie in cookies)

    def _demand_cookie(self, message: Init, static: PrivateKey, path: Path, now: Instant) -> Reason:
        """Answer with a cookie, which costs no memory; an INIT that carried a wrong one has its own reason [H-24]."""
        if not self._secrets or now - self._secrets[0][0] >= limits.COOKIE_SECRET_NS:
            self._secrets = [(now, Secret(self._desk.entropy(32))), *self._secrets[:1]]
        cookie = cookie_for(self._secrets[0][1], *path.remote)
        reply = Cookie(message.sender_index, cookie, cookie_proof(k1(static.public), message.mac1, cookie))
        self._desk.out.append(Transmit(path, [encode(reply)]))
        return Reason.MAC2_WRONG if any(message.mac2) else Reason.COOKIE_DEMANDED

    def _forget(self, now: Instant) -> None:
        while self._accepted and (first := next(iter(self._accepted))) and self._accepted[first] <= now:
            del self._accepted[first]


class Counts:
    """Counts that are kept when a pending session comes and goes, so that no INIT walks through all of them [H-23]."""

    def __init__(self) -> None:
        self._networks, self._crowds, self._births = dict[Session, bytes](), Counter[bytes](), dict[bytes, tuple[Instant, ...]]()

    def __len__(self) -> int:
        """Return how many sessions are pending."""
        return len(self._networks)

    def crowd(self, remote: Endpoint) -> int:
        """Return how many pending sessions came from the network of this address."""
        return self._crowds[prefix(remote)]

    def exhausted(self, device: bytes, now: Instant) -> bool:
        """Tell whether a device had all the births of a minute: sessions that this process asked the store for [H-28]."""
        births = self._births.get(device, ())
        return len(births) == limits.BIRTHS_PER_MINUTE and now - births[0] < limits.MINUTE

    def came(self, session: Session, remote: Endpoint) -> None:
        """Count a pending session that came from this address."""
        self._networks[session] = network = prefix(remote)
        self._crowds[network] += 1

    def changed(self, session: Session, now: Instant) -> None:
        """Count a session that is not pending any more as gone, and as a birth where the store was asked for it."""
        if session.state is not State.PENDING and (network := self._networks.pop(session, None)):
            self._crowds[network] -= 1
            if not self._crowds[network]:
                del self._crowds[network]
            if session.commit_serial:
                device = session.device.public
                self._births[device] = (*self._births.get(device, ())[1 - limits.BIRTHS_PER_MINUTE :], now)


def prefix(remote: Endpoint) -> bytes:
    """Return the /24 of an IPv4 address or the /56 of an IPv6 address."""
    return remote.address[:15] if remote.address.startswith(V4_MAPPED) else remote.address[:7]
