"""`metrics`: real services, the exporter, and a Prometheus that scrapes them; what is asked wrongly, and what is not told."""

import json
import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from jvpn.shell.control import FIGURES, ask
from observability.metrics import RULES, most_series, table
from tests.audit.tlog.test_sealing import sealed_log
from tests.jvpn.cli.calling import Jvpn, Process, gateway_files, until
from tests.jvpn.cli.test_rotation import enrolled
from tests.jvpn.cli.test_serving import free_port, state
from tests.jvpn.cli.test_shipping import configured
from tests.observability.stub import Stub
from tests.observability.witnesses import policy_file, running
from tests.support import requires

PROMETHEUS = """global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - {{job_name: jvpn, static_configs: [{{targets: ["{exporter}"]}}]}}
  - {{job_name: witness, static_configs: [{{targets: ["{witness}"]}}]}}
"""


class Asked:
    """A Prometheus that runs, and its HTTP interface."""

    def __init__(self, url: str, pool: urllib3.PoolManager) -> None:
        self._url, self._pool = url, pool

    def get(self, path: str, **fields: str) -> Any:  # noqa: ANN401 - what an interface of others answers
        """Return the data of an answer; None while there is none."""
        try:
            answer = self._pool.request("GET", f"{self._url}/api/v1/{path}", fields=fields)
        except urllib3.exceptions.HTTPError:
            return None
        return answer.json()["data"] if answer.status == 200 else None

    def values(self, name: str, label: str) -> dict[str, float]:
        """Return the newest value of each series of a metric, by one of its labels."""
        data = self.get("query", query=name) or {"result": []}
        return {each["metric"].get(label, ""): float(each["value"][1]) for each in data["result"]}

    def value(self, query: str) -> float | None:
        """Return the one number that a query has."""
        found = list(self.values(query, "instance").values())
        return found[0] if len(found) == 1 else None


def scrape(place: str, path: str = "/metrics", method: str = "GET") -> urllib3.BaseHTTPResponse:
    """Ask an exporter."""
    return urllib3.request(method, f"http://{place}{path}", retries=False, timeout=20)


@contextmanager
def exporter(*words: object) -> Iterator[tuple[Process, str]]:
    """Run `jvpn metrics`; yield the process and where it listens."""
    with Process("metrics", *words, "--listen", "127.0.0.1:0") as process:
        assert process.process.stderr
        yield process, f"127.0.0.1:{json.loads(process.process.stderr.readline())['port']}"


@contextmanager
def prometheus(folder: Path, **places: object) -> Iterator[Asked]:
    """Run a Prometheus that scrapes these places every second."""
    config, port = folder / "prometheus.yml", free_port()
    config.write_text(PROMETHEUS.format(rules=RULES, **places))
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    program = ("-c", "import os, sys; os.execvp('prometheus', ['prometheus', *sys.argv[1:]])")  # so that it ends as the others do
    with Process(*words, "--log.level=error", program=program) as process, urllib3.PoolManager(retries=False, timeout=20) as pool:
        asked = Asked(f"http://127.0.0.1:{port}", pool)
        until(lambda: asked.get("status/runtimeinfo"), process)
        yield asked
        assert process.end(signal.SIGTERM).status == 0


