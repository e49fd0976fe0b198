"""Taking the set-up away again. What was recorded stays, unless somebody says otherwise; so does what it rests on."""

from typing import Final, NamedTuple

from observability.names import Names
from observability.siem.api import Api
from observability.siem.documents import NEEDS, Kind, Setup, pieces

DATA: Final = frozenset({Kind.STREAM, Kind.INDEX})
ORDER: Final = (Kind.ROLE, Kind.MONITOR, Kind.POLICY, Kind.STREAM, Kind.INDEX, Kind.TEMPLATE, Kind.COMPONENT, Kind.PIPELINE)


class Removed(NamedTuple):
    """One piece, and why it is still there (nothing: it is not)."""

    kind: Kind
    name: str
    kept: str


def uninstall(api: Api, setup: Setup, *, data: bool) -> list[Removed]:
    """Remove what is there of the set-up; with ``data`` all events too. Raises what ``opensearchpy`` raises.

    Without ``data`` the indices go on as they are, and their template, components and pipeline are kept with them: the cluster lets no
    template of a stream go, and a pipeline that is missing would refuse every event.
    """
    there, names = api.plugins(), Names(setup.prefix)
    wanted = [(piece.kind, piece.name) for piece in pieces(setup) if piece.kind not in DATA]
    months = sorted(api.ask("GET", f"/{names.evidence}/_settings", expand_wildcards="all"))
    wanted += [(Kind.STREAM, names.telemetry), *((Kind.INDEX, name) for name in (*months, names.findings))]
    removed = []
    kept_data = False
    for kind, name in sorted(wanted, key=lambda one: ORDER.index(one[0])):
        if (kind in NEEDS and NEEDS[kind][0] not in there) or api.get(kind, name) is None:
            continue
        if kind in DATA and not data:
            kept_data, why = True, "it holds what was recorded"
        elif kind is Kind.PIPELINE and kept_data:
            why = "indices that stay name it"
        else:
            why = api.delete(kind, name)
        removed.append(Removed(kind, name, why))
    return removed
