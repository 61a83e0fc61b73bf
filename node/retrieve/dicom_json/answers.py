"""Data sets that were made here, as answers to a search, in DICOM JSON (PS3.18 F.2).

Their values stand as bytes of Explicit VR Little Endian in UTF-8, or as pydicom's.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from node.retrieve.dicom_json.characters import characters
from node.retrieve.dicom_json.values import BINARY, MOST_EXACT, attribute

_UTF_8 = characters(b"ISO_IR 192")


class Member(NamedTuple):
    """A tag in hexadecimal, and its JSON object."""

    tag: str
    value: str


def url(text: str) -> str:
    """The object of a URL."""
    return f'{{"vr":"UR","Value":[{quoted(text)}]}}'


def uid_of(dataset: Dataset, tag: str) -> str:
    """A UID that an answer holds; empty where it does not."""
    number = int(tag, 16)
    found = dataset.get_item(number) if number in dataset else None
    raw = found.value if isinstance(found, RawDataElement) else b""
    return (raw or b"").decode("ascii", "replace").rstrip("\0 ")


def answer_object(dataset: Dataset, more: Iterable[Member] = ()) -> bytes:
    """The object of a data set, in UTF-8."""
    return _object(dataset, more).encode("utf-8", "replace")


def _object(dataset: Dataset, more: Iterable[Member] = ()) -> str:
    members = dict(more)
    for tag in dataset.keys():  # noqa: SIM118  a data set yields elements
        members[f"{tag:08X}"] = _element(dataset.get_item(tag))
    inner = (f'"{tag}":{members[tag]}' for tag in sorted(members))
    return f"{{{','.join(inner)}}}"


def _element(element: DataElement | RawDataElement) -> str:
    if isinstance(element, RawDataElement):
        return attribute(str(element.VR), element.value or b"", _UTF_8, True)
    vr, value = str(element.VR), element.value
    if vr == "SQ":
        items = ",".join(map(_object, value or ()))
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
