"""A counter-example as a playbook: Python that a person can paste into a test and step through, on the world of the playbooks."""

from typing import Final

from core.values import Path
from lab.explore.parts import udp
from lab.explore.world import Action, Scene, Stage
from lab.searching import Found
from lab.sim.frames import kind_of

HEAD: Final = '''from core.client.contact import ClientPolicy
from core.reasons import Carrier
from core.session.desk import Policy
from core.values import Answer, CloseSession, Connect, Endpoint, Instant, Outcome, Path, PathEvent
from lab.sim.frames import Sent, v4
from lab.sim.world import GATEWAY_AT, World

UNHEARD = 10**8 * 3_600 * 10**9
ATTACKER = Path(Carrier.UDP, 0, GATEWAY_AT, Endpoint(v4(66), 6_666))


def found() -> World:
    """{claim}: {doc}"""
    policy = ClientPolicy({carriers}, health_ns=UNHEARD)
    world = World(policy=Policy(health_ns=UNHEARD), client_policy=policy){connected}
    host, begin = world.host, world.now
    at = {{"client": begin}}
    gateways = [(world.gateway, world.desk)]
    world.network = lambda _sender, _kind, _frame: ()  # nothing arrives but what is delivered below
    world.store.silent = world.store.mute = True  # and the store does nothing but what it is told to below

    queues: dict[int, tuple[list, list]] = {{}}

    def sent(sender: str, kind: str, which: int) -> Sent:
        """Return the which-th frame of a kind, in the order of sending, copies not counted."""
        return list({{each.frame: each for each in world.sent if (each.sender, each.kind) == (sender, kind)}}.values())[which]

    def up(kind: str, which: int, source: Path | None = None) -> None:
        """Let a frame of the client arrive, from where it was sent or from elsewhere."""
        each = sent("client", kind, which)
        world.inject(each.frame, source or Path(each.path.carrier, each.path.serial, GATEWAY_AT, each.path.local))

    def down(kind: str, which: int, carrier: int) -> None:
        """Let a frame of a gateway arrive on a path of the client."""
        host.hears(sent("gateway", kind, which).frame, host.paths[carrier])

    def gateway(which: int, waited: int = 0) -> None:
        """Turn to a gateway, its clock and what it has asked of the store."""
        world.gateway, world.desk = gateways[which]
        world.store.kept, world.store.answers = queues.setdefault(which, ([], []))
        at[which] = world.now = Instant(at.get(which, begin) + waited)

    def client(waited: int = 0) -> None:
        """Turn to the client and its clock."""
        at["client"] = world.now = Instant(at["client"] + waited)

    def perform(done: bool = True, told: bool = True) -> None:
        """Let the store perform the oldest ask of this gateway, or not, and say what came of it, or that it failed."""
        ask, tell = world.store.kept.pop(0)
        answer = world.store.execute(ask) if done else None
        world.store.answers.append((answer if answer and told else Answer(ask.ticket, Outcome.FAILED), tell))

    def answered() -> None:
        """Let the oldest answer arrive."""
        answer, tell = world.store.answers.pop(0)
        tell(answer)

    def settle() -> None:
        """Judge the clocks that are due now."""
        world.gateway_does(lambda: world.gateway.tick(world.now))
        while (due := host.client.deadline()) is not None and due <= at["client"]:
            host.does(lambda: host.client.tick(at["client"]))

    def fresh_gateway(which: int) -> None:
        """Start a gateway that knows nothing but its keys: a further one, or in the place of one that has crashed."""
        world.start_gateway()
        gateways[which : which + 1] = [(world.gateway, world.desk)]
        queues[which] = ([], [])

'''


