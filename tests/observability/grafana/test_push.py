"""`grafana files` and `grafana push`, the latter against the contract of Grafana's HTTP API."""

import json
import ssl
from pathlib import Path

import pytest

from observability.connect import SettingError
from observability.grafana import FOLDER_UID, GENERATED, OPENSEARCH_UID, PROMETHEUS_UID
from observability.grafana.files import boards, rules
from observability.grafana.push import Server, connected
from tests.jvpn.cli.calling import Jvpn
from tests.observability.grafana.contract import TOKEN, Answer, Contract, said
from tests.observability.test_connect import certificate

UIDS = [board["uid"] for board in boards()]
NAMES = [rule["uid"] for rule in rules()["rules"]]


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A token file."""
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def jvpn(capfd: pytest.CaptureFixture[str]) -> Jvpn:
    """The command, in this process."""
    return Jvpn(capfd)


def test_files_are_written_once(jvpn: Jvpn, tmp_path: Path) -> None:
    """Grafana would look for boards or provisioning in another place, or load a mixture of two versions."""
    first = jvpn("grafana", "files", "--output", tmp_path / "out", "--json")
    written = {str(Path(name).relative_to(tmp_path / "out")) for name in first.json["written"]}
    assert written == {f"boards/{uid}.json" for uid in UIDS} | {
        f"provisioning/{kind}/jvpn.yaml" for kind in ("alerting", "dashboards", "datasources")
    }
    for board in (GENERATED / "boards").iterdir():
        assert (tmp_path / "out" / "boards" / board.name).read_bytes() == board.read_bytes()
    (tmp_path / "out" / "boards" / "jvpn-pilot.json").write_text("{}")
    again = jvpn("grafana", "files", "--output", tmp_path / "out")
    assert (again.status, again.out) == (0, f"1 files written, 8 unchanged, in {tmp_path / 'out'}\n")
    (tmp_path / "file").write_text("")
    refused = jvpn("grafana", "files", "--output", tmp_path / "file")
    assert refused.status == 1
    assert "file" in refused.err
    assert "internal error" not in refused.err


def test_everything_is_put_once(jvpn: Jvpn, token: Path) -> None:
    """A second push would bury the history of each board, or a changed board never arrive."""
    with Contract() as grafana:
        first = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token, "--json")
        assert (first.status, first.err) == (0, "")
        assert first.json == {"put": [FOLDER_UID, *UIDS, *NAMES], "unchanged": [], "missing": []}
        assert {uid: grafana.boards[uid]["title"] for uid in UIDS} == {board["uid"]: board["title"] for board in boards()}
        (group,) = grafana.groups.values()
        assert ([rule["uid"] for rule in group["rules"]], group["interval"]) == (NAMES, 60)
        grafana.requests.clear()
        again = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token)
        assert (again.out, grafana.requests) == (f"0 put, {len(UIDS) + len(NAMES)} unchanged\n", [])
        grafana.boards["jvpn-pilot"]["panels"].pop()
        group["rules"][0]["title"] = "somebody's"
        mended = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token, "--json")
        assert mended.json["put"] == ["jvpn-pilot", *NAMES]


def test_without_its_data_source_nothing_is_put(jvpn: Jvpn, token: Path) -> None:
    """The server would be full of boards and rules in error."""
    with Contract() as grafana:
        del grafana.sources[PROMETHEUS_UID]
        noted = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token)
        assert "note: no data source jvpn-prometheus: some panels and alert rules stay without data" in noted.out
        grafana.requests.clear()
        for kind in ("elasticsearch", None):
            grafana.sources = {OPENSEARCH_UID: kind} if kind else {}
            refused = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token)
            assert refused.status == 1
            assert "no data source jvpn-opensearch of type grafana-opensearch-datasource" in refused.err
        assert not grafana.requests


def moved(where: str) -> Answer:
    """Return a redirection."""
    return said({}, 302, Location=where)


@pytest.mark.parametrize(
    ("path", "answer", "told"),
    [
        ("/api/dashboards/db", said({"message": "quota reached"}, 403), "quota reached; the token's account may not do this"),
        ("/api/dashboards/db", said({"message": "no such API"}, 404), "no such API"),
        ("/api/dashboards/uid", said({"message": "database is locked"}, 500), "Server Error 500: database is locked"),
        ("/api/v1", said({"message": "invalid rule"}, 400), "Bad Input"),
        ("/api/datasources", moved("http://127.0.0.1:1/"), "redirects elsewhere"),
        ("/api/datasources", (200, {"Content-Type": "text/html"}, b"<html>"), "is not Grafana's API"),
        ("/api/datasources", (200, {"Content-Type": "application/json"}, b"{"), "is not Grafana's API"),
    ],
)
def test_what_the_server_does_not_do_is_one_line(jvpn: Jvpn, token: Path, path: str, answer: Answer, told: str) -> None:
    """An operator would see a traceback, or believe that the boards are there."""
    with Contract() as grafana:
        grafana.fault = (path, answer)
        done = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token)
    assert (done.status, done.out) == (1, "")
    assert told in done.err
    assert done.err.count("\n") == 1
    assert TOKEN not in done.err


def test_a_wrong_token_and_an_absent_server_are_told_apart(jvpn: Jvpn, token: Path) -> None:
    """An operator would look for the fault in the wrong place."""
    with Contract() as grafana:
        token.write_text("another")
        refused = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token)
        assert refused.err.endswith(f"401, the token in {token} is not accepted\n")
    absent = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token)
    assert "ConnectionError: is it there?" in absent.err


def test_the_certificate_is_checked_whatever_the_environment_says(
    jvpn: Jvpn, token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sits on the way would get a token that may write dashboards."""
    ours, key = certificate(tmp_path, "grafana")
    other, _ = certificate(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours, key)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ours))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with Contract(context) as grafana:
        refused = jvpn("grafana", "push", "--url", grafana.url, "--token-file", token, "--ca-file", other)
        assert refused.status == 1
        assert "its certificate is not accepted" in refused.err
        assert not grafana.seen
        assert jvpn("grafana", "push", "--url", grafana.url, "--token-file", token, "--ca-file", ours).status == 0


