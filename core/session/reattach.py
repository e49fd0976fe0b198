"""R1 of the reattach: cheap before dear, unproven before proven, and nothing changes before the proof."""

from core import limits
from core.crypto.chain import later, mac_key, psk_of, reattach_prologue
from core.crypto.noise import KKPSK0, Handshake
from core.crypto.primitives import BadPublicKey, TagMismatch
from core.crypto.secret import Secret
from core.errors import PeerFault
from core.reasons import STATUS_REASON, VOLUNTARY, Cause, Event, Reason, Status
from core.session.desk import HOUR_S, Desk
from core.session.session import Candidate, Exchange, Session
from core.session.states import Input, State
from core.values import ROW_LIVE, Instant, Path, Record, Row, Transmit
from core.wire.epoch import Epoch
from core.wire.layout import PREFIX, REATTACH_MAC, Change, Malformed
from core.wire.macs import check_mac
from core.wire.messages import encode, reattach_header
from core.wire.records import Reattach, ReattachPayload, ReattachResp, ReattachRespPayload, pack, unpack

LOST = frozenset((Cause.PATH_DEAD, Cause.PATH_CLOSED, Cause.ADDRESS_CHANGED))
"""Causes of a client that had lost its path, and so cannot wait."""


def load(desk: Desk, row: Row | None, now: Instant) -> Session:
    """Return the session of a store's row, not yet known to the desk; raise PeerFault when there is none to go on with [R-13]."""
    if row is None or row.state != ROW_LIVE or row.expires <= desk.wall_s(now):
        raise PeerFault(Reason.SESSION_UNKNOWN)
    device = desk.devices.get(row.device)
    if device is None or (device.inner4, device.inner6) != (row.inner4, row.inner6):
        raise PeerFault(Reason.DEVICE_UNKNOWN)
    static = next((key for key in desk.statics if key.public == row.gateway_key), None)
    secrets = desk.keks.unseal(row, desk.wall_s(now) // HOUR_S)
    if secrets is None or static is None:
        raise PeerFault(Reason.SESSION_UNKNOWN)
    return Session(desk, row.handle, (static, device), secrets, now, row)


def judge_reattach(session: Session, frame: bytes, attempt: int, path: Path, now: Instant) -> None:
    """Answer one REATTACH of this session; raise PeerFault for what gets no answer. Nothing of the session changes before the proof."""
    if session.secrets is None:
        raise PeerFault(Reason.SESSION_UNKNOWN)
    session_id, chain = session.secrets
    busy = session.commit_ticket or session.state is State.PENDING  # [G-50]: the client repeats it
    known = session.exchange if session.exchange and session.exchange.request == frame else None
    if known and known.path != path:
        raise PeerFault(Reason.REATTACH_REPLAYED)
    if known and busy:
        raise PeerFault(Reason.NO_TRANSITION)
    if known:
        session.desk.out.append(Transmit(path, [known.reply]))  # identical request, identical answer
        return
    chain = _check_chain(session, chain, frame, attempt)
    if busy:
        raise PeerFault(Reason.NO_TRANSITION)  # of this session, as its mac is right
    message = unpack(Reattach, frame[PREFIX:])
    prologue = reattach_prologue(session_id, attempt, reattach_header(message.sender_index, message.locator))
    handshake = Handshake(KKPSK0, initiator=False, prologue=prologue, static=session.static, remote=session.device.public,
                          psk=psk_of(chain), entropy=session.desk.entropy)  # fmt: skip
    try:
        payload = unpack(ReattachPayload, handshake.read(message.noise))
        change, cause = Change(payload.kind), Cause(payload.cause)
    except (TagMismatch, BadPublicKey):
        raise PeerFault(Reason.REATTACH_BAD_PROOF) from None
    except (Malformed, ValueError):
        raise PeerFault(Reason.INNER_MALFORMED) from None
    if payload.carrier != path.carrier:  # a copy: it burns nothing, and no proof of a refusal gets into the copier's hand
        raise PeerFault(Reason.TRANSPORT_MISMATCH)
    if session.handle not in session.desk.sessions:
        _take_over(session, now)
    rekey = session.active is not None and session.active.path == path  # whatever it calls itself
    session.next = attempt + 1  # all up to this one are burnt, whatever the policy says
    session.secrets = session_id, later(chain, 1)
    status, retry_after = _policy(session, cause, now, rekey=rekey)
    index = session.desk.new_index()
    remaining_ms = max(0, session.expires - session.desk.wall_s(now)) * 1_000
    reply = ReattachRespPayload(status, -(-retry_after // limits.MILLISECOND), index, session.binding_version, remaining_ms)
    answer = encode(ReattachResp(index, message.sender_index, handshake.write(pack(reply))))
    if status is Status.OK:
        up, down = handshake.split()
        epoch = Epoch(index, message.sender_index, (down, up), path, attempt, now)
        candidate = Candidate(epoch, Instant(now + limits.CANDIDATE_NS), change if rekey else Change.MOVE, cause, payload.outage_ms)
        if not session.hear(Input.REATTACH_PROVEN, now, offer=candidate):
            raise PeerFault(Reason.NO_TRANSITION)
        session.moves = (*(each for each in session.moves if now - each[0] < limits.MINUTE), (now, _limit(session, cause, rekey=rekey)[0]))
    else:
        session.desk.refusals.add(session, STATUS_REASON[status], path.remote, now)
    session.exchange = Exchange(frame, path, answer)
    session.desk.out.append(Transmit(path, [answer]))


def _check_chain(session: Session, chain: Secret, frame: bytes, attempt: int) -> Secret:
    """Return the chain of an attempt, from that of `next`, when the outer mac fits; raise PeerFault [R-11] [R-12]."""
    if attempt < session.next:
        raise PeerFault(Reason.ATTEMPT_BURNT)
    if attempt >= min(session.next + limits.LOOKAHEAD_ATTEMPTS, limits.ATTEMPT_MAX + 1):
        raise PeerFault(Reason.ATTEMPT_TOO_FAR)
    chain = later(chain, attempt - session.next)
    if not check_mac(frame, REATTACH_MAC, mac_key(chain)):
        raise PeerFault(Reason.REATTACH_MAC_WRONG)
    return chain


def _take_over(session: Session, now: Instant) -> None:
    """Make a session that was read from the store this gateway's own: its proof has just been seen [R-14]."""
    session.desk.add(session)
    fact = session.fact(Event.SESSION_CHANGED, Reason.TAKEN_OVER, now)
    session.last_serial = fact.serial
    session.desk.out.append(Record(fact))


def _policy(session: Session, cause: Cause, now: Instant, *, rekey: bool) -> tuple[Status, int]:
    """Return the status of a proven attempt and after how many nanoseconds to try again [R-16]."""
    if session.suspended:
        return Status.SUSPENDED, limits.RELOAD_RETRY_NS
    due = rekey and session.active and now - session.active.born >= limits.REKEY_AFTER_NS
    name, most = _limit(session, cause, rekey=rekey)
    recent = [at for at, of in session.moves if of == name and now - at < limits.MINUTE]
    if name == "voluntary" and recent and now - recent[-1] < limits.VOLUNTARY_COOLDOWN_NS:
        return Status.COOLDOWN, limits.VOLUNTARY_COOLDOWN_NS - (now - recent[-1])
    if len(recent) >= most and not due:  # nobody can have used up what a due rekey needs
        return Status.SWITCH_LIMIT, limits.MINUTE - (now - recent[-most])
    return Status.OK, 0


def _limit(session: Session, cause: Cause, *, rekey: bool) -> tuple[str, int]:
    """Return the name of the limit that an attempt counts for, and from how many in a minute on it is refused."""
    policy = session.desk.policy
    if rekey:  # a hint can make a client begin one, and only a network's real silence one that says it lost its path
        return "rekey", max(limits.REKEYS_PER_MINUTE, policy.forced_per_minute if cause in LOST else 0)
    return ("voluntary", policy.voluntary_per_minute) if cause in VOLUNTARY else ("forced", policy.forced_per_minute)
