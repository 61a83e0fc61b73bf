"""The table of what results say of who made them, and in which language."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from node.config.table import Table
from node.config.values import example

LONGEST_BYTES = 64
"""Of a text of VR LO: the standard counts characters (PS3.5 6.2), many readers bytes."""


def check_said(value: str) -> str:
    """A text that an object can hold as it is, in whatever character set it is written."""
    if "\\" in value:
        raise ValueError("a backslash divides values in DICOM: write it without")
    if len(value.encode()) > LONGEST_BYTES:
        raise ValueError(
            f"is longer than {LONGEST_BYTES} bytes in UTF-8, where an umlaut takes two"
        )
    return value


Said = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=LONGEST_BYTES),
    AfterValidator(check_said),
]
ShortSaid = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=16), AfterValidator(check_said)
]


class ResultSettings(Table):
    """What results say of the node that made them. What changes here changes results: made again,
    they are other objects."""

    language: Annotated[Literal["en", "de"], example("de")] = "en"
    """Of reports and titles."""
    institution: Annotated[Said, example("St. Elsewhere")] = ""
    """Institution Name. Left out: that of the images."""
    department: Annotated[Said, example("Radiology")] = ""
    """Institutional Department Name. Left out: none."""
    station: Annotated[ShortSaid, example("READER1")] = ""
    """Station Name. Left out: `node.ae_title`."""
    serial: Annotated[Said, example("SN-0042")] = ""
    """Device Serial Number. Left out: made once at random, and kept in `serial` in
    `node.data_dir`; whoever moves the node takes that file along."""
