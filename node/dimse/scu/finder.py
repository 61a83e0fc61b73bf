"""The client side of Query (PS3.4 C.4.1): whether a peer has an instance already.

Asks at IMAGE level by all unique keys, so that a peer that needs each of them can answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from node import statuses
from node.dimse.errors import PeerFault, PeerUnavailable, Unaskable
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts, associated
from storage.files.port import Readable

STUDY_ROOT = UID("1.2.840.10008.5.1.4.1.2.2.1")
PATIENT_ROOT = UID("1.2.840.10008.5.1.4.1.2.1.1")
_KEYS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_PENDING = (0xFF00, 0xFF01)


def held(
    objects: Sequence[Readable], peer: Peer, timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> frozenset[int]:
    """Which of the files a peer has, by their place in the sequence.

    Raises
    ------
    Unaskable
        It takes no queries, or did not answer one.
    """
    models = [build_context(STUDY_ROOT), build_context(PATIENT_ROOT)]
    try:
        with associated(peer, models, timeouts) as association:
            return frozenset(number for number, one in enumerate(objects) if _has(association, one))
    except PeerUnavailable as error:
        if error.fault is PeerFault.NO_CONTEXT:
            raise Unaskable("it takes no queries") from error
        raise Unaskable(error.reason) from error
    except RuntimeError as error:
        raise Unaskable("it ended the association between two queries") from error


def _has(association: Association, one: Readable) -> bool:
    """Ask for one instance.

    Raises
    ------
    Unaskable
    """
    with one.open("rb") as file:
        keys = dcmread(file, stop_before_pixels=True, specific_tags=list(_KEYS))
    found = False
    for status, identifier in association.send_c_find(_query(keys), _model(association)):
        code = status.get("Status")
        if code in _PENDING:
            found = found or _names(identifier, keys.SOPInstanceUID)
        elif code == statuses.SUCCESS:
            return found
        else:
            said = "nothing" if code is None else f"0x{code:04X}"
            raise Unaskable(f"it answered {said} to a query")
    raise Unaskable("it did not answer a query to its end")


def _model(association: Association) -> UID:
    """Study Root where it is accepted, as by nearly all."""
    accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    return STUDY_ROOT if STUDY_ROOT in accepted else PATIENT_ROOT


def _query(keys: Dataset) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    for keyword in _KEYS:
        setattr(query, keyword, keys.get(keyword, ""))
    return query


def _names(identifier: Dataset | None, sop_instance_uid: str) -> bool:
    """Whether a match is the instance: a peer may not know the key and give the whole series."""
    return identifier is not None and identifier.get("SOPInstanceUID") == sop_instance_uid
