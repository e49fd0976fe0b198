"""Classes of tampering with the bytes of lines: what stands there is no event any more, or not in its one form (A-11, A-20, A-51)."""

import json
import re
from random import Random
from typing import Final

from audit.verdict import Verdict
from lab.tamper.base import event_of
from lab.tamper.material import chance
from lab.tamper.world import Want, World, canonical, found, framed, resealed, tamper

NUMBERS: Final = (
    "{}.0", "{}e0", "{}E+0", "{}.", "0{}", "+{}", "0x{}", '"{}"', "-0", "1e3", "1e999", "NaN", "null", "true", "[]",
    "9007199254740992", "9007199254740993", "18446744073709551623",
)  # fmt: skip
LINE_MAX: Final = 8_192
BYTES: Final = 256
FORMED: Final = (Verdict.MALFORMED,)


def place(world: World, dice: Random) -> int:
    """Choose an event."""
    return dice.randrange(len(world.lines))


def _text(world: World, at: int) -> str:
    return canonical(event_of(world.lines[at])).decode()


@tamper("bytes")
def byte_changed(world: World, dice: Random) -> Want:
    """A byte of a line was replaced: the smallest lie there is, and what a bad disk does."""
    at = place(world, dice)
    line, last = world.lines[at], at == len(world.lines) - 1
    byte = dice.randrange(len(line))
    world.change(at, line[:byte] + bytes((line[byte] ^ dice.randrange(1, BYTES),)) + line[byte + 1 :])
    torn = last and byte == len(line) - 1  # the newline of the last line
    return found(at, Verdict.TAIL_CUT) if torn else found(at, Verdict.MALFORMED, Verdict.HASH_WRONG)


@tamper("bytes")
def byte_removed(world: World, dice: Random) -> Want:
    """A byte of a line was taken out: a number becomes smaller by a digit."""
    at = place(world, dice)
    line, byte = world.lines[at], dice.randrange(len(world.lines[at]))
    world.change(at, line[:byte] + line[byte + 1 :])
    torn = at == len(world.lines) - 1 and byte == len(line) - 1
    return found(at, Verdict.TAIL_CUT) if torn else found(at, Verdict.MALFORMED, Verdict.HASH_WRONG)


@tamper("bytes")
def byte_inserted(world: World, dice: Random) -> Want:
    """A byte was put into a line: a number becomes greater by a digit."""
    at = place(world, dice)
    line, byte, value = world.lines[at], dice.randrange(len(world.lines[at])), dice.randrange(BYTES)
    world.change(at, line[:byte] + bytes((value,)) + line[byte:])
    whole = byte == len(line) - 1 and value == ord("\n")  # then the line is whole, and an empty one follows
    return found(at + whole, Verdict.MALFORMED, Verdict.HASH_WRONG)


@tamper("bytes")
def hash_changed(world: World, dice: Random) -> Want:
    """The hash beside an event was changed, or written in capitals: whoever trusts it has another event's hash."""
    at = place(world, dice)
    frame, _, told = world.lines[at].rpartition(b':"')
    digit = dice.randrange(64)
    if chance(dice, 0.5) and told[:64].upper() != told[:64]:
        world.change(at, frame + b':"' + told[:64].upper() + told[64:])
        return found(at, Verdict.MALFORMED)
    other = dice.choice([each for each in b"0123456789abcdef" if each != told[digit]])
    world.change(at, frame + b':"' + told[:digit] + bytes((other,)) + told[digit + 1 :])
    return found(at, Verdict.HASH_WRONG)


@tamper("form")
def number_in_another_form(world: World, dice: Random) -> Want:
    """A number was written as 1.0, 1e3, -0, 2^53+1, null or text: readers disagree on what it is, so each sees another history."""
    at = place(world, dice)
    numbers = list(re.finditer(r"(?<=:)\d+(?=[,}])", _text(world, at)))
    text, number, form = _text(world, at), dice.choice(numbers), dice.choice(NUMBERS)
    world.change(at, framed((text[: number.start()] + form.format(number[0]) + text[number.end() :]).encode()))
    return found(at, *FORMED)


@tamper("form")
def letters_escaped(world: World, dice: Random) -> Want:
    """A letter was written as an escape, which means the same: an event would have two hashes."""
    at = place(world, dice)
    text = _text(world, at)
    letter = dice.choice([found_at.start() for found_at in re.finditer(r"[A-Za-z0-9](?=[A-Za-z0-9_-]*\")", text)])
    world.change(at, framed(f"{text[:letter]}\\u{ord(text[letter]):04x}{text[letter + 1 :]}".encode()))
    return found(at, *FORMED)


@tamper("form")
def members_reordered(world: World, dice: Random) -> Want:
    """Members were put in another order, or spaces between them: the same value in other bytes has another hash."""
    at = place(world, dice)
    members = list(event_of(world.lines[at]).items())
    if chance(dice, 0.5):
        first = dice.randrange(len(members) - 1)
        members[first], members[first + 1] = members[first + 1], members[first]
        made = json.dumps(dict(members), separators=(",", ":"))
    else:
        text = _text(world, at)
        space = dice.choice([each.start() for each in re.finditer(r'[:,{}](?=["{}\d])', text)])
        made = text[: space + 1] + dice.choice(" \t\r") + text[space + 1 :]
    world.change(at, framed(made.encode()))
    return found(at, *FORMED)


