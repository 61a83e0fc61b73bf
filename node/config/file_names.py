"""How files of results may be named: of what tells nothing of a patient."""

from __future__ import annotations

from pathlib import PurePosixPath
from string import Formatter

FIELDS = ("job", "object", "modality", "date", "digest", "study")
"""What a name may hold. ``study`` is a digest, ``job`` too."""
DEFAULT_TEMPLATE = "{job}/{object}.dcm"
_TELLING = ("digest", "object")
"""Without one of them all of a job's files would have one name."""


def check_template(value: str) -> str:
    """A relative path of plain text and ``FIELDS``."""
    fields = _fields(value)
    for one in fields:
        if one not in FIELDS:
            raise ValueError(
                f"{{{one}}} does not enter a file name, as it may tell of a patient or is unknown:"
                f" use {', '.join(f'{{{name}}}' for name in FIELDS)}"
            )
    if not set(fields) & set(_TELLING):
        raise ValueError("names many files alike: use {object} or {digest}")
    if "object" in fields and not {"job", "digest"} & set(fields):
        raise ValueError("{object} names files of many jobs alike: use {job} or {digest} too")
    place = PurePosixPath(value)
    if place.is_absolute() or ".." in place.parts or "\\" in value:
        raise ValueError("is a path below the folder: relative, without .. and backslashes")
    if any(part.startswith(".") for part in place.parts):
        raise ValueError("names hidden files: no part begins with a dot")
    return value


def _fields(template: str) -> list[str]:
    try:
        found = [one for one in Formatter().parse(template) if one[1] is not None]
    except ValueError as error:
        raise ValueError(f"is no template: {error}") from error
    if any(layout or conversion for _, _, layout, conversion in found):
        raise ValueError("holds a field with more than its name: {job}, {object}, …")
    return [str(name) for _, name, _, _ in found]
