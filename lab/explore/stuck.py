# ruff: noqa: N814 - the alphabets of two machines have the same names, and stand side by side here
"""Whether anything is stuck in the model of one table: each situation that is not final has a clock, and a way to a session or an end."""

from typing import Final

from core.client import table as client_table
from core.client.states import Input as CI
from core.client.states import State as CS
from core.session import table as session_table
from core.session.states import Input as GI
from core.session.states import State as GS
from lab.explore.model import A_MACHINE, Device, Session, client_hears, client_step, clients, gateway_step, gateways, hears, newest

CLOCKS: Final = frozenset((
    GI.STORE_LOST, GI.LIFETIME_OVER, GI.TRANSPORT_LOST, GI.RECOVERY_OVER, GI.CANDIDATE_EXPIRED, GI.TOMBSTONE_LATE, GI.VOLATILE_OVER,
    CI.HANDSHAKE_OVER, CI.LIFETIME_OVER, CI.TRANSPORT_LOST,
))  # fmt: skip
"""What a clock makes an end hear, whatever else happens or not."""


def stuck() -> list[str]:
    """Return situations that are not final and have no clock, or from which nothing leads to ATTACHED or to an explicit end."""
    found = []
    for at in gateways():
        waits = any(heard in CLOCKS for heard, _ in hears(at)) or (at.state is GS.TERMINATED and not at.retry)
        if not waits or not _reaches_session(at):
            found.append(f"gateway {at}")
    for device in clients():
        final = device.state in {CS.IDLE, CS.CLOSED}
        if not (final or any(heard in CLOCKS for heard in client_hears(device))) or not _reaches_device(device):
            found.append(f"client {device}")
    return found


def _reaches_session(at: Session) -> bool:
    """Tell whether good news alone lead a session to ATTACHED; the attempts that are counted here begin anew."""
    good = (GI.OWNERSHIP_CERTAIN, GI.COMMIT_WON, GI.CONFIRM_PROVEN, GI.REATTACH_PROVEN)
    machine: A_MACHINE = session_table.MACHINE
    for _ in good:
        if at.state in {GS.ATTACHED, GS.TERMINATED}:
            return True
        fresh = at._replace(active=0 if at.active else at.active, candidate=at.candidate and 1)
        heard = next((each for each in good if each in {heard for heard, _ in hears(fresh)}), None)
        step = heard and gateway_step(machine, fresh, heard, newest(fresh) + 1)
        if not step:
            return False
        at = step.after
    return at.state in {GS.ATTACHED, GS.TERMINATED}


def _reaches_device(at: Device) -> bool:
    good = (CI.CONNECT, CI.BORN, CI.COMMITTED, CI.ANSWER_PROVEN, CI.ATTEMPT_PROVEN, CI.FRESH_DUE)
    machine: A_MACHINE = client_table.MACHINE
    for _ in good:
        if at.state in {CS.ATTACHED, CS.CLOSED}:
            return True
        wanted = [each for each in good if each in set(client_hears(at)) and (each is not CI.CONNECT or at.state is CS.IDLE)]
        step = client_step(machine, at, wanted[0]) if wanted else None
        if step is None:
            return False
        at = step.after
    return at.state in {CS.ATTACHED, CS.CLOSED}
