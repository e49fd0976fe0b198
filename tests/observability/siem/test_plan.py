"""Setting up a real node: twice is once, and what drifted is named and mended."""

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, TransportError

from observability.names import Names
from observability.siem.api import Api
from observability.siem.documents import Kind, Setup
from observability.siem.plan import Difference, apply, compare, differences, flat
from tests.observability.real import install
from tests.opensearch_fixture import NEEDS_NODE


@pytest.mark.parametrize(
    ("wanted", "found", "whole", "paths"),
    [
        ({"a": {"b": True}}, {"a.b": "true"}, True, []),
        ({"a": 1}, {"a": "1"}, True, []),
        ({"a": ["y", "x"]}, {"a": ["x", "y"]}, True, []),
        ({"a": ["x"]}, {"a": ["x", "y"]}, True, ["a"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": None}]}, True, []),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 2}]}, True, ["a[1].b", "a[]"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"drop": {}}]}, True, ["a[]"]),
        ({"a": 1}, {"a": 1, "b": False, "c": [], "d": {}}, True, []),
        ({"a": 1}, {"a": 1, "b": 2}, True, ["b"]),
        ({"a": 1}, {"a": 1, "b": 2}, False, []),
        ({"a": 1}, {}, False, ["a"]),
        ({}, {}, True, []),
    ],
    ids=str,
)
def test_what_is_a_difference(wanted: dict[str, object], found: dict[str, object], whole: bool, paths: list[str]) -> None:
    """Each check would cry wolf, or an added right or field would go unseen."""
    assert [each.path for each in differences(wanted, found, whole=whole)] == paths


def test_values_are_compared_as_text() -> None:
    """A cluster turns numbers and truth values of settings into text; each would look like drift."""
    assert flat({"a": {"b": [1, 2], "c": None, "d": {}}, "e": "x"}) == {"a.b": '["1", "2"]', "a.c": "null", "a.d": "{}", "e": "x"}


class TestOnANode:
    """With the run's node."""

    pytestmark = NEEDS_NODE

    def test_installing_twice_is_installing_once(self, client: OpenSearch) -> None:
        """A second set-up would fail, or change what is there, or say each time that something is different."""
        api, setup = Api(client), Setup(prefix="t-twice", months=("2026-09", "2026-10"))
        before = compare(api, setup)
        assert {change.piece.name for change in before.changes} == {
            "t-twice-events", "t-twice-settings", "t-twice-arrival", "t-twice-evidence", "t-twice-telemetry",
            "t-twice-evidence-2026.09", "t-twice-evidence-2026.10", "t-twice-findings",
        }  # fmt: skip
        assert all(change.absent for change in before.changes)
        assert [line.split(":")[0] for line in before.skipped] == [
            "role t-twice-shipper", "role t-twice-reader", "policy t-twice-telemetry",
        ]  # fmt: skip
        apply(api, before)
        after = compare(api, setup)
        assert (after.drift, after.as_text().splitlines()[0]) == (False, "no difference")
        apply(api, compare(api, setup))
        for index, kept in client.indices.get_settings(index="t-twice-*", params={"expand_wildcards": "all"}).items():
            assert kept["settings"]["index"]["append_only"]["enabled"] == "true", index
        assert len(client.indices.get_data_stream(name="t-twice-telemetry")["data_streams"][0]["indices"]) == 1

    def test_what_somebody_changed_is_named_and_put_back(self, client: OpenSearch, prefix: str) -> None:
        """A detection would be blind, or history be open to changes, and the check would say that all is well."""
        api, setup = Api(client), Setup(prefix=prefix)
        settings = api.get(Kind.COMPONENT, f"{prefix}-settings")
        assert settings is not None
        settings["template"]["settings"]["index"]["append_only"]["enabled"] = "false"
        api.ask("PUT", f"/_component_template/{prefix}-settings", settings)
        arrival = api.get(Kind.PIPELINE, f"{prefix}-arrival")
        assert arrival is not None
        arrival["processors"].append({"drop": {}})
        api.ask("PUT", f"/_ingest/pipeline/{prefix}-arrival", arrival)
        client.indices.put_settings(index=Names(prefix).telemetry, body={"index.final_pipeline": "_none"})
        plan = compare(api, setup)
        told = {change.piece.name: change.differences for change in plan.changes}
        assert told[f"{prefix}-settings"] == (Difference("template.settings.index.append_only.enabled", "true", "false"),)
        assert told[f"{prefix}-arrival"] == (Difference("processors[]", "1", "2"),)
        assert [(index.name, index.mends) for index in plan.live] == [(f".ds-{prefix}-telemetry-000001", True)]
        assert f"~ component template {prefix}-settings" in plan.as_text()
        assert "append_only.enabled: false -> true" in plan.as_text()
        apply(api, plan)
        assert not compare(api, setup).drift

    def test_an_index_in_which_events_can_be_changed_is_drift_that_nobody_mends(self, client: OpenSearch, prefix: str) -> None:
        """Who may make an index makes next month's with settings of their own, and rewrites it at leisure; the check would be green."""
        index = f"{prefix}-evidence-2031.01"
        client.indices.create(index=index, body={"settings": {"index.append_only.enabled": False}})
        plan = compare(Api(client), Setup(prefix=prefix))
        assert plan.live == [(index, (Difference("index.append_only.enabled", "true", "false"),), False)]
        assert plan.drift
        assert not plan.mends
        assert "cannot be mended in place" in plan.as_text()

    def test_older_indices_learn_new_fields(self, client: OpenSearch, prefix: str) -> None:
        """After an upgrade every event of a new type would land in quarantine until the next month."""
        prefix += "-old"
        names = Names(prefix)
        install(client, prefix)
        api = Api(client)
        events = api.get(Kind.COMPONENT, f"{prefix}-events")
        assert events is not None
        del events["template"]["mappings"]["properties"]["metrics"]["properties"]["recovery_us"]
        api.ask("PUT", f"/_component_template/{prefix}-events", events)
        client.indices.rollover(alias=names.telemetry)
        client.indices.create(index=names.month("2026-10"))
        old = compare(api, Setup(prefix=prefix))
        missing = Difference("properties.metrics.properties.recovery_us.type", "long", None)
        assert [(index.differences, index.mends) for index in old.live] == [((missing,), True)] * 2
        install(client, prefix)
        for index in client.indices.get_mapping(index=names.readable).values():
            assert "recovery_us" in index["mappings"]["properties"]["metrics"]["properties"]
            assert index["mappings"]["dynamic"] == "strict"

    def test_other_names_for_fields_are_no_drift_and_other_fields_are(self, client: OpenSearch, prefix: str) -> None:
        """An analyst's alias would make each check fail; a field that no event has would go unseen."""
        stream = Names(prefix).telemetry
        client.indices.put_mapping(index=stream, body={"properties": {"event.action": {"type": "alias", "path": "event_type"}}})
        assert not compare(Api(client), Setup(prefix=prefix)).drift
        client.indices.put_mapping(index=stream, body={"properties": {"smuggled": {"type": "keyword"}}})
        (index,) = compare(Api(client), Setup(prefix=prefix)).live
        assert index.differences == (Difference("properties.smuggled.type", None, "keyword"),)
        assert not index.mends

    def test_a_plain_index_under_the_stream_s_name_is_no_stream(self, client: OpenSearch) -> None:
        """Telemetry would go to an index with guessed types."""
        client.indices.create(index="t-plain-telemetry")
        with pytest.raises(TransportError, match="illegal_state_exception"):
            install(client, "t-plain")
        assert Api(client).get(Kind.STREAM, "t-plain-telemetry") is None
        with pytest.raises(NotFoundError):
            Api(client).backing("t-plain-telemetry")
