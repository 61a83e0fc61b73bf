"""The tables of archives that studies are fetched from, beside the destinations."""

from __future__ import annotations

from typing import Annotated

from node.config.dimse import CalledSettings
from node.config.values import Name, example
from node.config.web_called import WebCalledSettings


class ArchiveSettings(CalledSettings):
    """An archive that studies are fetched from: by C-FIND and C-GET, or C-MOVE to this node."""

    name: Annotated[Name, example("archive")]
    """What `wetread fetch --from` calls it."""
    tells_what_it_has: Annotated[bool, example(True)] = False
    """Whether it is asked (C-FIND), once it has sent images of a study, what it has of that study:
    when all is here, the quiet period is not waited for."""


class WebArchiveSettings(WebCalledSettings):
    """An archive that studies are fetched from by DICOMweb: QIDO-RS and WADO-RS."""

    name: Annotated[Name, example("cloud")]
    """What `wetread fetch --from` calls it."""
