"""Data sets that were made here, as answers to a search, in DICOM JSON (PS3.18 F.2).

Their values stand as bytes of Explicit VR Little Endian in UTF-8, or as pydicom's.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from node.retrieve.dicom_json.characters import characters
from node.retrieve.dicom_json.values import BINARY, MOST_EXACT, attribute

Elements = Mapping[BaseTag, DataElement | RawDataElement]

_UTF_8 = characters(b"ISO_IR 192")
_SHORT_BYTES = 32


class Member(NamedTuple):
    """A tag, and its JSON object."""

    tag: int
    value: str


def url(text: str) -> str:
    """The object of a URL."""
    return f'{{"vr":"UR","Value":[{quoted(text)}]}}'


def uid_of(elements: Elements, tag: int) -> str:
    """A UID that an answer holds; empty where it does not."""
    found = elements.get(BaseTag(tag))
    raw = found.value if isinstance(found, RawDataElement) else b""
    return (raw or b"").decode("ascii", "replace").rstrip("\0 ")


def answer_object(elements: Elements, more: Iterable[Member] = ()) -> bytes:
    """The object of an answer's elements, in UTF-8."""
    return _object(elements, more).encode("utf-8", "replace")


def _object(elements: Elements, more: Iterable[Member] = ()) -> str:
    members: dict[int, str] = dict(more)
    for tag, element in elements.items():
        members[tag] = _element(element)
    inner = ",".join([f'"{tag:08X}":{members[tag]}' for tag in sorted(members)])
    return f"{{{inner}}}"


def _of_item(item: Dataset) -> str:
    tags = item.keys()
    return _object({tag: item.get_item(tag) for tag in tags})


@lru_cache(maxsize=4096)
def _short(vr: str, value: bytes) -> str:
    """Much is the same from answer to answer."""
    return attribute(vr, value, _UTF_8, True)


def _element(element: DataElement | RawDataElement) -> str:
    if isinstance(element, RawDataElement):
        written = element.value or b""
        if len(written) <= _SHORT_BYTES:
            return _short(str(element.VR), written)
        return attribute(str(element.VR), written, _UTF_8, True)
    vr, value = str(element.VR), element.value
    if vr == "SQ":
        items = ",".join(map(_of_item, value or ()))
        return f'{{"vr":"SQ","Value":[{items}]}}' if items else '{"vr":"SQ"}'
    if vr in BINARY or isinstance(value, bytes):
        inline = b64encode(value or b"").decode("ascii")
        return f'{{"vr":"{vr}","InlineBinary":"{inline}"}}' if inline else f'{{"vr":"{vr}"}}'
    if value is None or value == "":
        return f'{{"vr":"{vr}"}}'
    several = list(value) if isinstance(value, list | tuple) else [value]
    return f'{{"vr":"{vr}","Value":[{",".join(_number(vr, one) for one in several)}]}}'


def _number(vr: str, value: float) -> str:
    if vr == "AT":
        return f'"{int(value):08X}"'
    if vr in ("SV", "UV") and abs(value) > MOST_EXACT:
        return f'"{value}"'
    return json.dumps(value) if abs(value) < float("inf") else "null"
