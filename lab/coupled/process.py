"""A gateway process: its sessions, and what it does with a frame, a clock, an order, and an answer of the store [G-50 to G-55]."""

from typing import Any, Final, NamedTuple

from core.errors import Invariant
from core.machine import Machine
from core.reasons import Event
from core.session.states import DECIDES_WHILE_ASKED, PRIORITY, Input, State
from core.session.table import MACHINE
from core.values import Outcome
from lab.coupled.session import Session, commit_of, facts, performed
from lab.coupled.words import UNDER_KEYS, Answer, Ask, Epoch, Frame, Name, Row

Stimulus = tuple[Any, ...]
SHIPPED: Final[Machine[Any, Any, Any, Any]] = MACHINE


class Process(NamedTuple):
    """`sessions` by name; `inits`: handshakes that were answered, and are not answered again [H-21]."""

    boot: int
    sessions: tuple[tuple[Name, Session], ...] = ()
    inits: frozenset[int] = frozenset()


class Taken(NamedTuple):
    """A transition of a session: the cell, what its row records, and the kinds of operations that it asked for."""

    name: Name
    state: State
    heard: Input
    event: Event
    asked: tuple[str, ...]


class Did(NamedTuple):
    """What a step of a process led to. `delivered`: epochs under which inner packets went on; `broken`: claims that did not hold."""

    after: Process
    frames: tuple[Frame, ...]
    asks: tuple[Ask, ...]
    took: tuple[Taken, ...]
    delivered: tuple[Epoch, ...]
    broken: tuple[str, ...]


