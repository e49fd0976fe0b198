"""What is different in a cluster from what this version would put there, and how that is mended.

    plan = compare(api, Setup())          # looks, changes nothing
    apply(api, plan)                      # puts what is absent or different

Two things can drift: a piece, and an index that was made by a template of another version. Not everything in an index can be mended:
append-only cannot be switched on later, and a field cannot change its type.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from observability.names import Names
from observability.siem.api import Api
from observability.siem.documents import NEEDS, Kind, Piece, Setup, index_settings, pieces
from observability.template import mappings

THEIR_DEFAULTS: Final = frozenset({Kind.POLICY, Kind.MONITOR})  # the plug-in adds fields of its own
OF_STREAMS: Final = "_data_stream_timestamp"  # what a stream's index has in its mappings besides ours
EMPTY: Final = frozenset({"", "null", "false", "[]", "{}"})  # what a cluster says of something that is not there
MENDED_BY_HAND: Final = "cannot be mended in place: a rollover makes a new index of a stream; a month must be re-indexed, or sent again"


class Difference(NamedTuple):
    """One value: what is wanted and what was found; None stands for nothing."""

    path: str
    wanted: str | None
    found: str | None


class Change(NamedTuple):
    """One piece that is absent or different."""

    piece: Piece
    absent: bool
    differences: tuple[Difference, ...]


class Live(NamedTuple):
    """One index that is different from what the templates would make. ``mends``: whether `apply` can do something about it."""

    name: str
    differences: tuple[Difference, ...]
    mends: bool


class Plan(NamedTuple):
    """What there is to do; ``skipped``: pieces that this cluster has no use for, and why."""

    setup: Setup
    changes: list[Change]
    live: list[Live]
    skipped: list[str]

    @property
    def drift(self) -> bool:
        """Whether anything is absent or different."""
        return bool(self.changes or self.live)

    @property
    def mends(self) -> bool:
        """Whether `apply` would do anything."""
        return bool(self.changes) or any(index.mends for index in self.live)

    def as_text(self) -> str:
        """Return the difference for people, one line a value."""
        return "\n".join(_told(self))

    def as_json(self) -> dict[str, Any]:
        """Return the difference as plain values."""
        return {
            "drift": self.drift,
            "pieces": [
                {
                    "kind": change.piece.kind.value,
                    "name": change.piece.name,
                    "absent": change.absent,
                    "differences": [each._asdict() for each in change.differences],
                }
                for change in self.changes
            ],
            "indices": [
                {"name": index.name, "mends": index.mends, "differences": [each._asdict() for each in index.differences]}
                for index in self.live
            ],
            "skipped": self.skipped,
        }


def compare(api: Api, setup: Setup, wanted: Callable[[Setup], list[Piece]] = pieces) -> Plan:
    """Look at everything. Raises what ``opensearchpy`` raises."""
    there = api.plugins()
    changes, skipped = [], []
    for piece in wanted(setup):
        plugin, told = NEEDS.get(piece.kind, ("", ""))
        if plugin and plugin not in there:
            skipped.append(f"{piece.kind.value} {piece.name}: not installed, the cluster has no {told}")
            continue
        found = api.get(piece.kind, piece.name)
        different = tuple(differences(piece.body, found or {}, whole=piece.kind not in THEIR_DEFAULTS))
        if found is None or different:
            changes.append(Change(piece, found is None, different if found is not None else ()))
    return Plan(setup, changes, list(_live(api, setup)), skipped)


def apply(api: Api, plan: Plan) -> None:
    """Put what is absent or different, and mend the indices that can be. Raises what ``opensearchpy`` raises."""
    for change in plan.changes:
        api.put(change.piece)
    for index in plan.live:
        if index.mends:
            api.ask("PUT", f"/{index.name}/_mapping", mappings())
            api.ask("PUT", f"/{index.name}/_settings", {"index.final_pipeline": index_settings(plan.setup)["final_pipeline"]})


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any], *, whole: bool = True) -> Iterator[Difference]:
    """Yield where two documents differ; ``whole``: also what is only in the found one, unless it says nothing."""
    want, have = flat(wanted), flat(found)
    for path in sorted(want.keys() | have.keys() if whole else want.keys()):
        here, there = want.get(path), have.get(path)
        if here != there and not ((here is None or here in EMPTY) and (there is None or there in EMPTY)):
            yield Difference(path, here, there)


def flat(value: object, path: str = "") -> dict[str, str]:
    """Return the single values of a document by their path, as text: clusters turn numbers and truth values of settings into text."""
    if isinstance(value, Mapping) and value:
        return {at: text for name, below in value.items() for at, text in flat(below, f"{path}.{name}" if path else name).items()}
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        each = {at: text for place, below in enumerate(value) for at, text in flat(below, f"{path}[{place}]").items()}
        return {f"{path}[]": str(len(value))} | each  # one more that says nothing, such as {"drop": {}}, is a difference too
    if isinstance(value, list):
        return {path: json.dumps(sorted(str(each) for each in value))}
    return {path: value if isinstance(value, str) else json.dumps(value)} if path else {}


def _live(api: Api, setup: Setup) -> Iterator[Live]:
    """Yield the indices that differ from what their template would make now."""
    names, settings, fields = Names(setup.prefix), flat({"index": index_settings(setup)}), mappings()
    given = {"expand_wildcards": "all", "ignore_unavailable": "true"}
    kept = api.ask("GET", f"/{names.readable}/_settings", flat_settings="true", **given)
    known = api.ask("GET", f"/{names.readable}/_mapping", **given)
    for index in sorted(kept):
        of_index = flat(kept[index]["settings"])
        found = [Difference(path, value, of_index.get(path)) for path, value in settings.items() if of_index.get(path) != value]
        mapped = {name: value for name, value in known[index]["mappings"].items() if name != OF_STREAMS}
        found += [each for each in differences(fields, mapped) if not _alias(mapped, each)]
        hopeless = [each for each in found if each.path == "index.append_only.enabled" or _fixed(each)]
        if found:
            yield Live(index, tuple(found), len(hopeless) < len(found))


def _fixed(difference: Difference) -> bool:
    """Tell whether this is a field that is there with another type, or one that we do not know: neither goes away again."""
    return difference.path.startswith("properties.") and difference.found is not None


def _alias(mapped: Mapping[str, Any], difference: Difference) -> bool:
    """Tell whether a field that only the index has is an alias: somebody's other name for one of ours."""
    at: Any = mapped
    for name in difference.path.split(".")[:-1]:
        at = at.get(name, {}) if isinstance(at, Mapping) else {}
    return difference.wanted is None and isinstance(at, Mapping) and at.get("type") == "alias"


def _told(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        yield f"{'+' if change.absent else '~'} {change.piece.kind.value} {change.piece.name}"
        yield from map(_line, change.differences)
    for index in plan.live:
        yield f"~ index {index.name}{'' if index.mends else ': ' + MENDED_BY_HAND}"
        yield from map(_line, index.differences)
    if not plan.drift:
        yield "no difference"
    yield from plan.skipped


def _line(difference: Difference) -> str:
    found = "-" if difference.found is None else difference.found
    return f"    {difference.path}: {found} -> {'-' if difference.wanted is None else difference.wanted}"
