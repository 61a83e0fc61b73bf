"""Whether the archive that sent a study has more of it: where all is here, nothing is waited for.

It is asked by C-FIND for the SOP instances of the study, once it has ended its associations. An
archive may itself still receive what it sends on: only the same answer twice, some time apart,
counts. One that does not answer, or has more, leaves the study to the quiet period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from node.clock import Clock
from node.fetch.source import Ends, FoundStudy, SourceFault
from node.observe.logs import study_digest
from storage import index
from storage.database import Database
from storage.fetches import Wanted
from storage.index import OpenStudy

log = structlog.get_logger(__name__)

APART = timedelta(seconds=1)
"""Between the two answers."""
LONGEST = timedelta(seconds=30)
"""For one study's answer."""
REST = timedelta(seconds=60)
"""An archive that did not answer is left alone for so long."""


class Teller(Protocol):
    """An archive that is asked what it has."""

    @property
    def name(self) -> str: ...

    def find(self, wanted: Wanted, ends: Ends) -> list[FoundStudy]:
        """All of it; raises SourceFault."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What was said of a study as it was at a revision."""

    revision: int
    at: datetime
    agrees: bool
    """All that is here, and no more."""
    is_confirmed: bool = False


class Told:
    """Asks the senders of open studies, one after the other.

    tellers: by the AE title by which each sends.
    open_studies: UIDs of the studies that live associations or the index queue are bringing.
    on_complete: called when a study has become complete by it.
    """

    def __init__(
        self,
        tellers: Mapping[str, Teller],
        database: Database,
        open_studies: Callable[[], Set[str]],
        clock: Clock,
        on_complete: Callable[[], None] = lambda: None,
    ) -> None:
        self._tellers = tellers
        self._database = database
        self._open_studies = open_studies
        self._clock = clock
        self._on_complete = on_complete
        self._told: dict[int, _Told] = {}
        self._rests_until: dict[str, datetime] = {}

    @property
    def has_tellers(self) -> bool:
        return bool(self._tellers)

    def step(self) -> None:
        """Ask for every study that may be whole and of which nothing is known.

        Raises
        ------
        DatabaseUnavailable
        """
        if all(self._rests(one) for one in self._tellers.values()):
            return
        still_open = self._open_studies()  # asked first: what ends later is seen the next time
        with self._database.read() as tx:
            studies = index.open_studies(tx)
        self._told = {one.id: told for one in studies if (told := self._told.get(one.id))}
        for study in studies:
            if study.study_instance_uid not in still_open and self._is_to_be_asked(study):
                self._ask(study)

    def vouched(self, studies: Iterable[OpenStudy]) -> list[OpenStudy]:
        """Those of which all that their sender has is here. From any thread."""
        told = self._told
        return [
            one
            for one in studies
            if (last := told.get(one.id)) and last.is_confirmed and last.revision == one.revision
        ]

    def _is_to_be_asked(self, study: OpenStudy) -> bool:
        last = self._told.get(study.id)
        if last is None or last.revision != study.revision:
            return True
        return last.agrees and not last.is_confirmed and self._clock() - last.at >= APART

    def _ask(self, study: OpenStudy) -> None:
        with self._database.read() as tx:
            here = index.brought(tx, study.id)
        teller = self._tellers.get(min(here.senders)) if len(here.senders) == 1 else None
        if teller is None:
            self._note(study, _Told(study.revision, self._clock(), agrees=False))
        elif not self._rests(teller):
            there = self._instances(teller, study)
            if there is not None:
                self._compare(study, here.instances, there - here.own)

    def _compare(self, study: OpenStudy, here: frozenset[str], there: frozenset[str]) -> None:
        before = self._told.get(study.id)
        agrees = bool(there) and there == here
        again = before is not None and before.revision == study.revision
        confirmed = agrees and again
        self._note(study, _Told(study.revision, self._clock(), agrees, confirmed))
        if confirmed:
            self._on_complete()

    def _note(self, study: OpenStudy, told: _Told) -> None:
        self._told = {**self._told, study.id: told}  # a new one: another thread reads it

    def _rests(self, teller: Teller) -> bool:
        until = self._rests_until.get(teller.name)
        return until is not None and self._clock() < until

    def _instances(self, teller: Teller, study: OpenStudy) -> frozenset[str] | None:
        """None where it cannot be known; then the archive is left alone for a while."""
        ends_at = self._clock() + LONGEST
        wanted = Wanted(study_uids=(study.study_instance_uid,))
        try:
            found = teller.find(wanted, lambda: self._clock() > ends_at)
            if self._clock() > ends_at:
                raise SourceFault("the answer takes too long")
        except SourceFault as fault:
            self._rests_until[teller.name] = self._clock() + REST
            about = {"source": teller.name, "study": study_digest(study.study_instance_uid)}
            log.warning("sender_did_not_tell", reason=str(fault), **about)
            return None
        return frozenset(uid for one in found for uid in one.instances)
