"""The program: `shell` is everything that touches the machine, `cli` is what people type.

The trusted part is `core`, which touches nothing; this package moves bytes, time and effects between it and the kernel.
"""

import sys
from pathlib import PurePath

from jvpn import interrupt

if [PurePath(each).name for each in sys.argv[:1]] in (
    ["-m"],
    ["jvpn"],
):  # the program itself is being imported, by `python -m jvpn` or its script
    interrupt.quiet()
