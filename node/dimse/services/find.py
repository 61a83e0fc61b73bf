"""C-FIND of Query/Retrieve, as SCP (PS3.4 C.4.1): what the node holds, by an identifier."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association

from node import statuses
from node.audit import events
from node.config.tables import QuerySettings
from node.dimse.errors import PeerUnavailable
from node.dimse.rights import Right
from node.dimse.services.composite import Refused, internal_fault
from node.dimse.session import Session
from node.dimse.wire import commands
from node.observe.throttle import ThrottledLog
from node.query.answer import written
from node.query.asked import LEVEL, BadIdentifier, Options, Query, Root, from_identifier
from node.query.encoding import encoded
from node.query.search import Answer, Limits, TooMuch, search
from node.statuses import StatusRow, general
from storage.database import Database
from storage.errors import DatabaseUnavailable, Overloaded
from storage.files.archive import Archive

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
ROOTS = {PATIENT_ROOT: Root.PATIENT, STUDY_ROOT: Root.STUDY}

PENDING = 0xFF00
PENDING_WARNING = 0xFF01
CANCELLED = 0xFE00
OUT_OF_RESOURCES = 0xA700
IDENTIFIER_MISMATCH = 0xA900
UNABLE_TO_PROCESS = 0xC000

RELATIONAL, DATE_TIME, EMPTY_VALUE, MULTIPLE_VALUE = 0, 1, 5, 6
"""Places in the information of SOP class extended negotiation. PS3.4 C.5.1.1."""
NEGOTIABLE = 7
RELATIONAL_EVERY_S = 24 * 3600.0
"""That a peer asks relationally without having said so is logged so often."""

_SOURCE = "PS3.4 Table C.4-1"


def _row(code: int, meaning: str, when: str) -> StatusRow:
    return StatusRow(code, meaning, when, _SOURCE)


TABLE = (
    general(statuses.SUCCESS, "all matches were answered; also where there are none"),
    _row(
        PENDING,
        "Matches are continuing - Current Match is supplied and any Optional Keys were supported in"
        " the same manner as Required Keys",
        "each match",
    ),
    _row(
        PENDING_WARNING,
        "Matches are continuing - Warning that one or more Optional Keys were not supported for"
        " existence and/or matching for this Identifier",
        "each match, where a key was asked for that the node does not answer at this level; it is"
        " left out",
    ),
    _row(
        CANCELLED,
        "Matching terminated due to Cancel request",
        "a C-CANCEL came: at most one more match was sent",
    ),
    _row(
        OUT_OF_RESOURCES,
        "Refused: Out of resources",
        "more matches than `query.max_answers` (those are answered first), or the search takes too"
        " long, or would read too many files, or the database is away",
    ),
    _row(
        IDENTIFIER_MISMATCH,
        "Error: Data Set does not match SOP Class",
        "no Query/Retrieve Level, or one that the information model does not have; with"
        " `query.strict_hierarchy` also where a unique key above the level is missing; Offending"
        " Element has the tag",
    ),
    general(
        statuses.SOP_CLASS_NOT_SUPPORTED,
        "the request names another SOP class than its presentation context",
    ),
    general(statuses.NOT_AUTHORISED, "the peer has not the right to `query`"),
    _row(
        UNABLE_TO_PROCESS,
        "Failed: Unable to process",
        "the identifier cannot be read, or a fault of this node: the comment has an id that is in"
        " its log",
    ),
)
"""All that is ever answered to a C-FIND."""

_relational = ThrottledLog(RELATIONAL_EVERY_S)

Reply = tuple[Dataset, Dataset | None]
"""What pynetdicom sends: a status, and the identifier of a pending one."""


class FindService:
    """Answers queries of both information models."""

    sop_class_uids = tuple(ROOTS)

    def __init__(
        self, database: Database, archive: Archive, ae_title: str, settings: QuerySettings
    ) -> None:
        self._database = database
        self._archive = archive
        self._ae_title = ae_title
        self._settings = settings
        self._limits = Limits(settings.max_headers, settings.max_search_s)

    def agree(self, asked: bytes) -> bytes:
        """Relational queries, combined date-time, empty value and multiple value matching."""
        offered = {DATE_TIME, EMPTY_VALUE, MULTIPLE_VALUE}
        if not self._settings.strict_hierarchy:
            offered.add(RELATIONAL)
        places = enumerate(asked[:NEGOTIABLE])
        return bytes(int(wish == 1 and place in offered) for place, wish in places)

    def bind(self, association: Association, session: Session) -> None:
        """Answer C-FIND over an association."""
        association.bind(evt.EVT_C_FIND, self._serve, [session])

    def _serve(self, event: evt.Event, session: Session) -> Iterator[Reply]:
        running = _Running(event, session)
        try:
            yield from self._replies(running)
        except Refused as refused:
            yield running.refuse(refused)
        except TooMuch as error:
            yield running.refuse(Refused(OUT_OF_RESOURCES, str(error)))
        except Overloaded as error:
            yield running.refuse(Refused(OUT_OF_RESOURCES, str(error)))
        except PeerUnavailable:
            running.tell(None)
        except DatabaseUnavailable:
            yield running.refuse(Refused(OUT_OF_RESOURCES, "Database is unavailable"))
        except Exception as error:  # noqa: BLE001  border: a peer always gets an answer
            fault = internal_fault(session, "C-FIND", UNABLE_TO_PROCESS, error)
            yield running.refuse(fault)

    def _replies(self, running: _Running) -> Iterator[Reply]:
        query = self._query(running)
        most = self._settings.max_answers
        for answer in search(
            self._database,
            self._archive,
            query,
            self._ae_title,
            is_cancelled=running.is_cancelled,
            limits=self._limits,
        ):
            if running.answers == most > 0:
                raise Refused(OUT_OF_RESOURCES, f"More than {most} matches: ask for less")
            running.match(answer, query)
        if running.was_cancelled:
            running.take_back()
            yield running.end(CANCELLED)
        else:
            running.tell(statuses.SUCCESS)

    def _query(self, running: _Running) -> Query:
        """What is asked, once it may be.

        Raises
        ------
        Refused
        """
        session, model = running.session, running.model
        if not session.may(Right.QUERY):
            raise Refused(statuses.NOT_AUTHORISED, "This AE title may not query here")
        if running.request.AffectedSOPClassUID != model:
            raise Refused(
                statuses.SOP_CLASS_NOT_SUPPORTED,
                "SOP class differs from the presentation context's",
            )
        agreed = session.agreed.get(model, b"").ljust(NEGOTIABLE, b"\0")
        options = Options(
            bool(agreed[DATE_TIME]), bool(agreed[EMPTY_VALUE]), bool(agreed[MULTIPLE_VALUE])
        )
        try:
            query = from_identifier(running.identifier(), ROOTS[model], options)
        except BadIdentifier as error:
            raise Refused(IDENTIFIER_MISMATCH, error.reason, error.tag) from error
        self._check_hierarchy(query, session, bool(agreed[RELATIONAL]))
        return query

    def _check_hierarchy(self, query: Query, session: Session, is_relational: bool) -> None:
        missing = query.missing_parents()
        if not missing or is_relational:
            return
        if self._settings.strict_hierarchy:
            comment = "A unique key above the level has no single value"
            raise Refused(IDENTIFIER_MISMATCH, comment, missing[0])
        reason = "unique keys above the level are missing: answered as a relational query"
        _relational.warn("relational_query", reason, session.host, calling_ae=session.calling_ae)


@dataclass(slots=True)
class _Running:
    """A request that is being answered."""

    event: Any
    session: Session
    answers: int = 0
    was_cancelled: bool = False
    began: float = 0.0

    def __post_init__(self) -> None:
        self.began = time.monotonic()

    @property
    def request(self) -> Any:
        return self.event.request

    @property
    def model(self) -> str:
        """The SOP class of the presentation context."""
        return str(self.event.context.abstract_syntax)

    def identifier(self) -> Dataset:
        """What is asked.

        Raises
        ------
        Refused
        """
        try:
            found: Dataset = self.event.identifier
        except Exception as error:
            raise Refused(UNABLE_TO_PROCESS, "The identifier cannot be read") from error
        return found

    def is_cancelled(self) -> bool:
        """Whether a C-CANCEL came. pynetdicom says so once."""
        self.was_cancelled = self.was_cancelled or bool(self.event.is_cancelled)
        return self.was_cancelled

    def match(self, answer: Answer, query: Query) -> None:
        """Send a match.

        Raises
        ------
        PeerUnavailable
            The association is over.
        """
        self.answers += 1
        status = PENDING_WARNING if answer.unsupported else PENDING
        level = written(LEVEL, "CS", (query.level.value,))
        elements = {**answer.elements, level.tag: level}
        context = self.event.context
        self.event.assoc.dimse.send_encoded(
            context.context_id,
            commands.match(self.model, self.request.MessageID, status),
            encoded(elements, context.transfer_syntax),
        )

    def take_back(self) -> None:
        """Matches that have not left yet are not sent after a C-CANCEL."""
        self.answers -= self.event.assoc.dul.drop_ready()

    def end(self, code: int) -> Reply:
        """The last answer, other than the success that pynetdicom sends itself."""
        self.tell(code)
        status = Dataset()
        status.Status = code
        return status, None

    def refuse(self, refused: Refused) -> Reply:
        """The last answer: a failure."""
        status, _ = self.end(refused.status)
        status.ErrorComment = refused.comment
        if refused.offending is not None:
            status.OffendingElement = refused.offending
        self.session.log.warning(
            "query_refused", status=f"0x{refused.status:04X}", reason=refused.comment
        )
        return status, None

    def tell(self, code: int | None) -> None:
        """Log how it ended, and tell the audit trail; None: the association was over."""
        taken_ms = round((time.monotonic() - self.began) * 1000)
        status = "association over" if code is None else f"0x{code:04X}"
        self.session.log.info(
            "query_answered", status=status, answers=self.answers, taken_ms=taken_ms
        )
        is_success = code in (statuses.SUCCESS, CANCELLED, None)
        asked = self.request.Identifier
        self.session.trail.record(
            events.Query(
                self.session.peer,
                self.model,
                asked.getvalue() if asked is not None else b"",
                str(self.event.context.transfer_syntax),
                events.Outcome.SUCCESS if is_success else events.Outcome.MINOR_FAILURE,
                "" if is_success else status,
            )
        )
