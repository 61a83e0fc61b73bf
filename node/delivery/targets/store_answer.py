"""What a STOW-RS service says became of each instance (PS3.18 10.5.3, Annex I).

Read by its Referenced SOP Sequence and Failed SOP Sequence, in JSON or XML, whatever the HTTP
status is and whatever the body is called: services in use answer 400 with both, and without a type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from node import statuses
from node.dimse.scu.answers import SendOutcome, SendResult, classify, describe

_REFERENCED = "00081199"
_FAILED = "00081198"
_OTHERS = "0008119A"
_INSTANCE = "00081155"
_FAILURE_REASON = "00081197"
_WARNING_REASON = "00081196"

UNSAID = SendResult(None, SendOutcome.TRANSIENT, "it was not stored, and no reason is given")

Item = dict[str, str]
"""The first value of each attribute, by tag."""


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """``by_instance``: by SOP instance UID. ``others``: failures that name no instance."""

    by_instance: Mapping[str, SendResult] = field(default_factory=dict)
    others: tuple[SendResult, ...] = ()


def read(body: bytes) -> StoreAnswer | None:
    """The answer; None for what is none: a page of a proxy, a message, nothing at all."""
    start = body.lstrip()[:1]
    if start in (b"{", b"["):
        sequences = _from_json(body)
    elif start == b"<" and b"<!DOCTYPE" not in body:
        sequences = _from_xml(body)
    else:
        return None
    if sequences is None:
        return None
    results = {one[_INSTANCE]: _stored(one) for one in sequences[_REFERENCED] if _INSTANCE in one}
    results |= {one[_INSTANCE]: _failed(one) for one in sequences[_FAILED] if _INSTANCE in one}
    return StoreAnswer(results, tuple(_failed(one) for one in sequences[_OTHERS]))


def _stored(item: Item) -> SendResult:
    code = _code(item.get(_WARNING_REASON, ""))
    if not code:
        return SendResult(statuses.SUCCESS, SendOutcome.STORED, describe(statuses.SUCCESS))
    return SendResult(code, SendOutcome.WARNING, describe(code))


def _failed(item: Item) -> SendResult:
    """Failure Reason (0008,1197) has the statuses of C-STORE, and few more. PS3.18 I.2.2."""
    code = _code(item.get(_FAILURE_REASON, ""))
    if not code:
        return UNSAID
    outcome = classify(code)
    if outcome in (SendOutcome.STORED, SendOutcome.WARNING):  # a status that contradicts its place
        outcome = SendOutcome.TRANSIENT
    return SendResult(code, outcome, describe(code))


def _code(value: str) -> int:
    """0 for what is none."""
    return int(value) if value.isascii() and value.isdecimal() and int(value) <= 0xFFFF else 0


def _from_json(body: bytes) -> dict[str, list[Item]] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    answer = found[0] if isinstance(found, list) and found else found
    if not isinstance(answer, dict) or not {_REFERENCED, _FAILED, _OTHERS} & set(answer):
        return None
    return {tag: _json_items(answer.get(tag)) for tag in (_REFERENCED, _FAILED, _OTHERS)}


def _json_items(sequence: Any) -> list[Item]:
    return [
        {str(tag): str(values[0]) for tag, one in item.items() if (values := _json_values(one))}
        for item in _json_values(sequence)
        if isinstance(item, dict)
    ]


def _json_values(element: Any) -> list[Any]:
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _from_xml(body: bytes) -> dict[str, list[Item]] | None:
    """The Native DICOM Model (PS3.19 A.1), in its namespace or in none."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return None
    if _local(root) != "NativeDicomModel":
        return None
    found: dict[str, list[Item]] = {_REFERENCED: [], _FAILED: [], _OTHERS: []}
    for attribute in root:
        if attribute.get("tag") in found:
            found[attribute.get("tag", "")] = [
                _xml_item(one) for one in attribute if _local(one) == "Item"
            ]
    return found


def _xml_item(item: ElementTree.Element) -> Item:
    values = {one.get("tag", ""): _first_value(one) for one in item}
    return {tag: value for tag, value in values.items() if value}


def _first_value(attribute: ElementTree.Element) -> str:
    return next((one.text or "" for one in attribute if _local(one) == "Value"), "").strip()


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