@requires("prometheus")
def test_a_prometheus_sees_what_the_status_says(jvpn: Jvpn, tmp_path: Path) -> None:
    """[O-28] Everything is exported and nothing arrives: an operator would look at a dashboard that shows another gateway than there is."""
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{free_port()}"]\nmetrics.socket = "g/figures.sock"\n')
    client, history = enrolled(jvpn, tmp_path, config, "laptop"), sealed_log(tmp_path / "sealed")
    with (
        Process("gateway", "--config", config) as gateway,
        Process("client", "--config", client) as device,
        Stub() as stub,
        running(tmp_path, history) as witness,
    ):
        until(lambda: state(tmp_path / "laptop" / "state") == "ATTACHED", device)
        (tmp_path / "audit").symlink_to(tmp_path / "g" / "audit")
        policy = policy_file(tmp_path / "policy", history, [witness], 1)
        assert jvpn("audit", "publish", history, "--out", tmp_path / "tree", "--policy", policy).status == 0
        with (
            Process("ship", "--config", configured(tmp_path, stub.url)) as shipper,
            exporter(
                "--gateway",
                tmp_path / "g" / "figures.sock",
                "--shipper",
                tmp_path / "ship",
                "--tree",
                tmp_path / "tree",
                "--policy",
                policy,
            ) as (telling, place),
            prometheus(tmp_path, exporter=place, witness=witness.metrics) as asked,
        ):
            until(lambda: (asked.values("jvpn_shipper_events_total", "result").get("created", 0)) > 3, shipper)
            until(lambda: asked.value("jvpn_witness_cosigned_events"), telling)
            compared(jvpn, config, asked)
            assert shipper.end(signal.SIGTERM).status == 0
            shipped = json.loads((tmp_path / "ship" / "status.json").read_bytes())
            until(lambda: asked.values("jvpn_shipper_events_total", "result")["created"] == shipped["created"], telling)
            assert asked.values("jvpn_shipper_events_total", "result")["read"] == len(stub.stored)
            (latest,) = jvpn("witness", "status", "--state", witness.state, "--json").json["latest"]
            assert asked.values("jvpn_witness_cosigned_events", "log") == {latest["origin"]: latest["size"]}
            assert asked.values("jvpn_witness_answers_total", "status")["200"] == 1
            assert (asked.value("jvpn_audit_witnesses"), asked.value("jvpn_audit_witness_quorum")) == (1, 1)
            assert asked.value("jvpn_audit_published_events") == latest["size"]
            names_of_nobody(jvpn, config, place)
            assert [each.end(signal.SIGTERM).status for each in (device, gateway)] == [0, 0]
            until(lambda: asked.values("jvpn_source_up", "source") == {"gateway": 0, "shipper": 1, "tree": 1, "witness": 1}, telling)
            rules = [rule for group in asked.get("rules")["groups"] for rule in group["rules"]]
            assert {rule["health"] for rule in rules} == {"ok"}, [rule["lastError"] for rule in rules if "lastError" in rule]
            until(lambda: asked.value("ALERTS{alertname='JvpnSourceAway'}") == 1, telling)
            assert telling.end(signal.SIGTERM).status == 0


def compared(jvpn: Jvpn, config: Path, asked: Asked) -> None:
    """Compare what Prometheus has with what the gateway says to its operator."""
    said = jvpn("status", "--config", config, "--json").json
    states = [session["state"] for session in said["sessions"]]
    seen = asked.values("jvpn_gateway_sessions", "state")
    assert seen == {name: states.count(name) for name in seen}
    assert sum(seen.values()) == len(states) > 0
    assert asked.values("jvpn_gateway_sessions_bound", "carrier") == {"UDP": 1, "TCP": 0, "QUIC": 0}
    assert asked.values("jvpn_gateway_sessions_born_total", "reason") == {"HANDSHAKE_COMPLETED": 1}
    assert sum(asked.values("jvpn_gateway_sessions_ended_total", "reason").values()) == 0
    assert asked.values("jvpn_gateway_device_keys", "state")["ACTIVE"] == said["keys"]["devices"]["ACTIVE"] == 1
    assert sum(asked.values("jvpn_gateway_keys", "state").values()) == len(said["keys"]["gateway"])
    for name, told in (
        ("jvpn_gateway_audit_writer_running", said["audit"]["writer"] == "running"),
        ("jvpn_gateway_audit_writer_starts_total", said["audit"]["starts"]),
        ("jvpn_gateway_telemetry_lost_total", said["audit"]["lost"]),
        ("jvpn_gateway_store_well", said["store"]["state"] == "well"),
        ("jvpn_gateway_store_operations_failed_total", said["store"]["operations_failed"]),
        ("jvpn_gateway_inner_unrouted_packets_total", said["inner"]["inner_unrouted"]),
        ("jvpn_gateway_admits", 1),
        ("jvpn_gateway_reload_well", 1),
    ):
        assert asked.value(name) == told, name
    assert 0 < (asked.value("jvpn_gateway_frames_received_total") or 0) <= said["transports"]["udp"]["received"]


def names_of_nobody(jvpn: Jvpn, config: Path, place: str) -> None:
    """[O-29] Look for what could name somebody in a whole scrape, and count its series."""
    text = scrape(place).data.decode()
    (session,) = jvpn("status", "--config", config, "--json").json["sessions"]
    device = json.loads((config.parent / "devices.json").read_bytes())["devices"][0]
    for name in (session["correlation_id"], session["remote"], session["inner4"], session["gateway_key"], device["public"], device["name"]):
        assert str(name) not in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if re.search(r"[0-9a-f]{8}|\d+\.\d+\.\d+\.\d+", line.rpartition(" ")[0])]
    assert 100 < len(lines) <= sum(most_series(row, 0) for row in table())


