"""DICOMweb in the OpenAPI document: PS3.18 says what every resource means, so here it is short."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from node.web.dicomweb.media_types import DICOM_JSON
from node.web.dicomweb.services import Service

TAG = "DICOMweb"
_REFUSALS = {
    "400": "The request means nothing; the sentence says what of it.",
    "404": "Nothing is held of what is named.",
    "406": "Accept names nothing of what is offered.",
    "413": "The search is too broad, or the body too long.",
    "503": "The database is away, or too many ask at once.",
}
_OF_STORING = {
    "403": "A page of another site may not store here.",
    "415": "The body is none of those that are taken.",
}
_OF_READING = {
    "416": "There is no such range of bytes.",
}
_REFUSED = {"application/json": {"schema": {"$ref": "#/components/schemas/Refused"}}}
_OBJECTS = {"schema": {"type": "array", "items": {"type": "object"}}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_STORED = {
    "200": "All were stored.",
    "202": "Some were stored; why not the others.",
    "409": "None was stored, and why.",
}
_FILES = {
    "description": "Instances as files, each a part.",
    "required": True,
    "content": {'multipart/related; type="application/dicom"': _BYTES, "application/dicom": _BYTES},
}
_ATTRIBUTES = (
    *("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "AccessionNumber"),
    *("ModalitiesInStudy", "Modality", "00080020", "RequestAttributesSequence.00400009"),
)
"""Some of those that can be matched."""
_SEARCH = {
    "limit": "So many matches at most.",
    "offset": "So many matches are passed over.",
    "includefield": "Attributes to be answered too, by keyword or tag; `all` of the level.",
    "fuzzymatching": "`true` is answered by a Warning header: matching is literal.",
}


def paths(services: Iterable[Service], prefix: str) -> dict[str, Any]:
    """The paths of an OpenAPI document."""
    found: dict[str, Any] = {}
    for one in services:
        found.setdefault(_template(f"{prefix}{one.path}"), {})[one.method.lower()] = _operation(one)
    return found


def _template(path: str) -> str:
    """Without the kinds of parameters, which are Starlette's."""
    return re.sub(r":\w+\}", "}", path)


def _operation(service: Service) -> dict[str, Any]:
    is_search = service.name.startswith("Search")
    names = re.findall(r"\{(\w+)", service.path)
    identity = re.sub(r"\W+", "_", f"{service.method} {_template(service.path)}").strip("_")
    parameters = [_parameter(name, "path") for name in names]
    if is_search:
        parameters += [_parameter(name, "query", said) for name, said in _SEARCH.items()]
        parameters += [_parameter(name, "query") for name in _ATTRIBUTES]
    body = {"requestBody": _FILES} if service.method == "POST" else {}
    return {
        "tags": [TAG],
        "summary": service.name,
        "description": f"{service.name}, as PS3.18 has it.",
        "operationId": identity,
        "parameters": parameters,
        **body,
        "responses": _responses(service, is_search),
    }


def _responses(service: Service, is_search: bool) -> dict[str, Any]:
    if service.method == "POST":
        told = {"content": {DICOM_JSON: {"schema": {"type": "object"}}}}
        done = {status: {"description": words, **told} for status, words in _STORED.items()}
        return done | _refused(_REFUSALS | _OF_STORING)
    is_json = is_search or service.name.endswith("Metadata")
    content = {DICOM_JSON: _OBJECTS} if is_json else {"*/*": _BYTES}
    done = {"200": {"description": "As asked.", "content": content}}
    if is_search:
        return done | _refused(_REFUSALS)
    done["206"] = {"description": "The range of bytes that was asked.", "content": content}
    unchanged = {"304": {"description": "The client has it already."}}
    return done | unchanged | _refused(_REFUSALS | _OF_READING)


def _refused(refusals: dict[str, str]) -> dict[str, Any]:
    return {
        status: {"description": words, "content": _REFUSED} for status, words in refusals.items()
    }


def _parameter(name: str, place: str, description: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": {"type": "integer", "minimum": 0}
        if name in ("limit", "offset")
        else {"type": "string"},
    }
    return {**made, "description": description} if description else made
