"""Configuration files: what is read, what is refused, and in which words."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import limits
from core.reasons import Carrier
from core.session.desk import Policy
from core.values import Endpoint
from jvpn.shell.checked import Checked, Misconfigured, schema_of
from jvpn.shell.config import load_client, load_gateway, load_shipper, state_of
from jvpn.shell.errors import Unavailable
from jvpn.shell.forms import node_id
from jvpn.shell.outward import load_output
from jvpn.shell.transports.base import endpoint

GATEWAY = 'node = "gw-1"\nkey = "gateway.key"\ndevices = "devices.json"\nstate = "state"\n'
PUBLIC = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="  # RFC 7748, 6.1
CLIENT = f'key = "device.key"\nstate = "state"\ngateway.public = "{PUBLIC}"\n'
SHIPPER = 'state = "ship"\naudit.dir = "audit"\ncluster.url = "https://siem:9200"\n'
OUTPUT = 'state = "ship"\naudit.dir = "audit"\noutput.kind = "syslog"\noutput.url = "tls://soc"\n'
KNOWN = "node, key, key_passphrase, devices, state, endpoint, resolver, listen, tun, policy, trust, audit, metrics, log"
LOADERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "gateway": (load_gateway, GATEWAY),
    "client": (load_client, CLIENT + 'gateway.udp = "192.0.2.1:1"\n'),
    "shipper": (load_shipper, SHIPPER),
    "output": (load_output, OUTPUT),
}


def written(folder: Path, text: str | bytes, name: str = "file.toml") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(folder: Path, kind: str, text: str) -> str:
    """Return the error for a file, without its directory; it is one line that begins with the file."""
    load, base = LOADERS[kind]
    path = written(folder, base + text)
    with pytest.raises(Misconfigured) as caught:
        load(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.isprintable()
    return said.removeprefix(f"{path}: ")


def test_a_gateway_with_nothing_but_what_is_needed(tmp_path: Path) -> None:
    """A first gateway would not start, or would start with other bounds than the core's own."""
    config = load_gateway(written(tmp_path, GATEWAY))
    assert (config.key, config.devices, config.state) == (tmp_path / "gateway.key", tmp_path / "devices.json", tmp_path / "state")
    assert config.audit.dir == tmp_path / "state" / "audit"
    assert config.listen_udp == (endpoint("0.0.0.0", 51_820),)  # noqa: S104 - the documented default
    assert (config.listen_tcp, config.resolver, config.endpoint) == ((), bytes(16), "")
    assert (str(config.tun.address4), str(config.tun.address6)) == ("10.77.0.1/24", "fd77::1/64")
    defaults = Policy()
    assert config.tun.mtu == defaults.mtu
    assert config.policy.lifetime_s == defaults.lifetime_s
    assert config.policy.transport_loss_s * limits.SECOND == defaults.transport_loss_ns
    assert (config.policy.voluntary_per_minute, config.policy.forced_per_minute) == (
        defaults.voluntary_per_minute,
        defaults.forced_per_minute,
    )
    assert config.policy.health_ms * limits.MILLISECOND == defaults.health_ns
    assert config.policy.device_to_device is defaults.device_to_device is False


