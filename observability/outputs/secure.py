"""TLS, addresses and credentials of outputs: certificates are always checked, and the environment says nothing."""

import ssl
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from observability.connect import SettingError, loopback, owners_text, tls
from observability.outputs.base import Destination

CREDENTIALS_CHARS_MAX: Final = 8_192


def address(to: Destination, forms: tuple[str, ...]) -> SplitResult:
    """Return the parts of the URL. Raises ``SettingError`` unless it is of one of the schemes ``forms`` and safe for what is given."""
    parts = urlsplit(to.url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SettingError(f"output.url: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise SettingError("output.url: no user or password here, others can see it; use a credentials file")
    if parts.scheme not in forms or not host or parts.fragment:
        raise SettingError(f"output.url is not of the form {' or '.join(f'{form}://host[:port]' for form in forms)}")
    plain = parts.scheme == "http"
    if plain and (to.ca_file or to.certificate_file):
        raise SettingError("output.url: certificates are given, but the url is not https")
    if plain and not loopback(host):
        raise SettingError("output.url: events are not sent in the clear to another machine; use https")
    return parts


def context(to: Destination) -> ssl.SSLContext:
    """Return TLS 1.2 or later, names checked, exactly the given roots. Raises ``SettingError``."""
    if to.ca_file is None:
        raise SettingError("output.ca_file: needed, so that it is plain whom we trust (the system's: /etc/ssl/certs/ca-certificates.crt)")
    return tls(to, "output.ca_file", "output.certificate_file", "key_file")


def authorization(path: Path | None) -> str:
    """Return the value of the header Authorization that a file holds; empty without a file. Raises ``SettingError``."""
    if path is None:
        return ""
    text = owners_text(path, "output.credentials_file")
    if not text or not text.isascii() or not text.isprintable() or text != text.strip() or len(text) > CREDENTIALS_CHARS_MAX:
        raise SettingError(f'output.credentials_file {path} is not one line such as "Bearer TOKEN" or "Splunk TOKEN"')
    return text
