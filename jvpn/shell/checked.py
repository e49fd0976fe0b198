"""Files that people write, checked once: TOML or JSON against a schema of `schemas/config/`, with errors that help.

Each error is one line: file, key, what was found and what is allowed. The schema is also where defaults and the documents come from.
"""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind

from audit.vocabulary import SCHEMAS
from jvpn.shell.errors import Unavailable

FILE_BYTES_MAX: Final = 256 << 10
FOUND_CHARS_MAX: Final = 80
TYPES: Final = {"string": "text in quotes", "integer": "a whole number", "number": "a number", "boolean": "true or false",
                "array": "a list in [ ]", "object": "a table"}  # fmt: skip

T = TypeVar("T")
Schema = Mapping[str, Any]


class Misconfigured(Unavailable):
    """A file that somebody wrote cannot be used as it is; the message is one line and says what to change."""


class Checked:
    """The values of one file, valid and with the schema's defaults filled in. A key is a path such as `policy.lifetime_s`."""

    def __init__(self, name: str, schema: Schema, values: dict[str, Any]) -> None:
        """Check `values` and fill them up in place; `name` begins each error. Raise Misconfigured."""
        self._name, self._schema, self._values = name, schema, values
        if (fault := next(_unsupported(values, ""), None)) is not None:
            raise self.refuse(*fault)
        found = list(_validator(str(schema["$id"])).iter_errors(values))
        if found:  # a mistyped name explains a missing one
            raise self._explained(min(found, key=lambda error: not isinstance(error.kind, ValidationErrorKind.AdditionalProperties)))
        self._complete(schema, values, "")

    def value(self, key: str) -> Any:  # noqa: ANN401 - the schema says what it is
        """Return the value of a key; None when it is neither given nor has a default."""
        found: Any = self._values
        for part in key.split("."):
            found = found[int(part)] if isinstance(found, list) else found.get(part)
            if found is None:
                return None
        return found

    def parse(self, key: str, by: Callable[[str], T]) -> T:
        """Return the text of a key as `by` reads it, which raises ValueError for what is not allowed."""
        found = self.value(key)
        try:
            return by(found)
        except ValueError:
            raise self.refuse(key, found) from None

    def parse_all(self, key: str, by: Callable[[str], T]) -> tuple[T, ...]:
        """Return each text of a list as `by` reads it."""
        return tuple(self.parse(f"{key}.{index}", by) for index in range(len(self.value(key))))

    def refuse(self, key: str, found: object, allowed: str = "") -> Misconfigured:
        """Return the error for a key."""
        schema = _below(self._schema, key)
        return Misconfigured(f"{self._name}: {key}: found {_shown(found, schema)}, allowed {allowed or allowed_by(schema)}")

    def _explained(self, error: jsonschema_rs.ValidationError) -> Misconfigured:
        where = ".".join(map(str, error.instance_path))
        at, schema = f"{where}." if where else "", _below(self._schema, where)
        match error.kind:
            case ValidationErrorKind.AdditionalProperties(unexpected=[unknown, *_]):
                known = list(schema["properties"])
                near = get_close_matches(unknown, known, 1, 0.6)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                return Misconfigured(f"{self._name}: {at}{_shown(unknown, {})[1:-1]}: unknown key; {hint}")
            case ValidationErrorKind.Required(property=name):
                return Misconfigured(f"{self._name}: {at}{name}: missing, needed {allowed_by(_below(self._schema, f'{at}{name}'))}")
            case ValidationErrorKind.UniqueItems():
                return self.refuse(where, error.instance, "no value twice")
            case _:
                return self.refuse(where or "the file", error.instance)

    def _complete(self, schema: Schema, values: dict[str, Any], at: str) -> None:
        """Fill in defaults; refuse fractions that JSON Schema would let pass as integers."""
        for name, below in schema["properties"].items():
            if name not in values and below.get("type") == "object":
                values[name] = {}
            elif name not in values and "default" in below:
                default = below["default"]
                values[name] = list(default) if isinstance(default, list) else default
            found = values.get(name)
            if isinstance(found, dict):
                self._complete(below, found, f"{at}{name}.")
            elif isinstance(found, list) and below["items"].get("type") == "object":
                for index, item in enumerate(found):
                    self._complete(below["items"], item, f"{at}{name}.{index}.")
            elif isinstance(found, float) and below.get("type") != "number":
                raise self.refuse(f"{at}{name}", found)


def toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, which nobody has checked then; raise Misconfigured."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > FILE_BYTES_MAX:
        raise Misconfigured(f"{path}: more than {FILE_BYTES_MAX >> 10} KiB is no configuration")
    return _parsed(path, raw, tomllib.loads, "TOML")


def check_value(name: str, schema: str, key: str, value: str) -> None:
    """Check what somebody typed by the part of a schema about a key; `name` is what they know it by. Raise Misconfigured."""
    part = _below(schema_of(schema), key)
    if not jsonschema_rs.Draft202012Validator(dict(part), pattern_options=jsonschema_rs.RegexOptions()).is_valid(value):
        raise Misconfigured(f"{name}: found {_shown(value, part)}, allowed {allowed_by(part)}")


def parse_json(path: Path, raw: bytes | bytearray, schema: str) -> Checked:
    """Check the bytes of a JSON file by a schema of `schemas/config/`; raise Misconfigured."""
    return Checked(str(path), schema_of(schema), _parsed(path, raw, json.loads, "JSON"))


@cache
def schema_of(name: str) -> Schema:
    """Return a schema of `schemas/config/`. OSError when the installation lacks it."""
    schema: Schema = json.loads((SCHEMAS / "config" / f"{name}.json").read_text(encoding="utf-8"))
    return schema


def allowed_by(schema: Schema) -> str:
    """Say in words what a schema allows."""
    if "x-allowed" in schema:
        return str(schema["x-allowed"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    if "items" in schema:
        least = "1" if schema.get("minItems") else "0"
        most = f"{least} to {schema['maxItems']}" if "maxItems" in schema else "some"
        return f"a list of {most} of: {allowed_by(schema['items'])}"
    if "required" in schema:
        return f"a table with {', '.join(schema['required'])}"
    return TYPES[schema["type"]]


@cache
def _validator(identity: str) -> jsonschema_rs.Validator:
    """Return the validator of a schema by its `$id`, compiled once; regular expressions without backtracking."""
    schema = schema_of(identity.split(":")[3])
    return jsonschema_rs.Draft202012Validator(dict(schema), pattern_options=jsonschema_rs.RegexOptions(), offline=True)


def _parsed(path: Path, raw: bytes | bytearray, by: Callable[[str], Any], language: str) -> dict[str, Any]:
    try:
        values = by(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: byte {error.start} is not UTF-8 text") from None
    except ValueError as error:
        raise Misconfigured(f"{path}: not {language}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise Misconfigured(f"{path}: not {language}: nested too deeply") from None
    if not isinstance(values, dict):
        raise Misconfigured(f"{path}: found {_shown(values, {})}, allowed an object in {{ }}")
    return values


def _below(schema: Schema, key: str) -> Schema:
    """Return the part of a schema that speaks about a key."""
    for part in key.split(".") if key else ():
        schema = schema["items"] if part.isdecimal() and "items" in schema else schema.get("properties", {}).get(part, schema)
    return schema


def _shown(found: object, schema: Schema) -> str:
    """Return what was found as it may be shown: on one line, bounded, and nothing where a secret could have been pasted."""
    if isinstance(found, str) and schema.get("x-hidden"):
        return f"{len(found)} characters (not shown)"
    if isinstance(found, dict):
        return "a table"
    text = json.dumps(found, ensure_ascii=True, default=str)
    return text if len(text) <= FOUND_CHARS_MAX else f"{text[:FOUND_CHARS_MAX]}..."


def _unsupported(value: object, key: str) -> Iterator[tuple[str, object]]:
    """Find what no schema speaks about: TOML's dates and times, numbers without a value, integers beyond all bounds."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _unsupported(below, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _unsupported(below, f"{key}.{index}")
    elif not isinstance(value, str | int | float | None) or value != value:  # noqa: PLR0124 - only "not a number" differs from itself
        yield key, value
