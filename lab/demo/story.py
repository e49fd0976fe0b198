"""The six steps of the demonstration, each with what has to be true at its end; where it plays is the scene's affair."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import contains
from pathlib import Path
from typing import Any, Final

from lab.demo.scene import Failed, Stage
from lab.demo.work import content

FILE_BYTES: Final = 44_000_000
RATE: Final = 1_000_000  # bytes a second: so paced, the download outlasts every event
STEADY_S: Final = 3.0
WATCH_NS: Final = 3_000_000_000  # after a moment, a gap is its consequence
DEVICES: Final = ("alice", "mallory")

Show = Callable[[str, str], None]


@dataclass
class Outcome:
    """What was seen; the verdict is the conjunction of `claims`."""

    claims: dict[str, bool] = field(default_factory=dict)
    jumps: list[dict[str, Any]] = field(default_factory=list)
    attacks: list[dict[str, Any]] = field(default_factory=list)
    moments: list[tuple[str, int]] = field(default_factory=list)
    outages_ms: dict[str, float] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    tampered: str = ""

    @property
    def passed(self) -> bool:
        """Whether every claim held."""
        return bool(self.claims) and all(self.claims.values())


class Story:
    """Plays the steps on a scene; `show(step, state)` is told how it goes."""

    def __init__(self, scene: Stage, show: Show) -> None:
        """Keep both; nothing happens yet."""
        self.scene, self.show, self.outcome = scene, show, Outcome()
        self._download: subprocess.Popen[bytes] | None = None

    def play(self) -> Outcome:
        """Play everything; raise Failed when the scene does not get to where a step can be judged."""
        with self.step("gateway and client start"):
            self.scene.start_gateway()
            self.scene.start_client()
            self.scene.tap()
        with self.step("a download and a ping through the tunnel"):
            self._traffic()
        with self.step("UDP is black-holed: the session jumps to TCP"):
            self._moment("udp black-holed")
            self.scene.black_hole()
            self._until_carrier("TCP")
        with self.step("UDP comes back: the session returns"):
            self._moment("udp back")
            self.scene.black_hole(on=False)
            self._until_carrier("UDP")
        with self.step(self.scene.address_step):
            self._moment("address changed")
            self.scene.change_address()
            after = f"{self.scene.address_after}:"
            self.scene.wait(lambda: str(self.scene.session().get("remote", "")).startswith(after), "the session has the new address")
            self._steady()
            self.outcome.claims["the download outlasted every jump"] = "sha256" not in self._downloaded()
        with self.step("the attacker plays"):
            self._attacks()
        with self.step("the download ends"):
            self._judge_traffic()
        self._judge_jumps()
        return self.outcome

    def verify(self) -> None:
        """Stop both processes in good order, verify both logs offline, and see that one altered byte is found."""
        with self.step("both processes stop"):
            self.scene.close()
        with self.step("the logs are verified offline"):
            for role in ("gateway", "client"):
                done = self.scene.jvpn("audit", "verify", str(self.scene.audit(role)), "--json")
                self.outcome.claims[f"{role}'s log verifies"] = done.returncode == 0
        with self.step("one byte of a copy is altered: the verifier names the record"):
            self._tamper()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell when a step begins, and how it ends."""
        self.show(name, "running")
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.show(name, "failed")
            raise
        self.show(name, f"done in {time.monotonic() - began:.1f} s")

    def _traffic(self) -> None:
        self._download = self.scene.traffic(FILE_BYTES, RATE)
        self.scene.wait(lambda: self.scene.lines("download.jsonl") and self.scene.lines("ping.jsonl"), "traffic flows through the tunnel")
        self._steady()

    def _moment(self, name: str) -> None:
        self.outcome.moments.append((name, time.time_ns()))

    def _steady(self) -> None:
        """Let traffic flow for a while and note the session's id."""
        end = time.monotonic() + STEADY_S
        while time.monotonic() < end:
            self.outcome.sessions.add(str((self.scene.status("client") or {}).get("correlation_id")))
            self.show("", self.line())
            time.sleep(0.25)

    def line(self) -> str:
        """Return one line about the session as it is."""
        status, loads = self.scene.status("client") or {}, self.scene.lines("download.jsonl")
        pings = [line for line in self.scene.lines("ping.jsonl")[-20:] if "rtt" in line]
        got = max((line.get("bytes", 0) for line in loads), default=0)
        rtt = f"{pings[-1]['rtt'] / 1e6:.1f} ms" if pings else "-"
        return (f"{status.get('state', '-')} over {status.get('carrier', '-')}, epoch {status.get('epoch', '-')}, "
                f"{got / 1e6:.1f} of {FILE_BYTES / 1e6:.0f} MB, ping {rtt}")  # fmt: skip

    def _until_carrier(self, carrier: str) -> None:
        self.scene.wait(lambda: self.scene.session().get("carrier") == carrier, f"the session is bound to {carrier}")
        self._steady()

    def _attacks(self) -> None:
        send = self.scene.send
        frames = [line for line in self.scene.lines("tap.jsonl") if line["sent"]]
        mine = [self.scene.address_after, int(str(self.scene.session()["remote"]).rsplit(":", 1)[1])]
        recorded = [line["frame"] for line in frames if line["from"] == mine and line["frame"].startswith("04")]
        reattach = [line["frame"] for line in frames if line["frame"].startswith("05")][-1]
        forged = reattach[:16] + "00" * 16 + reattach[48:]
        fresh = recorded[-1][:16] + f"{2**40:016x}"[::-1] + recorded[-1][32:]
        mallory = str(self.scene.directory / "mallory" / "client.toml")
        self._attack("recorded DATA, again", "COUNTER_REPLAYED", lambda: send(recorded[-8:]), foreign=False)
        self._attack("recorded REATTACH, again", "ATTEMPT_BURNT", lambda: send([reattach]), foreign=False)
        self._attack("recorded REATTACH, from elsewhere", "ATTEMPT_BURNT", lambda: send([reattach], foreign=True))
        self._attack("REATTACH with a made-up locator", "LOCATOR_WRONG", lambda: send([forged], foreign=True))
        self._attack("REATTACH with a forged mac", "REATTACH_MAC_WRONG", lambda: self._insider(mallory, "forge"))
        self._attack("a stale candidate confirms", "CONFIRM_STALE", lambda: self._insider(mallory, "stale"))
        self._attack("recorded DATA, from a foreign address", "UNBOUND_PATH", lambda: send(recorded[-8:], foreign=True))
        self._attack("DATA of the session with another counter", "DATA_TAG_WRONG", lambda: send([fresh]), foreign=False)

    def _attack(self, name: str, reason: str, act: Callable[[], None], *, foreign: bool = True) -> None:
        """Attack; then the session must be as before, and the refusal in the log with its reason and where it came from."""
        moved = [event for event in self.scene.events() if event["event_type"] == "SESSION_MOVED"]
        own = [event["peer"] for event in moved if event["session"]["correlation_id"] in self.outcome.sessions][-1]
        before, known = self._fixed(), self._refused(reason, own, foreign=foreign)
        self.show("", f"attack: {name}")
        act()
        try:
            self.scene.wait(lambda: self._refused(reason, own, foreign=foreign) > known, f"the refusal {reason} is recorded", seconds=15.0)
            recorded = True
        except Failed:
            recorded = False
        unchanged = self._fixed() == before
        self.outcome.attacks.append({"attack": name, "reason": reason, "recorded": recorded, "session_unchanged": unchanged})
        self.outcome.claims[f"refused: {name}"] = recorded and unchanged

    def _refused(self, reason: str, own: str, *, foreign: bool) -> int:
        """Return how many refusals the log has from the session's own address, or from others: sums of earlier ones come late."""
        refused = [event for event in self.scene.events() if event["event_type"] in {"TRAFFIC_REFUSED", "SESSION_REFUSED"}]
        return sum(event.get("count", 1) for event in refused if event["reason_code"] == reason and (event.get("peer") != own) == foreign)

    def _fixed(self) -> tuple[Any, ...]:
        session = self.scene.session()
        return tuple(session.get(name) for name in ("correlation_id", "state", "binding_version", "epoch", "carrier", "remote"))

    def _insider(self, config: str, what: str) -> None:
        process = self.scene.work("left", "lab.demo.insider", config, what, out=f"insider-{what}.log")
        if process.wait(60) != 0:
            raise Failed(f"the insider failed; see insider-{what}.log in {self.scene.directory}")

    def _judge_traffic(self) -> None:
        download = self._download
        while "sha256" not in self._downloaded() and download is not None and download.poll() is None:
            self.show("", self.line())
            time.sleep(0.5)
        right = hashlib.sha256(content(FILE_BYTES)).hexdigest()
        self.outcome.claims["the download's SHA-256 is right"] = self._downloaded().get("sha256") == right
        replies = [line["at"] for line in self.scene.lines("ping.jsonl") if "at" in line]
        for name, moment in self.outcome.moments:
            last_before = max((at for at in replies if at <= moment), default=moment)
            after = [at for at in replies if at > moment]
            pairs = zip([last_before, *after], after, strict=False)
            gaps = [second - first for first, second in pairs if first - moment < WATCH_NS]
            self.outcome.outages_ms[name] = round(max(gaps, default=0) / 1e6, 1)

    def _downloaded(self) -> dict[str, Any]:
        return self.scene.lines("download.jsonl")[-1]

    def _judge_jumps(self) -> None:
        mine = next(iter(self.outcome.sessions))
        measured = {event["binding"]["version"]: event["metrics"]["recovery_us"] for event in self.scene.events()
                    if event["event_type"] == "MOVE_MEASURED" and event["session"]["correlation_id"] == mine}  # fmt: skip
        for event in self.scene.events():
            if event["event_type"] == "SESSION_MOVED" and event["session"]["correlation_id"] == mine:
                ends, version = event["transport"], event["binding"]["version"]
                jump = {"reason": event["reason_code"], "from": ends["from"], "to": ends["to"], "time": event["time"]}
                recovery_ms = round(measured.get(version, 0) / 1e3, 1)
                self.outcome.jumps.append({**jump, "epoch": event["binding"]["attempt"], "recovery_ms": recovery_ms})
        reasons = [jump["reason"] for jump in self.outcome.jumps if jump["reason"] != "REKEYED"]
        epochs = [jump["epoch"] for jump in self.outcome.jumps]
        births = [
            event for event in self.scene.events() if event["event_type"] == "SESSION_BORN" and event["session"]["correlation_id"] == mine
        ]
        claims = self.outcome.claims
        claims["one session from start to end"] = len(self.outcome.sessions) == 1 and len(births) == 1
        claims["a new key epoch at each jump"] = len(set(epochs)) == len(epochs) and epochs == sorted(epochs)
        allowed = self.scene.jumps
        claims["each jump has its reason"] = len(reasons) == len(allowed) and all(map(contains, allowed, reasons))

    def _tamper(self) -> None:
        copy = self.scene.directory / "altered-copy"
        shutil.copytree(self.scene.audit("gateway"), copy)
        segment = min(copy.glob("audit-*.jsonl"))
        lines = segment.read_bytes().splitlines(keepends=True)
        number = len(lines) // 2
        line = bytearray(lines[number])
        at = line.index(b'"time":"20') + len(b'"time":"20')
        line[at] ^= 1  # a year's digit becomes another digit
        segment.write_bytes(b"".join([*lines[:number], bytes(line), *lines[number + 1 :]]))
        done = subprocess.run([sys.executable, "-I", "-m", "jvpn", "audit", "verify", str(copy), "--json"], capture_output=True, text=True,
                              check=False, timeout=120)  # fmt: skip
        self.outcome.tampered = done.stdout.strip()
        named = (json.loads(done.stdout)["fault"] or {}).get("seq") if done.stdout.startswith("{") else None
        self.outcome.claims["the altered record is named"] = done.returncode != 0 and named == number


def new_directory(out: Path) -> Path:
    """Return an empty directory for a run; an earlier run's is replaced."""
    work = out / "run"
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    return work
