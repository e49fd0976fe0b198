"""The ProVerif models: each is the text that was proved, names the clauses of its lines, and is about the protocol that runs."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.crypto.primitives import PrivateKey, new_cipher
from core.crypto.secret import Secret
from core.reasons import Carrier
from core.wire.layout import SIZES, Type
from lab.proofs import models, suites
from lab.proofs.models import ADVICE, FOLDER, canonical, faults_of_model, faults_of_wire, table, wire, without_comments
from lab.sim.frames import located
from lab.sim.twins import Entropy
from lab.sim.world import World
from tests.core.crypto import independent
from tests.core.crypto.independent import DerandomisedKem
from tests.meta.documents import broken_links
from tests.meta.test_clauses import CLAUSE, defined

MODELS = sorted(path.stem for path in FOLDER.glob("*.pv"))
MODELLED = re.compile(
    r"\b(?:mixck|mixk|mixt|mh|aead|adec|apeek|hmac|Xmac|Xpsk|Xnext|Xsid|Xres|Xold|Xkek|kup|kdown|kr|aes|aesinv|seal|unseal|prol|hdr|"
    r"dhc|dhg|dh|kct|kss|decaps|CONFIRM|ACK|MOVED|DAT|pInit|pResp|pReq|pRsp|insert|get)\b"
)


def test_every_model_is_in_the_table() -> None:
    """A model would lie there without anybody knowing what came of it."""
    assert MODELS == sorted(table()["models"]) == sorted(path.stem for path in (FOLDER / "logs").iterdir())
    assert len(MODELS) == 12


@pytest.mark.parametrize("name", MODELS)
def test_model_log_and_table_agree(name: str) -> None:
    """A result would stand beside a text of which it was never shown."""
    assert not faults_of_model(name)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_proved_of_nothing(name: str) -> None:
    """A model in which nothing can happen proves everything: each has a question whose answer must be no, or a twin that must fail."""
    results = {query["result"] for query in table()["models"][name]["queries"]}
    twin = {query["result"] for query in table()["models"].get(f"{name.removesuffix('_control')}_control", {"queries": []})["queries"]}
    assert (results | twin) - {"is true"}
    expected = {query["result"] == "is true" for query in table()["models"][name]["queries"] if not must_fail(query["property"])}
    assert expected <= {True}, "what is claimed as a property is proved"
    assert not [query for query in table()["models"][name]["queries"] if must_fail(query["property"]) and query["result"] == "is true"]


def must_fail(words: str) -> bool:
    """Tell whether a question is a control, or one whether something can be reached."""
    return words.startswith(("control: ", "reachable: "))


@pytest.mark.parametrize("name", MODELS)
def test_each_modelled_line_names_its_clause(name: str) -> None:
    """Nobody could compare a model with the specification, or a clause would change and its models stay."""
    text = (FOLDER / f"{name}.pv").read_text()
    bare = without_comments(text).splitlines()
    process = next(number for number, line in enumerate(bare) if line.startswith("let "))
    lines = list(zip(text.splitlines(), bare, strict=True))[process:]
    assert not [line for line, code in lines if MODELLED.search(code) and not re.search(rf"\[{CLAUSE}\]", line)]
    assert set(re.findall(rf"\[({CLAUSE})\]", text)) <= defined().keys()
    assert not re.search(r"(?<![\w.])/\w+/", text + (FOLDER / f"logs/{name}.txt").read_text()), "a path of some machine"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("hs_agreement.pv", ("in(c, S: pkey);", "in(c, S: pkey); 0;"), "is not the text that was proved"),
        ("logs/hs_agreement.txt", ("event(CompS) is true.", "event(CompS) is false."), "has the results"),
        ("logs/hs_agreement.txt", ("status: finished", "status: stopped"), "names another tool, time or status"),
        ("logs/hs_agreement.txt", ("sha256 of its canonical form: ", "sha256 of its canonical form: 0"), "is about another text"),
    ],
)
def test_a_difference_is_found(old: str, new: tuple[str, str], fault: str, tmp_path: Path) -> None:
    """The comparison would find nothing."""
    folder = Path(shutil.copytree(FOLDER, tmp_path / "models"))
    text = (folder / old).read_text()
    assert new[0] in text
    (folder / old).write_text(text.replace(*new))
    assert any(fault in found for found in faults_of_model("hs_agreement", folder))


@pytest.mark.parametrize("document", [FOLDER / "README.md", FOLDER.parent / "README.md"], ids=lambda path: path.parent.name)
def test_the_readers_guide_is_true(document: Path) -> None:
    """The words beside the models would point nowhere, or name other models and times than the table."""
    assert not broken_links(document)
    if document.parent == FOLDER:
        told = document.read_text()
        assert not [name for name in MODELS if f"`{name}`" not in told and f"`{name.partition('_')[0]}_" not in told]
        assert not [entry["seconds"] for entry in table()["models"].values() if not re.search(rf"\b{entry['seconds']}\b", told)]


def test_comments_and_layout_do_not_count() -> None:
    """A word of explanation would make a proof void; or a change of the text would pass as one."""
    assert canonical("let x = (* a (* nested *) word *)\n  f(y ) in\n") == canonical("let x=f(y) in") == "let x = f ( y ) in"
    assert canonical("new e: skey") != canonical("newe: skey")
    assert canonical("a ==> b") != canonical("a = => b")


def test_the_models_describe_the_messages_that_are_sent() -> None:
    """The protocol would have moved on, and the proofs be about its past. The failure says what to do."""
    assert not faults_of_wire()


def test_a_changed_message_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer message, another derivation or a new one would leave the models as they are, in silence."""
    monkeypatch.setattr(models, "SIZES", {**SIZES, Type.COOKIE: 41})
    (fault,) = faults_of_wire()
    assert fault.startswith(f"lengths is now {wire()['lengths']}. The messages or the key derivation")
    result = next(task for task in suites.protocol_models(False) if "describe" in task.name).run()
    assert not result.proved