class Turn:
    """One step of a process, while it is made."""

    def __init__(self, process: Process, machine: Machine[Any, Any, Any, Any] = SHIPPED, most: int = 4) -> None:
        """Begin with what the process is; `machine` is the table that it follows, `most` how many sessions a device may have bound."""
        self.boot, self.machine, self.most = process.boot, machine, most
        self.sessions, self.inits = dict(process.sessions), process.inits
        self.frames, self.asks = list[Frame](), list[Ask]()
        self.took = list[Taken]()
        self.delivered, self.broken = list[Epoch](), list[str]()

    def done(self) -> Did:
        """Forget what has ended, and return what the step led to."""
        for name, at in list(self.sessions.items()):
            gone = at.state is State.TERMINATED and not at.retry
            if gone and not at.owed:
                del self.sessions[name]
            elif gone != at.gone:
                self.sessions[name] = at._replace(gone=gone)
        after = Process(self.boot, tuple(sorted(self.sessions.items())), self.inits)
        return Did(after, tuple(self.frames), tuple(self.asks), tuple(self.took), tuple(self.delivered), tuple(self.broken))

    # --- the machine ---

    def hear(self, name: Name, heard: Input, offer: Epoch | None = None) -> bool:
        """Make the transition of the table; return False where there is none, or where it has to wait for the store [G-50]."""
        at = self.sessions[name]
        if at.commit and heard not in DECIDES_WHILE_ASKED:
            self.sessions[name] = at._replace(waits=at.waits | {(heard, at.active.path if at.active else 0)})
            return False
        row = self.machine.cells.get((at.state, heard))
        if row is None:
            return False
        self.take(name, at, row, offer)
        after = self.sessions[name]
        if not after.commit and after.waits and after.state is not State.TERMINATED:
            self.sessions[name] = after._replace(waits=frozenset())
            for later, path in sorted(after.waits, key=lambda each: (PRIORITY.index(each[0]), each[1])):
                active = self.sessions[name].active
                if later is not Input.PATH_CLOSED or (active and active.path == path):
                    self.hear(name, later)
        return True

    def take(self, name: Name, at: Session, row: Any, offer: Epoch | None) -> None:
        """Go where a row goes, perform its effects, and check what production checks [G-53]."""
        after = at._replace(state=row.goes_to or at.state, ending=at.ending or row.event is Event.SESSION_ENDED)
        asked = len(self.asks)
        for effect in row.effects:
            after, said = performed(after, effect, name, self.boot, offer)
            self.frames += said.frames
            for ask in said.asks:
                after = self.ask(after, ask)
        if after.state is State.TERMINATED:
            after = after._replace(waits=frozenset())
        self.sessions[name] = after
        self.took.append(Taken(name, at.state, row.heard, row.event, tuple(ask.kind for ask in self.asks[asked:])))
        try:
            wanted = self.machine.apply(facts(at), row)
            if facts(after, 1) != wanted:
                self.broken.append("what is real is what the table says")
            self.machine.check(facts(at), wanted)
        except Invariant as broken:
            self.broken.append(str(broken))

    def ask(self, at: Session, ask: Ask) -> Session:
        """Ask the store on behalf of a session."""
        self.asks.append(ask)
        return at._replace(owed=at.owed + 1)

    # --- frames ---

    def receive(self, frame: Frame, source: int) -> None:
        """Take a frame that came from a path."""
        if frame.kind in UNDER_KEYS:
            self.data(frame, source)
        elif frame.kind == "INIT":
            self.init(frame.epoch.name.hand, source)
        elif frame.kind == "REATTACH":
            at = self.sessions.get(frame.epoch.name)
            waiting = frame._replace(epoch=frame.epoch._replace(path=source))
            if at is None or at.gone:
                self.asks.append(Ask("LOAD", frame.epoch.name, self.boot, frame=waiting))
            else:
                self.reattach(waiting, at)

    def init(self, hand: int, source: int) -> None:
        """Answer a handshake with a pending session, once [H-21] [H-22]."""
        if hand not in self.inits:
            self.inits |= {hand}
            epoch = Epoch(Name(hand, self.boot), 0, self.boot, source)
            full = sum(at.active is not None for at in self.sessions.values()) >= self.most  # [H-26]
            if not full:
                self.sessions[epoch.name] = Session(State.PENDING, candidate=epoch)
            self.frames.append(Frame("REFUSAL" if full else "RESP", epoch))

    def reattach(self, frame: Frame, at: Session) -> None:
        """Judge an attempt: nothing changes before the proof, and a proof burns all attempts up to its own [R-15]."""
        name, attempt, _, path = frame.epoch
        busy = at.commit is not None or at.state is State.PENDING
        if at.state is State.TERMINATED or busy:
            return
        if at.exchange is not None and at.exchange[0] == attempt:
            if at.exchange[1] == path:  # the identical answer; from elsewhere a replay
                refused = at.candidate is None or at.candidate.attempt != attempt
                epoch = frame.epoch._replace(boot=self.boot)
                self.frames.append(Frame("REFUSAL" if refused else "ANSWER", epoch))
            return
        if attempt < at.next:
            return
        self.sessions[name] = at = at._replace(next=attempt + 1)
        epoch = frame.epoch._replace(boot=self.boot)
        if not at.suspended:
            self.hear(name, Input.REATTACH_PROVEN, epoch)
        self.sessions[name] = self.sessions[name]._replace(exchange=(attempt, path))
        self.frames.append(Frame("REFUSAL" if at.suspended else "ANSWER", epoch))

    def data(self, frame: Frame, source: int) -> None:
        """Act on a frame under keys that this process has, from the path of those keys [D-5]."""
        epoch, name = frame.epoch, frame.epoch.name
        at = self.sessions.get(name)
        if at is None or at.gone or epoch not in {at.active, at.draining, at.candidate}:
            return
        if source != epoch.path:
            if epoch == at.active:
                self.frames.append(Frame("HINT", epoch))  # the address is new, the path is what the client calls so
        elif epoch == at.active:
            self.inner(name, frame.kind)
        elif epoch == at.draining:
            self.delivered += [epoch] if frame.kind == "IP" else []
        elif frame.kind != "CONFIRM":
            self.sessions[name] = at._replace(held=at.held | {frame.kind})
        elif not at.commit:
            self.hear(name, Input.CONFIRM_PROVEN)

    def inner(self, name: Name, kind: str) -> None:
        """Act on what came under the active epoch."""
        at = self.sessions[name]
        if kind == "IP" and at.active:
            self.delivered.append(at.active)
        elif kind == "CONFIRM" and at.active:
            self.frames.append(Frame("ACK", at.active, at.version))
        elif kind == "CLOSE":
            self.hear(name, Input.PEER_CLOSED)

    # --- the store's answers ---

    def answered(self, answer: Answer) -> None:
        """Take an answer to whoever asked."""
        ask = answer.ask
        if ask.kind == "LOAD":
            self.loaded(ask, answer.row)
            return
        at = self.sessions.get(ask.name)
        if at is None:
            return
        self.sessions[ask.name] = at = at._replace(owed=at.owed - 1)
        if ask.kind == "GET":
            if at.suspended and answer.outcome in {Outcome.FOUND, Outcome.ABSENT}:
                self.hear(ask.name, Input.OWNERSHIP_CERTAIN if self.certain(ask.name, answer.row) else Input.OWNER_FENCED)
        elif ask.kind == "END":
            self.ended(ask.name, at, answer)
        else:
            self.committed(ask, at, answer)

    def loaded(self, ask: Ask, row: Row | None) -> None:
        """Go on with a REATTACH whose row was read [R-13] [R-14]."""
        at = self.sessions.get(ask.name)
        if ask.frame and at is not None and not at.gone:
            self.reattach(ask.frame, at)
        elif ask.frame and at is None and row is not None and row.live and ask.frame.epoch.attempt >= row.next:
            mine = row.boot == self.boot
            at = Session(State.RECOVERING, row.version, row.version, owned=mine, next=row.next, recovery=True)
            self.sessions[ask.name] = at
            self.reattach(ask.frame, at)

    def certain(self, name: Name, row: Row | None) -> bool:
        """Tell whether a row is ours to go on from, unchanged or changed by this process; keeps it if so [G-16]."""
        at = self.sessions[name]
        if row is None or not row.live or row.version - at.version not in ((0, 1) if row.boot == self.boot else (0,)):
            return False
        self.sessions[name] = at._replace(row=row.version, owned=row.boot == self.boot)
        return True

    def ended(self, name: Name, at: Session, answer: Answer) -> None:
        """Hear whether an end is written [G-55]."""
        if at.retry and answer.outcome is Outcome.LOST and answer.row and answer.row.boot == self.boot:  # our own write, late
            self.sessions[name] = at._replace(version=answer.row.version)
            self.hear(name, Input.TOMBSTONE_LATE)
        elif at.retry and at.state is State.TERMINATED and answer.outcome is not Outcome.FAILED:
            self.sessions[name] = at._replace(retry=False)

    def committed(self, ask: Ask, at: Session, answer: Answer) -> None:
        """Hear what became of a birth or a move."""
        name = ask.name
        if at.commit != ask:
            if answer.outcome is Outcome.WON and at.ending:
                self.sessions[name] = at._replace(version=(ask.expect or 0) + 1)
                self.hear(name, Input.COMMIT_WON)
        elif answer.outcome is Outcome.WON:
            self.won(ask, at)
        elif answer.outcome is Outcome.FAILED:
            self.hear(name, Input.STORE_LOST)
        elif answer.outcome is Outcome.FULL and not ask.ends and (victim := self.victim(answer)):
            again = commit_of(at, name, self.boot, "CREATE")._replace(ends=(victim,))
            self.sessions[name] = self.ask(at, again)._replace(commit=again)
        elif at.state is State.PENDING or self.certain(name, answer.row):
            self.hear(name, Input.COMMIT_LOST)
        else:
            self.hear(name, Input.OWNER_FENCED)

    def won(self, ask: Ask, at: Session) -> None:
        """Bind, end what the birth superseded, and take up what was held."""
        self.hear(ask.name, Input.COMMIT_WON)
        for other, version in ask.ends:
            known = self.sessions.get(other)
            if known and not known.gone and known.version == version and not known.suspended:
                self.hear(other, Input.SUPERSEDED)
        for kind in sorted(at.held, reverse=True):  # IP before CLOSE: nothing comes after the end
            if self.sessions[ask.name].active:
                self.inner(ask.name, kind)

    def victim(self, answer: Answer) -> tuple[Name, int] | None:
        """Return a session of the device that a birth may end, at the version of its row [H-50].

        It is one that this process does not hold, whose owner's keys may have expired at any time, or one that it holds unbound as its own.
        """
        known = {name: at for name, at in self.sessions.items() if not at.gone}
        for name, row in answer.full:
            if not (name in known and row.boot == self.boot and row.version == known[name].version):
                return name, row.version
        return next(((name, row.version) for name, row in answer.full if known[name].active is None), None)


