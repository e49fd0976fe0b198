"""How the shipper talks to a cluster: whom it trusts, and what it never says aloud."""

import ssl
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from opensearchpy.exceptions import ConnectionError as NoConnection

from observability.connect import Cluster, SettingError, connect
from tests.observability.stub import Stub


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that is its own authority; return it and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begin, begin + timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / f"{name}.pem", directory / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def secret(directory: Path, text: str = "jvpn:p:w", mode: int = 0o600) -> Path:
    """Write a credentials file."""
    path = directory / "credentials"
    path.write_text(text)
    path.chmod(mode)
    return path


def ping(cluster: Cluster) -> None:
    """Send one event's worth."""
    client = connect(cluster)
    try:
        client.bulk(body=b'{"create":{"_id":"x","_index":"i"}}\n{}\n')
    finally:
        client.close()


def test_credentials_and_client_certificate_arrive_over_verified_tls(tmp_path: Path) -> None:
    """The shipper could not log in to a cluster that is protected as it must be."""
    node, node_key = certificate(tmp_path, "node")
    ours, our_key = certificate(tmp_path, "shipper")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(node, node_key)
    server.load_verify_locations(ours)
    server.verify_mode = ssl.CERT_REQUIRED
    with Stub(tls=server) as stub:
        cluster = Cluster(
            url=stub.url, ca_file=node, credentials_file=secret(tmp_path, "jvpn:p:w\n"), certificate_file=ours, key_file=our_key
        )
        ping(cluster)
        assert stub.authorization == ["Basic " + b64encode(b"jvpn:p:w").decode()]


def test_somebody_else_at_the_address_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events and password would go to whoever answers; not even the environment may add an authority."""
    theirs, their_key = certificate(tmp_path, "other")
    ours, _ = certificate(tmp_path, "node")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(theirs, their_key)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(theirs))
    with Stub(tls=server) as stub:
        cluster = Cluster(url=stub.url, ca_file=ours, credentials_file=secret(tmp_path), request_seconds=5)
        with pytest.raises(NoConnection, match="CERTIFICATE_VERIFY_FAILED"):
            ping(cluster)
        assert stub.requests == []
        named = Cluster(url=stub.url.replace("127.0.0.1", "localhost"), ca_file=theirs, request_seconds=5)
        with pytest.raises(NoConnection, match="CERTIFICATE_VERIFY_FAILED"):
            ping(named)
        assert stub.requests == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "https://u:p@siem:9200"}, "no user or password here"),
        ({"url": "siem:9200"}, "is not of the form"),
        ({"url": "ftp://siem"}, "is not of the form"),
        ({"url": "https://"}, "is not of the form"),
        ({"url": "https://siem:99999"}, "(?i)port"),
        ({"url": "https://siem?x=1"}, "is not of the form"),
        ({"url": "https://siem"}, "needs a CA file"),
        ({"url": "https://siem", "ca_file": "nowhere"}, "CA file .*nowhere"),
        ({"url": "https://siem", "ca_file": "credentials"}, "CA file .*credentials"),
        ({"url": "http://siem", "ca_file": "node.pem"}, "not https"),
        ({"url": "http://siem", "credentials_file": "credentials"}, "not sent in the clear"),
        ({"url": "http://10.0.0.1", "credentials_file": "credentials"}, "not sent in the clear"),
        ({"url": "http://localhost.example", "credentials_file": "credentials"}, "not sent in the clear"),
        ({"url": "http://[::1]:1", "credentials_file": "nowhere"}, "No such file"),
        ({"url": "https://siem", "ca_file": "node.pem", "certificate_file": "node.pem", "key_file": "other.key"}, "client certificate"),
        ({"url": "https://siem", "ca_file": "node.pem", "certificate_file": "nowhere"}, "client certificate"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_right_is_named(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    """A mistake would show as a traceback, or not at all and a password would cross the network in the clear."""
    certificate(tmp_path, "node")
    certificate(tmp_path, "other")
    secret(tmp_path)
    paths = {name: value if name == "url" else tmp_path / value for name, value in settings.items()}
    with pytest.raises(SettingError, match=said):
        connect(Cluster(**paths))


@pytest.mark.parametrize(
    ("text", "mode"), [("u:p", 0o640), ("u:p", 0o604), ("user", 0o600), (":p", 0o600), ("u:", 0o600), ("u:p\nu:p\n", 0o600), ("", 0o600)]
)
def test_credentials_that_others_can_read_or_that_are_none_are_refused(tmp_path: Path, text: str, mode: int) -> None:
    """A password that every user of the machine can read would stay so unnoticed."""
    with pytest.raises(SettingError, match="credentials file"):
        connect(Cluster(url="http://127.0.0.1:1", credentials_file=secret(tmp_path, text, mode)))
