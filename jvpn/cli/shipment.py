"""What `ship` does, with the SIEM library loaded: nothing else may import this module when it starts."""

from dataclasses import asdict

from jvpn.shell.checked import Misconfigured
from jvpn.shell.config import ShipperFile
from jvpn.shell.errors import Unavailable
from observability.connect import Cluster, SettingError
from observability.cursor import StateError
from observability.shipper import ShipperConfig, run
from observability.tail import LogError


def ship(file: ShipperFile, *, once: bool) -> dict[str, int]:
    """Ship; return the counters. Misconfigured for a setting, Unavailable when a person is needed."""
    config = ShipperConfig(
        log=file.log_dir,
        state=file.state,
        cluster=cluster(file),
        prefix=file.prefix,
        batch_events=file.batch_events,
        batch_bytes=file.batch_bytes,
        batch_seconds=file.batch_seconds,
        follow=not once,
    )
    try:
        return asdict(run(config))
    except SettingError as error:
        raise Misconfigured(str(error)) from error
    except (StateError, LogError) as error:
        raise Unavailable(str(error)) from error


def cluster(file: ShipperFile) -> Cluster:
    """Return the cluster that a configuration names."""
    return Cluster(
        url=file.url,
        ca_file=file.ca_file,
        credentials_file=file.credentials_file,
        certificate_file=file.certificate_file,
        key_file=file.key_file,
        request_seconds=file.request_s,
    )
