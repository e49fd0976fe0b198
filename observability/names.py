"""Where an event goes in a cluster: a name that follows from the event alone, so that it goes there again whenever it is sent again.

Telemetry goes to a data stream, which rolls over. Everything else (evidence, and what the log says about itself) goes to an index for the
month of the event's own time (A-91): `_id` is unique in one index, so an event that is sent again is recognised, whatever happened
meanwhile.
"""

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "jvpn-audit"
TELEMETRY: Final = "telemetry"  # the class of the registry


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one installation. Other installations in the same cluster have another prefix, none the beginning of another."""

    prefix: str = PREFIX

    @property
    def telemetry(self) -> str:
        """The data stream."""
        return f"{self.prefix}-telemetry"

    @property
    def evidence(self) -> str:
        """All months of evidence, as a pattern."""
        return f"{self.prefix}-evidence-*"

    @property
    def findings(self) -> str:
        """The index of what the verifier finds, which is no event."""
        return f"{self.prefix}-findings"

    @property
    def readable(self) -> str:
        """What a reader asks: all events, and no index of another installation whose prefix begins like this one's."""
        return f"{self.evidence},{self.telemetry}"

    def month(self, time: str) -> str:
        """Return the index for an event of this time (`YYYY-MM-DDT...Z`, as events have it)."""
        return f"{self.prefix}-evidence-{time[:4]}.{time[5:7]}"
