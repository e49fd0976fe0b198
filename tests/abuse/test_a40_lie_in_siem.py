"""A lie under an event's id (T-40).

ATTACK
    Somebody reads the log faster than the shipper does, and stores under the id of the event that betrays them another document, with the
    right hash written in it. The shipper hears 409. They invent a harmless event besides, and take what the cluster refused out of the
    quarantine.

EXPECTED REFUSAL
    None in the cluster: the id is free, and the shipper cannot read. The reconciler judges by content, not by id or claimed hash [A-90]
    [A-95]; the quarantine is a chain, and a record that is gone stops the shipper [A-93].

EXPECTED EVIDENCE
    verdict VERIFIED
    status.json: duplicate, quarantined
"""

from pathlib import Path

import orjson
import pytest

from audit.files import segments_in
from audit.verdict import Verdict
from audit.verify import verify
from lab.opensearch_node import Node
from lab.sim.frames import v4
from lab.sim.world import World
from observability.bulk import document_id
from observability.connect import Cluster, connect
from observability.cursor import StateError
from observability.names import Names
from observability.shipper import ShipperConfig, run
from observability.siem.findings import Kind
from observability.siem.reconcile import reconcile
from tests.audit.made import a_log
from tests.observability.real import install
from tests.opensearch_fixture import NEEDS_NODE

pytestmark = NEEDS_NODE
NAMES = Names("a40")


def test_a_lie_that_came_first_is_told_from_the_event(tmp_path: Path, opensearch_node: Node) -> None:
    """The one event that matters would be replaced, and every count would agree."""
    cluster = Cluster(url=opensearch_node.url, request_seconds=60)
    world = World().connected()
    world.host.move(v4(77))
    world.run(500)
    log = a_log(tmp_path / "log", world.story())
    client = connect(cluster)
    install(client, NAMES.prefix)
    lines = [orjson.loads(line) for path in segments_in(log) for line in path.read_bytes().splitlines()]
    (victim, *_) = [line for line in lines if line["event"]["event_type"] == "SESSION_MOVED"]
    event, digest = victim["event"], victim["hash"]
    place = NAMES.month(event["time"])
    lie = {**event, "reason_code": "REKEYED", "@timestamp": event["time"], "event_hash": digest}
    client.create(index=place, id=document_id(event["chain_id"], event["seq"], digest), body=lie)
    client.create(index=place, id="invented", body=lie | {"seq": len(lines)})
    client.ingest.put_pipeline(id="a40", body={"processors": [{"drop": {"if": "ctx.seq == 2"}}]})
    client.indices.put_settings(index=f"{NAMES.prefix}-*", body={"index.default_pipeline": "a40"})
    config = ShipperConfig(log=log, state=tmp_path / "state", cluster=cluster, prefix=NAMES.prefix, follow=False)
    run(config)
    status = orjson.loads((tmp_path / "state" / "status.json").read_bytes())
    assert (status["duplicate"], status["quarantined"], status["created"]) == (1, 1, len(lines) - 2)
    (report,) = reconcile(client, log, NAMES)
    found = [(each.kind, each.first) for each in report.others]
    assert found == [(Kind.DIFFERENT, event["seq"]), (Kind.FOREIGN, len(lines))]
    assert [each.first for each in report.missing] == sorted([2, event["seq"]])
    (tmp_path / "state" / "quarantine.jsonl").write_bytes(b"")
    with pytest.raises(StateError, match="some were removed or changed"):
        run(config)
    assert verify(log).verdict is Verdict.VERIFIED
    client.close()
