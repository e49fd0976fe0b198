"""What `ship` does, with the SIEM library loaded: nothing may import this module when it starts, but for what ships."""

from collections.abc import Iterator
from contextlib import contextmanager
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
    with explained():
        return asdict(run(config))


@contextmanager
def explained() -> Iterator[None]:
    """Make of what stops a shipper what the command says: Misconfigured for a setting, Unavailable when a person is needed."""
    try:
        yield
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
