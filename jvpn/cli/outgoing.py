"""What `ship` does for an output, with its libraries loaded: nothing else may import this module when it starts."""

from dataclasses import asdict

from jvpn.cli.shipment import explained
from jvpn.shell.outward import OutputFile
from observability.outputs.base import Destination
from observability.outputs.run import run
from observability.shipper import LoopConfig


def ship(file: OutputFile, *, once: bool) -> dict[str, int]:
    """Ship; return the counters. Misconfigured for a setting, Unavailable when a person is needed."""
    config = LoopConfig(
        log=file.log_dir,
        state=file.state,
        stream=file.kind,
        batch_events=file.batch_events,
        batch_bytes=file.batch_bytes,
        batch_seconds=file.batch_seconds,
        follow=not once,
    )
    with explained():
        return asdict(run(config, destination(file)))


def destination(file: OutputFile) -> Destination:
    """Return the destination that a configuration names."""
    return Destination(
        kind=file.kind,
        url=file.url,
        form=file.form,
        body=file.body,
        confirm=file.confirm,
        ca_file=file.ca_file,
        credentials_file=file.credentials_file,
        certificate_file=file.certificate_file,
        key_file=file.key_file,
        request_seconds=file.request_s,
    )
