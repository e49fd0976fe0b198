"""What the namespace tests share: traffic through the tunnel, and what the logs say about a session."""

import contextlib
import hashlib
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from lab.demo.scene import TUNNEL, Scene
from lab.demo.work import HTTP_PORT, content
from tests.support import requires

NEEDS_TUNNEL = requires("netns", "nft", "tun")
WORK = "lab.demo.work"
TRAFFIC_S = 3_600.0  # traffic ends by itself after this, whatever becomes of the test
WATCH_NS = 3_000_000_000  # after a moment, a gap of the ping is its consequence


class Traffic:
    """A file server and an echo behind the tunnel; a ping every 10 ms and a paced download through it."""

    def __init__(self, scene: Scene) -> None:
        """Remember the scene; nothing runs yet."""
        self.scene, self.moments = scene, dict[str, int]()

    def ping(self) -> None:
        """Start the echo and the ping; return when replies come."""
        self.scene.work("right", WORK, "echo", TUNNEL, str(TRAFFIC_S), out="echo.log")
        self.scene.work("left", WORK, "ping", TUNNEL, str(TRAFFIC_S), out="ping.jsonl")
        self.scene.wait(self.pings, "the ping is answered through the tunnel")

    def download(self, size: int, rate: int) -> None:
        """Start the server and the download of `size` bytes at `rate` bytes a second; return when bytes come."""
        self.scene.work("right", WORK, "serve", TUNNEL, str(size), str(TRAFFIC_S), out="serve.log")
        self.scene.wait(self._download_begins(rate), "the download begins")

    def _download_begins(self, rate: int) -> Callable[[], bool]:
        """Return what starts the download, again until the server has bound its socket, and tells whether bytes come."""
        processes: list[subprocess.Popen[bytes]] = []

        def begins() -> bool:
            if not processes or processes[-1].poll() is not None:
                url = f"http://{TUNNEL}:{HTTP_PORT}/"
                processes.append(self.scene.work("left", WORK, "download", url, str(rate), out="download.jsonl"))
            return bool(self.scene.lines("download.jsonl"))

        return begins

    def pings(self) -> list[int]:
        """Return when each reply came, by the wall clock, in nanoseconds."""
        return [line["at"] for line in self.scene.lines("ping.jsonl") if "at" in line]

    def downloaded(self) -> dict[str, Any]:
        """Return the download's last word so far."""
        return (self.scene.lines("download.jsonl") or [{}])[-1]

    def finished(self, seconds: float) -> str:
        """Wait for the end of the download; return its SHA-256."""
        return str(self.scene.wait(lambda: self.downloaded().get("sha256"), "the download ends", seconds=seconds))

    def moment(self, name: str) -> None:
        """Note that something happens now."""
        self.moments[name] = time.time_ns()

    def outages_ms(self) -> dict[str, float]:
        """Return the longest gap of the ping after each moment, in milliseconds: reported, never judged."""
        replies, found = self.pings(), dict[str, float]()
        for name, moment in self.moments.items():
            around = [max((at for at in replies if at <= moment), default=moment), *(at for at in replies if at > moment)]
            gaps = [after - before for before, after in pairwise(around) if before - moment < WATCH_NS]
            found[name] = round(max(gaps, default=0) / 1e6, 1)
        return found


def sha256_of(size: int) -> str:
    """Return what the download of `size` bytes must give."""
    return hashlib.sha256(content(size)).hexdigest()


def of_type(scene: Scene, *names: str, role: str = "gateway") -> list[dict[str, Any]]:
    """Return the events of these types in a log, in order."""
    return [event for event in scene.events(role) if event["event_type"] in names]


def reasons(events: list[dict[str, Any]]) -> list[str]:
    """Return their reasons, in order."""
    return [event["reason_code"] for event in events]


def sessions(scene: Scene, role: str) -> Counter[str]:
    """Return how many events of a log name which correlation id."""
    return Counter(event["session"]["correlation_id"] for event in scene.events(role) if "session" in event)


def bound_to(scene: Scene, carrier: str) -> None:
    """Wait until gateway and client agree that the session is bound to a carrier."""

    def agreed() -> bool:
        with contextlib.suppress(KeyError):
            gateway, client = scene.session(), scene.status("client") or {}
            mine = (client["carrier"], client["epoch"])
            return mine == (gateway["carrier"], gateway["epoch"]) and mine[0] == carrier
        return False

    scene.wait(agreed, f"the session is bound to {carrier} at both ends", seconds=30.0)


def verified(scene: Scene, *roles: str) -> None:
    """Verify logs with the product's own command; raise Failed with what it said."""
    for role in roles:
        scene.jvpn("audit", "verify", str(scene.audit(role)))
