"""A client: what it holds, and what it does with a frame, a clock and its user [C-40 to C-43]."""

from typing import Any, Final, NamedTuple

from core.client.states import Effect, Input, State
from core.client.table import MACHINE, Facts
from core.errors import Invariant
from core.machine import Machine
from core.reasons import Event
from lab.coupled.words import UNDER_KEYS, Epoch, Frame, Name

SHIPPED: Final[Machine[Any, Any, Any, Any]] = MACHINE
Stimulus = tuple[Any, ...]


class Device(NamedTuple):
    """`path`: the number of its address, a new one after each move; `other`: of a second carrier, 0 for none.

    `attempts` and `hands`: numbers that wait for an answer, with their paths; `made`: how many handshakes it began, which names the next.
    `fresh`, `chance`, `shaking`: timers, of a client that seeks and of its handshakes. `known`: the binding's version as the last ACK under
    `committed` told it, or 0.
    """

    state: State = State.IDLE
    path: int = 1
    other: int = 0
    name: Name | None = None
    committed: Epoch | None = None
    draining: Epoch | None = None
    confirming: tuple[Epoch, ...] = ()
    newborn: Epoch | None = None
    attempts: tuple[tuple[int, int], ...] = ()
    hands: tuple[tuple[int, int], ...] = ()
    made: int = 0
    next: int = 1
    known: int = 0
    fresh: bool = False
    chance: bool = False
    shaking: bool = False


class Taken(NamedTuple):
    """A transition: the cell, and what its row records."""

    state: State
    heard: Input
    event: Event


class Did(NamedTuple):
    """What a step led to; `took` and `broken` as of a process."""

    after: Device
    frames: tuple[Frame, ...]
    took: tuple[Taken, ...]
    broken: tuple[str, ...]


def facts(at: Device, version: int = 0) -> Facts:
    """Return what the claims in production speak about."""
    return Facts(at.state, version, at.name is not None, at.committed is not None, at.newborn is not None)


