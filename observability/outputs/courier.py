"""Bring one batch to an output, however often it fails meanwhile (clauses A-82, A-83)."""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from audit import canonical
from observability.breaker import Breaker, Circuit
from observability.cursor import Counters, Fate
from observability.delivery import Entry
from observability.outputs.base import Output, Parcel, Verdict
from observability.quarantine import Quarantine

log = structlog.get_logger()
SILENT: Final = 300  # characters of a reason that are kept


class Courier:
    """Sends, judges, waits and sends again. What is taken counts as ``created``; nothing is known to be a duplicate.

    An event that is refused alone goes into quarantine, but only when this output has taken another one since the start: before that,
    it may as well be the address, the form or the token that is wrong, and a log would be put away event by event.
    """

    def __init__(self, output: Output, most: int, quarantine: Quarantine, wait: Callable[[float], bool], breaker: Breaker) -> None:
        """``most``: events in one sending; halved when that is too much, until the process ends. ``wait(seconds)``: whether to stop."""
        self.breaker = breaker
        self._output = output
        self._most = most
        self._quarantine = quarantine
        self._wait = wait
        self._takes = False
        self._turn = 0  # which of the events that go alone is next, while none was taken

    def deliver(self, batch: Sequence[Entry], counters: Counters, changed: Callable[[], None]) -> bool:
        """Settle every entry of ``batch``; return False when told to stop while the destination does not take them."""
        while unsettled := [entry for entry in batch if entry.fate is None]:
            if self._wait(self.breaker.pause()) and self.breaker.failures:
                return False
            self.breaker.probe()
            if unfit := [entry for entry in unsettled if entry.document is None]:
                self._note(self._put_away(unfit[0], unfit[0].why, counters))
            else:
                self._attempt(self._group(unsettled), counters)
            changed()
        return True

    def _group(self, unsettled: Sequence[Entry]) -> Sequence[Entry]:
        """Return what goes out next: one event as a probe, or those that may travel together, or one that must not."""
        together = [entry for entry in unsettled if not entry.alone]
        if together:
            return together[: 1 if self.breaker.circuit is Circuit.PROBING else self._most]
        place = self._turn % len(unsettled)
        return unsettled[place : place + 1]

    def _attempt(self, group: Sequence[Entry], counters: Counters) -> None:
        answer = self._output.send([_parcel(entry) for entry in group])
        alone = len(group) == 1
        match answer.verdict:
            case Verdict.TAKEN:
                for entry in group:
                    entry.fate = Fate.CREATED
                    counters.settle(Fate.CREATED)
                self._takes = True
                self._note("")
                return
            case Verdict.SPLIT if not alone:
                self._most = max(1, len(group) // 2)
                self._note("")
            case Verdict.UNFIT if not alone:
                for entry in group:
                    entry.alone = True
                self._note("")
            case Verdict.UNFIT | Verdict.SPLIT if self._takes:
                self._note(self._put_away(group[0], answer.why, counters))
                return
            case Verdict.UNFIT | Verdict.SPLIT:
                group[0].alone = True
                self._turn += 1
                self._note(f"refused, and nothing was taken yet; are address, form and credentials right? {answer.why}")
            case Verdict.WAIT:
                self._note(answer.why)
        counters.retried += len(group)

    def _put_away(self, entry: Entry, answer: str, counters: Counters) -> str:
        """Quarantine one entry; return what is wrong when even that fails."""
        try:
            self._quarantine.add(entry.line, entry.document.id if entry.document else "", answer)
        except OSError as error:
            return f"the quarantine file cannot be written: {error.strerror}"
        log.error("event quarantined", segment=entry.line.end.segment, end=entry.line.end.offset, answer=answer)
        entry.fate = Fate.QUARANTINED
        counters.settle(Fate.QUARANTINED)
        return ""

    def _note(self, trouble: str) -> None:
        """Open the breaker for ``trouble``, or close it when there is none; say so once."""
        before = self.breaker.why
        if trouble:
            self.breaker.fail(trouble[:SILENT])
            if self.breaker.why != before:
                log.warning("the destination does not take events; they wait in the log", why=self.breaker.why)
        else:
            if before:
                log.info("the destination takes events again", failures=self.breaker.failures)
            self.breaker.succeed()


def _parcel(entry: Entry) -> Parcel:
    """Return the event of a line whose form and hash were checked when its document was made."""
    data, event_hash = canonical.split(entry.line.raw + b"\n")
    return Parcel(canonical.parse(data), event_hash)
