"""Small file systems, in a mount namespace of this program's own, which goes with its last process however that ends."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

MARK: Final = "JVPN_LAB_MOUNTS"
BLOCK: Final = 4_096


def alone(words: Sequence[str]) -> str:
    """Become this program in a mount namespace of its own: `words` are its command line. Return why not, empty when it is in one."""
    if os.environ.get(MARK) == str(os.getpid()):
        return ""
    own = ["unshare", "--mount", "--propagation", "private", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--"]
    if shutil.which(own[0]) is None:
        return f"there is no command {own[0]}"
    probe = subprocess.run([*own, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        os.execvpe(own[0], [*own, sys.executable, *words], os.environ | {MARK: str(os.getpid())})  # nosec B606  # noqa: S606 - the same program
    return probe.stderr.strip()[-200:] or "mounting failed"


@contextmanager
def mounted(place: Path, megabytes: int) -> Iterator[None]:
    """Have a file system of this size there. CalledProcessError."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(place)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def fill(place: Path) -> None:
    """Take all the space that is left there."""
    with (place / "filler").open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(BLOCK)):
            continue


def free(place: Path) -> None:
    """Give it back."""
    (place / "filler").unlink(missing_ok=True)
