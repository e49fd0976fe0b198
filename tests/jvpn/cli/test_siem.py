"""The `siem` commands on a real node: what they answer, when they ask, and which fault has which status."""

import json
from pathlib import Path

import pytest
from opensearchpy.exceptions import RequestError

from audit.files import segments_in
from jvpn.cli import clusters
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from tests.audit.tlog.test_sealing import sealed_log
from tests.jvpn.cli.calling import Jvpn
from tests.jvpn.cli.test_shipping import configured
from tests.observability.stub import Stub
from tests.observability.synthetic import write_everything
from tests.opensearch_fixture import NEEDS_NODE


def file(folder: Path, node: Node, prefix: str) -> Path:
    """Write a configuration for a prefix of this test's own."""
    return configured(folder, node.url, f'cluster.prefix = "{prefix}"\nretention.telemetry_days = 0\n')


class TestOnANode:
    """With the run's node."""

    pytestmark = NEEDS_NODE

    def test_from_nothing_to_everything_and_back(self, jvpn: Jvpn, tmp_path: Path, opensearch_node: Node) -> None:
        """A SIEM engineer would follow the guide and stand before a cluster that is half set up, or asks, or loses events."""
        config = file(tmp_path, opensearch_node, "c-all")
        events = write_everything(tmp_path / "audit", "gateway")
        before = jvpn("siem", "check", "--config", config)
        assert (before.status, "+ data stream c-all-telemetry" in before.out) == (1, True)
        assert jvpn("siem", "retain", "--config", config).status == 1
        refused = jvpn("siem", "install", "--config", config)
        assert (refused.status, "--yes: missing, and there is nobody to ask" in refused.err) == (2, True)
        assert "+ index template c-all-evidence" in refused.out  # what it would have done
        done = jvpn("siem", "install", "--config", config, "--month", "2026-09", "--yes", "--json")
        assert (done.status, done.json["before"]["drift"], done.json["after"]["drift"]) == (0, True, False)
        assert "c-all-evidence-2026.09" in [each["name"] for each in done.json["before"]["pieces"]]
        again = jvpn("siem", "install", "--config", config)  # nothing to ask
        assert (again.status, again.out.splitlines()[0]) == (0, "no difference")
        assert "not installed, the cluster has no security plug-in" in again.out
        assert jvpn("siem", "check", "--config", config, "--json").json["drift"] is False
        hole = jvpn("siem", "reconcile", "--config", config)
        assert (hole.status, hole.out.splitlines()[-1]) == (1, "NOT WHOLE")
        shipped = jvpn("ship", "--config", config, "--once", "--json").json
        assert shipped["created"] + shipped["duplicate"] == events  # a request may take longer than its second here
        whole = jvpn("siem", "reconcile", "--config", config, "--json")
        assert (whole.status, whole.json["whole"], whole.json["chains"][0]["present"]) == (0, True, events)
        assert jvpn("siem", "retain", "--config", config).out == "nothing is due\n"
        kept = jvpn("siem", "uninstall", "--config", config, "--yes")
        assert "data stream c-all-telemetry: kept, it holds what was recorded" in kept.out
        assert jvpn("siem", "reconcile", "--config", config).status == 0
        unsure = jvpn("siem", "uninstall", "--config", config, "--delete-data")
        assert (unsure.status, "say --yes too" in unsure.err) == (2, True)
        gone = jvpn("siem", "uninstall", "--config", config, "--delete-data", "--yes", "--json")
        assert not [each for each in gone.json if each["kept"]]
        absent = jvpn("siem", "reconcile", "--config", config)
        assert (absent.status, "`jvpn siem install`" in absent.err) == (1, True)

    def test_a_hole_is_filled_and_a_changed_quarantine_told(self, jvpn: Jvpn, tmp_path: Path, opensearch_node: Node) -> None:
        """The reconciler would name a hole and leave it, or call a log whole whose refused events somebody took out of quarantine."""
        config = file(tmp_path, opensearch_node, "c-hole")
        events = write_everything(tmp_path / "audit", "gateway")
        jvpn("siem", "install", "--config", config, "--yes")
        filled = jvpn("siem", "reconcile", "--config", config, "--resend", "--json")
        assert (filled.status, filled.json["resent"], filled.json["whole"]) == (0, events, True)
        assert jvpn("ship", "--config", config, "--once", "--json").json["duplicate"] == events
        assert not (tmp_path / "ship" / "compared.json").exists(), "before there was a shipper, metrics had nobody to tell it of"
        cursor = tmp_path / "ship" / "cursor.json"
        saved = json.loads(cursor.read_text())
        saved["quarantine"] = {"bytes": 10, "records": 1, "hash": "0" * 64}
        cursor.write_text(json.dumps(saved))
        told = jvpn("siem", "reconcile", "--config", config)
        assert (told.status, told.out.splitlines()[-1]) == (1, "NOT WHOLE")
        assert "not the 1 that the cursor has seen" in told.out
        compared = (tmp_path / "ship" / "compared.json").read_bytes()
        assert json.loads(compared)["counts"] == {"missing": 0, "different": 0, "foreign": 0, "misplaced": 0}
        other = jvpn("siem", "reconcile", "--config", config, "--log", tmp_path / "audit")  # of that log's shipper nothing is known
        assert other.status == 0
        assert (tmp_path / "ship" / "compared.json").read_bytes() == compared, (
            "of another log's comparison the shipper's metrics say nothing"
        )
        empty = jvpn("siem", "reconcile", "--config", config, "--log", tmp_path / "nothing")
        assert (empty.status, "holds no event" in empty.err) == (1, True)

    def test_what_the_verifier_finds_is_there_once(self, jvpn: Jvpn, tmp_path: Path, opensearch_node: Node) -> None:
        """Nobody would be told that a log was changed, since the log cannot; or somebody each minute, until nobody listens."""
        config = file(tmp_path, opensearch_node, "c-found")
        sealed_log(tmp_path / "audit")
        sound = jvpn("siem", "verify", "--config", config)
        assert (sound.status, sound.out) == (0, f"{tmp_path / 'audit'}: VERIFIED\n"), "a log that is sound needs no cluster"
        segment = segments_in(tmp_path / "audit")[0]
        segment.write_bytes(segment.read_bytes().replace(b'"role":"gateway"', b'"role":"gatewaz"', 1))
        unready = jvpn("siem", "verify", "--config", config)
        assert (unready.status, "`jvpn siem install`" in unready.err) == (1, True)
        jvpn("siem", "install", "--config", config, "--yes")
        new, again = (jvpn("siem", "verify", "--config", config, "--json") for _ in range(2))
        assert (new.status, new.json["verdict"], new.json["new"]) == (1, "HASH_WRONG", True)
        assert (again.status, again.json["new"]) == (1, False)
        assert "there already" in jvpn("siem", "verify", "--config", config).out
        with connect(Cluster(url=opensearch_node.url)) as client:
            client.indices.refresh(index="c-found-findings")
            (hit,) = client.search(index="c-found-findings")["hits"]["hits"]
            assert hit["_source"].items() >= new.json["finding"].items() - {("time", new.json["finding"]["time"])}
            with pytest.raises(RequestError, match="append"):
                client.index(index="c-found-findings", id=hit["_id"], body=hit["_source"])