@tamper("form")
def member_doubled(world: World, dice: Random) -> Want:
    """A member stands twice with two values: one reader takes the first, another the last."""
    at = place(world, dice)
    name, value = dice.choice(list(event_of(world.lines[at]).items()))
    other = json.dumps({name: dice.choice((value, "x", 7))}, separators=(",", ":"), sort_keys=True)[1:-1]
    text = _text(world, at)
    world.change(at, framed((f"{{{other},{text[1:]}" if chance(dice, 0.5) else f"{text[:-1]},{other}}}").encode()))
    return found(at, *FORMED)


@tamper("form")
def text_not_utf8(world: World, dice: Random) -> Want:
    """Bytes that are no UTF-8, or characters that are not ASCII, were put into a text: a viewer shows something else, or fails."""
    at = place(world, dice)
    data = canonical(event_of(world.lines[at]))
    here = data.index(b'"event_type":"') + len(b'"event_type":"')
    odd = dice.choice((b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x92\xa9", b"\xe2\x80\xae", b"\xc0\x80", b"\x00", b"\x1b[2J"))
    world.change(at, framed(data[:here] + odd + data[here:]))
    return found(at, *FORMED)


@tamper("form")
def nested_deep(world: World, dice: Random) -> Want:
    """Objects were put into objects, a thousand deep: the program that reads the log falls over, and nobody verifies it."""
    at, depth = place(world, dice), dice.choice((9, 60, 1_000, 1_300))
    deep = '{"a":' * depth + "{}" + "}" * depth
    world.change(at, framed((_text(world, at)[:-1] + f',"zz":{deep}}}').encode()))
    return found(at, *FORMED)


@tamper("form")
def line_huge(world: World, dice: Random) -> Want:
    """A line was made longer than any event, up to a megabyte: who reads lines whole runs out of memory."""
    at = place(world, dice)
    filling = dice.choice((LINE_MAX, 2 * LINE_MAX - 20, 1_000_000))
    made = dice.choice(
        (
            framed((_text(world, at)[:-1] + f',"zz":"{"z" * filling}"}}').encode()),
            b"z" * filling + b"\n",
            world.lines[at][:-1] + b" " * filling + b"\n",
        )
    )
    world.change(at, made)
    return found(at, *FORMED)


@tamper("form")
def line_end_changed(world: World, dice: Random) -> Want:
    """Line ends became CR LF, in one line or all, as an editor or a file transfer makes them: the bytes are not those that were hashed."""
    at = place(world, dice)
    if chance(dice, 0.2):
        world.put([line[:-1] + b"\r\n" for line in world.lines])
        return found(0, *FORMED)
    world.change(at, world.lines[at][:-1] + b"\r\n")
    return found(at, *FORMED)


@tamper("form")
def garbage_between(world: World, dice: Random) -> Want:
    """A line that is no event was put between others: zeros after a power loss, a comment, an event without its hash."""
    at = place(world, dice)
    noise, bare = dice.randbytes(dice.randrange(1, 60)).replace(b"\n", b""), canonical(event_of(world.lines[at]))
    hollow = b'{"event":{},"hash":"%s"}' % (b"0" * 64)
    garbage = dice.choice((b"", bytes(512), b"# nothing to see", b"{}", b"[]", bare, noise, hollow)) + b"\n"
    if chance(dice, 0.1):
        garbage = b"\xef\xbb\xbf"  # a byte order mark, as an editor puts it
    world.change(at, garbage + world.lines[at])
    return found(at, Verdict.MALFORMED, Verdict.HASH_WRONG)


@tamper("form")
def member_added(world: World, dice: Random) -> Want:
    """An event got a member that its schema does not know: what somebody reads into it was never recorded."""
    at = place(world, dice)
    event = event_of(world.lines[at])
    inner = [name for name, value in event.items() if isinstance(value, dict)]
    if inner and chance(dice, 0.5):
        name = dice.choice(inner)
        world.change(at, resealed(world.lines[at], **{name: event[name] | {"note": "x"}}))
    else:
        world.change(at, resealed(world.lines[at], note=dice.choice(("x", 1, {}))))
    return found(at, *FORMED)


@tamper("form")
def member_taken(world: World, dice: Random) -> Want:
    """A member that every event has was taken out of one: when it was, who did it, how it ended."""
    at = place(world, dice)
    event = event_of(world.lines[at])
    del event[dice.choice(("schema", "time", "mono_us", "node_id", "boot_id", "event_id", "event_class", "event_type", "reason_code",
                           "severity", "outcome", "chain_id", "seq", "prev_hash", "role"))]  # fmt: skip
    world.change(at, framed(canonical(event)))
    return found(at, *FORMED)


@tamper("form")
def value_not_allowed(world: World, dice: Random) -> Want:
    """A value became one that its schema does not allow: another outcome, class, severity or schema, a time with an offset."""
    at = place(world, dice)
    changes: tuple[tuple[str, object], ...] = (
        ("outcome", "unknown!"), ("event_class", "rumour"), ("severity", 7), ("schema", "jvp.audit/9.9.9"), ("role", "king"),
        ("reason_code", "NO_REASON"), ("event_type", "SESSION_DREAMT"), ("chain_id", "xyz"), ("node_id", ""), ("mono_us", -1),
        ("event_id", "1"), ("prev_hash", "0" * 63), ("boot_id", "G" * 16), ("time", "2026-11-18T10:00:00.000000+01:00"),
    )  # fmt: skip
    world.change(at, resealed(world.lines[at], **dict((dice.choice(changes),))))
    return found(at, *FORMED)
