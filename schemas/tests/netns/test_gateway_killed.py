"""The gateway is killed at random moments of a busy session, also while the session jumps; nobody helps the client."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lab.demo.scene import Scene
from tests.netns.playing import NEEDS_TUNNEL, Traffic, bound_to, of_type, reasons, sessions, sha256_of, verified

SEED = int(os.environ.get("JVP_SEED", "20260"))
KILLS = int(os.environ.get("JVP_KILLS", "6"))  # more of them: the long form
RATE = 200_000
SIZE = RATE * (5 * KILLS + 8)  # so that the download lasts until about the end
RECOVERY_S = 60.0
UNACKNOWLEDGED_S = 1.5  # the store looks after its outbox each second
LONG_DOWN_S = 4.0  # long enough that the client begins to doubt the session and offers a new handshake beside

pytestmark = [NEEDS_TUNNEL, pytest.mark.timeout(180 + 60 * KILLS)]


def writer_of(gateway: int) -> int:
    """Return the process of the gateway's audit writer."""
    (child,) = Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split()
    return int(child)


def kill(scene: Scene, *, with_writer: bool) -> None:
    """Kill the gateway, and its audit writer at the same instant where wanted; return when the gateway is gone."""
    assert scene.gateway is not None
    writer = writer_of(scene.gateway.pid)
    scene.gateway.kill()
    if with_writer:
        os.kill(writer, signal.SIGKILL)
    scene.gateway.wait(10)


def taken_over(scene: Scene) -> list[dict[str, Any]]:
    """Return the records that say that a restarted gateway took the session up."""
    return [event for event in of_type(scene, "SESSION_CHANGED") if event["reason_code"] == "TAKEN_OVER"]


def one_kill(scene: Scene, dice: random.Random, number: int) -> str:
    """Kill, restart, and see the session go on; return what was done."""
    time.sleep(dice.uniform(0.2, 1.2))
    black_hole, twice = number % 3 != 0, number % 3 == 1
    if black_hole:
        scene.lab.block_udp()
        time.sleep(dice.choice([dice.uniform(0.0, 0.6), dice.uniform(0.2, 0.35)]))  # the jump itself is most often in the second range
    carrier = scene.session().get("carrier")
    kill(scene, with_writer=dice.random() < 0.5)
    if twice:  # and again while the session is on its way to what was started in its place
        scene.start_gateway()
        time.sleep(dice.uniform(0.0, 0.3))
        kill(scene, with_writer=False)
    down = LONG_DOWN_S if number == KILLS - 1 else dice.uniform(0.0, 1.0)
    time.sleep(down)
    before, began = len(taken_over(scene)), time.monotonic()
    scene.start_gateway()
    scene.wait(lambda: len(taken_over(scene)) > before, f"kill {number}: the session is taken up again", scene.gateway, RECOVERY_S)
    took = time.monotonic() - began
    bound_to(scene, "TCP" if black_hole else str(carrier))
    if black_hole:
        scene.lab.block_udp(on=False)
        bound_to(scene, "UDP")
    how = f"on {carrier}{', black hole' if black_hole else ''}{', twice' if twice else ''}, down {down:.2f} s"
    return f"kill {number} {how}: taken over {took:.2f} s after the restart began"


def kill_while_evidence_waits(scene: Scene) -> None:
    """Let the writer hang while the session moves, then kill both: what was sent and never acknowledged must be in the log later."""
    assert scene.gateway is not None
    os.kill(writer_of(scene.gateway.pid), signal.SIGSTOP)
    scene.lab.block_udp()
    bound_to(scene, "TCP")
    time.sleep(UNACKNOWLEDGED_S)
    kill(scene, with_writer=True)
    scene.start_gateway()
    bound_to(scene, "TCP")
    scene.lab.block_udp(on=False)
    bound_to(scene, "UDP")


def test_a_killed_gateway_takes_its_session_up_again(tmp_path: Path) -> None:
    """A crash would end sessions, let a committed attempt count twice, or lose or double the evidence of it."""
    dice = random.Random(SEED)
    with Scene(tmp_path) as scene:
        scene.start_gateway()
        scene.start_client()
        traffic = Traffic(scene)
        traffic.ping()
        traffic.download(SIZE, RATE)
        for number in range(KILLS):
            print(one_kill(scene, dice, number))  # noqa: T201 - what was done is reported with its seed
        kill_while_evidence_waits(scene)
        assert traffic.finished(RECOVERY_S) == sha256_of(SIZE)
        last = scene.session()
        scene.close()

        (born,), moved = of_type(scene, "SESSION_BORN"), of_type(scene, "SESSION_MOVED")
        mine = born["session"]["correlation_id"]
        assert {event["session"]["correlation_id"] for event in (*moved, *taken_over(scene))} == {mine} == {last["correlation_id"]}
        assert set(sessions(scene, "client")) == {mine}
        assert len(of_type(scene, "CLIENT_ATTACHED", role="client")) == 1

        commits = [event["binding"] for event in (born, *moved)]
        assert [each["version"] for each in commits] == list(range(1, last["binding_version"] + 1)), "each commit exactly once, none lost"
        attempts = [each["attempt"] for each in commits]
        assert attempts == sorted(set(attempts)), "no attempt was committed twice"
        assert attempts[-1] == last["epoch"]

        assert len(of_type(scene, "LOG_RESUMED")) == KILLS + len(range(1, KILLS, 3)) + 1, "once for each restart"
        assert set(reasons(moved)) <= {"MOVED_PATH_DEAD", "MOVED_PATH_CLOSED", "MOVED_BETTER", "MOVED_HINTED"}
        events = [event["event_id"] for event in scene.events() if event["event_class"] == "evidence"]
        assert len(events) == len(set(events))
        verified(scene, "gateway", "client")