def test_one_scrape_without_a_server(jvpn: Jvpn, tmp_path: Path) -> None:
    """Who has another collector could not take the numbers; or a source that is away would look like a failure of the exporter."""
    said = jvpn("metrics", "--gateway", tmp_path / "absent", "--shipper", tmp_path, "--once")
    assert said.status == 0
    assert 'jvpn_source_up{source="gateway"} 0.0\njvpn_source_up{source="shipper"} 0.0\n' in said.out
    assert jvpn("metrics", "--rules").out == f"{RULES}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give at least one of them"),
        (("--tree", "tree"), "give both or none"),
        (("--shipper", ".", "--listen", "0.0.0.0:9184"), "--listen: 0.0.0.0 can be reached by others"),
        (("--shipper", ".", "--listen", "[::]:9184"), "--listen: :: can be reached by others"),
        (("--shipper", ".", "--listen", "localhost:9184"), "'localhost:9184' is not ADDRESS:PORT"),
        (("--shipper", ".", "--listen", "127.0.0.1:99999"), "is not ADDRESS:PORT"),
        (("--shipper", ".", "--listen", "127.0.0.1"), "is not ADDRESS:PORT"),
    ],
)
def test_what_it_does_not_do(jvpn: Jvpn, words: tuple[str, ...], said: str) -> None:
    """Numbers of a gateway would be open to the internet because of one mistyped address."""
    done = jvpn("metrics", *words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_a_port_that_is_taken(jvpn: Jvpn) -> None:
    """A second exporter would end in a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = jvpn("metrics", "--shipper", ".", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.status == 1
    assert "Address already in use" in done.err


def test_http_has_one_page(tmp_path: Path) -> None:
    """A scanner would get tracebacks, or something to write to."""
    with exporter("--shipper", tmp_path) as (process, place):
        assert scrape(place).headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert scrape(place, "/").status == 404
        assert (scrape(place, method="POST").status, scrape(place, method="POST").headers["Allow"]) == (405, "GET, HEAD")
        assert scrape(place, method="HEAD").data == b""
        assert process.end(signal.SIGTERM).status == 0


def test_the_socket_of_figures_takes_no_orders(jvpn: Jvpn, tmp_path: Path) -> None:
    """[O-29] An exporter that was taken over would end sessions, or read who is there; or its group could not ask at all."""
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{free_port()}"]\nmetrics.socket = "g/figures.sock"\n')
    figures = tmp_path / "g" / "figures.sock"
    enrolled(jvpn, tmp_path, config, "laptop")
    with Process("gateway", "--config", config) as gateway:
        until(figures.exists, gateway)
        until(lambda: state_of_gateway(figures), gateway)
        assert stat.S_IMODE(figures.stat().st_mode) == 0o660
        for order in ({"order": "status"}, {"order": "reload"}, {"order": "close", "session": "00"}, FIGURES | {"more": 1}, {}):
            assert ask(figures, order) == {"error": "unknown order; known is figures"}
        assert ask(tmp_path / "g" / "control.sock", FIGURES) == {"error": "unknown order; known are status, close, reload"}
        os.kill(gateway.process.pid, signal.SIGHUP)
        until(lambda: "at" in ask(figures, FIGURES)["reload"], gateway)
        assert ask(figures, FIGURES)["events"]["PROCESS_STARTED"] == {"PROCESS_STARTED": 1}
        assert gateway.end(signal.SIGTERM).status == 0
    assert not figures.exists()


def state_of_gateway(figures: Path) -> bool:
    """Tell whether a gateway answers."""
    return "started" in ask(figures, FIGURES)


def test_a_socket_that_cannot_be_is_told_at_the_start(jvpn: Jvpn, tmp_path: Path) -> None:
    """A gateway would run unwatched, and nobody know why."""
    config = gateway_files(tmp_path, jvpn, f'listen.udp = ["127.0.0.1:{free_port()}"]\nmetrics.socket = "absent/figures.sock"\n')
    enrolled(jvpn, tmp_path, config, "laptop")
    with Process("gateway", "--config", config) as gateway:
        said = gateway.end()
    assert said.status == 1
    assert "absent/figures.sock: No such file or directory" in said.err
