"""A gateway, a client, a witness, shippers and an exporter as processes, with a secret in each input; and all that they say."""

import base64
import json
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from audit.names import key_path, load_ring
from audit.tlog import epochs
from jvpn.cli.main import main
from tests.abuse.planted import Canary
from tests.abuse.tap import REMOTE, SECONDS, Tap, suppressed
from tests.jvpn.cli.calling import Process, until
from tests.jvpn.cli.test_keys import secrets
from tests.jvpn.cli.test_metrics import exporter
from tests.jvpn.cli.test_passphrase import written
from tests.jvpn.cli.test_serving import free_port, state
from tests.observability.outputs.sinks import SINKS
from tests.observability.stub import Stub, bad, refused
from tests.observability.witnesses import policy_file, running

PASSPHRASE: Final = "canary passphrase 7c1f"
DEVICE: Final = "canary-device-5d1e"
LAPTOP: Final = "laptop"  # its folder
GRAFANA: Final = "canary-grafana-9a3c"
PASSWORD: Final = "canary-password-83aa"
TOKEN: Final = "canary-token-19be"
URL_PASSWORD: Final = "canary-url-password-4f02"
VARIABLE: Final = "canary-variable-61d7"
HEADER: Final = "canary-header-b3c9"
ORDER: Final = "canary-order-2ab8"
FRAME: Final = "canary-frame-e6f1"
PAYLOAD: Final = "canary-payload-908d"
VALUE: Final = "canary-value-77c4"
KEY_TEXT: Final = "canary-key-text-0e5b"
FOLDER: Final = "canary-folder-d4a6"
ENVIRONMENT: Final = {"JVPN_SECRET": VARIABLE, "OPENSEARCH_PASSWORD": VARIABLE, "JVPN_TRACEBACK": "1"}


