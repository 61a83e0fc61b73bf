"""What an analyzer raises on purpose."""

from __future__ import annotations


class AnalyzerError(Exception):
    """Base of what an analyzer raises on purpose."""


class NotApplicable(AnalyzerError):
    """The input is sound, but this analyzer has nothing to say about it.

    The message goes into the report: write it for a radiologist.
    """


class InvalidParameters(AnalyzerError):
    """A parameter is out of its range; the message names it."""
