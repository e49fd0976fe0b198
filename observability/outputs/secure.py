"""TLS, addresses and credentials of outputs: certificates are always checked, and the environment says nothing."""

import ssl
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from observability.connect import SettingError
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
    if plain and not _loopback(host):
        raise SettingError("output.url: events are not sent in the clear to another machine; use https")
    return parts


def context(to: Destination) -> ssl.SSLContext:
    """Return TLS 1.2 or later, names checked, exactly the given roots. Raises ``SettingError``."""
    if to.ca_file is None:
        raise SettingError("output.ca_file: needed, so that it is plain whom we trust (the system's: /etc/ssl/certs/ca-certificates.crt)")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_verify_locations(cafile=to.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingError(f"output.ca_file {to.ca_file}: {error}") from None
    if to.certificate_file:
        try:
            made.load_cert_chain(to.certificate_file, to.key_file, password=_no_password)
        except (OSError, ssl.SSLError, SettingError) as error:
            raise SettingError(f"output.certificate_file {to.certificate_file}, key_file {to.key_file}: {error}") from None
    return made


def authorization(path: Path | None) -> str:
    """Return the value of the header Authorization that a file holds; empty without a file. Raises ``SettingError``."""
    if path is None:
        return ""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").removesuffix("\n")
    except (OSError, UnicodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise SettingError(f"output.credentials_file {path}: {what}") from None
    if not stat.S_ISREG(mode) or mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingError(f"output.credentials_file {path} must be a file that only its owner can read (chmod 600)")
    if not text or not text.isprintable() or text != text.strip() or len(text) > CREDENTIALS_CHARS_MAX:
        raise SettingError(f'output.credentials_file {path} is not one line such as "Bearer TOKEN" or "Splunk TOKEN"')
    return text


def _no_password() -> str:
    raise SettingError("the key is encrypted; this process has nobody to ask for its password")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