class Scene:
    """What is planted, and what was said; `play` does it all."""

    def __init__(self, capfd: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capfd, self.folder = capfd, folder / FOLDER
        self.folder.mkdir()
        self.outputs: dict[str, bytes] = {}
        self.canaries = [
            Canary.of("passphrase", PASSPHRASE), Canary.of("device name", DEVICE), Canary.of("cluster password", PASSWORD),
            Canary.of("output token", TOKEN), Canary.of("password in a URL", URL_PASSWORD), Canary.of("environment variable", VARIABLE),
            Canary.of("HTTP header", HEADER), Canary.of("control order", ORDER), Canary.of("malformed frame", FRAME),
            Canary.of("inner payload", PAYLOAD), Canary.of("config value", VALUE), Canary.of("broken key file", KEY_TEXT),
            Canary.of("Grafana's token", GRAFANA), Canary.of("path", FOLDER),
            Canary("remote address", bytes.fromhex("ffff7f424d58"), (REMOTE, "7f424d58")),
        ]  # fmt: skip

    def play(self) -> None:
        """Do everything once."""
        self._files()
        port = free_port()
        with Tap(port, datagrams=True) as wire, Stub() as stub:
            self._configure(port, wire.port)
            with Process("gateway", "--config", self.gateway) as one, Process("client", "--config", self.client) as two:
                until(lambda: state(self.folder / LAPTOP / "state") == "ATTACHED", two)
                self._traffic(wire)
                self._operators()
                self._metrics()
                until(lambda: any(b"TRAFFIC_REFUSED" in part for part in contents(self.folder / "g" / "audit")), one)
                self.ship(stub)
                self._keys()
                ended = [process.end(signal.SIGTERM) for process in (two, one)]
            self.said("wire", bytes(wire.seen))
        self.said("client: standard error", *(each.encode() for each in ended[0][1:]))
        self.said("gateway: standard error", *(each.encode() for each in ended[1][1:]))
        self._logs()
        self._readers()
        self._faults()

    def said(self, output: str, *parts: bytes) -> None:
        """Keep what was said somewhere."""
        self.outputs[output] = self.outputs.get(output, b"") + b"\n".join(parts)

    def run(self, output: str, *words: object, status: int | None = 0) -> None:
        """Run a command, with tracebacks, and keep what it says."""
        self._capfd.readouterr()
        found = main([str(word) for word in words])
        said = self._capfd.readouterr()
        assert status in {None, found}, (words, said)
        self.said(output, said.out.encode(), said.err.encode())

    def _files(self) -> None:
        folder = self.folder
        written(folder / "passphrase", f"{PASSPHRASE}\n")
        written(folder / "cluster.credentials", f"shipper:{PASSWORD}\n")
        written(folder / "output.credentials", f"Bearer {TOKEN}\n")
        self.run("commands", "keygen", "gateway", "--out", folder / "plain.key")
        (folder / "gateway.key").write_bytes((folder / "plain.key").read_bytes())
        (folder / "gateway.key").chmod(0o600)
        self.run("commands", "keygen", "passphrase", "--file", folder / "gateway.key", "--new-passphrase-file", folder / "passphrase")

    def _configure(self, port: int, tapped: int) -> None:
        self.gateway = self.folder / "gateway.toml"
        self.gateway.write_text(
            'node = "gw-1"\nkey = "gateway.key"\nkey_passphrase = "passphrase"\ndevices = "devices.json"\nstate = "g"\ntun.kind = "pump"\n'
            f'listen.udp = ["127.0.0.1:{port}"]\nlisten.tcp = ["127.0.0.1:{port}"]\nmetrics.socket = "g/figures.sock"\n'
        )
        self.run("commands", "enroll", DEVICE, "--gateway-config", self.gateway, "--out", self.folder / LAPTOP)
        self.client = self.folder / LAPTOP / "client.toml"
        text = self.client.read_text().replace("[tun]", '[tun]\nkind = "pump"')
        self.client.write_text(text.replace(f":{port}", f":{tapped}"))
        self.run("commands", "devices", "--gateway-config", self.gateway)

    def _traffic(self, wire: Tap) -> None:
        """Send packets through the session, and frames that are none."""
        inner = self._inner()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as pump:
            pump.bind(os.path.relpath(self.folder / "pump"))
            for _ in range(20):
                pump.sendto(inner, os.path.relpath(self.folder / LAPTOP / "state" / "pump.sock"))
        with socket.create_connection(wire.to, SECONDS) as stream, suppressed():
            stream.sendall(f"GET /{FRAME} HTTP/1.1\r\nCookie: {FRAME}\r\n\r\n".encode() + FRAME.encode() * 100)
        for head in (b"", b"\1\0\0\0", b"\2\0\0\0", b"\3\0\0\0", b"\4\0\0\0", b"\x81"):
            for length in (40, 148, 700, 1_200):
                wire.throw((head + FRAME.encode() * 70)[:length])

    def _inner(self) -> bytes:
        """Return an IPv4 packet from the client's inner address to the gateway's, with the payload."""
        row = json.loads((self.folder / "devices.json").read_text())["devices"][0]
        body = PAYLOAD.encode() * 5
        head = bytes.fromhex("45000000000100004011") + bytes(2) + socket.inet_aton(row["inner4"]) + socket.inet_aton("10.77.0.1")
        return head[:2] + (20 + len(body)).to_bytes(2, "big") + head[4:] + body

    def _operators(self) -> None:
        """Ask as an operator does, in good and in bad form."""
        for config in (self.gateway, self.client):
            self.run("status", "status", "--config", config, "--json")
            self.run("status", "status", "--config", config)
        self.run("commands", "audit", "who", "--gateway-config", self.gateway, "--json")
        self.run("commands", "doctor", "--config", self.gateway, "--json", status=None)
        self.run("errors", "close", "00" * 16, "--config", self.gateway, status=1)
        for order in (
            f'{{"order": "{ORDER}"}}',
            f'{{"order": "close", "session": "{ORDER}"}}',
            ORDER,
            f'{{"order": "status", "x": "{ORDER}"}}',
        ):
            for name in ("control.sock", "figures.sock"):
                self.said("control socket", self._asked(self.folder / "g" / name, order.encode() + b"\n"))

    @staticmethod
    def _asked(path: Path, order: bytes) -> bytes:
        said = bytearray()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking, suppressed():
            asking.settimeout(SECONDS)
            asking.connect(os.path.relpath(path))
            asking.sendall(order)
            asking.shutdown(socket.SHUT_WR)
            while data := asking.recv(65_536):
                said += data
        return bytes(said)

    def _metrics(self) -> None:
        with exporter("--gateway", self.folder / "g" / "figures.sock") as (process, place):
            host, _, port = place.rpartition(":")
            for target in ("/metrics", f"/{HEADER}?{HEADER}={HEADER}"):
                with socket.create_connection((host, int(port)), SECONDS) as asking:
                    asking.sendall(
                        f"GET {target} HTTP/1.1\r\nHost: {HEADER}\r\nAuthorization: Bearer {HEADER}\r\nConnection: close\r\n\r\n".encode()
                    )
                    self.said("metrics", b"".join(iter(lambda: asking.recv(65_536), b"")))
            ended = process.end(signal.SIGTERM)
        self.said("metrics", ended.out.encode(), ended.err.encode())

    def ship(self, stub: Stub) -> None:
        """Send the log of the gateway to a cluster, which refuses an event, and to an output of each kind."""
        config = self.folder / "shipper.toml"
        stub.script.append(bad(3, lambda name: refused(name, 400, "mapper_parsing_exception")))
        with Tap(int(stub.url.rpartition(":")[2]), datagrams=False) as tap:
            config.write_text(
                f'state = "ship"\naudit.dir = "g/audit"\ncluster.url = "http://127.0.0.1:{tap.port}"\n'
                'cluster.credentials_file = "cluster.credentials"\n'
            )
            self.run("shipper: standard error", "ship", "--config", config, "--once", "--json", status=None)
        self.said("bulk requests", bytes(tap.seen))
        self.said("spool and quarantine", *contents(self.folder / "ship"))
        for kind, sink_of in SINKS.items():
            with sink_of(self.folder) as sink:
                sink.start()
                output = self.folder / f"{kind}.toml"
                token = "" if kind == "syslog" else 'output.credentials_file = "output.credentials"\n'
                output.write_text(
                    f'state = "out-{kind}"\naudit.dir = "g/audit"\noutput.kind = "{kind}"\noutput.url = "{sink.url()}"\n'
                    f'output.ca_file = "{sink.certificate}"\n{token}'
                )
                self.run("shipper: standard error", "ship", "--config", output, "--once")
            self.said(f"output {kind}", *sink.bodies)
            self.said("headers of outputs", json.dumps(sink.heads).encode())
            self.said("spool and quarantine", *contents(self.folder / f"out-{kind}"))

    def _keys(self) -> None:
        """Take as canaries what the product made itself: private keys, signing keys, keys of pseudonyms, and who the device is."""
        for path in (self.folder / "plain.key", self.folder / LAPTOP / "device.key"):
            values = [each for each in secrets(path) if each]
            self.canaries += [Canary(f"private key {path.stem} {number}", decoded(text), (text,)) for number, text in enumerate(values)]
        public = json.loads((self.folder / LAPTOP / "device.key").read_text())["public"]
        self.canaries.append(Canary("device's public key", decoded(public), (public,)))
        for log in (self.folder / "g" / "audit", self.folder / LAPTOP / "state" / "audit"):
            secret, kept = load_ring(key_path(log)).secrets()
            held = [secret, *kept.values()]
            self.canaries += [Canary("key of pseudonyms", each.expose()) for each in held]
            raw = epochs.key_path(log).read_bytes()
            self.canaries += [Canary("signing key", raw[-64:-32]), Canary("signing key", raw[-32:])]

    def _logs(self) -> None:
        for name, log in (("gateway", self.folder / "g" / "audit"), ("client", self.folder / LAPTOP / "state" / "audit")):
            self.said(f"{name}: audit log", *contents(log))
        files = [path for path in sorted((self.folder / "g").iterdir()) if path.is_file() and path.name != "names.key"]
        self.said("gateway: store", *(path.read_bytes() for path in files if path.name != "audit.key"))

    def _readers(self) -> None:
        """Let every reader of a log say what is in it."""
        log = self.folder / "g" / "audit"
        with ExitStack() as stack:
            witness = stack.enter_context(running(self.folder, log))
            policy = policy_file(self.folder / "policy", log, [witness], 1)
            self.run("readers", "audit", "publish", log, "--out", self.folder / "tree", "--policy", policy)
            self.canaries.append(Canary("witness's key", bytes([1]) * 32))
        self.said("published tree", *contents(self.folder / "tree"))
        for each in (log, self.folder / LAPTOP / "state" / "audit"):
            self.run("readers", "audit", "verify", each, "--json")
            self.run("readers", "audit", "show", each)
            self.run("readers", "audit", "show", each, "--json")
            for kind in ("ocsf", "ecs", "otlp", "own"):
                self.run("exports", "audit", "export", each, "--format", kind)
            self.run("readers", "detect", "--log", each, status=None)
        self.run("readers", "audit", "report", log, "--out", self.folder / "report.html")
        self.said("report", (self.folder / "report.html").read_bytes())

    def _faults(self) -> None:
        """Give each reader of an input something broken with a secret in it."""
        folder = self.folder
        wrong: dict[str, Sequence[object]] = {}
        written(folder / "broken.key", f'{{"format": "jvpn key 1", "private": "{KEY_TEXT}"}}')
        written(folder / "broken.json", f'{{"format": "jvpn devices 1", "devices": [{{"name": "a", "public": "{KEY_TEXT}"}}]}}')
        written(folder / "grafana.token", GRAFANA)
        written(folder / "wrong.passphrase", f"{KEY_TEXT}\n")
        text = self.gateway.read_text()
        for name, old, new in (
            ("key", "gateway.key", "broken.key"), ("devices", "devices.json", "broken.json"),
            ("phrase", '"passphrase"', '"wrong.passphrase"'), ("value", '"gw-1"', f'"gw-1"\nlog.level = "{VALUE}"'),
        ):  # fmt: skip
            (folder / f"{name}.toml").write_text(text.replace(old, new))
            wrong[name] = ("gateway", "--config", folder / f"{name}.toml", "--check")
        written(key_path(folder / "g" / "audit"), KEY_TEXT)
        written(folder / "empty.credentials", KEY_TEXT)
        (folder / "url.toml").write_text(f'state = "x"\naudit.dir = "g/audit"\ncluster.url = "http://u:{URL_PASSWORD}@127.0.0.1:9"\n')
        shipper = 'state = "y"\naudit.dir = "g/audit"\ncluster.url = "http://127.0.0.1:9"\ncluster.credentials_file = "empty.credentials"\n'
        (folder / "cred.toml").write_text(shipper)
        (folder / "out.toml").write_text(
            f'state = "z"\naudit.dir = "g/audit"\noutput.kind = "http"\noutput.url = "https://u:{URL_PASSWORD}@127.0.0.1:9/x"\n'
        )
        for name in ("url", "cred", "out"):
            wrong[name] = ("ship", "--config", folder / f"{name}.toml", "--once")
        wrong["grafana"] = ("grafana", "push", "--url", "http://127.0.0.1:9", "--token-file", folder / "grafana.token")
        wrong["who"] = ("audit", "who", "--gateway-config", self.gateway)
        wrong["import"] = ("keys", "import", folder / "broken.key", "--out", folder / "imported.key", "--audit", folder / "history")
        for words in wrong.values():
            self.run("errors", *words, status=None)


def contents(folder: Path) -> list[bytes]:
    """Return what all files below a folder hold, and their names."""
    return [part for path in sorted(folder.rglob("*")) if path.is_file() for part in (path.name.encode(), path.read_bytes())]


def decoded(text: str) -> bytes:
    """Return the bytes of a key that is written in hex or base64."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
