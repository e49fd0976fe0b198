"""Vectors are for other implementations: each file of the project's own has a schema, which describes it and nothing else."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support import ROOT

FOLDER = ROOT / "schemas" / "vectors"
FILES = sorted(path for path in FOLDER.glob("*.json") if not path.name.endswith(".schema.json"))
Way = tuple[str | int, ...]
SCHEMAS = sorted(FOLDER.glob("*.schema.json"))


def read(path: Path) -> dict[str, Any]:
    """Return what a file holds."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def schema_of(path: Path) -> Path:
    """Return where the schema of a file of vectors is."""
    return path.with_name(f"{path.stem}.schema.json")


def test_every_file_has_a_schema_and_every_schema_a_file() -> None:
    """An implementer would have to guess what a file of vectors means, or look for a file that is not there."""
    assert [schema_of(path) for path in FILES] == SCHEMAS
    assert len(FILES) >= 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_fits_its_schema(path: Path) -> None:
    """Another implementation would read vectors whose shape nobody promised."""
    schema = read(schema_of(path))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(read(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_schema_is_closed(path: Path) -> None:
    """A field that is missing, new or of another type would pass: the schema would promise nothing."""
    valid = jsonschema.Draft202012Validator(read(schema_of(path))).is_valid
    harmed = list(harms(read(path)))
    assert len(harmed) > 20
    for what, document in harmed:
        assert not valid(document), what


def harms(document: object) -> Iterator[tuple[str, object]]:
    """Yield copies with one fault each: for each object a name more and each name less, for each text a number."""
    for way in ways(document):
        found = at(document, way)
        if isinstance(found, dict):
            yield f"{way}: more", put(document, way, {**found, "unheard of": 1})
            for name in found:
                yield f"{way}: without {name}", put(document, way, {other: value for other, value in found.items() if other != name})
        elif isinstance(found, str):
            yield f"{way}: no text", put(document, way, 1)


def ways(document: object, way: Way = ()) -> Iterator[Way]:
    """Yield the way to each part, of lists to the first item of each form only: the others are like it."""
    yield way
    if isinstance(document, dict):
        for name, value in document.items():
            yield from ways(value, (*way, name))
    elif isinstance(document, list):
        seen = set[str]()
        for index, value in enumerate(document):
            form = (
                str([value.get(name) for name in ("record", "kind", "mac", "layer")]) if isinstance(value, dict) else type(value).__name__
            )
            if form not in seen:
                seen.add(form)
                yield from ways(value, (*way, index))


def at(document: Any, way: Way) -> Any:  # noqa: ANN401 - every part of a JSON document, which the caller knows
    """Return a part."""
    for each in way:
        document = document[each]
    return document


def put(document: object, way: Way, value: object) -> object:
    """Return a copy with another part."""
    if not way:
        return value
    changed = deepcopy(document)
    at(changed, way[:-1])[way[-1]] = value
    return changed
