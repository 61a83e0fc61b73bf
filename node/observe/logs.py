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
from node.observe.redaction import redact
from node.observe.redaction import study_digest as study_digest

MAX_BYTES = 20 * 2**20
KEPT_FILES = 10

_configured_handlers: list[logging.Handler] = []


def configure(log_folder: Path | None, level: str = "info", process: str = "") -> None:
    """Send structlog's, the libraries' and Python's warnings to the log. May be called again.

    Without a folder they go to stderr alone. ``level`` is for the node; libraries are at WARNING.
    A further ``process`` of the node has a file of its own.
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
    _configured_handlers[:] = _handlers(log_folder, process)
    for handler in _configured_handlers:
        root.addHandler(handler)
    root.setLevel(logging.WARNING)  # libraries
    logging.captureWarnings(True)
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote header values
    for package in ("node", "storage", "analyzers"):
        logging.getLogger(package).setLevel(level.upper())


def _handlers(log_folder: Path | None, process: str) -> list[logging.Handler]:
    console = Console(sys.stderr)
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    console.setFormatter(_formatter(renderer))
    if log_folder is None:
        return [console]
    log_folder.mkdir(parents=True, exist_ok=True)
    name = f"wetread-{process}.log" if process else "wetread.log"
    file = LogFile(log_folder / name, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    file.setFormatter(_formatter(structlog.processors.JSONRenderer(ensure_ascii=False)))
    return [console, file]


def _formatter(renderer: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact,
]
