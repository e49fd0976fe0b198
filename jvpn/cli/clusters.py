"""What the `siem` commands do, with the SIEM library loaded: nothing else may import this module when it starts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError, NotFoundError, OpenSearchException

from jvpn.cli.output import complain
from jvpn.cli.shipment import cluster
from jvpn.shell.checked import Misconfigured
from jvpn.shell.clock import wall as wall_ns
from jvpn.shell.config import ShipperFile
from jvpn.shell.errors import Unavailable
from observability.connect import SettingError, connect
from observability.cursor import State, StateError, saved
from observability.detections.findings import document
from observability.names import Names
from observability.quarantine import Broken, check
from observability.siem import plan, reconcile, removal, retention
from observability.siem.api import Api
from observability.siem.documents import MONTHS_AHEAD, Setup
from observability.siem.findings import Kind, Report
from observability.siem.reconcile import Known
from observability.tail import LogError
from observability.words import said

LEAST_S: Final = 60.0  # a request that makes an index takes longer than one that ships
SECOND: Final = 1_000_000_000
MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class Reconciled(NamedTuple):
    """What was found in the log's chains, and in the quarantine beside it; what a repetition brought about."""

    reports: list[Report]
    quarantine: str
    resent: int
    refused: list[str]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.quarantine and all(report.whole for report in self.reports)

    def as_text(self) -> str:
        """Return it for people."""
        lines = [report.as_text() for report in self.reports]
        lines += [self.quarantine] if self.quarantine else []
        lines += [f"sent again: {self.resent} stored"] if self.resent else []
        return "\n".join([*lines, *(f"not stored: {each}" for each in self.refused), "WHOLE" if self.whole else "NOT WHOLE"])

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        chains = [report.as_json() for report in self.reports]
        return {"whole": self.whole, "chains": chains, "quarantine": self.quarantine, "resent": self.resent, "refused": self.refused}


class Connected:
    """A cluster, and the configuration that names it."""

    def __init__(self, client: OpenSearch, file: ShipperFile, months: Sequence[str]) -> None:
        """``months``: of evidence, besides the present one and the next ones."""
        self._client, self._api, self._file = client, Api(client), file
        months = sorted({*coming(wall()), *months})
        self._setup = Setup(prefix=file.prefix, replicas=file.replicas, months=tuple(months), **asdict(file.retention))

    def compare(self) -> plan.Plan:
        """Return what is different."""
        return plan.compare(self._api, self._setup)

    def apply(self, wanted: plan.Plan) -> None:
        """Mend it."""
        plan.apply(self._api, wanted)

    def uninstall(self, *, data: bool) -> list[removal.Removed]:
        """Take the set-up away."""
        return removal.uninstall(self._api, self._setup, data=data)

    def retain(self, *, really: bool) -> list[retention.Step]:
        """Return what is due, done or not."""
        steps = retention.due(self._api, self._setup, wall())
        if really:
            retention.carry_out(self._api, self._setup, steps)
        return steps

    def reconcile(self, log: Path | None, *, resend: bool) -> Reconciled:
        """Compare, send what is missing, compare again. Another log has another shipper, of which nothing is known."""
        names, where = Names(self._file.prefix), log or self._file.log_dir
        known, quarantine = self._known(shipped=log is None)
        reports = reconcile.reconcile(self._client, where, names, known)
        if not reports:
            raise Unavailable(f"{where} holds no event")
        stored, refused = 0, list[str]()
        if resend and not all(report.whole for report in reports):
            stored, refused = reconcile.resend(self._client, where, names, reports)
            reports = reconcile.reconcile(self._client, where, names, known)
        if log is None and self._file.state.is_dir():
            self._keep(reports)
        return Reconciled(reports, quarantine, stored, refused)

    def find(self, found: Mapping[str, Any]) -> bool:
        """Put a finding where monitors look; return whether it is new there."""
        index = Names(self._file.prefix).findings
        self._client.indices.get_index_template(name=index)  # without it the cluster would make an index with guessed types
        try:
            self._client.create(index=index, id=found["finding_id"], body=document(found))
        except ConflictError:
            return False
        return True

    def _keep(self, reports: Sequence[Report]) -> None:
        """Let metrics know what was found; that it cannot be kept is said, and changes nothing."""
        counts = {kind.name.lower(): sum(report.counts[kind] for report in reports) for kind in Kind}
        try:
            State.compared(self._file.state, {"at": wall(), "counts": counts})
        except OSError as error:
            complain(f"{self._file.state}: metrics will not know of this comparison: {error.strerror}")

    def _known(self, *, shipped: bool) -> tuple[Known, str]:
        """Return what need not be there, and what is wrong with the quarantine."""
        keep, now = self._file.retention, wall()
        telemetry, evidence = (moment(now - days * retention.DAY) if days else "" for days in (keep.telemetry_days, keep.evidence_days))
        known = Known(telemetry_since=telemetry, evidence_since=evidence)
        if not shipped or (cursor := saved(self._file.state)) is None:
            return known, ""
        try:
            records, wrong = check(self._file.state / "quarantine.jsonl", cursor.quarantine), ""
        except Broken as error:
            records, wrong = [], str(error)
        kept = {(record["segment"], record["end"]) for record in records}
        return replace(known, settled=cursor.position.number, quarantined=kept), wrong


def wall() -> int:
    """Return seconds since 1970."""
    return wall_ns() // SECOND


@contextmanager
def of(file: ShipperFile, months: Sequence[str] = ()) -> Iterator[Connected]:
    """Connect. Misconfigured for a setting, Unavailable for whatever the cluster or the log has against it."""
    if wrong := [month for month in months if not MONTH.fullmatch(month)]:
        raise typer.BadParameter(f"{wrong[0]!r} is not a month such as 2026-11", param_hint="--month")
    try:
        client = connect(cluster(replace(file, request_s=max(file.request_s, LEAST_S))))
    except SettingError as error:
        raise Misconfigured(str(error)) from error
    try:
        yield Connected(client, file, months)
    except NotFoundError as error:
        raise Unavailable(f"{said(error)}; is the cluster set up (`jvpn siem install`)?") from error
    except OpenSearchException as error:
        raise Unavailable(f"the cluster did not do it: {said(error)}") from error
    except (LogError, StateError) as error:
        raise Unavailable(str(error)) from error
    finally:
        client.close()


def coming(now: int) -> Iterator[str]:
    """Yield the month of a moment and those after it that have an index in advance, as `YYYY-MM`."""
    there = datetime.fromtimestamp(now, UTC)
    first = there.year * 12 + there.month - 1
    for month in range(first, first + 1 + MONTHS_AHEAD):
        yield f"{month // 12:04}-{month % 12 + 1:02}"


def moment(at: int) -> str:
    """Return seconds since 1970 as events have their time."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.000000Z"
