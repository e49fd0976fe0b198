"""`status` and `close`, against a service that answers what the tests want."""

from pathlib import Path

from tests.jvpn.cli.calling import Jvpn, service

STATUS = {
    "role": "client",
    "state": "SEEKING",
    "carrier": None,
    "inner": {"in": 3, "out": 0},
    "transports": {"udp": {"sent": 5, "lost": 0}},
}


def test_what_people_see(jvpn: Jvpn, tmp_path: Path) -> None:
    """A user would have to read JSON, or would not see what is missing."""
    with service(tmp_path / "control.sock", STATUS) as asked:
        lines = [line.split(maxsplit=1) for line in jvpn("status", "--socket", tmp_path / "control.sock").out.splitlines() if line]
    assert asked == [{"order": "status"}]
    assert lines == [["service", "client"], ["state", "SEEKING"], ["carrier", "-"], ["inner", "in 3"], ["transports", "udp  sent 5"]]


def test_what_programs_see(jvpn: Jvpn, tmp_path: Path) -> None:
    """A script would not get all that the service said."""
    with service(tmp_path / "control.sock", STATUS):
        assert jvpn("status", "--socket", tmp_path / "control.sock", "--json").json == STATUS


def test_nobody_is_there(jvpn: Jvpn, tmp_path: Path) -> None:
    """A script could not tell a service that is down from one that is idle."""
    said = jvpn("status", "--socket", tmp_path / "control.sock")
    assert (said.status, said.out) == (1, "")
    assert "is the process running, and yours?" in said.err


def test_a_refusal_is_a_failure(jvpn: Jvpn, tmp_path: Path) -> None:
    """An operator would believe that a session was closed."""
    with service(tmp_path / "control.sock", {"error": "no such session"}) as asked:
        said = jvpn("close", "ab", "--socket", tmp_path / "control.sock")
    assert (said.status, said.out, said.err) == (1, "", "jvpn: no such session\n")
    assert asked == [{"order": "close", "session": "ab"}]


def test_names_that_a_terminal_would_obey(jvpn: Jvpn, tmp_path: Path) -> None:
    """Whoever chooses a text in the status could rewrite what the operator sees."""
    with service(tmp_path / "control.sock", {"role": "client", "state": "\x1b[2J[bold]x"}):
        said = jvpn("status", "--socket", tmp_path / "control.sock")
    assert "\x1b" not in said.out
    assert "?[2J[bold]x" in said.out
