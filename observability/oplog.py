"""The operational log: JSON lines for machines, coloured lines for a terminal, and never a secret or a stall.

    configure(level="info")                     # once, by the command line
    log = structlog.get_logger()                # anywhere
    log.warning("store is slow", waited_ms=812)
    with correlated("9f3a..."): ...             # every line inside carries correlation_id

Two promises. *Nothing that may be secret is rendered*: values that are not plain text, numbers, truth values, paths or enum members appear
as the name of their type, bytes as their length, byte literals inside text are cut out; this also holds for messages of exceptions.
*Logging never fails and never blocks its caller*: what cannot be written at once (pipe full, disk full) is dropped and counted, and the
next line that can be written is preceded by one that says how many were lost.
"""

import logging
import os
import re
import select
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path, PurePath
from typing import Final, TextIO

import orjson
import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

LINE_BYTES: Final = 4_096  # PIPE_BUF on Linux: lines of several processes in one pipe do not mix, and a writable pipe has room for one
TEXT_CHARS: Final = 1_000  # of one value
DEPTH: Final = 4  # of containers inside values
ITEMS: Final = 32  # of one container
FRAMES: Final = 8  # of one traceback, the innermost
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

_BYTE_LITERAL: Final = re.compile(r"""(?<![A-Za-z0-9_])b(?:'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?)""", re.DOTALL)


