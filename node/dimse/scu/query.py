"""The client side of Query (PS3.4 C.4.1): what a peer has, level by level.

Study Root where the peer takes it, else Patient Root. What is asked for is named by keyword; what
comes back is a data set a match, as the peer wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from node import statuses
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu.finder import PATIENT_ROOT, STUDY_ROOT
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts, associated
from node.errors import NodeError

PENDING = (0xFF00, 0xFF01)
CANCELLED = 0xFE00
_MESSAGE_ID = 1


class QueryRefused(NodeError):
    """The peer answered a query with a failure, or takes none."""


@dataclass(frozen=True, slots=True)
class Asking:
    """An association over which queries go, one after the other."""

    peer: str
    association: Association
    is_cancelled: Callable[[], bool]

    @property
    def needs_patient(self) -> bool:
        """Whether the Patient ID has to stand in each query: Patient Root."""
        return _model(self.association) == PATIENT_ROOT

    def matches(self, level: str, keys: Mapping[str, str]) -> Iterator[Dataset]:
        """All matches of one query, as they come. ``keys``: keyword to value, empty for what is
        only to be returned.

        Raises
        ------
        QueryRefused, PeerUnavailable
        """
        model = _model(self.association)
        try:
            answers = self.association.send_c_find(_identifier(level, keys), model, _MESSAGE_ID)
        except RuntimeError as error:
            raise self._lost() from error
        is_cancelled = False
        for status, identifier in answers:
            code = status.get("Status")
            if code is None:
                raise self._lost()
            if code in PENDING:
                if identifier is not None and not is_cancelled:
                    yield identifier
                if self.is_cancelled() and not is_cancelled:
                    is_cancelled = True
                    self.association.send_c_cancel(_MESSAGE_ID, query_model=model)
            elif code not in (statuses.SUCCESS, CANCELLED):
                comment = str(status.get("ErrorComment", "") or "")
                said = f": {comment}" if comment else ""
                raise QueryRefused(f"{self.peer} answered a query with 0x{code:04X}{said}")

    def _lost(self) -> PeerUnavailable:
        reason = (
            "it ended the association instead of answering a query; perhaps it does not know the"
            " node's AE title, or gives it no right to query"
        )
        return PeerUnavailable(self.peer, PeerFault.ABORTED, reason, was_established=True)


@contextmanager
def asking(
    peer: Peer,
    is_cancelled: Callable[[], bool] = lambda: False,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> Iterator[Asking]:
    """Open an association for queries.

    Raises
    ------
    PeerUnavailable
    QueryRefused
        The peer takes no queries.
    """
    models = [build_context(STUDY_ROOT), build_context(PATIENT_ROOT)]
    try:
        with associated(peer, models, timeouts) as association:
            yield Asking(peer.name, association, is_cancelled)
    except PeerUnavailable as error:
        if error.fault is PeerFault.NO_CONTEXT:
            raise QueryRefused(f"{peer.name} takes no queries (C-FIND)") from error
        raise


def _model(association: Association) -> str:
    accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    return STUDY_ROOT if STUDY_ROOT in accepted else PATIENT_ROOT


def _identifier(level: str, keys: Mapping[str, str]) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    if not all(value.isascii() for value in keys.values()):
        query.SpecificCharacterSet = "ISO_IR 192"
    return query
