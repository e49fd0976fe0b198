"""Whether the registry only adds, compared with every version that was released (`schemas/released/`); `lab.registry --check` asks it too.

python -m lab.evolution              exit status 1 and what was taken back, one line each
python -m lab.evolution --release    keep the present version for ever: its registry and its schemas go to schemas/released

A log or an index of a released version is read by every later one. So what it says must go on meaning the same [A-17]: no name or code
goes, changes or is given to something else; no event is judged otherwise, loses a reason or a field, or must have one more; no value
that was allowed is refused now, and no field changes its type in an index. Only meanings may be said in better words.
"""

import json
import sys
import tomllib
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from lab import event_schemas
from observability.template import mappings_of

ROOT: Final = Path(__file__).resolve().parent.parent
REGISTRY: Final = ROOT / "schemas" / "registry.toml"
RELEASED: Final = ROOT / "schemas" / "released"
SECTIONS: Final = ("reason", "event", "carrier", "cause", "status", "close")
SAME: Final = {
    "reason": ("family", "severity", "fault", "outcome"),
    "event": ("class", "outcome", "measures"),
    "cause": ("reason", "voluntary"),
    "status": ("reason",),
    "close": ("reason",),
}  # what an entry says for ever, besides name and code
LEAST: Final = ("minimum", "minLength", "minProperties")
MOST: Final = ("maximum", "maxLength", "maxProperties")

Registry = Mapping[str, Any]
Schemas = Mapping[str, Mapping[str, Any]]  # by event type


class Version(NamedTuple):
    """A version as it was released, or as it is now."""

    registry: Registry
    schemas: Schemas

    @property
    def number(self) -> str:
        """Its number, as in 1.0.0."""
        return str(self.registry["registry"]["schema"]).rpartition("/")[2]


def present() -> Version:
    """Return what the registry says now."""
    return version_of(tomllib.loads(REGISTRY.read_text(encoding="utf-8")))


def version_of(registry: Registry) -> Version:
    """Return a registry with the schemas that are made from it."""
    made = event_schemas.schemas(registry, types_of(released()))
    return Version(registry, {Path(name).stem: json.loads(text) for name, text in made})


def types_of(versions: list[Version]) -> Mapping[str, Container[str]]:
    """Return the event types that these versions have, by the name of their schema."""
    return {each.registry["registry"]["schema"]: each.schemas.keys() for each in versions}


def released(folder: Path = RELEASED) -> list[Version]:
    """Return all released versions, oldest first."""
    found = []
    for each in sorted(folder.iterdir(), key=lambda path: order(path.name)):
        registry = tomllib.loads((each / "registry.toml").read_text(encoding="utf-8"))
        found.append(Version(registry, json.loads((each / "events.json").read_text(encoding="utf-8"))))
    return found


def order(number: str) -> tuple[int, ...]:
    """Return a version's number as one can compare it."""
    return tuple(map(int, number.split(".")))


def taken_back(now: Version, before: list[Version]) -> Iterator[str]:
    """Yield what a version takes back of those before, a sentence each."""
    yield from _number(now, before)
    for each in before:
        for section in SECTIONS:
            yield from _entries(section, each, now)
        yield from _indexed(each, now)
        for name in each.schemas.keys() & now.schemas.keys():
            yield from (f"{said}, as {each.number} has it" for said in narrowed(name, each.schemas[name], now.schemas[name]))


def _number(now: Version, before: list[Version]) -> Iterator[str]:
    """Yield what is wrong with the number of the version."""
    told, numbers = now.registry["registry"].get("before", []), [each.number for each in before]
    wanted = [each.registry["registry"]["schema"] for each in before if each.number != now.number]
    if list(told) != wanted:
        yield f"[registry] before must name the released versions, in their order: {', '.join(wanted)}"
    if now.number in numbers[:-1] or (numbers and order(now.number) < order(numbers[-1])):
        yield f"the version {now.number} is older than {numbers[-1]}, which is released"
    elif numbers and now.number == numbers[-1] and _meant(now.registry) != _meant(before[-1].registry):
        yield f"{now.number} is released, and the registry is another one: raise the version's second number"


def _meant(registry: Registry) -> Any:  # noqa: ANN401 - the registry as tomllib has it
    """Return a registry without the words that may change."""
    return {name: [{key: value for key, value in entry.items() if key != "meaning"} for entry in registry[name]] for name in SECTIONS}


