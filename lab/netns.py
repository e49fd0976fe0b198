"""Network namespaces without the programs `ip`, `nft`, `unshare` and `nsenter`, as root or, where user namespaces are allowed, as anyone.

    python -I lab/netns.py probe             say how a namespace can be made here: `root` or `user`; or fail and say why not
    python -I lab/netns.py run -- ARGV       become ARGV in a new namespace of its own
    python -I lab/netns.py exec PID -- ARGV  become ARGV in the namespace of process PID; ends with its starter
    python -I lab/netns.py hold [PID]        hold a new namespace (in the user namespace of PID); obey JSON lines on standard input

A holder ends at the end of its input, also when its starter is killed, and first kills whoever is left in its namespace: nothing outlives
a laboratory, however it ends. Namespaces are found through /proc/PID/ns; nothing is mounted anywhere.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, Final, NamedTuple

CLONE_NEWUSER: Final = 0x1000_0000  # linux/sched.h; os.unshare and os.setns come with Python 3.12
CLONE_NEWNET: Final = 0x4000_0000
PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
IFA_F_NODAD: Final = 2  # linux/if_addr.h: an IPv6 address that is usable at once
PROBE_SECONDS: Final = 20
LEFT_SECONDS: Final = 2  # how long a killed process may take to be gone

COMMAND: Final = (sys.executable, "-I", str(Path(__file__).resolve()))


class Possible(NamedTuple):
    """Whether namespaces can be made here: by `root`, in a `user` namespace, or not (empty) and why."""

    way: str
    why: str


def probe() -> Possible:
    """Find out in a process of its own, which does not change this one."""
    try:
        done = subprocess.run([*COMMAND, "probe"], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Possible("", f"making a network namespace did not end in {PROBE_SECONDS} s")
    if done.returncode:
        return Possible("", (done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return Possible(done.stdout.strip(), "")


def isolate() -> str:
    """Give this process (one thread) a network namespace of its own, in a user namespace if need be; return `root` or `user`.

    Raises:
        OSError: the kernel allows neither; its message says what was tried.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call("unshare", CLONE_NEWNET)
    except PermissionError:
        try:
            _call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
            Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        except OSError as error:
            raise OSError(error.errno, f"no network namespace: not root, and user namespaces are not allowed ({error.strerror})") from error
        return "user"
    return "root"


def members(namespace: int) -> list[int]:
    """Return the processes, without this one, whose network namespace has this inode."""
    processes = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in processes if pid != os.getpid() and inode(pid) == namespace]