class Writer:
    """Writes one counter-example. Frames are named by sender, kind and order, as the playbook's world draws other random numbers."""

    def __init__(self, stage: Stage) -> None:
        """Follow the actions from the start of `stage`."""
        self.stage = stage
        self._order: dict[tuple[str, str], list[bytes]] = {}

    def text(self, found: Found[Action], doc: str) -> str:
        """Return the playbook of a counter-example."""
        bounds, scene = self.stage.bounds, self.stage.start
        for frame, path, sender in self.stage.first:
            self._sent(sender, frame)
            del path
        carriers = "(Carrier.UDP, Carrier.TCP)" if bounds.tcp else "(Carrier.UDP,)"
        head = HEAD.format(claim=found.claim, doc=doc, carriers=carriers, connected=".connected()" if bounds.born else "")
        lines = ["    fresh_gateway(len(gateways))  # a second process on the same store"] * (bounds.gateways - 1)
        for action in found.actions:
            lines += ["    " + line for line in self.lines(scene, action)]
            lines += ["    settle()"] if action[0] not in {"perform", "crash", "client crashes"} else []
            scene, did = self.stage.after(scene, action)
            sender = "client" if did and scene.client == did.part else "gateway"
            for frame, _ in did.sent if did else ():
                self._sent(sender, frame)
        return head + "\n".join(lines) + f"\n    return world  # here {found.claim} does not hold\n"

    def _sent(self, sender: str, frame: bytes) -> None:
        known = self._order.setdefault((sender, kind_of(frame, sender)), [])
        if frame not in known:
            known.append(frame)

    def _name(self, sender: str, number: int) -> str:
        frame = self.stage.frames[number][0]
        kind = kind_of(frame, sender)
        return f'"{kind}", {self._order[sender, kind].index(frame)}'

    def lines(self, scene: Scene, action: Action) -> list[str]:  # noqa: C901, PLR0911, PLR0912 - one case an action
        """Return the lines of one action."""
        match action:
            case ("up", at, number, attacker):
                return [f"gateway({at})", f"up({self._name('client', number)}{', ATTACKER' if attacker else ''})"]
            case ("down", number, path):
                return ["client()", f"down({self._name('gateway', number)}, {int(path.carrier)})"]
            case ("gateway waits", at, wait):
                return [f"gateway({at}, {wait:_})", "world.gateway_does(lambda: world.gateway.tick(world.now))"]
            case ("client waits", wait):
                return [f"client({wait:_})", "host.does(lambda: host.client.tick(world.now))"]
            case ("perform", at, how):
                return [f"gateway({at})", {"done": "perform()", "failed": "perform(done=False)"}.get(how, "perform(told=False)")]
            case ("answer", at):
                return [f"gateway({at})", "answered()"]
            case ("crash", at):
                return [f"gateway({at})", f"fresh_gateway({at})"]
            case ("close", at, handle):
                del handle
                order = "CloseSession(next(iter(world.desk.sessions)))"
                return [f"gateway({at})", f"world.gateway_does(lambda: world.gateway.command({order}, world.now))"]
            case ("client closes",):
                return ["client()", "host.does(lambda: host.client.command(CloseSession(), world.now))"]
            case ("move",):
                address = udp(self.stage.part(scene.client).address + 1).local.address
                return ["client()", f"host.move({address!r})"]
            case ("say",):
                return ["client()", "host.say(b'')"]
            case ("tell", at):
                return [f"gateway({at})", "host.tell(b'')"]
            case ("connect",):
                return ["client()", "host.dial(Carrier.UDP)", "host.does(lambda: host.client.command(Connect(), world.now))"]
            case ("client crashes",):
                return ["client()", "host = world.new_host(like=host)"]
            case ("dial works", path):
                return ["client()", f"host.opened({written(path)})"]
            case ("dial fails" | "close path", path):
                return ["client()", f"host.does(lambda: host.client.path_event({written(path)}, PathEvent.CLOSED, world.now))"]
            case _:
                raise ValueError(action)


def written(path: Path) -> str:
    """Return a path as Python; the repr of an enumeration is none."""
    at, port = path.local
    return f"Path({int(path.carrier)}, {path.serial}, Endpoint({at!r}, {port}), GATEWAY_AT)"
