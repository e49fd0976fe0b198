"""A device that moves as often as it may."""

from core.reasons import Cause, Status
from core.values import Instant
from core.wire.layout import Change
from lab.sim.device import arrive, confirm, here, judged, knock, says
from lab.sim.ways import leave
from lab.sim.world import World


class Flapping:
    """A device that moves from port to port as often as it may."""

    def __init__(self, world: World) -> None:
        """Take the place of the first host's client."""
        self.world = leave(world)
        self.port = 0

    def move(self, cause: Cause, change: Change = Change.MOVE) -> tuple[Status, int]:
        """Try to move to another port; return the gateway's status and when to come back."""
        self.port = max(600, self.port) + 1
        return self._attempt(change, cause, 10)

    def rekey(self, change: Change = Change.REKEY, cause: Cause = Cause.REKEY) -> tuple[Status, int]:
        """Try to change the keys where the session is; return the gateway's status and when to come back."""
        return self._attempt(change, cause, 5)

    def wait(self, ns: int) -> None:
        """Let exactly so many nanoseconds pass, in which the device was heard."""
        self.world.now = self.world.session.heard_at = Instant(self.world.now + ns)
        self.world.gateway_does(lambda: self.world.gateway.tick(self.world.now))

    def _attempt(self, change: Change, cause: Cause, then_ms: int) -> tuple[Status, int]:
        """Knock from where the device is; what is accepted it confirms, and lets some time pass."""
        path = here(self.world.host, self.port)
        attempt = knock(self.world.host, path, change=change, cause=cause)
        epoch, status, wait = judged(self.world, attempt, arrive(self.world, attempt.frame, path))
        if epoch:
            says(self.world, epoch, confirm(self.world))
            self.world.run(then_ms)
        return status, wait
