"""Policies (C2SP tlog-policy): which log's key, which witnesses, and how many of them an offline verifier wants."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from audit.errors import NoteMalformed, PolicyMalformed, QuorumMissing
from audit.tlog import note
from audit.tlog.note import LOG, WITNESS, Cosigned, Note, Verifier

POLICY_BYTES_MAX: Final = 1 << 20
ENTRIES_MAX: Final = 256  # of logs, of witnesses and groups; at least 32 of each are to be accepted
NONE: Final = "none"
COUNT: Final = re.compile(r"[1-9][0-9]{0,2}")


class Group(NamedTuple):
    """At least `least` of `members`, which are witnesses or groups that stand before it."""

    least: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """Logs by origin, witnesses by their name here, groups, and the name of the quorum (`none`: no witness is wanted)."""

    logs: Mapping[str, tuple[Verifier, ...]]
    witnesses: Mapping[str, Verifier]
    groups: Mapping[str, Group]
    quorum: str
    urls: Mapping[str, str]
    """Where witnesses are, for those that have a URL."""

    def cosigned(self, signed: Note, since_s: int = 0) -> list[Cosigned]:
        """Return who has cosigned, at this time (seconds) or later.

        QuorumMissing; SignatureWrong when a cosignature of a known witness is wrong.
        """
        found = [each for each in note.cosigners(signed, self.witnesses.values()) if each.time_s >= since_s]
        keys = {each.witness for each in found}
        names = {name for name, witness in self.witnesses.items() if witness in keys}
        if self.quorum != NONE and not self._reached(self.quorum, names):
            late = f", since {datetime.fromtimestamp(since_s, UTC):%Y-%m-%dT%H:%M:%SZ}" if since_s else ""
            raise QuorumMissing(f"no quorum: {self.quorum} is not reached by {', '.join(sorted(names)) or 'nobody'}{late}")
        return found

    @property
    def fewest(self) -> int:
        """How many witnesses are needed at least to reach the quorum."""
        return self._fewest(self.quorum)

    def _fewest(self, name: str) -> int:
        group = self.groups.get(name)
        if group is None:
            return int(name != NONE)
        return sum(sorted(map(self._fewest, group.members))[: group.least])

    def _reached(self, name: str, names: set[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in names
        return sum(self._reached(member, names) for member in group.members) >= group.least


def parse(raw: bytes) -> Policy:
    """Return the policy in a file's bytes; raise PolicyMalformed, which names the line."""
    if len(raw) > POLICY_BYTES_MAX:
        raise PolicyMalformed(f"found {len(raw)} bytes, allowed {POLICY_BYTES_MAX}")
    reader = _Reader()
    # Octets with the high bit are opaque, so each is a character here; keys' names are UTF-8.
    for number, line in enumerate(raw.decode("latin-1").split("\n"), 1):
        if any((character < " " and character != "\t") or character == "\x7f" for character in line):
            raise PolicyMalformed(f"line {number}: a control character")
        words = re.split(r"[ \t]+", line.strip(" \t"))
        if words == [""] or words[0].startswith("#"):
            continue
        try:
            reader.take(words)
        except (PolicyMalformed, NoteMalformed) as error:
            raise PolicyMalformed(f"line {number}: {error}") from None
    return reader.done()


class _Reader:
    """What the lines so far have said."""

    def __init__(self) -> None:
        self._logs: dict[str, tuple[Verifier, ...]] = {}
        self._witnesses: dict[str, Verifier] = {}
        self._groups: dict[str, Group] = {}
        self._quorum: str | None = None
        self._urls: dict[str, str] = {}
        self._members: set[str] = set()

    def take(self, words: list[str]) -> None:
        """Take one line."""
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._log(note.parse_vkey(_utf8(vkey), LOG))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._name(name)
                self._witness(name, note.parse_vkey(_utf8(vkey), WITNESS))
                self._urls.update(dict.fromkeys((name,) if url else (), "".join(url)))
            case ["group", name, least, member, *members]:
                self._name(name)
                self._groups[name] = self._group(least, (member, *members))
            case ["quorum", name]:
                if self._quorum is not None:
                    raise PolicyMalformed("a second quorum")
                if name != NONE and name not in self._known():
                    raise PolicyMalformed(f"the quorum {name} is not defined above")
                self._quorum = name
            case _:
                raise PolicyMalformed(f"a line that begins with {words[0][:40]!r} is none of log, witness, group, quorum with their parts")

    def done(self) -> Policy:
        """Return the whole; raise PolicyMalformed when it has no quorum."""
        if self._quorum is None:
            raise PolicyMalformed("there is no line `quorum`; `quorum none` asks for no witness")
        return Policy(self._logs, self._witnesses, self._groups, self._quorum, self._urls)

    def _log(self, verifier: Verifier) -> None:
        known = [each.public for each in _all(self._logs.values())]
        if verifier.public in known or len(known) == ENTRIES_MAX:
            raise PolicyMalformed("a second log with this key, or too many logs")
        self._logs[verifier.name] = (*self._logs.get(verifier.name, ()), verifier)

    def _witness(self, name: str, verifier: Verifier) -> None:
        if verifier.public in [each.public for each in self._witnesses.values()]:
            raise PolicyMalformed("a second witness with this key")
        self._witnesses[name] = verifier

    def _name(self, name: str) -> None:
        if name == NONE or name in self._known() or len(self._known()) == ENTRIES_MAX:
            raise PolicyMalformed(f"the name {name} is taken, or there are too many")

    def _known(self) -> set[str]:
        return self._witnesses.keys() | self._groups.keys()

    def _group(self, least: str, members: tuple[str, ...]) -> Group:
        for member in members:
            if member not in self._known() or member in self._members:
                raise PolicyMalformed(f"the member {member} is not defined above, or is a member already")
            self._members.add(member)
        wanted = {"any": 1, "all": len(members)}.get(least) or (int(least) if COUNT.fullmatch(least) else 0)
        if not 1 <= wanted <= len(members):
            raise PolicyMalformed(f"found {least[:40]!r}, allowed are any, all, and a number from 1 to {len(members)}")
        return Group(wanted, members)


def _utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise NoteMalformed("the key's name is not UTF-8") from None


def _all(groups: Iterable[tuple[Verifier, ...]]) -> list[Verifier]:
    return [each for group in groups for each in group]
