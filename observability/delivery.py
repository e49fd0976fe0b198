"""Bring one batch into the cluster, however often the cluster fails meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from opensearchpy.exceptions import AuthorizationException, NotFoundError

from observability.breaker import Breaker, Circuit
from observability.bulk import Bulk, Document, send
from observability.classify import Judged, Verdict, classify
from observability.cursor import Counters, Fate
from observability.doubt import Doubt, Indices, Searching
from observability.names import Names
from observability.quarantine import Quarantine
from observability.tail import Line
from observability.words import said

log = structlog.get_logger()


@dataclass(slots=True)
class Entry:
    """One line of a batch. ``document`` is None when the line is no event; ``why`` says then what is wrong with it.

    ``alone``: it must not travel with others. ``doubtful``: it may be stored already, in an index where its id does not protect it.
    """

    line: Line
    document: Document | None
    why: str = ""
    alone: bool = False
    doubtful: bool = False
    fate: Fate | None = None


class SetUp(Indices, Protocol):
    """How to see whether the set-up is there."""

    def get_data_stream(self, *, name: str) -> Any:  # noqa: ANN401 - a decoded answer
        """Raise ``NotFoundError`` when the stream does not exist."""

    def get_index_template(self, *, name: str) -> object:
        """Raise ``NotFoundError`` when the template does not exist."""


class Client(Bulk, Searching, Protocol):
    """What is used of ``opensearchpy.OpenSearch``."""

    @property
    def indices(self) -> SetUp:
        """Calls about indices, streams and templates."""


class Deliverer(Protocol):
    """What brings batches to their destination, whatever that is."""

    breaker: Breaker

    def deliver(self, batch: Sequence[Entry], counters: Counters, changed: Callable[[], None]) -> bool:
        """Settle every entry of ``batch``; return False when told to stop meanwhile. ``changed`` is called after each answer."""


Making = Callable[[Quarantine, Callable[[float], bool], Breaker], Deliverer]
"""Makes what delivers: from where refused events go, how to wait, and when to."""


class Delivery:
    """Sends, judges, waits and sends again. ``wait(seconds)`` sleeps and returns whether to stop."""

    def __init__(
        self, client: Client, names: Names, quarantine: Quarantine, wait: Callable[[float], bool], breaker: Breaker, most: int
    ) -> None:
        """``most``: events in one request; it is halved when the cluster finds a request too large, until the process ends."""
        self.breaker = breaker
        self._client = client
        self._names = names
        self._doubt = Doubt(client, names.telemetry)
        self._quarantine = quarantine
        self._wait = wait
        self._most = most
        self._set_up_seen = False

    def deliver(self, batch: Sequence[Entry], counters: Counters, changed: Callable[[], None]) -> bool:
        """Settle every entry of ``batch``; return False when told to stop while the cluster does not take them.

        ``counters`` are kept up to date, ``changed`` is called after each answer.
        """
        self._doubt.begin(batch)
        while unsettled := [entry for entry in batch if entry.fate is None]:
            if self._wait(self.breaker.pause()) and self.breaker.failures:
                return False
            self.breaker.probe()
            if unfit := [entry for entry in unsettled if entry.document is None]:
                trouble = self._put_away(unfit[0], unfit[0].why, counters)
                self._note(trouble)
            elif missing := self._missing_set_up():
                self._note(missing)
            else:
                self._attempt(self._recognise(self._group(unsettled), counters), counters)
            changed()
        return True

    def _group(self, unsettled: Sequence[Entry]) -> list[Entry]:
        """Return what goes into the next request: one event as a probe, or those that may travel together, or one that must not."""
        together = [entry for entry in unsettled if not entry.alone]
        most = 1 if self.breaker.circuit is Circuit.PROBING or not together else self._most
        return list(together or unsettled)[:most]

    def _recognise(self, group: Sequence[Entry], counters: Counters) -> list[Entry]:
        """Settle what is in the stream already; return what is to be sent, nothing when it cannot be looked.

        Where that settles all, nothing will be sent and answered: that the cluster answered here must count, or a circuit that probes
        would pause before each further event.
        """
        known, trouble = self._doubt.stored(group)
        for entry in group:
            if entry.document and entry.document.id in known:
                self._settle(entry, Fate.DUPLICATE, counters)
        left = [entry for entry in group if entry.fate is None]
        if trouble or not left:
            self._note(trouble)
        return [] if trouble else left

    def _attempt(self, group: Sequence[Entry], counters: Counters) -> None:
        documents = [entry.document for entry in group if entry.document is not None]
        if not documents:
            return
        trouble = busy = ""
        for entry, judged in zip(group, classify(send(self._client, documents), documents), strict=True):
            match judged.verdict:
                case Verdict.CREATED:
                    self._settle(entry, Fate.CREATED, counters)
                case Verdict.DUPLICATE:
                    self._settle(entry, Fate.DUPLICATE, counters)
                case Verdict.REFUSED:
                    trouble = self._put_away(entry, judged.answer, counters) or trouble
                case Verdict.ALONE:
                    entry.alone = True
                case Verdict.SPLIT:
                    self._most = max(1, len(group) // 2)
                case Verdict.BUSY:
                    busy = _words(judged)
                case Verdict.AMBIGUOUS | Verdict.BLOCKED:
                    trouble = _words(judged)
                    entry.doubtful = judged.verdict is Verdict.AMBIGUOUS and entry.document is not None and entry.document.stream
        left = [entry for entry in group if entry.fate is None]
        counters.retried += len(left)
        if busy and not trouble and len(left) < len(group):
            self.breaker.slow(busy)
        else:
            self._note(trouble or busy)

    def _settle(self, entry: Entry, fate: Fate, counters: Counters) -> None:
        entry.fate = fate
        counters.settle(fate)

    def _put_away(self, entry: Entry, answer: object, counters: Counters) -> str:
        """Quarantine one entry; return what is wrong when even that fails."""
        try:
            self._quarantine.add(entry.line, entry.document.id if entry.document else "", answer)
        except OSError as error:
            return f"the quarantine file cannot be written: {error}"
        log.error("event quarantined", segment=entry.line.end.segment, end=entry.line.end.offset, answer=answer)
        self._settle(entry, Fate.QUARANTINED, counters)
        return ""

    def _note(self, trouble: str) -> None:
        """Open the breaker for ``trouble``, or close it when there is none; say so once."""
        before = self.breaker.why
        if trouble:
            self.breaker.fail(trouble)
            if trouble != before:
                log.warning("the cluster does not take events; they wait in the log", why=trouble)
        else:
            if before:
                log.info("the cluster takes events again", failures=self.breaker.failures)
            self.breaker.succeed()

    def _missing_set_up(self) -> str:
        """Look once whether stream and template are there: without them the cluster would make plain indices with guessed types."""
        if self._set_up_seen:
            return ""
        indices, template = self._client.indices, f"{self._names.prefix}-evidence"
        try:
            found = indices.get_data_stream(name=self._names.telemetry)
            indices.get_index_template(name=template)
            if not found["data_streams"]:  # 200 and none at all, where a plain index has the name
                return f"{self._names.telemetry} is not a data stream: a plain index has its name"
        except NotFoundError:
            return f"the data stream {self._names.telemetry} or the index template {template} does not exist: run `jvpn siem install`"
        except AuthorizationException:
            log.info("not allowed to look for the set-up, which is fine: shipping needs less", stream=self._names.telemetry)
        except Exception as error:  # noqa: BLE001 - the client raises AttributeError, RecursionError, ... on malformed answers
            return said(error)
        self._set_up_seen = True
        return ""


def _words(judged: Judged) -> str:
    """Say in one line why an event was not taken."""
    answer = judged.answer
    if not isinstance(answer, dict):
        return str(answer)
    if answer.get("words"):
        return str(answer["words"])
    error = answer.get("error")
    told = f"{error.get('type')}: {error.get('reason')}" if isinstance(error, dict) else str(error)
    hint = f"; is the index {answer.get('_index')} missing? `jvpn siem install` makes it" if "indices:admin/create" in told else ""
    return f"{answer.get('status')} {told}"[:300] + hint
