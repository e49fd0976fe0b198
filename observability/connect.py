"""A client that does what it is told, once: no own retries, no environment, credentials from a file only."""

import logging
import ssl
import stat
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from opensearchpy import OpenSearch, Urllib3HttpConnection


class SettingError(Exception):
    """A setting cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the cluster is and how to talk to it. Secrets are named by file, never given as values.

    ``ca_file``: PEM certificates that may have signed the cluster's; needed for https. ``credentials_file``: one line ``user:password``,
    readable by its owner only. ``certificate_file``, ``key_file``: the client's own, PEM, for clusters that ask for it.
    """

    url: str
    ca_file: Path | None = None
    credentials_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    request_seconds: float = 10.0


def connect(cluster: Cluster) -> OpenSearch:
    """Return a client; nothing is sent yet. Raises ``SettingError``."""
    parts = urlsplit(cluster.url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingError(f"url {cluster.url!r}: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise SettingError("url: no user or password here, others can see it; use a credentials file")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise SettingError(f"url {cluster.url!r} is not of the form http(s)://host[:port][/prefix]")
    secure = parts.scheme == "https"
    if cluster.credentials_file and not secure and not loopback(host):
        raise SettingError(f"url {cluster.url!r}: credentials are not sent in the clear to another machine; use https")
    settings: dict[str, Any] = {
        "hosts": [{"host": host, "port": port or (443 if secure else 9200), "url_prefix": parts.path.strip("/"), "use_ssl": secure}],
        "connection_class": Urllib3HttpConnection,  # looks at no proxy variable and no .netrc
        "pool_maxsize": 1,
        "timeout": cluster.request_seconds,
        "max_retries": 0,
        "retry_on_timeout": False,
        "retry_on_status": (),
    }
    if cluster.credentials_file:
        settings["http_auth"] = _credentials(cluster.credentials_file)
    if secure and cluster.ca_file is None:
        raise SettingError("https needs a CA file, so that it is plain whom we trust (the system's: /etc/ssl/certs/ca-certificates.crt)")
    if secure:
        settings["ssl_context"] = tls(cluster)
    elif cluster.ca_file or cluster.certificate_file:
        raise SettingError(f"url {cluster.url!r}: certificates are given, but the url is not https")
    logging.getLogger("opensearch").setLevel(logging.ERROR)  # it warns of each failed request; the breaker says it once
    return OpenSearch(**settings)


class Certificates(Protocol):
    """Who is trusted, and what this side shows; PEM files."""

    @property
    def ca_file(self) -> Path | None:
        """Certificates that may have signed the other side's."""

    @property
    def certificate_file(self) -> Path | None:
        """This side's own certificate, where the other asks for it."""

    @property
    def key_file(self) -> Path | None:
        """And its key."""


def tls(given: Certificates, ca: str = "CA file", own: str = "client certificate", key: str = "key") -> ssl.SSLContext:
    """Return TLS 1.2 or later, names checked, exactly the given roots; ``create_default_context`` would also look at the environment.

    Raises ``SettingError``, which calls the files ``ca``, ``own`` and ``key``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=given.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingError(f"{ca} {given.ca_file}: {error}") from None
    if given.certificate_file:
        try:
            context.load_cert_chain(given.certificate_file, given.key_file, password=_no_password)
        except (OSError, ssl.SSLError, SettingError) as error:
            raise SettingError(f"{own} {given.certificate_file}, {key} {given.key_file}: {error}") from None
    return context


def _no_password() -> str:
    raise SettingError("the key is encrypted; this process has nobody to ask for its password")


def owners_text(path: Path, what: str) -> str:
    """Return the one line of a file with a secret, which only its owner can read. Raises ``SettingError``, which names ``what`` it is."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingError(f"{what} {path}: {why}") from None
    if not stat.S_ISREG(mode) or mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingError(f"{what} {path} must be a file that only its owner can read (chmod 600)")
    return text


def loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credentials(path: Path) -> tuple[str, str]:
    text = owners_text(path, "credentials file")
    user, colon, password = text.partition(":")
    if not (user and colon and password) or "\n" in text:
        raise SettingError(f"credentials file {path} is not one line user:password")
    return user, password
