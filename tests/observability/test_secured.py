"""What the shipper hears from a cluster that is protected: real TLS, real roles.

UNSUPPORTED PAIRING of node and security plug-in (tests/opensearch_secured.py): this is what that pair answers, no evidence about a cluster.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from observability.breaker import Breaker
from observability.connect import Cluster, connect
from observability.cursor import Counters, State
from observability.names import Names
from observability.shipper import Shipper, ShipperConfig, to_cluster
from observability.siem.api import Api
from observability.siem.documents import Kind, Setup
from observability.siem.plan import apply, compare
from observability.siem.reconcile import reconcile
from tests.observability.real import as_documents
from tests.observability.synthetic import write_everything
from tests.opensearch_fixture import NEEDS_NODE
from tests.opensearch_secured import PASSWORD, Authority, Secured

pytestmark = NEEDS_NODE
NAMES = Names("s")
SETUP = Setup(prefix="s", months=("2026-09",))
WAITS = 3


@pytest.fixture(scope="module")
def administrator(secured_node: Secured) -> Iterator[OpenSearch]:
    """A client that may do everything; roles and indices are there, and a user for each role."""
    made = connect(secured_node.cluster(certificate_file=secured_node.admin.certificate, key_file=secured_node.admin.key))
    apply(Api(made), compare(Api(made), SETUP))
    for role in ("shipper", "reader"):
        secured_node.user(f"s-{role}-user", PASSWORD, f"s-{role}")
    secured_node.user("s-nobody", PASSWORD)
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A closed log with every event type."""
    write_everything(tmp_path / "log", "gateway")
    return tmp_path / "log"


def secret(folder: Path, user: str, password: str = PASSWORD) -> Path:
    """Write a credentials file."""
    path = folder / f"credentials-of-{user}"
    path.write_text(f"{user}:{password}\n")
    path.chmod(0o600)
    return path


def ship(log: Path, cluster: Cluster) -> tuple[Counters, str]:
    """Ship until everything is there or the third wait; return the counters, and what was in the way last."""
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.extend([seconds] if seconds else [])
        return len(waits) >= WAITS

    client, state = connect(cluster), State(log.parent / "state")
    try:
        config = ShipperConfig(log=log, state=state.directory, cluster=cluster, prefix=NAMES.prefix, follow=False)
        shipper = Shipper(config, to_cluster(client, config), state, wait, Breaker(lambda: 0.0))
        shipper.run()
        return shipper.counters, (state.directory / "status.json").read_text()
    finally:
        client.close()
        state.close()


def test_the_least_role_ships_everything_and_the_reader_s_role_compares_it(
    log: Path, secured_node: Secured, administrator: OpenSearch
) -> None:
    """Whoever gives the shipper only what the guide says would see it stand still, or give it more."""
    assert not compare(Api(administrator), SETUP).drift  # roles too
    counters, _ = ship(log, secured_node.cluster(credentials_file=secret(log.parent, "s-shipper-user")))
    events = as_documents(log)
    assert counters == Counters(read=len(events), created=len(events))
    (log.parent / "state" / "cursor.json").unlink()
    counters, _ = ship(log, secured_node.cluster(credentials_file=secret(log.parent, "s-shipper-user")))
    assert counters == Counters(read=len(events), duplicate=len(events))
    reader = connect(secured_node.cluster(credentials_file=secret(log.parent, "s-reader-user"), request_seconds=60))
    (report,) = reconcile(reader, log, NAMES)
    reader.close()
    assert (report.whole, report.present) == (True, len(events))


def test_a_right_that_somebody_added_is_drift(secured_node: Secured, administrator: OpenSearch) -> None:
    """The shipper would be able to delete, and the monthly check would say that all is well."""
    api = Api(administrator)
    role = api.get(Kind.ROLE, "s-shipper")
    assert role is not None
    role["index_permissions"][0]["allowed_actions"].append("indices:data/write/delete")
    assert secured_node.ask("PATCH", "/_plugins/_security/api/roles/s-shipper", [
        {"op": "replace", "path": "/index_permissions", "value": role["index_permissions"]}])[0] == 200  # fmt: skip
    (change,) = compare(api, SETUP).changes
    assert [each.path for each in change.differences] == ["index_permissions[0].allowed_actions"]
    apply(api, compare(api, SETUP))
    assert not compare(api, SETUP).drift


