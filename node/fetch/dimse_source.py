"""An archive that speaks DIMSE: C-FIND, then C-GET, then C-MOVE to this node for what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from pydicom.dataset import Dataset

from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu import query, retrieve
from node.dimse.scu.query import Asking, QueryRefused
from node.dimse.scu.retrieve import NotServed, Order, Outcome, Watch
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts
from node.fetch.agreeing import CHECKED, agrees, described, is_wanted
from node.fetch.arrivals import Arriving
from node.fetch.source import Ends, FoundSeries, FoundStudy, SourceFault
from node.receive.reception import Receiver
from node.statuses import SUCCESS
from storage.fetches import Wanted

T = TypeVar("T")
UIDS_AT_ONCE = 100
"""Instances that one request names."""
SETTLE_S = 10.0
"""After a C-MOVE, what the archive says that it has sent is waited for while something comes."""


@dataclass(frozen=True, slots=True)
class DimseSource:
    """``own_ae_title``: to whom it is to send by C-MOVE."""

    peer: Peer
    own_ae_title: str
    receiver: Receiver
    timeouts: Timeouts = DEFAULT_TIMEOUTS

    @property
    def name(self) -> str:
        return self.peer.name

    def find(self, wanted: Wanted, ends: Ends) -> list[FoundStudy]:
        try:
            found = _perhaps_again(lambda: self._find(wanted, ends))
        except (PeerUnavailable, QueryRefused) as error:
            raise SourceFault(str(error)) from error
        return [one for one in found if one.series]

    def _find(self, wanted: Wanted, ends: Ends) -> list[FoundStudy]:
        with query.asking(self.peer, ends, self.timeouts) as ask:
            heads = _studies(ask, wanted)
            return [_whole(ask, uid, patient, wanted) for uid, patient in heads.items()]

    def bring(
        self, missing: FoundStudy, whole: frozenset[str], arriving: Arriving, ends: Ends
    ) -> str:
        watch = Watch(is_cancelled=ends, last_came=lambda: arriving.last_at)
        said: list[str] = []
        try:
            said += _perhaps_again(lambda: self._get(missing, whole, watch))
            left = missing.without(arriving.all_came())
            if left.series and not ends():
                untouched = _untouched(missing, left, whole)
                said += _perhaps_again(lambda: self._move(left, untouched, arriving, watch))
        except PeerUnavailable as error:
            raise SourceFault("; ".join((*said, str(error)))) from error
        return "; ".join(dict.fromkeys(said))

    def _get(self, missing: FoundStudy, whole: frozenset[str], watch: Watch) -> list[str]:
        told = set(missing.instances.values())
        classes = [*sorted(told - {""}), *(retrieve.USUAL_CLASSES if "" in told else ())]
        orders = _orders(missing, whole)
        try:
            outcomes = retrieve.get(orders, classes, self.peer, self.receiver, watch, self.timeouts)
            return _faults("C-GET", outcomes)
        except NotServed:
            return ["it has no C-GET"]

    def _move(
        self, left: FoundStudy, whole: frozenset[str], arriving: Arriving, watch: Watch
    ) -> list[str]:
        orders = _orders(left, whole)
        try:
            outcomes = list(
                retrieve.move(orders, self.own_ae_title, self.peer, watch, self.timeouts)
            )
        except NotServed:
            return ["it has no C-MOVE"]
        sent = sum(one.completed + one.warnings for one in outcomes)
        arriving.wait(left.instances, sent, SETTLE_S)
        return _faults("C-MOVE", outcomes)


def _perhaps_again(ask: Callable[[], T]) -> T:
    """Once more where the archive aborts the request for an association: busy ones do, and accept
    the next. Nothing was asked yet.

    Raises
    ------
    PeerUnavailable
    """
    try:
        return ask()
    except PeerUnavailable as error:
        if error.was_established or error.fault is not PeerFault.ABORTED:
            raise
    return ask()


def _untouched(missing: FoundStudy, left: FoundStudy, whole: frozenset[str]) -> frozenset[str]:
    """The series of which still nothing is here."""
    before = {one.series_instance_uid: len(one.instances) for one in missing.series}
    return whole.intersection(
        one.series_instance_uid
        for one in left.series
        if len(one.instances) == before[one.series_instance_uid]
    )


def _orders(missing: FoundStudy, whole: frozenset[str]) -> list[Order]:
    """A series of which nothing is here at once, of others what is missing."""
    orders = []
    for one in missing.series:
        uids = sorted(one.instances)
        parts: list[tuple[str, ...]] = [()]
        if one.series_instance_uid not in whole:
            parts = [
                tuple(uids[start : start + UIDS_AT_ONCE])
                for start in range(0, len(uids), UIDS_AT_ONCE)
            ]
        orders += [
            Order(missing.study_instance_uid, one.series_instance_uid, part, missing.patient_id)
            for part in parts
        ]
    return orders


def _faults(operation: str, outcomes: Iterable[Outcome]) -> list[str]:
    return [f"{operation}: {one.in_words()}" for one in outcomes if one.status != SUCCESS]


# --- queries --------------------------------------------------------------------------------------


def _studies(ask: Asking, wanted: Wanted) -> dict[str, str]:
    """The studies that match, with their patients' IDs."""
    keys = described(wanted)
    by_series_alone = wanted.series_uids and not any(keys[one] for one in CHECKED)
    level = "STUDY"
    if by_series_alone:
        level = "SERIES"
        keys = {
            "StudyInstanceUID": "",
            "PatientID": "",
            "SeriesInstanceUID": "\\".join(wanted.series_uids),
        }
    elif not wanted.modality:
        keys.pop("ModalitiesInStudy")
    found: dict[str, str] = {}
    for match in ask.matches(level, keys):
        told = {keyword: _text(match, keyword) for keyword in (*CHECKED, "SeriesInstanceUID")}
        if by_series_alone and told["SeriesInstanceUID"] not in wanted.series_uids:
            continue
        if agrees(ask.peer, keys, told) and told["StudyInstanceUID"]:
            found.setdefault(told["StudyInstanceUID"], told["PatientID"])
    return found


def _whole(ask: Asking, study_uid: str, patient_id: str, wanted: Wanted) -> FoundStudy:
    """A study with its series and their instances, as far as they are wanted."""
    above = {"PatientID": patient_id} if ask.needs_patient else {}
    keys = {**above, "StudyInstanceUID": study_uid, "SeriesInstanceUID": "", "Modality": ""}
    series = {
        _text(match, "SeriesInstanceUID"): _text(match, "Modality")
        for match in ask.matches("SERIES", keys)
    }
    chosen = [
        FoundSeries(uid, modality, _instances(ask, {**above, "StudyInstanceUID": study_uid}, uid))
        for uid, modality in series.items()
        if uid and is_wanted(uid, modality, wanted)
    ]
    return FoundStudy(study_uid, patient_id, tuple(one for one in chosen if one.instances))


def _instances(ask: Asking, above: dict[str, str], series_uid: str) -> dict[str, str]:
    keys = {**above, "SeriesInstanceUID": series_uid, "SOPInstanceUID": "", "SOPClassUID": ""}
    return {
        uid: _text(match, "SOPClassUID")
        for match in ask.matches("IMAGE", keys)
        if (uid := _text(match, "SOPInstanceUID"))
    }


def _text(match: Dataset, keyword: str) -> str:
    value = match.get(keyword)
    return "" if value is None else str(value).strip()
