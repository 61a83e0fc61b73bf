"""An event as the XML of PS3.15 A.5.1, filled as A.5.3 says: one message a study.

Values are anything that others sent: what XML cannot hold is replaced, what is long is cut, and
what would break or reorder the line that shows it is written as a reference.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from xml.etree.ElementTree import Element, SubElement, tostring
from xml.sax.saxutils import escape

from node.audit import codes
from node.audit.codes import Code
from node.audit.events import Actor, Outcome, Subject
from node.observe.one_line import UNSEEN

_LONGEST = 1024
"""Characters of one value."""
_LONGEST_WRITTEN = 2048
"""Bytes of one as it stands in the message: with all of them a message still fits a datagram of UDP
(RFC 5426 3.2), or a text made up of quotation marks would hold up the trail."""
_LONGEST_QUERY = 8192
"""Bytes of a query."""
_MOST_CLASSES = 100
_UNSEEN = re.compile(f"[{UNSEEN}]")
_QUOTED = {'"': "&quot;"}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """Who reports (AuditSourceIdentification)."""

    name: str
    site: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """An ActiveParticipant."""

    actor: Actor
    roles: tuple[Code, ...] = ()
    is_requestor: bool = False
    media: Code | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """A ParticipantObjectIdentification: the type and role codes of A.5.1.2."""

    id: str
    id_type: Code
    type_code: str
    role: str
    name: str = ""
    query: bytes | None = None
    details: Mapping[str, bytes] = field(default_factory=dict)
    life_cycle: str = ""
    subject: Subject | None = None
    """A study, whose classes and accession number are described."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one message says."""

    event: Code
    action: str
    outcome: Outcome
    parts: tuple[Part, ...]
    type: Code | None = None
    reason: str = ""
    things: tuple[Thing, ...] = ()


def xml(told: Told, at: datetime, source: Source) -> str:
    """The message on one line."""
    root = Element("AuditMessage")
    root.append(_identification(told, at))
    root.extend(_participant(part) for part in told.parts)
    root.append(_source(source))
    root.extend(_thing(thing) for thing in told.things)
    return _visible(tostring(root, encoding="unicode"))


def _visible(text: str) -> str:
    return _UNSEEN.sub(lambda one: f"&#{ord(one[0])};", text)


def _identification(told: Told, at: datetime) -> Element:
    made = Element(
        "EventIdentification",
        EventActionCode=told.action,
        EventDateTime=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        EventOutcomeIndicator=str(told.outcome.value),
    )
    _coded(made, "EventID", told.event)
    if told.type is not None:
        _coded(made, "EventTypeCode", told.type)
    if told.reason:
        SubElement(made, "EventOutcomeDescription").text = _plain(told.reason)
    return made


def _participant(part: Part) -> Element:
    actor = part.actor
    made = Element(
        "ActiveParticipant",
        UserID=_plain(actor.name or actor.address or "unknown"),
        UserIsRequestor=str(part.is_requestor).lower(),
    )
    if actor.is_ae:
        made.set("AlternativeUserID", f"AETITLES={_plain(actor.name)}")
    if actor.address:
        made.set("NetworkAccessPointID", _plain(actor.address))
        made.set("NetworkAccessPointTypeCode", "2" if _is_address(actor.address) else "1")
    for role in part.roles:
        _coded(made, "RoleIDCode", role)
    if part.media is not None:
        _coded(SubElement(made, "MediaIdentifier"), "MediaType", part.media)
    return made


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _source(source: Source) -> Element:
    made = Element("AuditSourceIdentification", AuditSourceID=_plain(source.name))
    if source.site:
        made.set("AuditEnterpriseSiteID", _plain(source.site))
    SubElement(made, "AuditSourceTypeCode").set("csd-code", "4")  # application server process
    return made


def _thing(thing: Thing) -> Element:
    made = Element(
        "ParticipantObjectIdentification",
        ParticipantObjectID=_plain(thing.id) or "unknown",
        ParticipantObjectTypeCode=thing.type_code,
        ParticipantObjectTypeCodeRole=thing.role,
    )
    if thing.life_cycle:
        made.set("ParticipantObjectDataLifeCycle", thing.life_cycle)
    _coded(made, "ParticipantObjectIDTypeCode", thing.id_type)
    if thing.query is not None:
        SubElement(made, "ParticipantObjectQuery").text = _base64(thing.query[:_LONGEST_QUERY])
    else:
        SubElement(made, "ParticipantObjectName").text = _plain(thing.name)
    for kind, value in thing.details.items():
        detail = SubElement(made, "ParticipantObjectDetail", type=kind)
        detail.set("value", _base64(value[:_LONGEST_QUERY]))
    if thing.subject is not None:
        _describe(made, thing.subject)
    return made


def _describe(made: Element, subject: Subject) -> None:
    described = SubElement(made, "ParticipantObjectDescription")
    if subject.accession_number:
        SubElement(described, "Accession", Number=_plain(subject.accession_number))
    for one in subject.classes[:_MOST_CLASSES]:
        made_of = SubElement(described, "SOPClass", NumberOfInstances=str(one.instances))
        made_of.set("UID", _plain(one.sop_class_uid))


def _coded(parent: Element, name: str, code: Code) -> None:
    made = SubElement(parent, name)
    made.set("csd-code", code.value)
    made.set("codeSystemName", code.scheme)
    made.set("originalText", code.meaning)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _plain(text: str) -> str:
    """What XML can hold of a text, and no more than is sensible."""
    plain = _NO_XML.sub("\ufffd", text)[:_LONGEST]
    while len(_visible(escape(plain, _QUOTED)).encode()) > _LONGEST_WRITTEN:
        plain = plain[: len(plain) * 3 // 4]
    return plain


# --- things that many events are about ------------------------------------------------------------


def study_and_patient(subject: Subject, life_cycle: str = "") -> Sequence[Thing]:
    """The two objects of every message about a study."""
    study = Thing(
        subject.study_instance_uid,
        codes.STUDY_UID,
        "2",
        "3",
        life_cycle=life_cycle,
        subject=subject,
    )
    patient = Thing(subject.patient_id, codes.PATIENT_NUMBER, "1", "1", name=subject.patient_name)
    return study, patient


def detailed(pairs: Iterable[tuple[str, str]]) -> dict[str, bytes]:
    """Details with text in them; empty ones are left out."""
    return {kind: value.encode("utf-8", "replace") for kind, value in pairs if value}
