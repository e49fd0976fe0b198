"""Every panel of every board, asked of a real OpenSearch over the reference logs: it shows what the logs themselves say."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.grafana.picture import arranged, draw, reduced
from lab.grafana.plugin import Answer, Refused, Series, Span, Table, resolve, run
from lab.opensearch_node import Node
from observability.connect import Cluster, connect
from observability.grafana.files import boards, rules
from tests.observability.grafana.data import SPAN, Loaded, load, reference
from tests.observability.grafana.draw import EVERYTHING, NOTE, answers, asked, empty
from tests.opensearch_fixture import NEEDS_NODE

pytestmark = NEEDS_NODE
BOARDS = {board["uid"]: board for board in boards()}
RULES = {rule["uid"]: rule for rule in rules()["rules"] if rule["labels"]["source"] == "opensearch"}
QUIET = Span(SPAN.begin - 86_400_000, SPAN.begin - 86_000_000)

on_each_board = pytest.mark.parametrize("name", BOARDS)


@pytest.fixture(scope="module")
def loaded(opensearch_node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """The reference logs in the run's node."""
    client = connect(Cluster(url=opensearch_node.url, request_seconds=60))
    yield load(client, "jvpn-audit-boards", reference(tmp_path_factory.mktemp("logs")))
    client.indices.delete(index="jvpn-audit-boards-*")
    client.close()


def panel(name: str, title: str) -> dict[str, Any]:
    """Return a panel by board and title."""
    (found,) = [each for each in BOARDS[f"jvpn-{name}"]["panels"] if each["title"] == title]
    return dict(found)


def shown(loaded: Loaded, name: str, title: str) -> list[Answer]:
    """Return what a panel shows."""
    return run(loaded.client, loaded.pattern, panel(name, title)["targets"], SPAN, EVERYTHING)


def series(loaded: Loaded, targets: list[dict[str, Any]], span: Span, values: Mapping[str, str] = EVERYTHING) -> list[Series]:
    """Return the series that the queries answer."""
    found = run(loaded.client, loaded.pattern, targets, span, values)
    assert all(isinstance(answer, list) for answer in found)
    return [each for answer in found if isinstance(answer, list) for each in answer]


def sums(found: list[Answer]) -> dict[str, float]:
    """Return the sum of each series."""
    return {each.name: reduced(each, "sum") or 0 for answer in found if isinstance(answer, list) for each in answer}


def number(loaded: Loaded, name: str, title: str) -> float:
    """Return the number of a panel of one."""
    (one,) = series(loaded, panel(name, title)["targets"], SPAN)
    return reduced(one, panel(name, title)["options"]["reduceOptions"]["calcs"][0]) or 0


def table(loaded: Loaded, name: str, title: str) -> dict[str, list[Any]]:
    """Return the columns of a table as somebody sees them."""
    (answer,) = shown(loaded, name, title)
    assert isinstance(answer, Table)
    return arranged(panel(name, title), answer)


NUMBERS: list[tuple[str, str, Callable[[Loaded], float]]] = [
    ("sessions", "Sessions born", lambda at: at.summary.born),
    ("sessions", "Sessions ended", lambda at: sum(at.summary.ended.values())),
    ("sessions", "Jumps", lambda at: sum(at.summary.jumps.values())),
    ("switching", "Jumps", lambda at: sum(at.summary.jumps.values())),
    ("switching", "Rekeys", lambda at: at.summary.rekeys),
    ("switching", "Moves refused by the limits", lambda at: at.summary.refusals["COOLDOWN"] + at.summary.refusals["SWITCH_LIMIT"]),
    ("security", "Conflicts of ownership",
     lambda at: at.summary.refusals["UNBOUND_PATH"] + at.summary.refusals["CONFIRM_STALE"]
     + sum(event["reason_code"] in {"OWNER_FENCED", "VERSION_STALE"} for event in at.events)),
    ("security", "Failed self-tests",
     lambda at: sum(event["event_type"] == "PROCESS_STOPPED" and event["severity"] == 5 for event in at.events)),
    ("integrity", "Telemetry lost", lambda at: at.summary.telemetry_lost),
    ("integrity", "Records refused by their schema", lambda at: at.summary.by_type["RECORD_REFUSED"]),
    ("integrity", "Epochs sealed", lambda at: at.summary.by_type["EPOCH_SEALED"]),
    ("integrity", "Bytes cut after crashes", lambda at: sum(event.get("metrics", {}).get("cut_bytes", 0) for event in at.events)),
    ("pipeline", "Events stored", lambda at: at.summary.events),
    ("pipeline", "Evidence stored", lambda at: sum(event["event_class"] == "evidence" for event in at.events)),
    ("pilot", "Longest recovery", lambda at: at.summary.recovery_us.most),
    ("pilot", "Jumps beyond it", lambda at: sum(event.get("metrics", {}).get("recovery_us", 0) > 8_000_000 for event in at.events)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "title", "expected"), NUMBERS, ids=[f"{name}: {title}" for name, title, _ in NUMBERS])
def test_a_number_is_the_log_s(loaded: Loaded, name: str, title: str, expected: Callable[[Loaded], float]) -> None:
    """A board would show another number than the log has."""
    wanted = expected(loaded)
    assert wanted > 0
    assert number(loaded, name, title) == wanted


