"""The fuzzer's process with a fault planted around a parser: it dies of one value in one field of one message.

python -m tests.fuzz.planted TARGET [options]
"""

import sys

import atheris


def main(argv: list[str]) -> None:
    """As lab.fuzz.inside, with the wrapper in place of the target."""
    with atheris.instrument_imports(include=["core", "tests.fuzz.faulty"]):
        from tests.fuzz.faulty import FAULTY  # noqa: PLC0415 - only what is imported in here is measured
    atheris.Setup([argv[0], *argv[2:]], FAULTY[argv[1]]())
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