def stepped(process: Process, heard: Stimulus, machine: Machine[Any, Any, Any, Any] = SHIPPED, most: int = 4) -> Did:
    """Return what a process does with one input."""
    turn = Turn(process, machine, most)
    match heard:
        case ("frame", Frame() as frame, int(source)):
            turn.receive(frame, source)
        case ("answer", Answer() as answer):
            turn.answered(answer)
        case ("hears", Name() as name, Input() as verdict):
            turn.hear(name, verdict)
        case ("reload", Name() as name):
            turn.sessions[name] = turn.ask(turn.sessions[name], Ask("GET", name, process.boot))
        case _:
            raise ValueError(heard)
    return turn.done()


def clocks(at: Session) -> list[Input]:
    """Return what a clock may make a session hear now: every deadline that runs, at any moment."""
    if at.commit:
        return [Input.STORE_LOST] + [Input.PATH_CLOSED] * (at.active is not None)
    if at.state is State.TERMINATED:
        return [Input.TOMBSTONE_LATE] if at.retry else []
    due = [Input.RECOVERY_OVER] * at.recovery + [Input.VOLATILE_OVER] * at.volatile + [Input.CANDIDATE_EXPIRED] * (at.candidate is not None)
    if at.state is not State.PENDING:
        due += [Input.LIFETIME_OVER]
        due += [Input.KEY_EXPIRED, Input.PATH_SILENT, Input.PATH_CLOSED] if at.active else [Input.TRANSPORT_LOST]
    return due
