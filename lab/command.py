"""What programs of the laboratory have in common: Ctrl-C ends them with status 130 and one line that says what was stopped."""

import sys
from collections.abc import Callable
from typing import NoReturn

from jvpn import interrupt


def run(main: Callable[[list[str]], int], program: str, *, heard: bool = True) -> NoReturn:
    """Be the program, `python -m` PROGRAM; `main` takes the arguments and returns the exit status.

    What a part of it stopped it says in a note on the KeyboardInterrupt that passes through it. Unless it is `heard`, Ctrl-C ends the
    process at once and without a word: where a library would lose the exception, which cannot pass through a finaliser.
    """
    try:
        if heard:
            interrupt.heard()  # in here: from this moment on Ctrl-C may come
        status = main(sys.argv[1:])
    except KeyboardInterrupt as error:
        sys.stderr.write(f"{program}: {interrupt.told(error, 'its work; nothing was written')}\n")
        status = interrupt.STATUS
    sys.exit(status)
