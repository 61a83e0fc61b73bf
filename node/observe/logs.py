"""One event a line, with ids, never with names: the log of a node.

JSON to ``wetread.log`` (rotated), readable text to stderr. What may identify a patient is taken
out here, whoever logs it.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import structlog

from node.observe.log_handlers import Console, LogFile
from node.observe.one_line import as_json, in_words
from node.observe.redaction import redact
from node.observe.redaction import study_digest as study_digest

MAX_BYTES = 20 * 2**20
KEPT_FILES = 10

_configured_handlers: list[logging.Handler] = []


def configure(
    log_folder: Path | None,
    level: str = "info",
    process: str = "",
    max_bytes: int = MAX_BYTES,
    kept_files: int = KEPT_FILES,
) -> None:
    """Send structlog's, the libraries' and Python's warnings to the log. May be called again.

    Without a folder they go to stderr alone. ``level`` is for the node; libraries are at WARNING.
    A further ``process`` of the node has a file of its own, which is begun anew at ``max_bytes``.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for old in _configured_handlers:
        root.removeHandler(old)
        old.close()
    _configured_handlers[:] = [_console()]
    if log_folder is not None:
        name = f"wetread-{process}.log" if process else "wetread.log"
        _configured_handlers.append(_file(log_folder / name, max_bytes, kept_files))
    for handler in _configured_handlers:
        root.addHandler(handler)
    root.setLevel(logging.WARNING)  # libraries
    logging.captureWarnings(True)
    logging.getLogger("pydicom").addFilter(_is_error)  # its warnings quote header values
    for package in ("node", "storage", "analyzers"):
        logging.getLogger(package).setLevel(level.upper())


def _is_error(record: logging.LogRecord) -> bool:
    """A level would not do: pydicom sets its own when it is imported."""
    return record.levelno >= logging.ERROR


def _console() -> Console:
    console = Console(sys.stderr)
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    console.setFormatter(_formatter(in_words, renderer))
    return console


def _file(path: Path, max_bytes: int, kept_files: int) -> LogFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = LogFile(path, maxBytes=max_bytes, backupCount=kept_files, encoding="utf-8")
    file.setFormatter(_formatter(structlog.processors.JSONRenderer(as_json)))
    return file


def _formatter(*steps: Any) -> logging.Formatter:
    """``steps``: processors, of which the last one renders."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *steps],
    )


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact,
]