@pytest.mark.parametrize("command", ["install", "check", "uninstall", "retain", "reconcile"])
def test_faults_have_their_status_and_a_sentence(jvpn: Jvpn, tmp_path: Path, command: str) -> None:
    """Who mistypes an address, or lacks a right, would see a traceback, or a password."""
    done = jvpn("siem", command, "--config", configured(tmp_path, "http://127.0.0.1:1"), *(["--yes"] if command == "uninstall" else []))
    assert (done.status, "connection refused: nobody listens there" in done.err) == (1, True)
    done = jvpn("siem", command, "--config", configured(tmp_path, "http://user:pass@127.0.0.1:1"))
    assert (done.status, "no user or password here" in done.err, "pass@" in done.err) == (2, True, False)
    absent = jvpn("siem", command, "--config", configured(tmp_path, "http://127.0.0.1:1"), "--credentials-file", tmp_path / "none")
    assert (absent.status, "No such file" in absent.err) == (2, True)
    with Stub() as stub:
        stub.set_up_status = 401
        done = jvpn("siem", command, "--config", configured(tmp_path, stub.url), *(["--yes"] if command == "uninstall" else []))
        if command != "reconcile":  # which posts first, and the stub knows no other post than a bulk
            assert (done.status, "does not accept the credentials" in done.err) == (1, True)


@pytest.mark.parametrize("month", ["2026", "2026-13", "2026-9", "26-09", "2026-09-01", "x"])
def test_a_month_that_is_none_is_refused(jvpn: Jvpn, tmp_path: Path, month: str) -> None:
    """An index would be made under a name that no event has."""
    done = jvpn("siem", "install", "--config", configured(tmp_path, "http://127.0.0.1:1"), "--month", month)
    assert (done.status, "is not a month such as 2026-11" in done.err) == (2, True)


def test_the_months_to_come() -> None:
    """At midnight of New Year the shipper's role would stand before an index that nobody made."""
    assert list(clusters.coming(1_796_000_000)) == ["2026-11", "2026-12", "2027-01"]
    assert clusters.moment(1_796_000_000) == "2026-11-30T00:53:20.000000Z"
