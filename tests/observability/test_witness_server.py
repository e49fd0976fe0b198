"""The witness over HTTP: what is not its question, and bodies that are too long."""

from pathlib import Path

import urllib3

from audit.tlog.witness import BODY_BYTES_MAX
from tests.audit.tlog.test_sealing import sealed_log
from tests.observability.witnesses import running


def test_what_is_no_question_gets_an_answer_and_no_cosignature(tmp_path: Path) -> None:
    """[A-70] Scanners and mistakes would see tracebacks, or take the witness down."""
    log = sealed_log(tmp_path / "log")
    with running(tmp_path, log) as witness, urllib3.PoolManager(retries=False, timeout=10) as pool:

        def asks(method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
            answer = pool.request(method, witness.url + path, body=body)
            assert "Traceback" not in answer.data.decode()
            return answer.status, answer.headers["Content-Type"]

        plain = "text/plain; charset=utf-8"
        assert asks("GET", "/") == (404, plain)
        assert asks("GET", "/add-checkpoint") == (405, plain)
        assert asks("POST", "/add-checkpoint/", b"old 0\n\n") == (404, plain)
        assert asks("POST", "/add-checkpoint", b"") == (400, plain)
        assert asks("POST", "/add-checkpoint", b"x" * (BODY_BYTES_MAX + 1))[0] == 413
        assert asks("POST", "/add-checkpoint", b"x" * BODY_BYTES_MAX) == (400, plain)
        witness.state.unlink()
        witness.state.mkdir()
        signed = (log / "checkpoint").read_bytes()
        assert asks("POST", "/add-checkpoint", b"old 0\n\n" + signed) == (503, plain)
        witness.state.rmdir()
    assert witness.process.returncode == 0
