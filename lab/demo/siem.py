"""`make demo-siem`: a real OpenSearch node beside the session, fed by the shipper while it runs, and asked for the numbers at the end."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from opensearchpy import OpenSearch

from lab.demo.scene import JVPN, Failed, Stage, stop
from lab.opensearch_fetch import FetchError, fetch, unavailable
from lab.opensearch_node import Node
from observability.names import Names
from observability.queries import events_in_log, events_in_stream, summary

NAMES: Final = Names()
CATCH_UP_S: Final = 60.0
SHIPPER: Final = """\
state = "shipper"
[audit]
dir = "gateway-audit"
[cluster]
url = "{url}"
"""


class Cluster:
    """The node and its shipper."""

    def __init__(self, scene: Stage, url: str, shipper: subprocess.Popen[bytes]) -> None:
        """Keep them."""
        self.scene, self.client, self.shipper = scene, OpenSearch(url), shipper

    def same_numbers(self) -> bool:
        """Wait until everything is there, then compare the cluster's numbers with the log's; both go beside the report."""
        log = summary(events_in_log(self.scene.audit("gateway"))).as_json()

        def caught_up() -> bool:
            self.client.indices.refresh(index=NAMES.readable)
            return bool(self.client.count(index=NAMES.readable)["count"] >= log["events"])

        self.scene.wait(caught_up, "every event of the log is in the cluster", self.shipper, CATCH_UP_S)
        cluster = summary(events_in_stream(self.client, NAMES.readable)).as_json()
        numbers = {"log": log, "cluster": cluster}
        (self.scene.directory.parent / "siem.json").write_text(json.dumps(numbers, indent=1, default=dict) + "\n")
        return bool(cluster == log)


def missing() -> str | None:
    """Return why no node can run here, or None."""
    return unavailable()


@contextmanager
def cluster(scene: Stage, show: Callable[[str, str], None], *, wanted: bool) -> Iterator[Cluster | None]:
    """Start node and shipper where wanted, and end them."""
    if not wanted:
        yield None
        return
    show("an OpenSearch node starts", "running")
    try:
        home = fetch()
    except FetchError as error:
        raise Failed(str(error)) from error
    with Node(home) as node:
        show("an OpenSearch node starts", f"done: {node.url}")
        config: Path = scene.directory / "shipper.toml"
        config.write_text(SHIPPER.format(url=node.url))
        scene.jvpn("siem", "install", "--config", str(config), "--yes")
        with (scene.directory / "shipper.log").open("wb") as log:
            shipper = subprocess.Popen([*JVPN, "ship", "--config", str(config)], stdout=log, stderr=subprocess.STDOUT)
            try:
                yield Cluster(scene, node.url, shipper)
            finally:
                stop(shipper)