class Turn:
    """One step of a client, while it is made."""

    def __init__(self, device: Device, machine: Machine[Any, Any, Any, Any] = SHIPPED) -> None:
        """Begin with what the client is; `machine` is the table that it follows."""
        self.at, self.machine = device, machine
        self.frames, self.took, self.broken = list[Frame](), list[Taken](), list[str]()

    def done(self) -> Did:
        """Return what the step led to."""
        return Did(self.at, tuple(self.frames), tuple(self.took), tuple(self.broken))

    def paths(self) -> tuple[int, ...]:
        """Return the open paths."""
        return (self.at.path, self.at.other) if self.at.other else (self.at.path,)

    # --- the machine ---

    def hear(self, heard: Input, offer: Epoch | None = None) -> bool:
        """Make the transition of the table; return False where there is none."""
        before, row = self.at, self.machine.cells.get((self.at.state, heard))
        if row is None:
            return False
        self.at = before._replace(state=row.goes_to or before.state)
        for effect in row.effects:
            self.perform(effect, offer)
        self.took.append(Taken(before.state, heard, row.event))
        try:
            wanted = self.machine.apply(facts(before), row)
            if facts(self.at, 1) != wanted:
                self.broken.append("what is real is what the table says")
            self.machine.check(facts(before), wanted)
        except Invariant as broken:
            self.broken.append(str(broken))
        return True

    def perform(self, effect: Effect, offer: Epoch | None) -> None:  # noqa: C901, PLR0912 - one case an effect
        """Do one effect, as `core.client.client` does it."""
        at = self.at
        match effect:
            case Effect.OPEN_PATHS:
                pass  # the address is a path already; a second carrier is opened by the adversary
            case Effect.SHAKE_HANDS:
                for path in self.paths() if at.state is State.SEEKING else (at.path,):
                    self.shake(path)
            case Effect.CONFIRM_BIRTH:
                self.say("CONFIRM", at.newborn)
            case Effect.ADOPT_BIRTH:
                self.at = Device(at.state, at.path, at.other, at.newborn and at.newborn.name, at.newborn, made=at.made)
            case Effect.SEEK:
                self.seek()
            case Effect.ATTEMPT_HERE:
                self.attempt(at.committed.path if at.committed else 0)
            case Effect.ATTEMPT_BETTER:
                self.attempt(next((path for path in self.paths() if at.committed and path != at.committed.path), 0))
            case Effect.LAST_CHANCE:
                path = at.newborn.path if at.newborn else 0
                self.at = at._replace(chance=True, attempts=elsewhere(at.attempts, path))
                self.attempt(path)
            case Effect.CONFIRM_MOVE:
                if offer:
                    later = tuple(each for each in at.attempts if each[0] > offer.attempt)
                    self.at = at._replace(chance=False, confirming=(*at.confirming[-1:], offer), attempts=later)
                    self.say("CONFIRM", offer)
            case Effect.COMMIT:
                left = tuple(each for each in at.confirming if offer and each.attempt > offer.attempt)
                self.at = Device(at.state, at.path, at.other, at.name, offer, at.committed, left, None, (), (), at.made, at.next)
            case Effect.DROP_CONFIRMED:
                self.at = at._replace(confirming=())
                if at.state is State.SEEKING:
                    self.seek()
            case Effect.SAY_CLOSE:
                self.say("CLOSE", at.committed)
            case Effect.WIPE:
                self.at = Device(at.state, at.path, at.other, made=at.made)

    def say(self, kind: str, epoch: Epoch | None) -> None:
        """Send a frame under keys, if there are any."""
        self.frames += [Frame(kind, epoch)] if epoch else []

    def shake(self, path: int) -> None:
        """Begin a handshake on a path [H-30]."""
        number = self.at.made + 1
        self.at = self.at._replace(made=number, hands=(*elsewhere(self.at.hands, path), (number, path)), shaking=True)
        self.frames.append(Frame("INIT", Epoch(Name(number, 0), 0, 0, path)))

    def seek(self) -> None:
        """Try where there is a path, and a fresh handshake later [R-50]."""
        self.at = self.at._replace(fresh=True)
        for path in self.paths():
            self.attempt(path)

    def attempt(self, path: int) -> None:
        """Begin an attempt on a path, unless one waits there."""
        at = self.at
        if at.name is not None and path in self.paths() and not any(each[1] == path for each in at.attempts):
            self.at = at._replace(next=at.next + 1, attempts=(*at.attempts, (at.next, path)))
            self.frames.append(Frame("REATTACH", Epoch(at.name, at.next, 0, path)))

    # --- frames ---

    def receive(self, frame: Frame) -> None:
        """Take a frame that came on the path that it was sent to."""
        at, epoch = self.at, frame.epoch
        if epoch.path not in self.paths():
            return
        if frame.kind in UNDER_KEYS:
            self.data(frame)
        elif frame.kind == "RESP" and (epoch.name.hand, epoch.path) in at.hands and not at.newborn:
            self.at = at._replace(newborn=epoch)
            if not self.hear(Input.ANSWER_PROVEN):
                self.at = self.at._replace(newborn=None)
        elif frame.kind == "REFUSAL" and not epoch.attempt and (epoch.name.hand, epoch.path) in at.hands and not at.newborn:
            self.hear(Input.REFUSED)
        elif (epoch.attempt, epoch.path) in at.attempts and epoch.name == at.name:
            if frame.kind == "ANSWER":
                self.hear(Input.ATTEMPT_PROVEN, epoch)
            elif frame.kind == "REFUSAL":
                self.at = at._replace(attempts=tuple(each for each in at.attempts if each != (epoch.attempt, epoch.path)))

    def data(self, frame: Frame) -> None:
        """Act on what came under keys that are still held."""
        epoch = frame.epoch
        if epoch == self.at.newborn:
            self.newborn(frame)
            return
        if epoch in self.at.confirming and epoch != self.at.committed:
            self.hear(Input.COMMITTED, epoch)
        if epoch != self.at.committed:
            return
        if frame.kind == "ACK":
            self.at = self.at._replace(known=frame.version)
        elif frame.kind == "CLOSE":
            self.hear(Input.PEER_CLOSED)
        elif frame.kind == "HINT" and not moving(self.at):
            self.hear(Input.HINT_MOVE)

    def newborn(self, frame: Frame) -> None:
        """Act on what came under the keys of a handshake that is not yet born."""
        if frame.kind == "ACK":
            self.hear(Input.BORN)
            self.at = self.at._replace(known=frame.version) if self.at.name else self.at
        elif frame.kind == "CLOSE" and self.at.state is State.CONNECTING:
            self.hear(Input.PEER_CLOSED)
        elif frame.kind == "CLOSE":
            self.at = self.at._replace(newborn=None, fresh=True)

    # --- clocks ---

    def clock(self, name: str) -> None:  # noqa: C901, PLR0912 - one case a timer
        """Let a timer come that is no input of the table, or that does more than be heard."""
        at = self.at
        match name:
            case "fresh":
                self.at = at._replace(fresh=False)
                self.hear(Input.FRESH_DUE)
            case "chance":
                self.at = at._replace(chance=False)
                self.hear(Input.LAST_CHANCE_OVER)
            case "handshake":
                self.at = at._replace(newborn=None)
                if at.state in {State.CONNECTING, State.SEEKING}:
                    for path in self.paths():
                        self.shake(path)
            case "handshake over":
                self.at = at._replace(newborn=None, hands=(), shaking=False)
                if not self.hear(Input.HANDSHAKE_OVER):
                    self.at = self.at._replace(fresh=True)
            case "give up":
                self.at = at._replace(attempts=())
            case "again":
                for path in self.paths():
                    self.attempt(path)
            case "repeat":  # the network has these frames already; an honest run needs them again
                for number, path in at.attempts:
                    self.frames += [Frame("REATTACH", Epoch(at.name, number, 0, path))] if at.name else []
                unheard = () if at.known else (at.committed,)
                for epoch in (*at.confirming, *unheard, at.newborn if at.state is State.CONNECTING else None):
                    self.say("CONFIRM", epoch)
            case _:
                raise ValueError(name)

    # --- the user ---

    def move(self) -> None:
        """Leave the address for a new one: the path is lost, and another is there [C-12]."""
        old, new = self.at.path, max(self.at.path, self.at.other) + 1
        attempts, hands = elsewhere(self.at.attempts, old), elsewhere(self.at.hands, old)
        self.at = self.at._replace(path=new, attempts=attempts, hands=hands)
        lost = self.at.committed is not None and self.at.committed.path == old
        if lost:
            self.hear(Input.ADDRESS_CHANGED)
        if not lost or self.at.state is not State.SEEKING:
            self.opened(new)

    def open_other(self) -> None:
        """Open a path of a second carrier."""
        new = max(self.at.path, self.at.other) + 1
        self.at = self.at._replace(other=new)
        self.opened(new)

    def close_other(self) -> None:
        """Lose the path of the second carrier."""
        old = self.at.other
        attempts, hands = elsewhere(self.at.attempts, old), elsewhere(self.at.hands, old)
        self.at = self.at._replace(other=0, attempts=attempts, hands=hands)
        if self.at.committed is not None and self.at.committed.path == old:
            self.hear(Input.PATH_CLOSED)

    def opened(self, path: int) -> None:
        """Use a path that has just opened."""
        if self.at.state is State.CONNECTING:
            self.shake(path)
        elif self.at.state is State.SEEKING:
            self.attempt(path)


