"""A real OpenSearch node with TLS and roles, one a run, for what a shipper hears from a cluster that is protected.

UNSUPPORTED PAIRING: the security plug-in is of another version than the node (`lab.opensearch_fetch.fetch_secured` says why), and its own
check of that is switched off. What tests find here is what this pair does. It is no evidence about a cluster in production.
"""

import http.client
import json
import shutil
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.opensearch_fetch import FetchError, WrongCopyError, fetch_secured
from lab.opensearch_node import Node
from observability.connect import Cluster
from tests.observability.stub import Stub
from tests.support import MISSING

ADMIN = "CN=admin,O=jvpn-test"
PASSWORD = "Zu7-kelp-Marble-0193"  # of every user of these tests; the plug-in refuses simple ones
_NODE = pytest.StashKey["Secured"]()


class Pair(NamedTuple):
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates for tests."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        """Make its own certificate, `name`.pem."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._key = directory, ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(self._signed(self._name, self._key, authority=True).public_bytes(Encoding.PEM))

    def issue(self, name: str, *, host: str | None = None, days: int = 9) -> Pair:
        """Sign one for 127.0.0.1, or for another host, that is good for so many days from now, or was until so many ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        pair.certificate.write_bytes(self._signed(_name(name), key, host=host, days=days).public_bytes(Encoding.PEM))
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, host: str | None = None, days: int = 9, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names: list[x509.GeneralName] = [x509.DNSName(host or "localhost")]
        names += [] if host else [x509.IPAddress(ip_address("127.0.0.1"))]
        made = x509.CertificateBuilder(
            self._name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=30), now + timedelta(days=days)
        )
        if not authority:
            uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
            made = made.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        return made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True).sign(self._key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "jvpn-test"), x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Secured(Node):
    """A node with TLS and users. `authority` is whom to trust; `admin` a certificate that may do everything."""

    def __init__(self, home: Path, directory: Path) -> None:
        """Make certificates; nothing is started."""
        certificates = directory / "config" / "certs"
        self.authority = Authority(certificates)
        self.admin = self.authority.issue("admin")
        node = self.authority.issue("node")
        files = {
            "pemcert_filepath": f"certs/{node.certificate.name}",
            "pemkey_filepath": f"certs/{node.key.name}",
            "pemtrustedcas_filepath": f"certs/{self.authority.file.name}",
        }
        settings: dict[str, object] = {
            f"plugins.security.ssl.{layer}.{key}": file for layer in ("transport", "http") for key, file in files.items()
        }
        settings |= {
            "plugins.security.ssl.http.enabled": True,
            "plugins.security.ssl.http.clientauth_mode": "OPTIONAL",
            "plugins.security.allow_default_init_securityindex": True,
            "plugins.security.authcz.admin_dn": [ADMIN],
            "plugins.security.nodes_dn": ["CN=node,O=jvpn-test"],
        }
        super().__init__(home, directory=directory, settings=settings)
        shipped, own = home / "plugins" / "opensearch-security" / "config", directory / "config" / "opensearch-security"
        own.mkdir()
        for file in shipped.glob("*.yml"):
            shutil.copyfile(file, own / file.name)
        for name, kind in (("internal_users", "internalusers"), ("roles", "roles"), ("roles_mapping", "rolesmapping")):
            own.joinpath(f"{name}.yml").write_text(json.dumps({"_meta": {"type": kind, "config_version": 2}}))  # no demo users

    @property
    def url(self) -> str:
        """Where it listens, by https."""
        return super().url.replace("http://", "https://")

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Do something as the administrator; return status and decoded body."""
        context = ssl.create_default_context(cafile=self.authority.file)
        context.load_cert_chain(*self.admin)
        connection = http.client.HTTPSConnection("127.0.0.1", int(super().url.rpartition(":")[2]), timeout=60, context=context)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text.startswith((b"{", b"[")) else text.decode()
        finally:
            connection.close()

    def cluster(self, **settings: Any) -> Cluster:  # noqa: ANN401 - some fields of Cluster
        """Return how to reach it."""
        given: dict[str, Any] = {"url": self.url, "ca_file": self.authority.file, "request_seconds": 60.0}
        return Cluster(**given | settings)

    @contextmanager
    def in_front(self, pair: Pair) -> Iterator[str]:
        """Listen with another certificate, as somebody in front of the node would; yield where."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        with Stub(tls=context) as stub:
            yield stub.url
            assert (stub.requests, stub.authorization) == ([], [])

    def user(self, name: str, password: str, role: str = "") -> None:
        """Make a user, who has a role or none."""
        mapping = [(f"rolesmapping/{role}", {"users": [name]})] if role else []
        for path, body in [(f"internalusers/{name}", {"password": password}), *mapping]:
            status, said = self.ask("PUT", f"/_plugins/_security/api/{path}", body)
            assert status in {200, 201}, said

    def _answers(self) -> bool:
        try:
            asked = ("/_cluster/health?wait_for_status=yellow&timeout=5s", "/_plugins/_security/api/roles")
            return all(self.ask("GET", path)[0] == http.client.OK for path in asked)
        except (OSError, http.client.HTTPException):
            return False


@pytest.fixture(scope="session")
def secured_node(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """The run's secured node, up and answering; it ends with the run."""
    node = pytestconfig.stash.get(_NODE, None)
    if node is None:
        try:
            home = fetch_secured()
        except WrongCopyError:
            raise
        except FetchError as error:
            pytest.skip(f"{MISSING}opensearch: {error}")
        stack = ExitStack()
        node = stack.enter_context(Secured(home, tmp_path_factory.mktemp("secured")))
        pytestconfig.add_cleanup(stack.close)
        pytestconfig.stash[_NODE] = node
    return node