REFUSALS = {
    "wrong password": ("s-shipper-user:wrong", "does not accept the credentials"),
    "unknown user": ("nobody:wrong", "does not accept the credentials"),
    "no role": ("s-nobody:" + PASSWORD, "no permissions for [indices:data/write/bulk]"),
    "reader's role": ("s-reader-user:" + PASSWORD, "no permissions for ["),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_who_may_not_ship_is_told_why_and_nothing_is_lost(log: Path, secured_node: Secured, administrator: OpenSearch, case: str) -> None:
    """A password that ran out would send the log to quarantine, or the operator would search in the wrong place."""
    assert administrator.ping()
    credentials, said = REFUSALS[case]
    user, _, password = credentials.partition(":")
    counters, status = ship(log, secured_node.cluster(credentials_file=secret(log.parent, user, password)))
    assert said in status
    assert password not in status
    assert (counters.created, counters.quarantined) == (0, 0)
    assert counters.pending > 0  # who may read finds telemetry that is there
    counters, _ = ship(log, secured_node.cluster(credentials_file=secret(log.parent, "s-shipper-user")))
    assert counters.read == counters.created + counters.duplicate == len(as_documents(log))


def test_a_month_that_has_no_index_is_named_with_the_way_out(log: Path, secured_node: Secured, administrator: OpenSearch) -> None:
    """The least role can make no index: without a word about that, the first of a month would be a riddle."""
    administrator.indices.delete(index=NAMES.month("2026-09"))
    counters, status = ship(log, secured_node.cluster(credentials_file=secret(log.parent, "s-shipper-user")))
    assert counters.quarantined == 0
    assert counters.pending > 0
    assert f"is the index {NAMES.month('2026-09')} missing? `jvpn siem install` makes it" in status
    apply(Api(administrator), compare(Api(administrator), SETUP))
    counters, _ = ship(log, secured_node.cluster(credentials_file=secret(log.parent, "s-shipper-user")))
    assert counters.read == counters.created + counters.duplicate


def test_whoever_is_not_the_cluster_gets_nothing_and_the_reason_is_said(log: Path, tmp_path: Path, secured_node: Secured) -> None:
    """The password would go to whoever answers; or an expired certificate would look like an outage of the network."""
    other = Authority(tmp_path / "theirs", "other")
    who = secret(log.parent, "s-shipper-user")
    plain = secured_node.url.replace("https://", "http://")
    cases = [
        (
            Cluster(url=secured_node.url, ca_file=other.file, credentials_file=who),
            "certificate is not accepted: unable to get local issuer",
        ),
        (Cluster(url=plain, credentials_file=who), "closed without an answer: does the cluster want https?"),
        (secured_node.cluster(url=secured_node.url.replace("127.0.0.1", "127.0.0.2"), credentials_file=who), "connection refused"),
    ]
    stranger = other.issue("stranger")
    cases.append((
        Cluster(url=secured_node.url, certificate_file=stranger.certificate, key_file=stranger.key, ca_file=secured_node.authority.file),
        "TLS fails|does not accept the credentials|closed without an answer",
    ))  # fmt: skip
    for cluster, said in cases:
        counters, status = ship(log, cluster)
        assert any(each in status for each in said.split("|")), status
        assert (counters.created, counters.quarantined) == (0, 0)


@pytest.mark.parametrize(
    ("host", "days", "said"),
    [("localhost.example", 9, "IP address mismatch"), (None, -1, "certificate has expired")],
    ids=["wrong host name", "expired"],
)
def test_a_certificate_that_is_not_good_now_or_not_for_this_host_is_refused(
    log: Path, secured_node: Secured, host: str | None, days: int, said: str
) -> None:
    """A certificate that was stolen from another machine, or years ago, would do."""
    pair = secured_node.authority.issue("other-node", host=host, days=days)
    who = secret(log.parent, "s-shipper-user")
    with secured_node.in_front(pair) as url:
        counters, status = ship(log, Cluster(url=url, ca_file=secured_node.authority.file, credentials_file=who))
    assert said in status
    assert (counters.created, counters.quarantined) == (0, 0)
