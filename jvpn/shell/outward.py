"""The configuration of a shipper to HTTP, syslog or OTLP, as `jvpn.shell.config` reads the others: docs/reference/config.md."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jvpn.shell.checked import Checked, Misconfigured, schema_of, toml
from jvpn.shell.config import LogConfig, belong_together

FILES: Final = ("ca_file", "credentials_file", "certificate_file", "key_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """What the file says; `kind` is http, syslog or otlp."""

    log_dir: Path
    state: Path
    kind: str
    url: str
    form: str
    body: str
    confirm: str
    ca_file: Path | None
    credentials_file: Path | None
    certificate_file: Path | None
    key_file: Path | None
    request_s: float
    batch_events: int
    batch_bytes: int
    batch_seconds: float
    log: LogConfig


def is_output(path: Path) -> bool:
    """Tell whether a shipper's file names an output, and not a cluster. Raise Misconfigured."""
    return "output" in toml(path)


def load_output(path: Path) -> OutputFile:
    """Read the configuration; raise Misconfigured."""
    file = Checked(str(path), schema_of("output"), toml(path))
    folder = path.absolute().parent
    files = {name: folder / given if (given := file.value(f"output.{name}")) else None for name in FILES}
    belong_together(path, "output", files)
    kind = file.value("output.kind")
    if kind == "syslog" and files["credentials_file"]:
        raise Misconfigured(f"{path}: output.credentials_file: syslog has none; a receiver knows the shipper by output.certificate_file")
    return OutputFile(
        **files,
        log_dir=folder / file.value("audit.dir"),
        state=folder / file.value("state"),
        kind=kind,
        url=file.value("output.url"),
        form=file.value("output.format"),
        body=file.value("output.body"),
        confirm=file.value("output.confirm"),
        request_s=file.value("output.request_s"),
        batch_events=file.value("batch.events"),
        batch_bytes=file.value("batch.bytes"),
        batch_seconds=file.value("batch.seconds"),
        log=LogConfig(level=file.value("log.level")),
    )