@pytest.mark.parametrize(("file", "word"), [("ikhfs", "chain_1"), ("reattach", "psk"), ("chain", "mac"), ("wire", "hex")])
def test_a_changed_vector_is_found(file: str, word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A new key derivation would be pinned in the vectors and forgotten in the models."""
    folder = Path(shutil.copytree(models.VECTORS, tmp_path / "vectors"))
    text = (folder / f"{file}.json").read_text()
    changed = re.sub(rf'("{word}": "..)..', r"\g<1>ff", text, count=1)
    assert changed != text
    (folder / f"{file}.json").write_text(changed)
    monkeypatch.setattr(models, "VECTORS", folder)
    assert faults_of_wire()


# --- the running engines say what the vectors and the models say ---


class Draws(Entropy):
    """Entropy that remembers what it gave."""

    given: list[bytes]

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.given = []

    def __call__(self, n: int) -> bytes:
        """Return n bytes."""
        self.given.append(super().__call__(n))
        return self.given[-1]


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> tuple[World, Draws]:
    """Return a world in which a session was born over UDP and moved to TCP."""
    monkeypatch.setattr("lab.sim.world.Entropy", Draws)
    world = World("models", kem=DerandomisedKem(independent.seed("m")))
    draws = world.entropy
    assert isinstance(draws, Draws)
    world.connected()
    world.cut = {Carrier.UDP}
    world.run(1_000, world.host.chat)
    return world, draws


def drawn_for(draws: Draws, public: bytes) -> bytes:
    """Return the 32 bytes that were drawn for this public key."""
    return next(value for value in draws.given if len(value) == 32 and PrivateKey(value).public == public)


def test_the_engines_do_what_the_models_describe(story: tuple[World, Draws]) -> None:
    """[H-1] [H-2] [H-10] [H-12] [R-1] [R-2] [R-3] [R-5] [M-5] Both ends would have changed a prologue, a label or a key alike.

    Nothing but the second implementation, which also made the vectors, says here what INIT, RESP, REATTACH and REATTACH_RESP have to be.
    """
    world, draws = story
    frames = {kind: next(sent.frame for sent in world.sent if sent.kind == kind) for kind in ("INIT", "RESP", "CONFIRM")}
    init, resp = frames["INIT"], frames["RESP"]
    statics = {
        "client_static_seed": drawn_for(draws, world.host.key.public),
        "gateway_static_seed": drawn_for(draws, world.static.public),
    }
    given: dict[str, Any] = statics | {
        "client_ephemeral_seed": drawn_for(draws, init[8:40]),
        "gateway_ephemeral_seed": drawn_for(draws, resp[12:44]),
        "encapsulation_m": independent.seed("m"),
        "client_index": init[4:8],
        "gateway_index": resp[4:8],
        "init_payload": bytes([Carrier.UDP]) + bytes(15),
        "resp_payload": b"\0\0" + resp[4:8] + le32(world.policy.lifetime_s) + le32(world.policy.version) + bytes(2),
    }
    seeds = [value for value in draws.given if len(value) == 64]
    births = [independent.handshake(given | {"client_kem_seed": seed}) for seed in seeds]
    found = [birth for birth in births if birth["init"][:-32] == init[:-32]]
    assert found, f"no INIT of the second implementation is the engine's. {ADVICE}"
    birth = found[0]
    assert birth["init"][-32:-16] == init[-32:-16], f"mac1. {ADVICE}"
    assert birth["resp"] == resp, ADVICE
    confirm = frames["CONFIRM"]
    assert confirm[4:8] == given["gateway_index"]
    opened = new_cipher(Secret(birth["k_up"])).decrypt(bytes(4) + confirm[8:16], confirm[16:], confirm[:16])
    assert opened[:5] == b"\x03\x02\x00" + world.policy.mtu.to_bytes(2, "little")
    check_move(world, draws, statics, birth)


def le32(value: int) -> bytes:
    """Little-endian."""
    return value.to_bytes(4, "little")


def check_move(world: World, draws: Draws, statics: dict[str, bytes], birth: dict[str, bytes]) -> None:
    """Find the attempt of the session's chain that each answered REATTACH is, and compare all bytes."""
    answers = [sent.frame for sent in world.sent if sent.kind == "REATTACH_RESP"]
    requests = [sent.frame for sent in world.sent if sent.kind == "REATTACH"]
    assert answers
    for resp in answers:
        request = next(frame for frame in requests if frame[4:8] == resp[8:12])
        locator = located(world.desk.locators[0], request[8:24])
        assert locator
        chain = birth["chain_1"]
        for _ in range(locator[1] - 1):
            chain = independent._hmac(chain, b"next\x01")
        given = statics | {
            "client_ephemeral_seed": drawn_for(draws, request[24:56]),
            "gateway_ephemeral_seed": drawn_for(draws, resp[12:44]),
            "session_id": birth["session_id"],
            "chain": chain,
            "attempt": locator[1].to_bytes(8, "little"),
            "locator": request[8:24],
            "client_index": request[4:8],
            "gateway_index": resp[4:8],
        }
        given["reattach_payload"], given["resp_payload"] = payloads(given, request, resp)
        assert given["reattach_payload"][0] in {1, 2}, f"MOVE or REKEY. {ADVICE}"
        assert given["resp_payload"][4:8] == resp[4:8], f"its own index again. {ADVICE}"
        keys = independent.reattach(given)
        assert keys["reattach"] == request, ADVICE
        assert keys["reattach_resp"] == resp, ADVICE


def payloads(given: dict[str, bytes], request: bytes, resp: bytes) -> tuple[bytes, bytes]:
    """Return what the two messages carry: the difference from messages of zeros, as the cipher is a stream. Tags are compared later."""
    blank = independent.reattach(given | {"reattach_payload": bytes(16), "resp_payload": bytes(24)})["reattach"]
    asked = xor(blank[56:72], request[56:72])
    blank = independent.reattach(given | {"reattach_payload": asked, "resp_payload": bytes(24)})["reattach_resp"]
    return asked, xor(blank[44:68], resp[44:68])


def xor(a: bytes, b: bytes) -> bytes:
    """Return the difference of two byte strings of one length."""
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
