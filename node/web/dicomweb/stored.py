"""The answer to STOW-RS: which instances were stored, and why the others were not.

Store Instances Response Module, PS3.18 I.2; status codes, PS3.18 10.5.3.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from pydicom.datadict import dictionary_VR, keyword_for_tag

from node.receive import statuses
from node.receive.file_reception import Outcome
from node.web.dicomweb.media_types import DICOM_XML

RETRIEVE_URL = "00081190"
REFERENCED_SOP_CLASS_UID = "00081150"
REFERENCED_SOP_INSTANCE_UID = "00081155"
FAILURE_REASON = "00081197"
FAILED_SOP_SEQUENCE = "00081198"
REFERENCED_SOP_SEQUENCE = "00081199"
OTHER_FAILURES_SEQUENCE = "0008119A"

Item = dict[str, "str | int | list[Item]"]
"""Values by tag; a sequence is a list."""


def status_of(outcomes: Sequence[Outcome]) -> int:
    """200: all stored; 202: some; else why none was."""
    stored = sum(one.is_stored for one in outcomes)
    if stored:
        return 200 if stored == len(outcomes) else 202
    reasons = {one.reason for one in outcomes}
    alone = {statuses.OUT_OF_RESOURCES: 503, statuses.INSTANCE_TOO_LARGE: 413}
    return alone.get(reasons.pop(), 409) if len(reasons) == 1 else 409


def response_module(outcomes: Sequence[Outcome], base_url: str) -> Item:
    """``base_url``: in front of ``/studies``. A sequence that would be empty is left out."""
    stored = [one for one in outcomes if one.is_stored]
    studies = {one.study_instance_uid for one in stored}
    module: Item = {
        RETRIEVE_URL: f"{base_url}/studies/{studies.pop()}" if len(studies) == 1 else ""
    }
    sequences: dict[str, list[Item]] = {
        FAILED_SOP_SEQUENCE: [],
        REFERENCED_SOP_SEQUENCE: [_reference(one, base_url) for one in stored],
        OTHER_FAILURES_SEQUENCE: [],
    }
    for one in outcomes:
        if not one.is_stored:
            is_known = bool(one.sop_class_uid and one.sop_instance_uid)
            where = FAILED_SOP_SEQUENCE if is_known else OTHER_FAILURES_SEQUENCE
            sequences[where].append(_failure(one, is_known))
    return module | {tag: items for tag, items in sequences.items() if items}


def _reference(one: Outcome, base_url: str) -> Item:
    url = (
        f"{base_url}/studies/{one.study_instance_uid}/series/{one.series_instance_uid}"
        f"/instances/{one.sop_instance_uid}"
    )
    return _instance(one) | {RETRIEVE_URL: url}


def _failure(one: Outcome, is_known: bool) -> Item:
    return (_instance(one) if is_known else {}) | {FAILURE_REASON: one.reason}


def _instance(one: Outcome) -> Item:
    return {
        REFERENCED_SOP_CLASS_UID: one.sop_class_uid,
        REFERENCED_SOP_INSTANCE_UID: one.sop_instance_uid,
    }


def in_words(outcomes: Sequence[Outcome]) -> str:
    """The different reasons for which something was not stored, for who reads headers."""
    failed = [one for one in outcomes if not one.is_stored]
    reasons = list(dict.fromkeys(f"0x{one.reason:04X} {one.comment}".strip() for one in failed))
    more = "; ..." if len(reasons) > 3 else ""
    return f"{len(failed)} of {len(outcomes)} not stored: {'; '.join(reasons[:3])}{more}"


# --- encodings ------------------------------------------------------------------------------------


def encoded(module: Item, media_type: str) -> bytes:
    """As a DICOM JSON Model object (PS3.18 F.2), or a Native DICOM Model (PS3.19 A.1)."""
    if media_type == DICOM_XML:
        return _as_xml(module).encode()
    return json.dumps(_as_json(module)).encode()


def _as_json(item: Item) -> Mapping[str, object]:
    return {tag: {"vr": dictionary_VR(tag), **_json_value(value)} for tag, value in item.items()}


def _json_value(value: str | int | list[Item]) -> Mapping[str, object]:
    if value == "":
        return {}
    return {"Value": [_as_json(one) for one in value] if isinstance(value, list) else [value]}


def _as_xml(module: Item) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel'
        ' xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
        f"{_xml_attributes(module)}</NativeDicomModel>\n"
    )


def _xml_attributes(item: Item) -> str:
    return "".join(
        f'<DicomAttribute tag="{tag}" vr="{dictionary_VR(tag)}"'
        f" keyword={quoteattr(keyword_for_tag(tag))}>{_xml_value(value)}</DicomAttribute>"
        for tag, value in item.items()
    )


def _xml_value(value: str | int | list[Item]) -> str:
    if isinstance(value, list):
        return "".join(
            f'<Item number="{number}">{_xml_attributes(one)}</Item>'
            for number, one in enumerate(value, 1)
        )
    return "" if value == "" else f'<Value number="1">{escape(str(value))}</Value>'
