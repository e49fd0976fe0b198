"""What a receiver makes of the body of each kind of inner frame."""

from collections.abc import Callable
from typing import Any, Final

from core.wire import records
from core.wire.inner import Ack
from core.wire.layout import Kind
from core.wire.segment import unpack_segment
from lab.sim.frames import Health

UNPACK: Final[dict[Kind, Callable[[bytes, int], Any]]] = {
    Kind.IP: lambda body, _: body,
    Kind.SEGMENT: unpack_segment,
    Kind.CONFIRM: lambda body, _: records.unpack(records.Confirm, body),
    Kind.ACK: lambda body, _: Ack.unpack(body),
    Kind.PROBE: lambda body, _: records.unpack(records.Probe, body),
    Kind.PROBE_ACK: lambda body, _: records.unpack(records.ProbeAck, body),
    Kind.CLOSE: lambda body, _: records.unpack(records.Close, body),
    Kind.HINT: lambda body, _: records.unpack(records.Hint, body),
    Kind.HEALTH: lambda body, _: Health.unpack(body),
}
