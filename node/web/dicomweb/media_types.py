"""Content-Type headers (RFC 9110 8.3.1), also as old clients write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
MULTIPART = "multipart/related"

_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type with its parameters, their names and its own in lower case."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def media_type(header: str) -> MediaType:
    """What a header says; values may stand in quotes or without."""
    name, semicolon, rest = header.partition(";")
    parameters: dict[str, str] = {}
    for one in _PARAMETER.finditer(semicolon + rest):
        quoted, plain = one.group(2), one.group(3)
        value = plain.strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
        parameters.setdefault(one.group(1).lower(), value)
    return MediaType(name.strip().lower(), parameters)
