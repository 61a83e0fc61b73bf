"""Where the log lines of tests go."""

from __future__ import annotations

import os

import structlog


def to_standard_output() -> None:
    """Write events to the descriptor, never to ``sys.stdout``, which pytest exchanges meanwhile.

    ``print`` keeps no reference to it (CPython up to 3.13): a thread of an association that logs
    while a test ends would write into an object that is gone, and take the interpreter with it.
    Tracebacks are plain: structlog's own drawing takes seconds where frames hold large arrays.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(
                exception_formatter=structlog.dev.plain_traceback, colors=False
            ),
        ],
        logger_factory=lambda *_: _Line(),
    )


class _Line:
    def msg(self, message: str) -> None:
        os.write(1, message.encode() + b"\n")

    log = debug = info = warning = warn = error = critical = exception = fatal = failure = msg
