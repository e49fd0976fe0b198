"""Puts boards and alert rules into a Grafana server over its HTTP API, as often as one likes: what is there already stays untouched.

Written for the API as grafana-client and its documents have it; no Grafana server could be had to test against.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException, GrafanaUnauthorizedError

from observability.connect import SettingError, loopback, owners_text
from observability.grafana import FOLDER, FOLDER_UID, OPENSEARCH_TYPE, OPENSEARCH_UID, PROMETHEUS_UID
from observability.grafana.files import boards, rules

REQUEST_SECONDS: Final = 10.0
NOT_FOUND: Final = 404
FORBIDDEN: Final = 403
SERVERS: Final = ("id", "version")  # what the server numbers itself


class Refused(Exception):
    """The server could not be asked or did not do it; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where Grafana is. ``token_file``: one line, a service account's token, readable by its owner only. ``ca_file``: needed for https."""

    url: str
    token_file: Path
    ca_file: Path | None = None


@dataclass(slots=True)
class Pushed:
    """What was put, what was there already, and data sources that are missing although the boards go without them."""

    put: list[str]
    unchanged: list[str]
    missing: list[str]


def push(server: Server) -> Pushed:
    """Put all boards and rules; return what became of each. Raises SettingError for a setting, Refused for what the server does not do.

    Needs a token that may read data sources and write folders, dashboards and alert rules. Without the data source for OpenSearch
    nothing is put: the boards would be empty, and the alert rules would fail.
    """
    api = connected(server)
    done = Pushed([], [], [])
    source = _asked(server, lambda: api.datasource.get_datasource_by_uid(OPENSEARCH_UID))
    if source is None or source.get("type") != OPENSEARCH_TYPE:
        raise Refused(
            f"{server.url}: no data source {OPENSEARCH_UID} of type {OPENSEARCH_TYPE}; `jvpn grafana files` writes its provisioning, "
            "and Grafana needs that plugin"
        )
    if _asked(server, lambda: api.datasource.get_datasource_by_uid(PROMETHEUS_UID)) is None:
        done.missing.append(PROMETHEUS_UID)
    if _asked(server, lambda: api.folder.get_folder(FOLDER_UID)) is None:
        _asked(server, lambda: api.folder.create_folder(FOLDER, FOLDER_UID), must=True)
        done.put.append(FOLDER_UID)
    for board in boards():
        _board(server, api, board, done)
    _rules(server, api, done)
    return done


def connected(server: Server) -> GrafanaApi:
    """Return the client; nothing is sent yet. It looks at no environment, no .netrc, and follows no redirection. Raises SettingError."""
    parts = urlsplit(server.url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingError(f"url {server.url!r}: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise SettingError("url: no user or password here, others can see it; use a token file")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise SettingError(f"url {server.url!r} is not of the form http(s)://host[:port][/prefix]")
    if parts.scheme == "http" and not loopback(host):
        raise SettingError(f"url {server.url!r}: a token is not sent in the clear to another machine; use https")
    if (parts.scheme == "https") != (server.ca_file is not None):
        raise SettingError(f"url {server.url!r}: a CA file belongs to https, and https needs one (e.g. /etc/ssl/certs/ca-certificates.crt)")
    if server.ca_file is not None and not server.ca_file.is_file():
        raise SettingError(f"CA file {server.ca_file}: no such file")
    token = owners_text(server.token_file, "token file")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingError(f"token file {server.token_file} is not one line with a token")
    prefix = f"{parts.path.strip('/')}/".lstrip("/")
    api = GrafanaApi(
        token,
        host=f"[{host}]" if ":" in host else host,
        port=port,
        url_path_prefix=prefix,
        protocol=parts.scheme,
        verify=str(server.ca_file) if server.ca_file else False,
        timeout=REQUEST_SECONDS,
    )
    api.client.s.trust_env = False
    api.client.s.max_redirects = 0
    return api


def _board(server: Server, api: GrafanaApi, board: Mapping[str, Any], done: Pushed) -> None:
    found = _asked(server, lambda: api.dashboard.get_dashboard(board["uid"]))
    if found is not None and _same(board, found.get("dashboard", {})) and found.get("meta", {}).get("folderUid") == FOLDER_UID:
        done.unchanged.append(board["uid"])
        return
    wanted = {name: value for name, value in board.items() if name not in SERVERS}
    body = {"dashboard": wanted, "folderUid": FOLDER_UID, "overwrite": True, "message": "jvpn grafana push"}
    _asked(server, lambda: api.dashboard.update_dashboard(body), must=True)
    done.put.append(board["uid"])


def _rules(server: Server, api: GrafanaApi, done: Pushed) -> None:
    group = rules()
    name = group["title"]
    found = _asked(server, lambda: api.alertingprovisioning.get_rule_group(FOLDER_UID, name))
    names = [rule["uid"] for rule in group["rules"]]
    if found is not None and found.get("interval") == group["interval"]:
        stored = {rule.get("uid"): rule for rule in found.get("rules", ())}
        if list(stored) == names and all(_same(rule, stored[rule["uid"]]) for rule in group["rules"]):
            done.unchanged += names
            return
    _asked(server, lambda: api.alertingprovisioning.update_rule_group(FOLDER_UID, name, group), must=True)
    done.put += names


def _same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether the server has all that we would put; it adds fields of its own."""
    return all(theirs.get(name) == value for name, value in ours.items() if name not in SERVERS)


def _asked(server: Server, ask: Callable[[], Any], *, must: bool = False) -> dict[str, Any] | None:
    """Return the answer, None where the server says that there is no such thing. Raises Refused; `must`: for that, too."""
    try:
        found = ask()
    except GrafanaUnauthorizedError:
        raise Refused(f"{server.url}: 401, the token in {server.token_file} is not accepted") from None
    except GrafanaClientError as error:
        if error.status_code == NOT_FOUND and not must:
            return None
        hint = "; the token's account may not do this" if error.status_code == FORBIDDEN else ""
        raise Refused(f"{server.url}: {error.message}{hint}") from None
    except GrafanaException as error:
        raise Refused(f"{server.url}: {error.message}") from None
    except requests.exceptions.SSLError as error:
        raise Refused(f"{server.url}: its certificate is not accepted: {error}") from None
    except requests.exceptions.TooManyRedirects:
        raise Refused(f"{server.url}: it redirects elsewhere, where a token is not sent; give the address itself") from None
    except requests.exceptions.Timeout:
        raise Refused(f"{server.url}: no answer within {REQUEST_SECONDS:.0f} s") from None
    except requests.exceptions.JSONDecodeError:
        found = None
    except requests.exceptions.RequestException as error:
        raise Refused(f"{server.url}: {type(error).__name__}: is it there?") from None
    if not isinstance(found, dict):
        raise Refused(f"{server.url}: what answers there is not Grafana's API")
    return found
