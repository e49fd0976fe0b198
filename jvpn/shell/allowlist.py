"""The allow list: which devices may connect, and which inner addresses each owns. A JSON file that only its owner may write.

Changes are made under a lock and replace the file in one step, so a reader sees the old list or the new one. A gateway that runs reads it
again at SIGHUP, or when it is asked over its control socket.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import orjson

from core.values import Device
from jvpn.keys.life import ALWAYS, Times
from jvpn.shell.checked import Checked, Misconfigured, parse_json, schema_of
from jvpn.shell.files import OTHERS_WRITE, create, locked, read_private, replace
from jvpn.shell.forms import key_bytes, key_text

FORMAT: Final = "jvpn devices 1"
FILE_BYTES_MAX: Final = 16 << 20
DEVICES_MAX: Final = 65_536
ABSENT: Final = "the first `jvpn enroll` makes it"
POOL4: Final = IPv4Interface("10.77.0.1/24")
POOL6: Final = IPv6Interface("fd77::1/64")

Address = TypeVar("Address", IPv4Address, IPv6Address)


@dataclass(frozen=True, slots=True)
class Entry:
    """A device: its name, its public key of 32 bytes, its inner addresses, and the time of its key [K-41]."""

    name: str
    public: bytes
    inner4: IPv4Address
    inner6: IPv6Address
    times: Times = ALWAYS


def load(path: Path) -> Mapping[bytes, Device]:
    """Return the devices by public key. Misconfigured when the file is missing, open to others, malformed, or has something twice."""
    return devices_of(entries(path))


def devices_of(listed: list[Entry]) -> Mapping[bytes, Device]:
    """Return entries as the core takes them, by public key."""
    return {each.public: Device(each.public, each.inner4.packed, each.inner6.packed) for each in listed}


def times_of(listed: list[Entry]) -> Mapping[bytes, Times]:
    """Return the times of those keys that have one."""
    return {each.public: each.times for each in listed if each.times != ALWAYS}


def entries(path: Path) -> list[Entry]:
    """Return the devices in the order in which they were enrolled. Misconfigured as in `load`."""
    file = parse_json(path, read_private(path, FILE_BYTES_MAX, OTHERS_WRITE, ABSENT), "devices")
    found = [_entry(file, f"devices.{index}") for index in range(len(file.value("devices")))]
    for name in ("name", "public", "inner4", "inner6"):
        seen: dict[object, int] = {}
        for index, each in enumerate(found):
            if (first := seen.setdefault(getattr(each, name), index)) != index:
                raise file.refuse(
                    f"devices.{index}.{name}", file.value(f"devices.{index}.{name}"), f"what no other has: devices.{first} has it"
                )
    return found


def enroll(
    path: Path, name: str, public: bytes, four: IPv4Interface | None = None, six: IPv6Interface | None = None, times: Times = ALWAYS
) -> Entry:
    """Add a device to the list, which is made when it is missing; it gets the first free addresses of the gateway's networks.

    Args:
        path: The list.
        name: Its name: 1 to 64 of the characters A-Z a-z 0-9 . _ -
        public: Its public key, 32 bytes.
        four: The gateway's own address with its network, which is not given out; POOL4 where there is none.
        six: The same for IPv6.
        times: When the key is accepted; always without.

    Raises:
        Misconfigured: name or key are in the list already, no address is free, or the list is not sound; the list is as it was then.
    """
    with locked(path.parent):
        known = entries(path) if path.exists() or path.is_symlink() else []
        for each in known:
            if each.name == name or each.public == public:
                what = "name" if each.name == name else "key"
                raise Misconfigured(f"{path}: a device with this {what} is in the list already: {each.name}; revoke it, or take another")
        if len(known) >= DEVICES_MAX:
            raise Misconfigured(f"{path}: devices: found {len(known)}, allowed {DEVICES_MAX}")
        four, six = four or POOL4, six or POOL6
        entry = Entry(name, public, _free(path, four.network.hosts(), four.ip, {each.inner4 for each in known}),
                      _free(path, six.network.hosts(), six.ip, {each.inner6 for each in known}), times)  # fmt: skip
        text = _rendered([*known, entry])
        Checked(str(path), schema_of("devices"), orjson.loads(text))
        (replace if known or path.exists() else create)(path, text)
    return entry


def revoke(path: Path, name: str) -> Entry:
    """Take a device off the list. Misconfigured when it is not in it, or the list is not sound."""
    with locked(path.parent):
        known = entries(path)
        gone = [each for each in known if each.name == name]
        if not gone:
            raise Misconfigured(f"{path}: no device has the name {name}")
        replace(path, _rendered([each for each in known if each.name != name]))
    return gone[0]


def _entry(file: Checked, at: str) -> Entry:
    times = Times(file.value(f"{at}.valid_from") or 0, file.value(f"{at}.valid_until"))
    if times.valid_until is not None and times.valid_until <= times.valid_from:
        raise file.refuse(f"{at}.valid_until", times.valid_until, f"later than valid_from, which is {times.valid_from}")
    return Entry(
        name=file.value(f"{at}.name"),
        public=file.parse(f"{at}.public", key_bytes),
        inner4=file.parse(f"{at}.inner4", _of_a_machine(IPv4Address)),
        inner6=file.parse(f"{at}.inner6", _of_a_machine(IPv6Address)),
        times=times,
    )


def _of_a_machine(kind: Callable[[str], Address]) -> Callable[[str], Address]:
    def parse(text: str) -> Address:
        address = kind(text)
        if address.is_multicast or address.is_unspecified or address.is_loopback:
            raise ValueError("not an address of one machine")
        return address

    return parse


def _free(path: Path, hosts: Iterator[Address], own: Address, taken: set[Address]) -> Address:
    for address in islice(hosts, len(taken) + 2):  # one of so many is free, if there are so many
        if address != own and address not in taken:
            return address
    raise Misconfigured(f"{path}: no address is free in the network of {own}: revoke a device, or give the gateway a larger network")


def _rendered(devices: list[Entry]) -> bytes:
    plain = []
    for each in devices:
        times = {name: at for name, at in each.times._asdict().items() if at}
        plain.append({"name": each.name, "public": key_text(each.public), "inner4": str(each.inner4), "inner6": str(each.inner6)} | times)
    return orjson.dumps({"format": FORMAT, "devices": plain}, option=orjson.OPT_INDENT_2) + b"\n"
