"""What each event says as a message, held against the rules of PS3.15 A.5.1 by xmllint."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from node.audit import message, telling
from node.audit.events import Accessed, Actor, AuditEvent, Query, Subject
from node.audit.journal import decoded, encoded
from node.audit.message import Source
from tests.node.audit.conftest import EVERY, NODE, PERSON, SCHEMA

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

needs_xmllint = pytest.mark.skipif(
    shutil.which("xmllint") is None, reason="xmllint is not installed (libxml2-utils)"
)


def messages(event: AuditEvent) -> list[str]:
    source = Source("WETREAD", "St. Elsewhere")
    return [message.xml(line.told, AT, source) for line in telling.lines(event, NODE)]


def only(event: AuditEvent) -> Element:
    (text,) = messages(event)
    return fromstring(text)


@needs_xmllint
def test_every_message_is_valid_by_the_schema(tmp_path: Path) -> None:
    paths = []
    for number, text in enumerate(text for event in EVERY for text in messages(event)):
        paths.append(tmp_path / f"{number}.xml")
        paths[-1].write_text(text, encoding="utf-8")
    asked = ["xmllint", "--noout", "--relaxng", str(SCHEMA), *map(str, paths)]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert len(paths) > len(EVERY)


@needs_xmllint
def test_the_schema_refuses_what_is_no_message(tmp_path: Path) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(messages(EVERY[0])[0].replace("UserID", "UserName"))
    asked = ["xmllint", "--noout", "--relaxng", str(SCHEMA), str(path)]
    assert subprocess.run(asked, capture_output=True, check=False).returncode != 0


def test_every_kind_of_event_has_a_message_and_comes_out_of_the_journal_as_it_went_in() -> None:
    assert {type(event) for event in EVERY} == set(telling._TELL)
    for event in EVERY:
        assert decoded(encoded(event, AT)) == (event, AT)


def test_a_message_is_one_line_and_holds_what_xml_can_hold() -> None:
    odd = Subject("1.2.3", "a\x00b\x1b\ud800", "<script>\n&\"'", "]]>")
    (text,) = messages(Accessed(Actor("x\ry", "fe80::1%eth0"), (odd,), "page"))
    assert "\n" not in text
    patient = fromstring(text).findall("ParticipantObjectIdentification")[1]
    assert patient.get("ParticipantObjectID") == "a�b��"
    assert (patient.findtext("ParticipantObjectName") or "").startswith("<script>")


def test_each_study_has_a_message_with_its_patient() -> None:
    both = Accessed(PERSON, (Subject("1.2", "p1", "A"), Subject("1.3", "p2", "B")), "page")
    told = [fromstring(text) for text in messages(both)]
    ids = [
        [one.get("ParticipantObjectID") for one in root.iter("ParticipantObjectIdentification")]
        for root in told
    ]
    assert ids == [["1.2", "p1"], ["1.3", "p2"]]


def test_a_query_is_kept_as_it_was_asked() -> None:
    root = only(Query(Actor("CT1"), "1.2.840.10008.5.1.4.1.2.2.1", b"\x10\x00\xff", "1.2.840"))
    assert b64decode(root.findtext(".//ParticipantObjectQuery") or "") == b"\x10\x00\xff"
    detail = root.find(".//ParticipantObjectDetail")
    assert detail is not None
    assert (detail.get("type"), b64decode(detail.get("value") or "")) == (
        "TransferSyntax",
        b"1.2.840",
    )


def test_at_most_one_participant_is_the_requestor() -> None:
    for event in EVERY:
        for text in messages(event):
            parts = fromstring(text).findall("ActiveParticipant")
            assert sum(part.get("UserIsRequestor") == "true" for part in parts) <= 1


def test_what_is_very_long_is_cut() -> None:
    long = Subject("1.2.3", "p" * 100_000, "n" * 100_000)
    assert len(messages(Accessed(PERSON, (long,)))[0]) < 10_000
    assert len(messages(Query(PERSON, "/studies", b"q" * 100_000))[0]) < 20_000
