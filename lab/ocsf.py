"""Write the published OCSF class schemas that the projection uses into schemas/ocsf/, or check that they are what the package makes.

python -m lab.ocsf            writes the files
python -m lab.ocsf --check    exit status 1 and the names of stale files

The package `ocsf-json-schema` holds the schema that OCSF publishes and makes JSON Schemas of it. What is in use: schemas/projections.toml.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from lab.docgen import refresh
from observability.projections.table import Class, table

FOLDER: Final = Path(__file__).resolve().parent.parent / "schemas" / "ocsf"
PROFILES: Final = ["host", "security_control"]


def published() -> dict[str, Any]:
    """Return the schema that OCSF publishes, of the version in use."""
    schema: dict[str, Any] = get_ocsf_schema(version=table().version)
    return schema


def classes() -> list[Class]:
    """Return the classes in use, by number."""
    return sorted({told.ocsf.uid: told.ocsf for told in table().told.values()}.values(), key=lambda each: each.uid)


def artefacts() -> Iterator[tuple[Path, str]]:
    """Yield each file and its text."""
    made = OcsfJsonSchemaEmbedded(published())
    for kind in classes():
        schema = made.get_class_schema(class_name=kind.schema, profiles=PROFILES)
        yield FOLDER / f"{kind.uid}.json", json.dumps(schema, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write all artefacts, or with --check name the stale ones. Return the exit status."""
    return refresh(artefacts(), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