def configure(*, level: str = "info", file: Path | None = None, stream: TextIO | None = None, console: bool | None = None) -> None:
    """Set up structlog and the standard library's logging for this process; calling it again replaces the set-up.

    Lines go to ``file`` (created 0600, appended), else to ``stream``, else to standard error. ``console``: lines for people instead of
    JSON; by default exactly when the lines go to a terminal. Raises ``ValueError`` for an unknown level and ``OSError`` when ``file``
    cannot be opened.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown log level {level!r}; known are {', '.join(LEVELS)}")
    if file is None:
        descriptor = (stream or sys.stderr).fileno()
    else:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for_people = os.isatty(descriptor) if console is None else console
    sink = Sink(descriptor, owned=file is not None)
    old = structlog.get_config()["logger_factory"]
    structlog.configure(
        processors=[
            _threshold(LEVELS[level]),
            merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            explain_exception,
            redact,
            structlog.dev.ConsoleRenderer(colors=os.isatty(descriptor)) if for_people else render_json,
        ],
        wrapper_class=Logger,
        logger_factory=Factory(sink),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(max(LEVELS[level], logging.WARNING))  # libraries speak up only when something is wrong
    if isinstance(old, Factory):
        old.sink.close()


def correlated(correlation_id: str) -> AbstractContextManager[None]:
    """Bind ``correlation_id`` to every line logged inside the ``with`` block, also in tasks that it starts."""
    return bound_contextvars(correlation_id=correlation_id)


class Logger(structlog.BoundLoggerBase):
    """What ``structlog.get_logger()`` returns. The event is a constant sentence; everything variable is a named field."""

    def debug(self, event: str, **fields: object) -> None:
        """For whoever looks for a fault."""
        self._proxy_to_logger("debug", event, **fields)

    def info(self, event: str, **fields: object) -> None:
        """Normal and worth a line."""
        self._proxy_to_logger("info", event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Service goes on; somebody should look."""
        self._proxy_to_logger("warning", event, **fields)

    def error(self, event: str, **fields: object) -> None:
        """Something asked for was not done."""
        self._proxy_to_logger("error", event, **fields)

    def critical(self, event: str, **fields: object) -> None:
        """The process cannot go on."""
        self._proxy_to_logger("critical", event, **fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log an error with the exception that is being handled."""
        self._proxy_to_logger("error", event, **{"exc_info": True, **fields})


class Sink:
    """Writes lines to a file descriptor; drops and counts what does not fit at once."""

    def __init__(self, descriptor: int, *, owned: bool) -> None:
        """``owned``: ``close`` closes the descriptor."""
        self.lost = 0
        self._descriptor = descriptor
        self._owned = owned
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def line(self, rendered: bytes | str) -> None:
        """Write one line (without its end), or count it as lost. Never raises, never waits."""
        data = rendered.encode("utf-8", "replace") if isinstance(rendered, str) else rendered
        with self._lock:
            if self.lost:
                notice = orjson.dumps({"event": "lines of this log were lost before this one", "level": "warning", "count": self.lost})
                if not self._write(notice):
                    self.lost += 1
                    return
                self.lost = 0
            if not self._write(data):
                self.lost += 1

    debug = info = warning = error = critical = line

    def close(self) -> None:
        """Give the descriptor back; lines of loggers that still hold this sink are lost, not written to whatever gets the number next."""
        with self._lock:
            self._poll = select.poll()
            if self._owned:
                self._owned = False
                os.close(self._descriptor)

    def _write(self, data: bytes) -> bool:
        try:
            ready = self._poll.poll(0)
            return bool(ready and ready[0][1] & select.POLLOUT) and os.write(self._descriptor, data + b"\n") == len(data) + 1
        except OSError:
            return False


class Factory:
    """structlog's way to hand the sink to each logger."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def __call__(self, *_: object) -> Sink:
        """Return the one sink."""
        return self.sink


class _Bridge(logging.Handler):
    """Hands what libraries say through the standard library to our own processors."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; its message is formatted here and goes through the redaction guard as a field."""
        name = next((name for name, number in LEVELS.items() if record.levelno <= number), "critical")
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        getattr(structlog.get_logger(), name)("a library reports", library=record.name, message=record.getMessage(), **fields)


def _threshold(number: int) -> structlog.types.Processor:
    def drop_below(_: object, method: str, fields: structlog.types.EventDict) -> structlog.types.EventDict:
        if LEVELS[method] < number:
            raise structlog.DropEvent
        return fields

    return drop_below


def explain_exception(_: object, __: str, fields: structlog.types.EventDict) -> structlog.types.EventDict:
    """Replace ``exc_info`` by type, message and innermost frames; never by the values of variables."""
    given = fields.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given else None
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        fields["exception"] = f"{type(error).__name__}: {error}"
        fields["frames"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return fields


def redact(_: object, __: str, fields: structlog.types.EventDict) -> structlog.types.EventDict:
    """Let through only what is known to be harmless to render."""
    return {_text(str(key)): harmless(value) for key, value in fields.items()}


def harmless(value: object, depth: int = DEPTH) -> object:
    """Return a JSON value for ``value``: as it is when its type is plain, else the name of the type; bytes as their length."""
    match value:
        case Enum():
            return value.name
        case None | bool() | float():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else "<int>"
        case str() | PurePath():
            return _text(str(value))
        case bytes() | bytearray() | memoryview():
            return f"<{memoryview(value).nbytes} bytes>"
        case Mapping() if depth:
            return {
                _text(key) if isinstance(key, str) else f"<{type(key).__name__}>": harmless(value[key], depth - 1)
                for key in list(value)[:ITEMS]
            }
        case list() | tuple() | set() | frozenset() if depth:
            return [harmless(item, depth - 1) for item in list(value)[:ITEMS]]
        case _:
            return f"<{type(value).__name__}>"


def _text(text: str) -> str:
    cut = text if len(text) <= TEXT_CHARS else text[:TEXT_CHARS] + "..."
    return _BYTE_LITERAL.sub("<bytes>", cut) if "b'" in cut or 'b"' in cut else cut


def render_json(_: object, __: str, fields: structlog.types.EventDict) -> bytes:
    """Render one line; one that would not fit into ``LINE_BYTES`` keeps its event and says how long it was."""
    line = orjson.dumps(fields)
    if len(line) < LINE_BYTES:
        return line
    kept = {key: fields[key] for key in ("event", "level", "timestamp", "correlation_id") if key in fields}
    return orjson.dumps(kept | {"cut_bytes": len(line)})
