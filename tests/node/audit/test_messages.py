"""What each event says as a message, held against the rules of PS3.15 A.5.1 by xmllint."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from node.audit import message, telling
from node.audit.events import (
    Accessed,
    Actor,
    AuditEvent,
    Login,
    OfClass,
    Outcome,
    Query,
    Refused,
    Right,
    Subject,
)
from node.audit.journal import decoded, encoded
from node.audit.message import Source
from tests.hostile import FORGED, HOSTILE, found_in
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


def test_breaks_and_marks_are_references_which_give_the_text_back() -> None:
    subject = Subject(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    actor = Actor(HOSTILE, HOSTILE, is_ae=True)
    for event in (
        Accessed(actor, (subject,), HOSTILE),
        Login(actor, Outcome.SERIOUS_FAILURE, HOSTILE),
        Query(actor, HOSTILE, HOSTILE.encode(), HOSTILE),
        Refused(actor, HOSTILE, HOSTILE, is_node=True),
    ):
        (text,) = messages(event)
        assert found_in(text) == []
        assert len(text.splitlines()) == 1
        user = fromstring(text).find("ActiveParticipant[@UserIsRequestor='true']")
        assert user is not None
        assert user.get("UserID", "").startswith(f"\n{FORGED}\n")


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


DATAGRAM_BYTES = 65_507 - 200
"""Of UDP over IPv4, less the head of syslog."""


@pytest.mark.parametrize("one", ["\u2028", '"', "a", "\U0001f600"])
def test_the_longest_message_fits_a_datagram(one: str) -> None:
    for event in EVERY:
        longest = replace(
            event, **{of.name: _long(getattr(event, of.name), one * 20_000) for of in fields(event)}
        )
        for text in messages(longest):
            assert len(text.encode()) < DATAGRAM_BYTES, type(event)


def _long(value: object, text: str) -> Any:
    """The same with this in the place of every text."""
    match value:
        case Right():
            return value
        case str():
            return text
        case bytes():
            return text.encode()
        case Actor():
            return Actor(text, text, value.is_person, is_ae=True)
        case Subject():
            classes = (OfClass("1" * 64, 10**6),) * 200
            return Subject("1" * 64, text, text, text, classes)
        case tuple():
            return tuple(_long(each, text) for each in value)
    return value
