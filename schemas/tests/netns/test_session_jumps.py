"""A download goes on, byte for byte, while the network under it dies, comes back, and changes its address."""

import time
from pathlib import Path

import pytest

from lab.demo.scene import LEFT, LEFT_AFTER, Scene
from tests.netns.playing import NEEDS_TUNNEL, Traffic, bound_to, of_type, reasons, sessions, sha256_of, verified

pytestmark = [NEEDS_TUNNEL, pytest.mark.timeout(240)]

SIZE = 20_000_000
RATE = 1_000_000  # bytes a second: so paced, the download outlasts all jumps
STEADY_S = 1.0
JUMPS = ["MOVED_PATH_DEAD", "MOVED_BETTER", "MOVED_ADDRESS_CHANGED"]


def play(scene: Scene) -> Traffic:
    """Start both, then let UDP die, come back, and replace the client's address; end both in good order."""
    scene.start_gateway()
    scene.start_client()
    traffic = Traffic(scene)
    traffic.ping()
    traffic.download(SIZE, RATE)
    time.sleep(STEADY_S)
    traffic.moment("black hole")
    scene.lab.block_udp()
    bound_to(scene, "TCP")
    time.sleep(STEADY_S)
    traffic.moment("UDP back")
    scene.lab.block_udp(on=False)
    bound_to(scene, "UDP")
    time.sleep(STEADY_S)
    assert "sha256" not in traffic.downloaded(), "the download ended before the last jump: it is too short for this machine"
    traffic.moment("address replaced")
    scene.lab.replace_address(f"{LEFT}/24", f"{LEFT_AFTER}/24")
    scene.wait(lambda: str(scene.session().get("remote", "")).startswith(LEFT_AFTER), "the session has the client's new address")
    bound_to(scene, "UDP")
    assert traffic.finished(120) == sha256_of(SIZE)
    return traffic


def test_a_download_survives_every_jump_and_the_logs_tell_it(tmp_path: Path) -> None:
    """The product's one promise would be empty: bytes lost or changed, another session, or a history that does not say why."""
    with Scene(tmp_path) as scene:
        traffic = play(scene)
        print("longest gap of a 10 ms ping, ms:", traffic.outages_ms())  # noqa: T201 - outages are reported, not judged
        before = scene.session()
        scene.close()

        (born,), moved = of_type(scene, "SESSION_BORN"), of_type(scene, "SESSION_MOVED")
        mine = born["session"]["correlation_id"]
        assert set(sessions(scene, "gateway")) == set(sessions(scene, "client")) == {mine} == {before["correlation_id"]}
        assert reasons(moved) == JUMPS, "one event, with one reason, for each jump"
        assert [(event["transport"]["from"], event["transport"]["to"]) for event in moved] == [
            ("UDP", "TCP"),
            ("TCP", "UDP"),
            ("UDP", "UDP"),
        ]
        assert [event["binding"]["version"] for event in (born, *moved)] == [1, 2, 3, 4]
        epochs = [event["binding"]["attempt"] for event in (born, *moved)]
        assert epochs == sorted(set(epochs)), "each jump has a new epoch"
        assert (epochs[-1], 4) == (before["epoch"], before["binding_version"])

        assert len(of_type(scene, "CLIENT_ATTACHED", role="client")) == 1, "no second handshake"
        assert reasons(of_type(scene, "CLIENT_MOVED", role="client")) == JUMPS
        assert reasons(of_type(scene, "MOVE_MEASURED")) == ["MOVE_COMMITTED"] * 3
        assert reasons(of_type(scene, "SESSION_ENDED")) == ["CLOSED_BY_PEER"]
        verified(scene, "gateway", "client")
