"""End one process when its starter is gone: ``end_with_parent.py PIDFD`` with standard input a pipe that only the starter can write to.

``PR_SET_PDEATHSIG`` would need no second process, but it fires when the starting *thread* ends, and a change of credentials clears it.
A pidfd cannot mean another process, however late this program gets to run.
"""

import select
import signal
import sys


def main() -> None:
    """Wait for the process behind the inherited descriptor or for the end of standard input; in the second case send SIGKILL."""
    process = int(sys.argv[1])
    watched = select.poll()
    watched.register(process, select.POLLIN)
    watched.register(sys.stdin.fileno(), 0)  # POLLHUP alone, which cannot be left out: what somebody writes there by mistake ends nobody
    if process not in {descriptor for descriptor, _ in watched.poll()}:
        signal.pidfd_send_signal(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