def _entries(section: str, before: Version, now: Version) -> Iterator[str]:
    """Yield what became of the entries of a section."""
    by_name = {entry["name"]: entry for entry in now.registry[section]}
    by_code = {entry["code"]: entry["name"] for entry in now.registry[section]}
    for was in before.registry[section]:
        what, code = f"{section} {was['name']}", was["code"]
        entry = by_name.get(was["name"])
        if entry is None:
            other = by_code.get(code)
            gone = f"code {code} is called {other} now" if other else f"code {code} is gone"
            yield f"{what} was released in {before.number}, and {gone}: names and codes are for ever"
            continue
        if entry["code"] != code:
            yield f"{what} has code {entry['code']}, and had {code} in {before.number}: codes are for ever"
        for key in SAME.get(section, ()):
            if entry.get(key) != was.get(key):
                yield f"{what}: {key} is {entry.get(key, 'nothing')}, and was {was.get(key, 'nothing')} in {before.number}"
        if section == "event":
            yield from _event(what, was, entry, before.number)


def _event(what: str, was: Mapping[str, Any], entry: Mapping[str, Any], number: str) -> Iterator[str]:
    """Yield what an event type lost, or wants more than before."""
    if entry["role"] not in (was["role"], "both") or (was["role"] == "writer" and entry["role"] != "writer"):
        yield f"{what}: role is {entry['role']}, and was {was['role']} in {number}: it may only become both"
    for name in sorted(set(was["fields"]) - set(entry["fields"])):
        yield f"{what} has lost the field {name} of {number}"
    for name in sorted(set(was["reasons"]) - set(entry["reasons"])):
        yield f"{what} has lost the reason {name} of {number}"
    for name in sorted(set(entry["required"]) - set(was["required"])):
        yield f"{what} must have {name} now, and did not need it in {number}"


def narrowed(at: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield where a schema refuses what an older one allowed."""
    if was.get("type", now.get("type")) != now.get("type", was.get("type")):
        yield f"{at}: the type is {now['type']}, not {was['type']}"
        return
    if refused := _refused(was, now):
        yield f"{at}: {refused} is refused"
    if now.get("pattern") not in (None, was.get("pattern")):
        yield f"{at}: the pattern is {now['pattern']}, not {was.get('pattern', 'any')}"
    for names, worse in ((LEAST, int.__gt__), (MOST, int.__lt__)):
        for name in names:
            before = len(was.get("required", ())) or was.get(name) if name == "minProperties" else was.get(name)
            if name in now and (before is None or worse(now[name], before)):
                yield f"{at}: {name} is {now[name]}, not {'any' if before is None else before}"
    for name in sorted(set(now.get("required", ())) - set(was.get("required", ()))):
        yield f"{at}: {name} is needed"
    for name, below in was.get("properties", {}).items():
        if name not in now.get("properties", {}):
            yield f"{at}: {name} is unknown"
        else:
            yield from narrowed(f"{at}.{name}", below, now["properties"][name])


def _refused(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the values of a closed choice that are refused now."""
    before, after = _choice(was), _choice(now)
    if after is None:
        return ""
    return "what is none of a few values" if before is None else ", ".join(str(value) for value in before if value not in after)


def _choice(schema: Mapping[str, Any]) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _indexed(before: Version, now: Version) -> Iterator[str]:
    """Yield the fields whose type in an index is another one, or which an index lacks."""
    after = dict(_leaves("", mappings_of(now.schemas.values())))
    for name, kind in _leaves("", mappings_of(before.schemas.values())):
        if after.get(name) != kind:
            yield f"the field {name} of an index is {after.get(name, 'gone')}, and was {kind} in {before.number}"


def _leaves(at: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, kind in properties.items():
        if "properties" in kind:
            yield from _leaves(f"{at}{name}.", kind["properties"])
        else:
            yield f"{at}{name}", kind["type"]


def release() -> str:
    """Keep the present version for ever; return its number. ValueError when it takes something back."""
    now, before = present(), released()
    if found := list(taken_back(now, before)):
        raise ValueError("; ".join(found))
    there = RELEASED / now.number
    if not there.exists():
        there.mkdir()
        (there / "registry.toml").write_bytes(REGISTRY.read_bytes())
        kept = dict(sorted(now.schemas.items()))
        (there / "events.json").write_text(json.dumps(kept, sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")
    return now.number


def main(arguments: list[str]) -> int:
    """Say what is taken back, or release. Return the exit status."""
    if "--release" in arguments:
        try:
            sys.stdout.write(f"released: schemas/released/{release()}\n")
        except ValueError as error:
            sys.stderr.write(f"not released: {error}\n")
            return 1
        return 0
    found = list(taken_back(present(), released()))
    sys.stdout.writelines(f"taken back: {each}\n" for each in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
