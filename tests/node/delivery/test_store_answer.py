"""What a STOW-RS answer says of each instance, as services in use write it."""

from __future__ import annotations

import json

import pytest

from node.delivery.targets.store_answer import UNSAID, read
from node.dimse.scu.answers import SendOutcome
from node.receive.file_reception import Outcome
from node.web.dicomweb.media_types import DICOM_JSON, DICOM_XML
from node.web.dicomweb.stored import encoded, response_module
from tests.node.delivery.web_pacs import as_xml

CT = "1.2.840.10008.5.1.4.1.1.2"


def item(uid: str, **reasons: int) -> dict[str, object]:
    found: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid]}}
    tags = {"failure": "00081197", "warning": "00081196"}
    return found | {tags[one]: {"vr": "US", "Value": [code]} for one, code in reasons.items()}


def answer(**sequences: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    tags = {"stored": "00081199", "failed": "00081198", "others": "0008119A"}
    return {tags[one]: {"vr": "SQ", "Value": items} for one, items in sequences.items()}


MIXED = answer(
    stored=[item("1.1"), item("1.2", warning=0xB007)],
    failed=[item("1.3", failure=0xA700), item("1.4", failure=0x0122), item("1.5")],
    others=[{"00081197": {"vr": "US", "Value": [0xC000]}}],
)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(MIXED).encode(),
        json.dumps([MIXED], indent=1).encode(),
        as_xml(MIXED),
        as_xml(MIXED).replace(b' xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"', b""),
    ],
    ids=["JSON", "JSON in a list", "XML", "XML without its namespace"],
)
def test_each_instance_has_what_was_said_of_it(body: bytes) -> None:
    found = read(body)
    assert found is not None
    assert {uid: (one.status, one.outcome) for uid, one in found.by_instance.items()} == {
        "1.1": (0x0000, SendOutcome.STORED),
        "1.2": (0xB007, SendOutcome.WARNING),
        "1.3": (0xA700, SendOutcome.TRANSIENT),
        "1.4": (0x0122, SendOutcome.REFUSED),
        "1.5": (None, SendOutcome.TRANSIENT),
    }
    assert found.by_instance["1.5"] is UNSAID
    assert [one.status for one in found.others] == [0xC000]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"stored",
        b"<html><body>log in</body></html>",
        b"{",
        b"[]",
        b"null",
        b'{"error": "no"}',
        b"<NativeDicomModel>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><NativeDicomModel/>',
        as_xml(MIXED).decode().encode("utf-16"),
    ],
)
def test_what_is_no_answer_says_nothing(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    "sequence",
    [None, 7, "x", {"vr": "SQ"}, {"Value": None}, {"Value": {}}, {"Value": [1, None, []]}],
)
def test_sequences_of_the_wrong_kind_name_nothing(sequence: object) -> None:
    found = read(json.dumps({"00081199": sequence, "00081198": sequence}).encode())
    assert found is not None
    assert not found.by_instance


def test_a_failure_with_a_status_of_success_or_none_is_no_success() -> None:
    for code in (0x0000, 0xB000, 70_000, -1):
        found = read(json.dumps(answer(failed=[item("1.1", failure=code)])).encode())
        assert found is not None
        assert found.by_instance["1.1"].outcome is SendOutcome.TRANSIENT


def test_what_is_called_stored_and_failed_is_not_believed_to_be_stored() -> None:
    both = answer(stored=[item("1.1")], failed=[item("1.1", failure=0xA700)])
    found = read(json.dumps(both).encode())
    assert found is not None
    assert not found.by_instance["1.1"].is_stored


@pytest.mark.parametrize("media_type", [DICOM_JSON, DICOM_XML])
def test_the_answers_of_a_node_like_this_one_are_understood(media_type: str) -> None:
    outcomes = [
        Outcome(0, "", CT, "1.1", "1", "1.0"),
        Outcome(0xA700, "", CT, "1.2"),
        Outcome(0xC000),
    ]
    found = read(encoded(response_module(outcomes, "http://h"), media_type))
    assert found is not None
    assert {uid: one.status for uid, one in found.by_instance.items()} == {"1.1": 0, "1.2": 0xA700}
    assert [one.status for one in found.others] == [0xC000]