@pytest.mark.parametrize(
    ("url", "ca", "told"),
    [
        ("http://grafana.example", None, "not sent in the clear"),
        ("https://grafana.example", None, "https needs one"),
        ("http://127.0.0.1", "ca", "belongs to https"),
        ("https://grafana.example", "absent", "no such file"),
        ("http://u:p@127.0.0.1", None, "no user or password here"),
        ("http://127.0.0.1:x", None, "url 'http://127.0.0.1:x'"),
        ("ftp://127.0.0.1", None, "is not of the form"),
        ("http://127.0.0.1/?verify=false", None, "is not of the form"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, token: Path, url: str, ca: str | None, told: str) -> None:
    """A token would be sent where it must not go, or the error name something else."""
    (tmp_path / "ca").write_text("")
    with pytest.raises(SettingError, match=told.replace("?", r"\?")):
        connected(Server(url=url, token_file=token, ca_file=tmp_path / ca if ca else None))


@pytest.mark.parametrize(("text", "mode", "told"), [("", 0o600, "one line"), ("a b", 0o600, "one line"), (TOKEN, 0o644, "chmod 600")])
def test_a_token_file_is_for_its_owner_only(token: Path, text: str, mode: int, told: str) -> None:
    """Anybody on the machine could read the token."""
    token.write_text(text)
    token.chmod(mode)
    with pytest.raises(SettingError, match=told):
        connected(Server(url="http://127.0.0.1", token_file=token))


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000/api"),
        ("http://127.0.0.1:3000/grafana/", "http://127.0.0.1:3000/grafana/api"),
        ("http://[::1]:3000/a/b", "http://[::1]:3000/a/b/api"),
        ("http://localhost", "http://localhost/api"),
    ],
)
def test_the_api_is_below_the_address(token: Path, url: str, api: str) -> None:
    """A Grafana below a path, or on an IPv6 address, could not be reached."""
    assert connected(Server(url=url, token_file=token)).client.url == api


def test_boards_are_json_that_grafana_numbers_itself() -> None:
    """Two servers would fight about ids."""
    assert not [board["uid"] for board in boards() if board.get("id") is not None]
    assert json.loads(json.dumps(rules())) == rules()
