"""The shell's one error: the machine cannot give what the program needs."""


class Unavailable(Exception):
    """A device, a permission or an address is missing: neither the peer's fault nor the core's. The message says what to do."""