def elsewhere(waiting: tuple[tuple[int, int], ...], path: int) -> tuple[tuple[int, int], ...]:
    """Return what waits for an answer on another path."""
    return tuple(each for each in waiting if each[1] != path)


def moving(at: Device) -> bool:
    """Tell whether an epoch is being confirmed that the gateway has not spoken under."""
    return any(each != at.committed for each in at.confirming)


def clocks(at: Device) -> list[Stimulus]:
    """Return what the clock may bring now: every timer that runs, at any moment."""
    due: list[Stimulus] = []
    if at.name is not None:
        due += [("hears", Input.LIFETIME_OVER)]
        due += (
            [("hears", Input.TRANSPORT_LOST)] if at.state is State.SEEKING else [("hears", Input.PATH_SILENT), ("hears", Input.KEY_EXPIRED)]
        )
        if at.state is State.ATTACHED and not moving(at):
            due += [] if at.attempts else [("hears", Input.KEY_DUE)]
            due += [("hears", Input.BETTER_DUE)] if at.other else []
    due += [("hears", Input.CONFIRM_OVER)] if moving(at) else []
    due += [("clock", "fresh")] if at.fresh and at.newborn is None else []
    due += [("clock", "chance")] if at.chance else []
    due += [("clock", "handshake"), ("clock", "handshake over")] if at.shaking and at.state in {State.CONNECTING, State.SEEKING} else []
    if at.attempts and at.state is State.ATTACHED:
        due += [("clock", "give up")]
    elif at.state is State.SEEKING and not at.attempts:
        due += [("clock", "again")]
    return due


def stepped(device: Device, heard: Stimulus, machine: Machine[Any, Any, Any, Any] = SHIPPED) -> Did:
    """Return what a client does with one input."""
    turn = Turn(device, machine)
    match heard:
        case ("frame", Frame() as frame):
            turn.receive(frame)
        case ("hears", Input() as verdict):
            turn.hear(verdict)
        case ("clock", str(name)):
            turn.clock(name)
        case ("move",):
            turn.move()
        case ("open other",):
            turn.open_other()
        case ("close other",):
            turn.close_other()
        case ("say",):
            if turn.at.state in {State.ATTACHED, State.SEEKING}:
                turn.say("IP", turn.at.confirming[-1] if turn.at.confirming else turn.at.committed)
        case _:
            raise ValueError(heard)
    return turn.done()
