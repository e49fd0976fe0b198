"""The SIEM gets every event of a jumping session's gateway exactly once, although its node stops and the shipper is killed."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from opensearchpy import OpenSearch

from audit.show import events as events_of
from lab.demo.scene import JVPN, LEFT, LEFT_AFTER, Scene, stop
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.names import Names
from tests.netns.playing import NEEDS_TUNNEL, Traffic, bound_to, of_type, reasons, verified
from tests.opensearch_fixture import NEEDS_NODE

pytestmark = [NEEDS_TUNNEL, *NEEDS_NODE]

NAMES = Names("jumping-session")
SHIPPER = """\
state = "shipper"
[audit]
dir = "gateway-audit"
[cluster]
url = "{url}"
prefix = "{prefix}"
request_s = 5.0
[batch]
events = 2
"""


class Shipping:
    """The product's shipper process beside a scene."""

    def __init__(self, scene: Scene, node: Node) -> None:
        """Write its configuration and install the set-up with the product's own command."""
        self.scene, self.config = scene, scene.directory / "shipper.toml"
        self.config.write_text(SHIPPER.format(url=node.url, prefix=NAMES.prefix))
        scene.jvpn("siem", "install", "--config", str(self.config), "--yes")

    @contextmanager
    def process(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it; whoever leaves without having ended it kills it."""
        with (self.scene.directory / "shipper.log").open("ab") as log:
            process = subprocess.Popen([*JVPN, "ship", "--config", str(self.config)], stdout=log, stderr=subprocess.STDOUT)
            try:
                yield process
            finally:
                process.kill()
                process.wait(10)

    def status(self) -> dict[str, Any]:
        """Return what it says about itself; nothing before it has begun."""
        try:
            status: dict[str, Any] = orjson.loads((self.scene.directory / "shipper" / "status.json").read_bytes())
        except FileNotFoundError:
            return {"created": 0, "duplicate": 0, "failures_in_a_row": 0, "settled_up_to": 0, "unsettled_bytes": 1}
        return status

    def until(self, reached: Callable[[dict[str, Any]], bool], claim: str, process: subprocess.Popen[bytes]) -> None:
        """Wait for its status to be so."""
        self.scene.wait(lambda: reached(self.status()), claim, process, seconds=120.0)


def stored(client: OpenSearch) -> list[tuple[str, int, str, str]]:
    """Return chain, number, id and hash of every document, in the order of the log."""
    client.indices.refresh(index=NAMES.readable)
    found = client.search(index=NAMES.readable, body={"size": 10_000, "sort": ["chain_id", "seq"]})["hits"]["hits"]
    return [(each["chain_id"], each["seq"], each["event_id"], each["event_hash"]) for each in (hit["_source"] for hit in found)]


def play(scene: Scene, shipping: Shipping, node: Node) -> None:
    """Let the session jump while the node is gone, while the shipper is, and while both are back."""
    jumped = len(of_type(scene, "SESSION_MOVED"))
    with shipping.process() as first:
        shipping.until(lambda status: status["created"] > 0, "the first events arrive", first)
        node.kill()
        scene.lab.block_udp()
        bound_to(scene, "TCP")
        shipping.until(lambda status: status["failures_in_a_row"] > 0, "the shipper notices that the cluster is gone", first)
        scene.lab.block_udp(on=False)
        bound_to(scene, "UDP")
        first.kill()
    node.start()
    with shipping.process() as second:
        shipping.until(lambda status: status["created"] + status["duplicate"] > 5, "it goes on where it was", second)
        scene.lab.replace_address(f"{LEFT}/24", f"{LEFT_AFTER}/24")
        time.sleep(0.3)  # in the middle of what it has to say about that
        second.kill()
    with shipping.process() as third:
        scene.wait(lambda: len(of_type(scene, "SESSION_MOVED")) == jumped + 3, "the session has jumped three times")
        scene.close()
        shipping.until(lambda status: status["unsettled_bytes"] == 0, "everything is settled", third)
        stop(third)
        assert third.returncode == 0


def test_every_event_arrives_once(tmp_path: Path, opensearch_node: Node) -> None:
    """The SIEM would have a hole or a double exactly where something went wrong, which is what it is for."""
    client = connect(Cluster(url=opensearch_node.url, request_seconds=60))
    with Scene(tmp_path) as scene:
        shipping = Shipping(scene, opensearch_node)
        scene.start_gateway()
        scene.start_client()
        Traffic(scene).ping()
        try:
            play(scene, shipping, opensearch_node)
        finally:
            if not opensearch_node.running:
                opensearch_node.start()
        log = [(event["chain_id"], event["seq"], event["event_id"], event["hash"]) for event in events_of(scene.audit("gateway"))]
        status = shipping.status()
        print(len(log), "events;", status)  # noqa: T201 - how much was repeated
        assert stored(client) == log
        assert status["created"] + status["duplicate"] == status["read"] == len(log)
        assert (status["quarantined"], status["pending"]) == (0, 0)
        assert reasons(of_type(scene, "SESSION_MOVED")) == ["MOVED_PATH_DEAD", "MOVED_BETTER", "MOVED_ADDRESS_CHANGED"]
        verified(scene, "gateway")
    client.close()