def test_a_gateway_with_everything(tmp_path: Path) -> None:
    """A key that is documented would be read into another place, or nowhere."""
    text = """
resolver = "10.77.0.1"
endpoint = "vpn.example.org"
listen.udp = ["[::]:1", "192.0.2.1:2"]
listen.tcp = ["127.0.0.1:65535"]
tun = { name = "tun9", mtu = 1380, kind = "pump", address4 = "10.1.0.1/16", address6 = "" }
[policy]
lifetime_s = 60
transport_loss_s = 10
voluntary_per_minute = 1
forced_per_minute = 2
health_ms = 100
device_to_device = true
[audit]
dir = "/var/log/a"
segment_bytes = 65536
[log]
level = "debug"
"""
    config = load_gateway(written(tmp_path, GATEWAY + text))
    assert config.resolver == endpoint("10.77.0.1", 0).address
    assert config.listen_udp == (Endpoint(bytes(16), 1), endpoint("192.0.2.1", 2))
    assert config.listen_tcp == (endpoint("127.0.0.1", 65_535),)
    assert (config.tun.name, config.tun.mtu, config.tun.kind, config.tun.address6) == ("tun9", 1_380, "pump", None)
    assert (config.policy.lifetime_s, config.policy.transport_loss_s, config.policy.health_ms) == (60, 10, 100)
    assert (config.policy.voluntary_per_minute, config.policy.forced_per_minute, config.policy.device_to_device) == (1, 2, True)
    assert (config.audit.dir, config.audit.segment_bytes, config.log.level) == (Path("/var/log/a"), 65_536, "debug")
    assert config.endpoint == "vpn.example.org"


