"""History that is overwritten in the SIEM (T-39).

ATTACK
    Somebody has the shipper's password. They overwrite a stored event by its sequence number, update it, delete it, and make the index of
    a coming month with settings of their own, to rewrite it later.

EXPECTED REFUSAL
    The indices are append-only and the role makes no index [A-94]. Without that setting the same role overwrites: the control shows it.
    UNSUPPORTED PAIRING of node and security plug-in (tests/opensearch_secured.py): no evidence about a cluster in production.

EXPECTED EVIDENCE
    none: the cluster refuses it; the log has the events still
    verdict VERIFIED
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException, RequestError

from audit.verdict import Verdict
from audit.verify import verify
from lab.sim.frames import v4
from lab.sim.world import World
from observability.connect import connect
from observability.names import Names
from observability.shipper import ShipperConfig, run
from observability.siem.api import Api
from observability.siem.documents import Setup, shipper_role
from observability.siem.plan import apply, compare
from tests.audit.made import a_log, events_of
from tests.opensearch_fixture import NEEDS_NODE
from tests.opensearch_secured import PASSWORD, Secured

pytestmark = NEEDS_NODE
NAMES = Names("a39")


def credentials(folder: Path) -> Path:
    """Steal the password."""
    path = folder / "stolen"
    path.write_text(f"a39-thief:{PASSWORD}")
    path.chmod(0o600)
    return path


def attacks(thief: OpenSearch, index: str, hit: dict[str, Any]) -> list[Callable[[], object]]:
    """Return what somebody tries who has the password, on one stored document."""
    name, forged = hit["_id"], {**hit["_source"], "outcome": "success", "reason_code": "CLOSED_BY_PEER"}
    place = {"if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
    return [
        lambda: thief.index(index=index, id=name, body=forged, params=place),
        lambda: thief.index(index=index, id=name, body=forged),
        lambda: thief.update(index=index, id=name, body={"doc": forged}),
        lambda: thief.delete(index=index, id=name),
        lambda: thief.delete_by_query(index=index, body={"query": {"match_all": {}}}),
        lambda: thief.indices.delete(index=index),
        lambda: thief.indices.put_settings(index=index, body={"index.append_only.enabled": False}),
        lambda: thief.indices.create(index=NAMES.month("2031-01"), body={"settings": {"index.append_only.enabled": False}}),
        lambda: thief.indices.create(index=NAMES.month("2031-01")),
    ]


def of_all(client: OpenSearch, index: str) -> list[dict[str, Any]]:
    """Return every document, and where it is."""
    client.indices.refresh(index=index)
    body = {"size": 1_000, "sort": ["seq"], "seq_no_primary_term": True}
    return list(client.search(index=index, body=body)["hits"]["hits"])


def test_the_shipper_s_password_changes_nothing_that_is_stored(tmp_path: Path, secured_node: Secured) -> None:
    """A break-in at the gateway's host would be enough to rewrite what the SIEM had long received."""
    admin = connect(secured_node.cluster(certificate_file=secured_node.admin.certificate, key_file=secured_node.admin.key))
    world = World().connected()
    world.host.move(v4(77))
    world.run(500)
    log = a_log(tmp_path / "log", world.story())
    months = {event["time"][:7] for event in events_of(log)}
    setup = Setup(prefix=NAMES.prefix, months=tuple(months))
    apply(Api(admin), compare(Api(admin), setup))
    secured_node.user("a39-thief", PASSWORD, "a39-shipper")
    cluster = secured_node.cluster(credentials_file=credentials(tmp_path))
    shipped = run(ShipperConfig(log=log, state=tmp_path / "state", cluster=cluster, prefix=NAMES.prefix, follow=False))
    assert shipped.read == shipped.created
    thief = connect(cluster)
    for index in (NAMES.month(min(months)), f".ds-{NAMES.telemetry}-000001"):
        before = of_all(admin, index)
        for number, attack in enumerate(attacks(thief, index, before[0])):
            with pytest.raises((RequestError, AuthorizationException)):
                attack()
            assert of_all(admin, index) == before, number
    assert not compare(Api(admin), setup).drift
    assert verify(log).verdict is Verdict.VERIFIED
    control(admin, thief, secured_node, NAMES.month(min(months)))
    thief.close()
    admin.close()


def control(admin: OpenSearch, thief: OpenSearch, node: Secured, month: str) -> None:
    """The same password, the same call, an index without the setting: the attack works, so it is the setting that refuses it."""
    index = NAMES.month("1999-01")
    admin.indices.create(index=index, body={"settings": {"index.append_only.enabled": False}})
    true = of_all(admin, month)[0]
    admin.create(index=index, id=true["_id"], body={name: value for name, value in true["_source"].items() if name != "ingest"})
    (hit,) = of_all(admin, index)
    attacks(thief, index, hit)[0]()
    (changed,) = of_all(admin, index)
    assert changed["_source"]["reason_code"] == "CLOSED_BY_PEER" != hit["_source"]["reason_code"]
    assert [live.name for live in compare(Api(admin), Setup(prefix=NAMES.prefix)).live] == [index]  # and the check says so
    wider = shipper_role(NAMES)
    wider["index_permissions"][0]["allowed_actions"].append("indices:admin/create")
    assert node.ask("PUT", "/_plugins/_security/api/roles/a39-shipper", wider)[0] == 200
    attacks(thief, index, hit)[7]()  # so it is the role that refuses to make an index
    assert [live.name for live in compare(Api(admin), Setup(prefix=NAMES.prefix)).live] == [index, NAMES.month("2031-01")]
