"""The numbers: exact, and the same wherever they come from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.queries import Distribution, distribution, events_in_log, percentile, summary
from tests.observability.story import write_story


@given(st.lists(st.integers(0, 2**53), min_size=1, max_size=300), st.integers(0, 100))
def test_a_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(values: list[int], percent: int) -> None:
    """A recovery time would be promised that fewer jumps keep than is said."""
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    smaller = [value for value in values if value < found]
    assert not smaller or sum(value <= max(smaller) for value in values) * 100 < percent * len(values)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 50), (95, 95), (99, 99), (100, 100)])
def test_percentiles_of_one_to_a_hundred(percent: int, value: int) -> None:
    """An error by one rank would go unseen."""
    assert percentile(range(1, 101), percent) == value


def test_no_value_has_no_distribution() -> None:
    """A quiet day would end in a traceback."""
    assert distribution([]) == Distribution(0, 0, 0, 0, 0)
    assert summary([]).events == 0


def test_the_story_in_numbers(tmp_path: Path) -> None:
    """A count would be attributed to the wrong reason, or rekeying be sold as a jump."""
    gateway, client = (summary(events_in_log(log)) for log in write_story(tmp_path, sessions=3, minutes=3))
    moved = gateway.by_type["SESSION_MOVED"]
    assert gateway.born == 3
    assert gateway.rekeys + sum(gateway.jumps.values()) == moved
    assert gateway.rekeys > 0
    assert "REKEYED" not in gateway.jumps
    assert gateway.recovery_us.values == sum(gateway.jumps.values()) == client.client_outage_us.values
    assert client.client_jumps == gateway.jumps
    assert client.client_outage_us.most == gateway.recovery_us.most + 9_000
    assert gateway.ended == {"CLOSED_BY_PEER": 1}
    assert gateway.telemetry_lost == 17
    told = list(events_in_log(tmp_path / "gateway" / "log"))
    refused = [event for event in told if event["event_type"] in {"TRAFFIC_REFUSED", "SESSION_REFUSED"}]
    assert sum(gateway.refusals.values()) == sum(event["count"] for event in refused) > len(refused)
    assert gateway.received_bytes == sum(event["metrics"].get("received_bytes", 0) for event in told if "metrics" in event)
