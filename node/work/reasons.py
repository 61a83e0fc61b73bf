"""Why a job did not end well, as it may be logged or told."""

from __future__ import annotations

from node.work.executor import Outcome

MOST = 400
"""Characters of a line."""


def loggable(outcome: Outcome) -> str:
    """The reason for the log. Of an exception only the type: its text may quote a header."""
    line = first_line(outcome.reason)
    return line.partition(":")[0] if outcome.traceback else line


def first_line(text: str) -> str:
    return text.splitlines()[0][:MOST] if text else ""