def test_a_short_lifetime_shortens_what_depends_on_it(tmp_path: Path) -> None:
    """Setting one value would be refused because of a default that nobody wrote."""
    assert load_gateway(written(tmp_path, GATEWAY + "policy.lifetime_s = 60")).policy.transport_loss_s == 60


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("gateway", "policy.lifetime_s = 999999", "policy.lifetime_s: found 999999, allowed 60 to 86400"),
        ("gateway", "policy.lifetime_s = 59", "policy.lifetime_s: found 59, allowed 60 to 86400"),
        ("gateway", "policy.lifetime_s = 100.0", "policy.lifetime_s: found 100.0, allowed 60 to 86400"),
        ("gateway", "policy.lifetime_s = true", "policy.lifetime_s: found true, allowed 60 to 86400"),
        ("gateway", "policy.lifetime_s = nan", "policy.lifetime_s: found NaN, allowed 60 to 86400"),
        ("gateway", "policy.lifetime_s = 2026-11-22", 'policy.lifetime_s: found "2026-11-22", allowed 60 to 86400'),
        ("gateway", f"policy.lifetime_s = {10**30}", f"policy.lifetime_s: found {10**30}, allowed 60 to 86400"),
        ("gateway", "policy.lifetim_s = 1", "policy.lifetim_s: unknown key; did you mean lifetime_s?"),
        ("gateway", "colour = 1", f"colour: unknown key; known are {KNOWN}"),
        ("gateway", '"a\\u001b[31m" = 1\n', f"a\\u001b[31m: unknown key; known are {KNOWN}"),
        ("gateway", "policy = 3", "policy: found 3, allowed a table"),
        (
            "gateway",
            "policy = {lifetime_s = 100, transport_loss_s = 101}",
            "policy.transport_loss_s: found 101, allowed 10 to 100, which is policy.lifetime_s",
        ),
        ("gateway", "tun.mtu = 1300", "tun.mtu: found 1300, allowed 1280 or 1380"),
        ("gateway", 'tun.kind = "tap"', 'tun.kind: found "tap", allowed tun or pump'),
        ("gateway", "listen.udp = []", "listen.udp: found [], allowed at least one address here or in listen.tcp"),
        ("gateway", 'listen.udp = ["a:1", "a:1"]', 'listen.udp: found ["a:1", "a:1"], allowed no value twice'),
        ("gateway", "log.level = 3", "log.level: found 3, allowed debug or info or warning or error or critical"),
        ("client", 'carriers = ["tcp"]', "gateway.tcp: missing, needed because carriers names tcp"),
        ("client", "carriers = []", "carriers: found [], allowed a list of some of: udp or tcp"),
        ("shipper", 'cluster.key_file = "k"', "cluster.certificate_file: missing, a certificate and its key belong together"),
        ("output", 'output.key_file = "k"', "output.certificate_file: missing, a certificate and its key belong together"),
        ("output", 'output.format = "cef"', 'output.format: found "cef", allowed ocsf or ecs or own'),
        ("output", 'cluster.url = "http://x"', "cluster: unknown key; known are audit, state, output, batch, log"),
        ("shipper", "batch.seconds = 0", "batch.seconds: found 0, allowed 0.01 to 60"),
        ("gateway", "x = [[[", "not TOML: Invalid value (at end of document)"),
        ("gateway", f"x = {'[' * 5000}", "not TOML: nested too deeply"),
    ],
)  # fmt: skip
def test_errors_name_key_found_and_allowed(tmp_path: Path, kind: str, text: str, said: str) -> None:
    """An operator would have to guess what is wrong, or a wrong value would be served."""
    assert refusal(tmp_path, kind, text) == said


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        *(("listen.udp", bad) for bad in ("1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "host:1", "::1:1", "[1.2.3.4]:1", "[::1", "1.2.3.4:1 ")),
        *(("resolver", bad) for bad in ("dns", "1.2.3", "1.2.3.4:53", " ")),
        *(("tun.name", bad) for bad in ("", "a" * 16, "a b", "a/b", "a%db%d", "%s", "..")),
        *(("tun.address4", bad) for bad in ("10.7.0.1", "10.7.0.0/24", "10.7.0.255/24", "10.0.0.1/31", "10.0.0.1/7", "127.0.0.1/8", "x")),
        *(("tun.address6", bad) for bad in ("fd7::1", "fd7::/64", "fd7::1/128", "fd7::1/40", "ff02::1/64", "10.0.0.1/24", "fe80::1%e/64")),
        *(("node", bad) for bad in ("", "a b", "ä", "a" * 65)),
        *(("endpoint", bad) for bad in ("", "a b", "http://x", "a\n")),
    ],
)  # fmt: skip
def test_forms_are_exact(tmp_path: Path, key: str, bad: str) -> None:
    """A text that cannot work would be taken, and fail later with an error that does not say where it was written."""
    base = "".join(line + "\n" for line in GATEWAY.splitlines() if not line.startswith(key))
    value = json.dumps([bad] if key.startswith("listen") else bad)
    with pytest.raises(Misconfigured) as caught:
        load_gateway(written(tmp_path, f"{base}{key} = {value}\n"))
    assert f" {key}" in str(caught.value)
    assert ", allowed " in str(caught.value)
    assert json.dumps(bad)[1:-1] in str(caught.value)


@pytest.mark.parametrize("name", ["node", "key", "devices", "state"])
def test_what_is_needed_is_asked_for(tmp_path: Path, name: str) -> None:
    """A gateway would start without its name, its key or its allow list."""
    text = "".join(line + "\n" for line in GATEWAY.splitlines() if not line.startswith(f"{name} "))
    with pytest.raises(Misconfigured, match=f": {name}: missing, needed "):
        load_gateway(written(tmp_path, text))


@pytest.mark.parametrize(
    ("raw", "said"), [(b"\xff", "byte 0 is not UTF-8 text"), (b"#" * ((256 << 10) + 1), "more than 256 KiB is no configuration")]
)
def test_what_is_no_text_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    """A wrong file on the command line would end in a traceback, or fill the memory."""
    path = written(tmp_path, raw)
    with pytest.raises(Misconfigured) as caught:
        load_gateway(path)
    assert str(caught.value) == f"{path}: {said}"
    with pytest.raises(Misconfigured, match="No such file"):
        load_gateway(tmp_path / "absent.toml")
    with pytest.raises(Misconfigured, match="directory"):
        load_gateway(tmp_path)


def test_a_client(tmp_path: Path) -> None:
    """A client would knock at another gateway than the configured one, or with carriers that were not asked for."""
    text = CLIENT + 'gateway.udp = "vpn.example.org:1"\ngateway.tcp = "[2001:db8::1]:2"\n'
    text += 'bind = "192.0.2.9"\ntun.routes = ["0.0.0.0/1", "fd77::/64"]\n'
    asked: list[tuple[str, int]] = []

    def lookup(host: str, port: int) -> Endpoint:
        asked.append((host, port))
        return endpoint("192.0.2.1", port)

    config = load_client(written(tmp_path, text), lookup)
    assert asked == [("vpn.example.org", 1), ("2001:db8::1", 2)]
    assert (config.gateway_udp, config.gateway_tcp) == (endpoint("192.0.2.1", 1), endpoint("192.0.2.1", 2))
    assert config.carriers == (Carrier.UDP, Carrier.TCP)
    assert (config.bind, config.node) == (endpoint("192.0.2.9", 0), node_id("client"))
    assert [str(route) for route in config.tun.routes] == ["0.0.0.0/1", "fd77::/64"]
    assert (len(config.gateway_public), config.gateway_node) == (32, None)
    named = load_client(written(tmp_path, CLIENT + 'gateway.node = "gw-1"\ngateway.udp = "192.0.2.1:1"'))
    assert named.gateway_node == node_id("gw-1")
    only = load_client(written(tmp_path, CLIENT + 'gateway.tcp = "[::1]:2"'))
    assert (only.carriers, only.gateway_udp) == ((Carrier.TCP,), None)
    assert only.gateway_tcp == endpoint("::1", 2)


def test_the_order_of_carriers_is_kept(tmp_path: Path) -> None:
    """A user who prefers TCP would be given UDP."""
    text = 'carriers = ["tcp", "udp"]\n' + CLIENT + 'gateway.udp = "192.0.2.1:1"\ngateway.tcp = "192.0.2.1:2"\n'
    assert load_client(written(tmp_path, text)).carriers == (Carrier.TCP, Carrier.UDP)


def test_a_client_without_a_gateway(tmp_path: Path) -> None:
    """A client would start that has nobody to talk to."""
    with pytest.raises(Misconfigured, match=r"gateway\.udp: missing, needed an address here or in gateway\.tcp"):
        load_client(written(tmp_path, CLIENT))


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    """A client that starts before the network does would end in a traceback, or with a status that says: do not start it again."""

    def lookup(_host: str, _port: int) -> Endpoint:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(Unavailable, match=r"gateway\.udp: the name nobody is not found: Name or service not known") as caught:
        load_client(written(tmp_path, CLIENT + 'gateway.udp = "nobody:1"'), lookup)
    assert not isinstance(caught.value, Misconfigured)


@pytest.mark.parametrize(
    ("load", "text", "said"),
    [
        (load_gateway, CLIENT + 'gateway.udp = "192.0.2.1:1"', "a client, needed that of a gateway"),
        (load_client, GATEWAY + 'listen.tcp = ["[::1]:2"]', "a gateway, needed that of a client"),
        (load_shipper, GATEWAY + 'listen.tcp = ["[::1]:2"]', "a gateway, needed that of a shipper"),
        (load_gateway, SHIPPER, "a shipper, needed that of a gateway"),
    ],
)
def test_the_file_of_another_program(tmp_path: Path, load: Callable[[Path], object], text: str, said: str) -> None:
    """Who mixes up two files would be told that a key of a sound file is unknown."""
    with pytest.raises(Misconfigured, match=f"this is the configuration of {said}"):
        load(written(tmp_path, text))


def test_state_is_found_without_looking_names_up(tmp_path: Path) -> None:
    """`jvpn status` would not work while the network is down."""
    assert state_of(written(tmp_path, CLIENT + 'gateway.udp = "no.such.name.invalid:1"')) == tmp_path / "state"
    assert state_of(written(tmp_path, GATEWAY)) == tmp_path / "state"


def test_what_may_be_a_secret_is_not_shown(tmp_path: Path) -> None:
    """A private key that somebody pasted into the wrong place would be printed and logged."""
    secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0cz0="
    text = CLIENT.replace(PUBLIC, secret + "!")
    with pytest.raises(Misconfigured) as caught:
        load_client(written(tmp_path, text + 'gateway.udp = "192.0.2.1:1"'))
    assert "c2Vjc" not in str(caught.value)
    assert "gateway.public: found 45 characters (not shown), allowed 32 bytes in base64" in str(caught.value)


def test_two_spellings_of_one_key_are_one_too_many(tmp_path: Path) -> None:
    """The same key could be in a list twice, in two spellings."""
    with pytest.raises(Misconfigured, match=r"gateway\.public"):
        load_client(written(tmp_path, CLIENT.replace("K08=", "K09=") + 'gateway.udp = "192.0.2.1:1"'))


def test_a_shipper(tmp_path: Path) -> None:
    """The shipper would send another log, or to another cluster, or without the certificates that were asked for."""
    config = load_shipper(written(tmp_path, SHIPPER + 'cluster.ca_file = "ca.pem"\ncluster.prefix = "other"\nbatch.events = 7\n'))
    assert (config.log_dir, config.state, config.ca_file) == (tmp_path / "audit", tmp_path / "ship", tmp_path / "ca.pem")
    assert (config.url, config.prefix, config.batch_events, config.credentials_file) == ("https://siem:9200", "other", 7, None)


def test_nodes_of_names() -> None:
    """A restart would give a gateway another name in its store, and two gateways could share one."""
    assert node_id("00112233445566ff") == bytes.fromhex("00112233445566ff")
    assert node_id("gw-1").hex() == "13ce6b776ce6ff5f"
    assert len({node_id(name) for name in ("gw-1", "gw-2", "GW-1", "00112233445566f")}) == 4
    assert all(len(node_id(name)) == 8 for name in ("a", "gw-1"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda below: st.lists(below, max_size=3)
)


@given(st.sampled_from(["gateway", "client", "shipper", "output", "devices"]), st.data())
def test_no_value_gets_past_the_door(kind: str, data: st.DataObject) -> None:
    """Some value in some place would end in a traceback instead of an error that names it."""
    schema = schema_of(kind)
    name = data.draw(st.sampled_from(sorted(schema["properties"])))
    values = {name: data.draw(JSON | st.dictionaries(st.text(max_size=8), JSON, max_size=2))}
    with pytest.raises(Misconfigured) as caught:
        Checked("file", schema, values)
    assert str(caught.value).startswith("file: ")
    assert str(caught.value).isprintable()


def leaves(schema: Mapping[str, Any], at: str = "") -> list[tuple[str, Any]]:
    """Return each key with its schema."""
    found = []
    for name, below in schema["properties"].items():
        found += leaves(below, f"{at}{name}.") if below.get("type") == "object" else [(f"{at}{name}", below)]
    return found


def test_bounds_are_the_core_s() -> None:
    """A configuration could ask for what the core must not do, or could not ask for what it may."""
    gateway = dict(leaves(schema_of("gateway")))
    assert gateway["policy.lifetime_s"]["maximum"] == limits.LIFETIME_S_MAX
    assert gateway["policy.transport_loss_s"]["minimum"] * limits.SECOND == limits.TRANSPORT_LOSS_NS_MIN
    assert tuple(gateway["tun.mtu"]["enum"]) == limits.MTU_ALLOWED
    for kind in ("gateway", "client"):
        assert dict(leaves(schema_of(kind)))["policy.health_ms"]["default"] * limits.MILLISECOND == limits.HEALTH_NS


@pytest.mark.parametrize("kind", ["gateway", "client", "shipper", "output"])
def test_every_default_is_allowed(kind: str) -> None:
    """A file that says what is the default anyway would be refused."""
    for key, below in leaves(schema_of(kind)):
        default = below.get("default")
        if "enum" in below and default is not None:
            assert default in below["enum"], key
        elif "minimum" in below and default is not None:
            assert below["minimum"] <= default <= below["maximum"], key
        assert "description" in below, key
