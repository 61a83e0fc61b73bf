"""One event a line, with ids, never with names: the log of a node.

JSON to ``wetread.log`` (rotated), readable text to stderr. What may identify a patient is taken
out here, whoever logs it.
"""

from __future__ import annotations

import hashlib
import logging
import logging.handlers
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

MAX_BYTES = 20 * 2**20
KEPT_FILES = 10

_FORBIDDEN = re.compile(
    r"patient|person|birth|accession|physician|operator|address|phone|dataset", re.IGNORECASE
)
_UID = re.compile(r"\b[0-2](?:\.(?:0|[1-9][0-9]*)){5,}\b")

_configured_handlers: list[logging.Handler] = []


def study_digest(uid: str) -> str:
    """A short stand-in for a UID: the same in every line, and no way back."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def configure(log_folder: Path | None, level: str = "info") -> None:
    """Send structlog's and the libraries' messages to the log. May be called again."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for old in _configured_handlers:
        root.removeHandler(old)
        old.close()
    _configured_handlers[:] = _handlers(log_folder)
    for handler in _configured_handlers:
        root.addHandler(handler)
    root.setLevel(logging.WARNING)  # libraries
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote header values
    for package in ("node", "storage", "analyzers"):
        logging.getLogger(package).setLevel(level.upper())


def _handlers(log_folder: Path | None) -> list[logging.Handler]:
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())))
    if log_folder is None:
        return [console]
    log_folder.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(
        log_folder / "wetread.log", maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
    )
    file.setFormatter(_formatter(structlog.processors.JSONRenderer(ensure_ascii=False)))
    return [console, file]


def _formatter(renderer: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out what may identify a patient; UIDs become digests."""
    for key, value in list(event.items()):
        if key.startswith("_"):
            continue
        if _FORBIDDEN.search(key):
            event[key] = "redacted"
        elif isinstance(value, str):
            event[key] = _UID.sub(lambda found: f"uid:{study_digest(found[0])}", value)
    return event


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact,
]
