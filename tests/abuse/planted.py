"""Secrets that are planted in inputs, every way in which one could stand in an output, and who may say which."""

import json
import tomllib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

ALLOWED: Final = Path(__file__).with_name("allowed.toml")
THREE: Final = 3  # bytes make four characters of base64


class Canary(NamedTuple):
    """A secret in one input: its bytes, and for some besides, the words that people would write."""

    name: str
    value: bytes
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, text: str) -> "Canary":
        """Return a canary that is a text."""
        return cls(name, text.encode(), (text,))

    def forms(self) -> Mapping[str, bytes]:
        """Return the ways in which the secret may be written, by their names."""
        raw = self.value
        found = {
            "plain": raw, "reversed": raw[::-1], "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(),
            "hex of the reversed": raw[::-1].hex().encode(), "percent": quote(raw, safe="").encode(),
            "all percent": "".join(f"%{byte:02X}" for byte in raw).encode(), "JSON": json.dumps(raw.decode("latin-1"))[1:-1].encode(),
            "Python": repr(raw)[2:-1].encode(), "hex with colons": raw.hex(":").encode(),
        }  # fmt: skip
        found |= {f"word {each}": each.encode() for each in self.words} | {f"wide {each}": each.encode("utf-16-le") for each in self.words}
        for shift in range(THREE):  # wherever it stands in what is encoded
            inner = self._whole(shift)
            found |= {f"base64 at {shift}": b64encode(inner), f"base64url at {shift}": urlsafe_b64encode(inner)}
        return {form: each for form, each in found.items() if each}

    def _whole(self, shift: int) -> bytes:
        """Return the part that is whole groups of three bytes when so many others of its first group stand before it."""
        begin = (THREE - shift) % THREE
        return self.value[begin : begin + (len(self.value) - begin) // THREE * THREE]


class Found(NamedTuple):
    """A secret in an output."""

    output: str
    canary: str
    form: str
    around: bytes


class Searched(NamedTuple):
    """All outputs of a run, by their names."""

    outputs: Mapping[str, bytes]

    def find(self, canaries: list[Canary]) -> Iterator[Found]:
        """Yield each secret in each output, in the first of the forms that it has there."""
        for canary in canaries:
            forms = canary.forms()
            for output, said in self.outputs.items():
                places = ((form, said.find(each)) for form, each in forms.items())
                hit = next(((form, place) for form, place in places if place >= 0), None)
                if hit is not None:
                    yield Found(output, canary.name, hit[0], said[max(hit[1] - 60, 0) : hit[1] + 60])


def allowed() -> Mapping[tuple[str, str], str]:
    """Return which output may say which secret, and why (allowed.toml)."""
    rows = tomllib.loads(ALLOWED.read_text(encoding="utf-8"))["allowed"]
    return {(output, row["canary"]): row["because"] for row in rows for output in row["outputs"]}
