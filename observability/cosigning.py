"""The witnesses of a policy, asked over HTTP (C2SP tlog-witness): they cosign the log's newest checkpoint (clause A-69).

Whoever answers is believed in nothing: a cosignature counts when the policy's key verifies it. One witness that hangs holds up no other.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import urllib3

from audit.errors import NoteMalformed, SignatureWrong, TreeIncomplete
from audit.tlog import note
from audit.tlog.checkpoint import Signed, size_of
from audit.tlog.note import Note, Signature, Verifier
from audit.tlog.policy import Policy
from audit.tlog.witness import CONFLICT, OK, SIZE_TYPE, Request

TIMEOUT_SECONDS: Final = 10.0
ANSWER_BYTES_MAX: Final = 16_384
PATH: Final = "/add-checkpoint"
Consistency = Callable[[int, int], list[bytes]]


class Asked(NamedTuple):
    """What came of asking one witness: its cosignature, or why there is none."""

    name: str
    signature: Signature | None
    trouble: str


class Cosigners:
    """The witnesses of a policy that have a URL, and how much each has seen of the log."""

    def __init__(self, policy: Policy, ca_file: Path | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Take the policy. `ca_file`: who vouches for https witnesses, when it is not the system. OSError when it cannot be read."""
        if ca_file:
            ca_file.open("rb").close()
        self._policy, self._known = policy, dict.fromkeys(policy.urls, 0)
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=timeout_seconds), retries=False, cert_reqs="CERT_REQUIRED", ca_certs=ca_file and str(ca_file)
        )

    def ask(self, signed: Signed, consistency: Consistency) -> tuple[Note, list[Asked]]:
        """Return the checkpoint with the cosignatures that came, and what came of each witness."""
        with ThreadPoolExecutor(max_workers=max(len(self._known), 1)) as threads:
            asked = list(threads.map(lambda name: self._ask(name, signed, consistency), self._known))
        ours = signed.note.signatures
        return Note(signed.note.text, (*ours, *(each.signature for each in asked if each.signature))), asked

    def _ask(self, name: str, signed: Signed, consistency: Consistency) -> Asked:
        """Ask one witness, a second time when it says that it has seen another size."""
        try:
            status, kind, body = self._post(name, signed, consistency)
            if status == CONFLICT and kind == SIZE_TYPE:
                seen = size_of(body.removesuffix(b"\n").decode("ascii", "replace"))
                if seen > signed.says.size:
                    return Asked(name, None, f"has seen {seen} events of this log, here are {signed.says.size}: an older state of it")
                self._known[name] = seen
                status, kind, body = self._post(name, signed, consistency)
            if status == CONFLICT:
                return Asked(name, None, "has seen another history of this log")
            if status != OK:
                return Asked(name, None, f"answers {status}: {_shown(body)}")
            found = _cosignature(signed.note, self._policy.witnesses[name], body)
        except (NoteMalformed, SignatureWrong, TreeIncomplete) as error:
            return Asked(name, None, str(error))
        except (OSError, urllib3.exceptions.HTTPError) as error:
            return Asked(name, None, f"cannot be asked: {error}")
        self._known[name] = signed.says.size
        return Asked(name, found, "")

    def _post(self, name: str, signed: Signed, consistency: Consistency) -> tuple[int, str, bytes]:
        old = self._known[name]
        request = Request(old, tuple(consistency(old, signed.says.size)), signed.note)
        url = self._policy.urls[name].rstrip("/") + PATH
        answer = self._pool.request("POST", url, body=request.raw, redirect=False, preload_content=False)
        try:
            return answer.status, answer.headers.get("Content-Type", ""), answer.read(ANSWER_BYTES_MAX)
        finally:
            answer.drain_conn() if answer.length_remaining else answer.release_conn()


def lacking(policy: Policy, signed: Note) -> str:
    """Return what lacks for the policy's quorum; nothing when it is reached."""
    try:
        policy.cosigned(signed)
    except SignatureWrong as error:
        return str(error)
    return ""


def _cosignature(signed: Note, witness: Verifier, body: bytes) -> Signature:
    """Return the witness's line in an answer; others are ignored. NoteMalformed, SignatureWrong."""
    try:
        lines = body.decode().split("\n")[:-1]
    except UnicodeDecodeError:
        raise NoteMalformed("answers with something that is no signature line") from None
    found = [line for line in map(note.parse_line, lines) if (line.name, line.id) == (witness.name, witness.id)]
    if not found:
        raise SignatureWrong("answers without a signature of the policy's key")
    note.cosigners(Note(signed.text, (found[0],)), [witness])
    return found[0]


def _shown(body: bytes) -> str:
    return ascii(body[:200].decode(errors="replace").strip())
