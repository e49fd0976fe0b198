"""Policies: the specification's example, each rule of its text, and who makes a quorum."""

import itertools

import pytest

from audit.errors import PolicyMalformed, SignatureWrong
from audit.tlog import note, policy
from audit.tlog.note import LOG, WITNESS, Note, Verifier
from core.crypto.primitives import SigningKey

TEXT = "gw-1.example/audit\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
KEY = SigningKey(b"l" * 32)
LOG_KEY = Verifier("gw-1.example/audit", LOG, KEY.public)
NAMES = ("X1", "X2", "X3", "Y1", "Y2")
KEYS = {name: SigningKey(name.encode() * 16) for name in NAMES}
VKEYS = {name: Verifier(f"{name.lower()}.example", WITNESS, key.public).vkey for name, key in KEYS.items()}
EXAMPLE = f"""
# two organisations
log {LOG_KEY.vkey} https://gw-1.example/audit
\twitness  X1 {VKEYS["X1"]} \t
witness X2 {VKEYS["X2"]} https://x2.example/
witness X3 {VKEYS["X3"]}
group X-witnesses 2 X1 X2 X3
witness Y1 {VKEYS["Y1"]}
witness Y2 {VKEYS["Y2"]}
group Y-witnesses any Y1 Y2
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def cosigned_by(*names: str) -> Note:
    """Return a checkpoint with the cosignatures of these."""
    return Note(TEXT, tuple(note.cosign(TEXT, f"{name.lower()}.example", KEYS[name], 5) for name in names))


def test_the_quorum_is_that_of_the_example() -> None:
    """One organisation alone, or one witness too few, would be enough."""
    read = policy.parse(EXAMPLE.encode())
    assert (read.quorum, dict(read.urls)) == ("X-and-Y", {"X2": "https://x2.example/"})
    assert read.logs == {LOG_KEY.name: (LOG_KEY,)}
    for count in range(len(NAMES) + 1):
        for names in itertools.combinations(NAMES, count):
            xs, ys = sum(name[0] == "X" for name in names), sum(name[0] == "Y" for name in names)
            if xs >= 2 and ys >= 1:
                assert len(read.cosigned(cosigned_by(*names))) == count
            else:
                with pytest.raises(SignatureWrong, match="no quorum"):
                    read.cosigned(cosigned_by(*names))


def test_the_fewest_that_reach_the_quorum() -> None:
    """A dashboard would show a quorum that nobody needs, or one that is too small."""
    assert policy.parse(EXAMPLE.encode()).fewest == 3
    for quorum, fewest in (("none", 0), ("X1", 1), ("Y-witnesses", 1), ("X-witnesses", 2)):
        assert policy.parse(EXAMPLE.replace("quorum X-and-Y", f"quorum {quorum}").encode()).fewest == fewest


def test_the_same_witness_twice_is_one() -> None:
    """A witness that signs twice would be a quorum of two."""
    read = policy.parse(EXAMPLE.encode())
    with pytest.raises(SignatureWrong, match="no quorum"):
        read.cosigned(cosigned_by("X1", "X1", "Y1"))


def test_no_witness_may_be_asked_for() -> None:
    """Whoever has no witness could not say so."""
    read = policy.parse(f"log {LOG_KEY.vkey}\nquorum none".encode())
    assert read.cosigned(Note(TEXT, ())) == []
    forged = cosigned_by("X1").signatures[0]._replace(raw=bytes(72))
    with pytest.raises(SignatureWrong, match="wrong"):
        policy.parse(EXAMPLE.replace("quorum X-and-Y", "quorum none").encode()).cosigned(Note(TEXT, (forged,)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("quorum X-and-Y\n", "", "no line `quorum`"),
        ("quorum X-and-Y\n", "quorum X-and-Y\nquorum none\n", "line 13: a second quorum"),
        ("quorum X-and-Y", "quorum Z", "not defined above"),
        ("quorum X-and-Y", "quorum X1 X2", "none of log"),
        ("group X-witnesses 2", "group X-witnesses 4", "number from 1 to 3"),
        ("group X-witnesses 2", "group X-witnesses 0", "number from 1 to 3"),
        ("group X-witnesses 2", "group X-witnesses 02", "number from 1 to 3"),
        ("group X-witnesses 2", "group X-witnesses most", "allowed are any"),
        ("X1 X2 X3", "X1 X2 Y1", "Y1 is not defined above"),
        ("X1 X2 X3", "X1 X1 X2", "a member already"),
        ("any Y1 Y2", "any Y1 X1", "a member already"),
        ("group Y-witnesses", "group none", "taken"),
        ("group Y-witnesses", "group X1", "taken"),
        ("witness Y2", "witness Y1", "taken"),
        ("witness X3 " + VKEYS["X3"], "witness X3 " + VKEYS["X1"], "second witness"),
        ("log ", f"log {LOG_KEY.vkey}\nlog ", "second log"),
        (VKEYS["X3"], LOG_KEY.vkey, "line 6: .* allowed is type 4"),
        ("log " + LOG_KEY.vkey, "log " + VKEYS["X3"], "allowed is type 1"),
        ("# two", "\x01 two", "control"),
        ("# two", "mirror x", "none of log"),
        ("witness X3", "witness \xff", "not UTF-8|is not defined above"),
        ("log gw", "log \xff", "not UTF-8"),
    ],
)
def test_what_is_no_policy_is_refused(old: str, new: str, said: str) -> None:
    """A policy with a mistake would ask for less than its author meant."""
    with pytest.raises(PolicyMalformed, match=said):
        policy.parse(EXAMPLE.replace(old, new).encode("latin-1"))


def test_bounds() -> None:
    """A policy without end would be read, or one of the size that the specification wants be refused."""
    keys = [SigningKey(bytes((number, 9)) * 16).public for number in range(33)]
    lines = [f"log {Verifier(f'{number}.example', LOG, key).vkey}" for number, key in enumerate(keys[:32])]
    lines += [f"witness w{number} {Verifier(f'w{number}', WITNESS, key).vkey}" for number, key in enumerate(keys[:32])]
    lines += [f"group g{number} any w{number}" for number in range(32)]
    assert len(policy.parse("\n".join([*lines, "quorum g1"]).encode()).groups) == 32
    with pytest.raises(PolicyMalformed, match="allowed"):
        policy.parse(b"#" * (policy.POLICY_BYTES_MAX + 1))
    many = [f"witness w{number} {Verifier('w', WITNESS, number.to_bytes(32, 'big')).vkey}" for number in range(policy.ENTRIES_MAX + 1)]
    with pytest.raises(PolicyMalformed, match="too many"):
        policy.parse("\n".join(many).encode())
