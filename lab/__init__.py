"""The laboratory: simulator, generators, demo and services for tests. Not shipped in the wheel."""

import sys

from jvpn import interrupt

if sys.argv[:1] == ["-m"]:  # a program of the laboratory is being imported, by `python -m lab...`
    interrupt.quiet()
