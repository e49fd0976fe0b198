"""Fuzz one target in this process, until it crashes or its runs are used up; a crash leaves its input. `lab.fuzz` starts it.

python -m lab.fuzz.inside TARGET [libFuzzer's options and folders]
"""

import sys

import atheris


def main(argv: list[str]) -> None:
    """Import the core with instruments, then give the process to the fuzzer, which ends it."""
    with atheris.instrument_imports(include=["core"]):
        from lab.fuzz.targets import MAKERS  # noqa: PLC0415 - only what is imported in here is measured
    atheris.Setup([argv[0], *argv[2:]], MAKERS[argv[1]]())
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