def inode(pid: int) -> int | None:
    """Return the inode of a process's network namespace; None when it is gone or a stranger's."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _join(pid: int, *kinds: str) -> None:
    """Enter namespaces of a process; its user namespace, which comes first, only where it is another one."""
    flags = {"user": CLONE_NEWUSER, "net": CLONE_NEWNET}
    files = {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds}
    for kind, fd in files.items():
        if kind != "user" or os.fstat(fd).st_ino != Path("/proc/self/ns/user").stat().st_ino:
            _call("setns", fd, flags[kind])
        os.close(fd)


def _exec(pid: int, argv: list[str]) -> None:
    starter = os.getppid()
    _join(pid, "user", "net")
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after setns: a change of credentials clears it
    if os.getppid() != starter:
        sys.exit("the starter is gone")
    os.execvp(argv[0], argv)  # nosec B606  # noqa: S606 - becoming another program is what this is for


class _Holder:
    """The namespace from inside: what its laboratory orders, over netlink."""

    def __init__(self) -> None:
        from pyroute2 import IPRoute  # noqa: PLC0415 - a quarter of a second that only a holder spends

        self.route = IPRoute()
        self.blocked: set[int] = set()
        self.link("lo", up=True)

    def index(self, name: str) -> int:
        """Return the number of an interface."""
        found = self.route.link_lookup(ifname=name)
        if not found:
            raise LookupError(f"no interface {name}")
        return int(found[0])

    def veth(self, name: str, peer: int, mtu: int) -> None:
        """Make a cable from here to the namespace of process `peer`; both ends have the same name."""
        self.route.link("add", ifname=name, kind="veth", mtu=mtu, peer={"ifname": name, "net_ns_pid": peer, "mtu": mtu})

    def link(self, name: str, *, up: bool) -> None:
        """Set an interface up or down."""
        self.route.link("set", index=self.index(name), state="up" if up else "down")

    def mtu(self, name: str, size: int) -> None:
        """Set an interface's MTU, bytes."""
        self.route.link("set", index=self.index(name), mtu=size)

    def address(self, name: str, *, add: list[str], remove: list[str]) -> None:
        """Remove, then add addresses with prefix lengths; one that is there already stays."""
        for verb, addresses in (("del", remove), ("replace", add)):
            for text in addresses:
                interface = ip_interface(text)
                flags = {"flags": IFA_F_NODAD} if verb == "replace" and interface.version == 6 else {}  # noqa: PLR2004 - the version of IP
                self.route.addr(verb, index=self.index(name), address=str(interface.ip), prefixlen=interface.network.prefixlen, **flags)

    def block(self, name: str, protocol: int, *, on: bool, spare: list[int]) -> None:
        """Drop what arrives through an interface by one IP protocol, except from or to the ports `spare`; or stop that.

        At arrival, so that the sender learns nothing: a rule for what leaves makes the sender's own call fail with EPERM.
        """
        from pyroute2.netlink.nfnetlink.nftsocket import Meta  # noqa: PLC0415 - nf_tables is loaded by the first order that blocks something
        from pyroute2.nftables.expressions import genex, verdict  # noqa: PLC0415 - nf_tables, with the first order that blocks
        from pyroute2.nftables.main import NFTables  # noqa: PLC0415 - nf_tables, with the first order that blocks

        def equals(value: bytes) -> dict[str, Any]:
            return genex("cmp", {"sreg": 1, "op": 0, "data": {"attrs": [("NFTA_DATA_VALUE", value)]}})  # type: ignore[no-any-return]  # pyroute2 has no types

        def meta(key: int) -> dict[str, Any]:
            return genex("meta", {"dreg": 1, "key": key})  # type: ignore[no-any-return]  # pyroute2 has no types

        table = f"block{protocol}"
        arrives = [
            meta(Meta.NFT_META_IIFNAME.value),
            equals(name.encode().ljust(16, b"\0")),
            meta(Meta.NFT_META_L4PROTO.value),
            equals(bytes([protocol])),
        ]
        with NFTables(nfgen_family=1) as nft:  # 1: inet, IPv4 and IPv6
            if protocol in self.blocked:
                nft.table("del", name=table)
                self.blocked.discard(protocol)
            if not on:
                return
            nft.table("add", name=table)
            self.blocked.add(protocol)
            nft.chain("add", table=table, name="in", hook="prerouting", type="filter", priority=-300, policy=1)
            for port in spare:
                for offset in (0, 2):  # source, destination: in UDP and TCP alike
                    load = genex("payload", {"dreg": 1, "base": 2, "offset": offset, "len": 2})
                    nft.rule("add", table=table, chain="in", expressions=([*arrives, load, equals(port.to_bytes(2, "big"))], verdict(1)))
            nft.rule("add", table=table, chain="in", expressions=(arrives, verdict(0)))


def _hold(join: int | None) -> None:
    """Obey orders, one JSON object a line, each answered by one line; end with the input, and with everyone in the namespace."""
    if join is None:
        isolate()
    else:
        _join(join, "user")
        _call("unshare", CLONE_NEWNET)
    try:
        holder = _Holder()
        _answer()
        orders: dict[str, Callable[..., None]] = {
            "veth": holder.veth, "link": holder.link, "mtu": holder.mtu, "address": holder.address, "block": holder.block,
        }  # fmt: skip
        for line in sys.stdin:
            order = json.loads(line)
            try:
                orders[order.pop("do")](**order)
            except Exception as error:  # noqa: BLE001 - whatever it is, the laboratory has to hear it and the holder has to go on
                _answer(f"{type(error).__name__}: {error}")
            else:
                _answer()
    finally:
        _end(members(inode(os.getpid()) or -1))


def _answer(error: str | None = None) -> None:
    print(json.dumps({"error": error}), flush=True)


def _end(processes: list[int]) -> None:
    """Kill processes of this namespace; a number that has come to mean another process since is left alone."""
    own = inode(os.getpid())
    for pid in processes:
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if inode(pid) == own:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], LEFT_SECONDS)
        except OSError:
            continue
        finally:
            os.close(handle)


def main(argv: list[str]) -> None:
    """Do what the command line says (see the module's docstring)."""
    match argv:
        case ["probe"]:
            print(isolate())
        case ["run", "--", *command] if command:
            isolate()
            os.execvp(command[0], command)  # nosec B606  # noqa: S606 - becoming another program is what this is for
        case ["exec", pid, "--", *command] if command:
            _exec(int(pid), command)
        case ["hold", *pid]:
            _hold(int(pid[0]) if pid else None)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as problem:
        sys.exit(problem.strerror or str(problem))
