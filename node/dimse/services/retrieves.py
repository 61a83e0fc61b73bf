"""C-GET and C-MOVE requests as they come in (PS3.7 9.3.3, 9.3.4): each gets its last answer.

Served in the thread of the association that asks: whoever else waits, no other peer does. Bytes go
from the file to the wire; pynetdicom has negotiated, and takes no part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_GET_RQ, C_MOVE_RQ
from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.dsutils import decode
from pynetdicom.presentation import PresentationContext

from node import statuses
from node.audit.events import Actor, Transferred
from node.dimse.borrowed import Lane
from node.dimse.entity import Entity
from node.dimse.loan import NotLent
from node.dimse.rights import Right
from node.dimse.scu import peers
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts
from node.dimse.served import serve_retrieves
from node.dimse.services import retrieve_tables, retrieving
from node.dimse.services.composite import Refused, internal_fault
from node.dimse.services.getting import get, return_contexts
from node.dimse.services.moving import Destination, move
from node.dimse.services.retrieving import Answers, Holdings, Retrieval, Tally
from node.dimse.session import Session
from node.dimse.wire.commands import Move
from node.dimse.wire.retrieves import C_GET_RSP, C_MOVE_RSP, Asked
from storage.database import Database
from storage.errors import DatabaseUnavailable
from storage.files.archive import Archive

ANSWER_S = 60.0
"""How long a C-STORE of a C-GET may take where ``dimse.network_timeout_s`` sets no limit."""


@dataclass(frozen=True, slots=True)
class Means:
    """What retrieves need of the process that they run in."""

    database: Database
    archive: Archive
    destination: Callable[[str], Peer | None]
    """Who has an AE title; None: nobody with an address."""
    is_strict: bool = False
    """Whether the unique keys above the level have to be given."""
    answer_timeout_s: float = ANSWER_S
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    """Of the associations with destinations."""


def means_of(entity: Entity, database: Database, archive: Archive) -> Means:
    """
    Raises
    ------
    SettingsError
        A file for TLS with a destination is missing or no PEM file.
    """
    find = peers.move_destinations(
        entity.ae_title, entity.dimse.tls, entity.peers, entity.destinations
    )
    return Means(
        database,
        archive,
        find,
        entity.query.strict_hierarchy,
        entity.dimse.network_timeout_s or ANSWER_S,
    )


class RetrieveService:
    """Serves C-GET or C-MOVE of both information models."""

    def __init__(self, operation: type[C_GET] | type[C_MOVE], means: Means) -> None:
        self._operation = operation
        self._means = means

    @property
    def sop_class_uids(self) -> tuple[str, ...]:
        return retrieve_tables.GET if self._operation is C_GET else retrieve_tables.MOVE

    def agree(self, asked: bytes) -> bytes:
        """Relational retrieval. PS3.4 C.5.2.1, C.5.3.1."""
        return bytes((asked[0] == 1 and not self._means.is_strict,)) if asked else b""

    def bind(self, association: Association, session: Session) -> None:
        """Serve over an association. Its threads are not running yet."""
        lane = cast(Lane, association.dul)
        forget_old_cancels(association)
        serve_retrieves(
            association, self._operation, partial(self._serve, association, lane, session)
        )

    def _serve(
        self,
        association: Association,
        lane: Lane,
        session: Session,
        request: C_GET | C_MOVE,
        context_id: int,
    ) -> None:
        context = association._accepted_cx.get(context_id)
        if context is None:
            association.abort()
            return
        _Serving(self._means, association, lane, session, request, context).run()


class _Serving:
    """One request."""

    def __init__(
        self,
        means: Means,
        association: Association,
        lane: Lane,
        session: Session,
        request: C_GET | C_MOVE,
        context: PresentationContext,
    ) -> None:
        self._means = means
        self._association = association
        self._lane = lane
        self._session = session
        self._request = request
        self._context = context
        self._tally = Tally(0)
        self._message_id = int(request.MessageID or 0)
        self._is_get = isinstance(request, C_GET)
        self._operation = "C-GET" if self._is_get else "C-MOVE"
        field = C_GET_RSP if self._is_get else C_MOVE_RSP
        self._answers = Answers(
            Asked(field, str(request.AffectedSOPClassUID or ""), self._message_id),
            context.context_id or 0,
            context.transfer_syntax[0],
            int(association.requestor.maximum_length or 0),
            lane.post,
        )

    def run(self) -> None:
        """Always an answer, unless nobody is there to take it."""
        try:
            self._serve()
        except Refused as refused:
            self._refuse(refused)
        except DatabaseUnavailable:
            self._refuse(Refused(retrieve_tables.NO_MATCHES_COUNTED, "Database is unavailable"))
        except NotLent:
            self._session.log.warning("retrieve_abandoned", operation=self._operation)
        except Exception as error:  # noqa: BLE001  border: a peer always gets an answer
            fault = internal_fault(
                self._session, self._operation, retrieve_tables.UNABLE_TO_PROCESS, error
            )
            self._refuse(fault)

    def _serve(self) -> None:
        started = time.monotonic()
        self._check()
        to = None if self._is_get else self._destination()
        wanted = retrieving.wanted(
            self._identifier(), self._is_patient_root(), self._means.is_strict
        )
        holdings = Holdings(self._means.database, wanted.selection)
        plan = holdings.plan()
        tally = self._tally = Tally(plan.total)
        log = self._session.log.bind(operation=self._operation)
        retrieval = Retrieval(
            wanted,
            self._means.archive,
            holdings,
            plan,
            tally,
            self._answers,
            self._is_cancelled,
            log,
        )
        try:
            if to is None:
                contexts = return_contexts(self._association.accepted_contexts)
                status = get(retrieval, contexts, self._lane, self._means.answer_timeout_s)
            else:
                status = move(retrieval, to, self._lane)
        finally:
            self._tell(retrieval, to, time.monotonic() - started)
        log.info(
            "retrieved",
            level=wanted.level,
            status=f"0x{status:04X}",
            instances=tally.completed,
            warnings=tally.warnings,
            failed=tally.failures,
            remaining=tally.remaining,
            bytes=tally.sent_bytes,
            seconds=round(time.monotonic() - started, 3),
            destination=to.peer.name if to else "",
        )

    def _tell(self, retrieval: Retrieval, to: Destination | None, seconds: float) -> None:
        """The audit trail: what went, whatever became of the rest."""
        session, subjects = self._session, retrieval.sent.subjects()
        if not subjects:
            return
        receiver, requestor = session.peer, None
        if to is not None:
            receiver = Actor(to.peer.ae_title, to.peer.host, is_ae=True)
            requestor = session.peer
        session.trail.record(
            Transferred(
                session.own,
                receiver,
                subjects,
                requestor,
                is_received=False,
                seconds=round(seconds, 3),
            )
        )

    def _check(self) -> None:
        if not self._session.may(Right.RETRIEVE):
            raise Refused(statuses.NOT_AUTHORISED, "This AE title may not retrieve here")
        if self._answers.asked.sop_class_uid != str(self._context.abstract_syntax):
            comment = "SOP class differs from the presentation context's"
            raise Refused(statuses.SOP_CLASS_NOT_SUPPORTED, comment)

    def _destination(self) -> Destination:
        title = str(getattr(self._request, "MoveDestination", "") or "").strip()
        peer = self._means.destination(title)
        if peer is None or not self._session.rights.allow_sending_to(title):
            comment = "Nobody has this AE title, or nothing may be sent there"
            raise Refused(retrieve_tables.DESTINATION_UNKNOWN, comment)
        return Destination(
            peer, Move(self._session.calling_ae, self._message_id), self._means.timeouts
        )

    def _identifier(self) -> Dataset:
        syntax: UID = self._answers.transfer_syntax
        raw = self._request.Identifier
        if raw is None:
            raise Refused(retrieve_tables.IDENTIFIER_MISMATCH, "There is no identifier")
        try:
            return decode(raw, syntax.is_implicit_VR, syntax.is_little_endian)
        except Exception as error:
            comment = "The identifier cannot be read"
            raise Refused(retrieve_tables.IDENTIFIER_MISMATCH, comment) from error

    def _is_patient_root(self) -> bool:
        return self._answers.asked.sop_class_uid in retrieve_tables.PATIENT_ROOT

    def _is_cancelled(self) -> bool:
        return self._message_id in self._association.dimse.cancel_req

    def _refuse(self, refused: Refused) -> None:
        self._tally.close()
        self._session.log.warning(
            "retrieve_refused",
            operation=self._operation,
            status=f"0x{refused.status:04X}",
            reason=refused.comment,
            instances=self._tally.completed,
        )
        self._answers.refuse(refused, self._tally)


def forget_old_cancels(association: Association) -> None:
    """A C-CANCEL counts for the request before it, not for a later one with the same id."""

    def forget(event: evt.Event) -> None:
        if isinstance(event.message, (C_GET_RQ, C_MOVE_RQ)):
            message_id = int(event.message.command_set.get("MessageID") or 0)
            association.dimse.cancel_req.pop(message_id, None)

    association.bind(evt.EVT_DIMSE_RECV, forget)
