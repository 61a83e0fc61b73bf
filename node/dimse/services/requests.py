"""Services of DIMSE-N (PS3.7 10): a pure matter of requests and answers, and of reading these.

``serving`` ties them to associations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pydicom.dataset import Dataset
from pydicom.uid import UID

from node import statuses
from node.dimse.services.reference_lists import Listed, Lists
from node.statuses import StatusRow, general
from storage.records import Reference

UNSERVED = general(
    statuses.UNRECOGNISED_OPERATION, "the node serves no such operation of the SOP class"
)
"""Answered to every operation that is in no table."""
ALWAYS = (
    general(statuses.SUCCESS, "done, durably"),
    general(
        statuses.PROCESSING_FAILURE,
        "a fault of this node; the comment has an id that is in its log",
    ),
    general(statuses.INVALID_ARGUMENT_VALUE, "the data set cannot be read, or a UID is none"),
    general(
        statuses.NO_SUCH_SOP_CLASS,
        "the request names another SOP class than its presentation context",
    ),
    general(statuses.NOT_AUTHORISED, "the peer has not the right to `store`"),
    general(statuses.RESOURCE_LIMITATION, "the database is away: worth another try"),
)
"""What any request may be answered, whatever it asks for."""
LACKING = (
    general(statuses.MISSING_ATTRIBUTE, "an attribute of type 1 is missing; the comment names it"),
    general(statuses.MISSING_ATTRIBUTE_VALUE, "an attribute of type 1 is empty"),
)

MAX_UID_LENGTH = 64


class Operation(StrEnum):
    """A DIMSE-N operation or notification that the node serves."""

    CREATE = "N-CREATE"
    SET = "N-SET"
    ACTION = "N-ACTION"
    EVENT_REPORT = "N-EVENT-REPORT"


@dataclass(frozen=True, slots=True)
class Request:
    """What a peer asks. ``type_id`` is the action's or the event's."""

    operation: Operation
    sop_class_uid: str
    sop_instance_uid: str
    """Empty where an N-CREATE-RQ leaves it to the SCP."""
    dataset: Dataset
    type_id: int = 0
    calling_ae: str = ""
    host: str = ""
    association: str = ""
    lists: Lists = field(default_factory=dict)
    """The lists of instances of an N-ACTION or N-EVENT-REPORT; they are not in the ``dataset``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: success, unless a ``Refusal`` was raised."""

    sop_instance_uid: str = ""
    """The UID that the SCP chose for an N-CREATE."""


class Refusal(Exception):
    """The request is answered with a failure; ``comment`` holds no patient data."""

    def __init__(self, status: int, comment: str, error_id: int | None = None) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment[: statuses.MAX_COMMENT_LENGTH]
        self.error_id = error_id


class NotInTable(Exception):
    """A service refuses with a status that its table does not have: a fault of this node."""


class Service(Protocol):
    """A service of one SOP class. Called from association threads."""

    @property
    def sop_class_uid(self) -> str:
        """The SOP class that it serves."""

    @property
    def tables(self) -> Mapping[Operation, Sequence[StatusRow]]:
        """The operations that it serves, each with all that it answers."""

    def serve(self, request: Request) -> Answer:
        """Do what is asked, durably. ``request`` is one of the operations in ``tables``.

        Raises
        ------
        Refusal, DatabaseUnavailable
        """


# --- reading data sets ----------------------------------------------------------------------------


def require_uid(value: object, name: str) -> str:
    """A value as a UID.

    Raises
    ------
    Refusal
    """
    text = str(value or "")
    if len(text) > MAX_UID_LENGTH or not UID(text).is_valid:
        raise Refusal(statuses.INVALID_ARGUMENT_VALUE, f"{name} is missing or no UID")
    return text


def required(dataset: Dataset, keyword: str) -> Any:
    """The value of a type 1 attribute.

    Raises
    ------
    Refusal
        0x0120 where it is missing, 0x0121 where it is empty.
    """
    if keyword not in dataset:
        raise Refusal(statuses.MISSING_ATTRIBUTE, f"{keyword} is missing")
    value = dataset[keyword].value
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        raise Refusal(statuses.MISSING_ATTRIBUTE_VALUE, f"{keyword} is empty")
    return value


def listed(request: Request, keyword: str) -> tuple[Reference, ...]:
    """The instances of a list of type 1, each once.

    Raises
    ------
    Refusal
        0x0120 where it is missing, 0x0121 where it is empty.
    """
    if keyword not in request.lists:
        raise Refusal(statuses.MISSING_ATTRIBUTE, f"{keyword} is missing")
    if not request.lists[keyword]:
        raise Refusal(statuses.MISSING_ATTRIBUTE_VALUE, f"{keyword} is empty")
    return tuple(dict.fromkeys(reference_of(one) for one in request.lists[keyword]))


def reference_of(one: Listed) -> Reference:
    """An item of a list.

    Raises
    ------
    Refusal
    """
    return Reference(
        require_uid(one.sop_class_uid, "ReferencedSOPClassUID"),
        require_uid(one.sop_instance_uid, "ReferencedSOPInstanceUID"),
    )


def references(items: Sequence[Dataset]) -> tuple[Reference, ...]:
    """The items of a Referenced SOP Sequence, each once.

    Raises
    ------
    Refusal
    """
    found = (
        Reference(
            require_uid(item.get("ReferencedSOPClassUID"), "ReferencedSOPClassUID"),
            require_uid(item.get("ReferencedSOPInstanceUID"), "ReferencedSOPInstanceUID"),
        )
        for item in items
    )
    return tuple(dict.fromkeys(found))