def test_series_and_tables_are_the_log_s(loaded: Loaded) -> None:
    """A panel would show another distribution than the log has."""
    told = loaded.summary
    assert sums(shown(loaded, "sessions", "Ends by reason")) == told.ended
    assert sums(shown(loaded, "switching", "Jumps by reason")) == told.jumps
    by_reason = table(loaded, "security", "Refused, by reason")
    assert dict(zip(by_reason["Reason"], by_reason["Refused"], strict=True)) == told.refusals
    by_type = table(loaded, "pipeline", "Types of events")
    assert dict(zip(by_type["Type"], by_type["Events"], strict=True)) == told.by_type
    kept = sums(shown(loaded, "pilot", "Kept and broken promises"))
    assert sum(kept.values()) == told.recovery_us.values
    assert set(kept) == {"within the window", "beyond"}
    moved = Counter(
        f"{event['transport']['from']} to {event['transport']['to']}"
        for event in loaded.events
        if event["event_type"] == "SESSION_MOVED" and event["reason_code"] != "REKEYED" and "transport" in event
    )
    assert sums(shown(loaded, "switching", "From carrier to carrier")) == moved
    gateway = [event["metrics"] for event in loaded.events if event["event_type"] == "SESSION_HEALTH" and event["role"] == "gateway"]
    assert sums(shown(loaded, "sessions", "Traffic")) == {
        "from clients": sum(each["received_bytes"] for each in gateway),
        "to clients": sum(each["sent_bytes"] for each in gateway),
    }
    (so_far,) = series(loaded, panel("pipeline", "Events so far")["targets"], SPAN)
    assert reduced(so_far, "lastNotNull") == told.events


def test_percentiles_are_those_of_the_log(loaded: Loaded) -> None:
    """The recovery time that is promised would be another than was measured."""
    targets = panel("sessions", "Recovery time, by the gateway's clock")["targets"]
    found = {each.name: each for each in series(loaded, targets, SPAN)}
    assert set(found) == {"p50.0", "p95.0", "p99.0"}
    assert reduced(found["p99.0"], "max") == loaded.summary.recovery_us.most


def test_every_chain_is_whole_and_a_hole_is_seen(loaded: Loaded) -> None:
    """The panel that must show a missing event shows none, or always one."""
    chains = table(loaded, "integrity", "Is each chain whole?")
    assert len(chains["Chain"]) == 4
    assert set(chains["Missing"]) == {0}
    assert set(table(loaded, "pipeline", "Stored twice")["Twice"]) == {0}
    (target,) = panel("integrity", "Is each chain whole?")["targets"]
    holed = {**target, "query": f"{target['query']} AND NOT seq:5"}
    (answer,) = run(loaded.client, loaded.pattern, [holed], SPAN, EVERYTHING)
    assert isinstance(answer, Table)
    assert set(answer.columns["Bucket Script"]) == {1}


@on_each_board
def test_every_panel_has_something_to_show(loaded: Loaded, name: str) -> None:
    """A panel would stay empty whatever happens."""
    found = answers(loaded, BOARDS[name], SPAN)
    assert not [each["title"] for each in BOARDS[name]["panels"] if asked(each) and empty(found[each["id"]])]


@on_each_board
def test_every_variable_resolves_and_filters(loaded: Loaded, name: str) -> None:
    """A drop-down would be empty, or choosing in it change nothing."""
    board = BOARDS[name]
    for variable in board["templating"]["list"]:
        values = resolve(loaded.client, loaded.pattern, variable["query"], SPAN)
        assert len(values) >= 3, variable["name"]
        chosen = {**EVERYTHING, variable["name"]: f'("{values[-1]}" OR "{values[-2]}")'}
        assert answers(loaded, board, SPAN, chosen) != answers(loaded, board, SPAN)
    with pytest.raises(KeyError):
        answers(loaded, board, SPAN, {})


@on_each_board
def test_a_quiet_time_is_no_error(loaded: Loaded, name: str) -> None:
    """A board would be full of errors on a day when nothing happens."""
    answers(loaded, BOARDS[name], QUIET)
    for each in BOARDS[name]["panels"]:
        if each["type"] == "stat" and asked(each):
            (one,) = series(loaded, each["targets"], QUIET)
            assert not reduced(one, each["options"]["reduceOptions"]["calcs"][0])


def fires(loaded: Loaded, rule: dict[str, Any], span: Span) -> bool:
    """Return whether a rule fires over a range."""
    (one,) = series(loaded, [rule["data"][0]["model"]], span, {})
    value = reduced(one, rule["data"][1]["model"]["reducer"]) or 0
    judged = rule["data"][2]["model"]["conditions"][0]["evaluator"]
    limit = judged["params"][0]
    return bool(value > limit if judged["type"] == "gt" else value < limit)


@pytest.mark.parametrize("uid", RULES)
def test_a_rule_fires_when_it_must(loaded: Loaded, uid: str) -> None:
    """Nobody would be woken, or everybody every night."""
    silence_is_bad = uid in {"jvpn-heartbeat", "jvpn-checkpoint-age"}
    assert fires(loaded, RULES[uid], SPAN) is not silence_is_bad
    assert fires(loaded, RULES[uid], QUIET) is silence_is_bad


def test_what_the_cluster_refuses_is_said(loaded: Loaded) -> None:
    """A query in error would look like an empty panel here, and the board be called sound."""
    (target,) = panel("sessions", "Jumps")["targets"]
    with pytest.raises(Refused, match="parse"):
        run(loaded.client, loaded.pattern, [{**target, "query": "event_type:("}], SPAN, EVERYTHING)


def test_a_board_can_be_drawn(loaded: Loaded, tmp_path: Path) -> None:
    """Nobody without a Grafana server could see what the boards show."""
    board = BOARDS["jvpn-integrity"]
    draw(board, answers(loaded, board, SPAN), tmp_path / "board.png", NOTE)
    assert (tmp_path / "board.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert 10_000 < (tmp_path / "board.png").stat().st_size < 300_000
