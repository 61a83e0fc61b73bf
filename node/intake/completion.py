"""Decides that a study is complete, and enters its jobs in the same transaction.

Evidence: every announced instance is there (see ``announced``), or all that the sender has, as it
says itself (``told``), or as many as the images say (``counted``); or else every association that
brought the study has ended, and nothing came for the quiet period. A late image re-opens the study
(see ``storage.index.add``); it is completed again with new jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from node.clock import Clock
from node.config.tables import CompletionSettings
from node.intake.announced import EVIDENCE, Announced, Word
from node.intake.planning import Planner
from node.observe.logs import study_digest
from node.observe.passages import Passage, Passed, Stage, unobserved
from storage import announcements, events, index, ledger
from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable
from storage.index import OpenStudy
from storage.records import (
    Level,
    StudyState,
    Topic,
)

log = structlog.get_logger(__name__)

TOLD = "all that its sender has of it is there"
COUNTED = "as many images as they say themselves are there"
QUIET = "associations ended, quiet period over"

AT_ONCE = 20
"""So many studies are planned before it is looked what has become due, and is more urgent."""
LOOK_S, LEAST_S = 0.25, 0.02
"""So long is the rest between two steps at most, and at least."""
ROUNDS = 50
"""So often in one step: whoever watches over it sees that it goes on."""


class Completion:
    """Completes due studies.

    open_studies: UIDs of the studies that live associations or the index queue are bringing.
    indexing: UIDs of those that the index queue is bringing.
    told: of open studies those that are complete as their sender says.
    counted: those that are complete as their images say.
    """

    def __init__(
        self,
        database: Database,
        settings: CompletionSettings,
        planner: Planner,
        open_studies: Callable[[], Set[str]],
        clock: Clock,
        indexing: Callable[[], Set[str]] = frozenset,
        passed: Passed = unobserved,
        told: Callable[[Sequence[OpenStudy]], Sequence[OpenStudy]] = lambda studies: (),
        counted: Callable[[Sequence[OpenStudy]], Sequence[OpenStudy]] = lambda studies: (),
    ) -> None:
        self._told = told
        self._counted = counted
        self._announced = Announced(database, settings.announced_wait_s, indexing)
        self._database = database
        self._settings = settings
        self._planner = planner
        self._open_studies = open_studies
        self._clock = clock
        self._started_at = clock()
        self._passed = passed
        self._urgency: dict[tuple[int, int], int] = {}
        self._quiet_at: datetime | None = None

    def step(self) -> int:
        """Complete every study that is due; gives how many jobs were entered.

        The most urgent goes first: also before what waits, if it has become due meanwhile.
        """
        entered, seen = 0, set[tuple[int, int]]()
        for _ in range(ROUNDS):
            due = [one for one in self._due() if (one.study.id, one.study.revision) not in seen]
            for one in self._most_urgent(due):
                seen.add((one.study.id, one.study.revision))
                entered += self._complete_or_say_why(one.study, one.evidence)
            if len(due) <= AT_ONCE:
                break
        return entered

    def rest_s(self) -> float:
        """How long the next step may wait: no study becomes due meanwhile by what the last saw."""
        at, self._quiet_at = self._quiet_at, None  # for one rest: a step may be left out
        if at is None:
            return LOOK_S
        return min(max((at - self._clock()).total_seconds(), LEAST_S), LOOK_S)

    def is_settled(self, tx: Transaction) -> bool:
        """Whether no study is open, and no announcement holds one open."""
        return not announcements.is_anything_open(tx)

    def _due(self) -> list[_Due]:
        """What is complete by evidence, then what has been quiet for long enough."""
        now = self._clock()
        quiet = timedelta(seconds=self._settings.quiet_period_s)
        word = self._announced.step(now)
        ends = [one.last_received_at + quiet for one in word.open if not _is_quiet(one, now, quiet)]
        self._quiet_at = min(ends, default=None)
        vouched = [_Due(study, EVIDENCE) for study in word.vouched]
        for word_of, words in ((self._told, TOLD), (self._counted, COUNTED)):
            done = {one.study.id for one in vouched}
            left = [one for one in word.open if one.id not in done]
            vouched += [_Due(study, words) for study in self._believed(word_of(left), word)]
        if now - self._started_at < quiet:
            return vouched  # senders that a restart cut off get the quiet period to come back
        known = {one.study.id for one in vouched}
        return vouched + [
            _Due(study, QUIET)
            for study in self._closed([one for one in word.open if _is_quiet(one, now, quiet)], now)
            if study.id not in known and study.study_instance_uid not in word.held
        ]

    def _believed(self, found: Sequence[OpenStudy], word: Word) -> list[OpenStudy]:
        """Those of these of which nothing more is on its way or announced."""
        if not found:
            return []
        not_yet = word.held | self._open_studies()
        return [one for one in found if one.study_instance_uid not in not_yet]

    def _closed(self, due: list[OpenStudy], now: datetime) -> list[OpenStudy]:
        if not due:
            return []
        longest = timedelta(seconds=self._settings.open_association_quiet_s)
        still_open = self._open_studies()
        return [
            study
            for study in due
            if study.study_instance_uid not in still_open or now - study.last_received_at > longest
        ]

    def _most_urgent(self, due: list[_Due]) -> list[_Due]:
        """The next few; of one urgency those that have waited longest."""
        if len(due) <= 1:
            return due
        known = {key: self._urgency.get(key) for key in (_key(one.study) for one in due)}
        new = [study_id for (study_id, _), rank in known.items() if rank is None]
        if new:
            with self._database.read() as tx:
                ranks = self._planner.urgencies(tx, new)
            known |= {key: ranks[key[0]] for key in known if key[0] in ranks}
        self._urgency = {key: rank for key, rank in known.items() if rank is not None}
        return sorted(due, key=lambda one: self._urgency.get(_key(one.study), 0))[:AT_ONCE]

    def _complete_or_say_why(self, study: OpenStudy, evidence: str) -> int:
        try:
            return self._complete(study, evidence)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # border: one study must not hold up the others
            log.exception("study_not_planned", study=study_digest(study.study_instance_uid))
            self._complete_without_jobs(study, error)
            return 0

    def _complete_without_jobs(self, study: OpenStudy, error: Exception) -> None:
        now = self._clock()
        why = f"not analyzed: a fault of this node ({type(error).__name__}), see its log"
        with self._database.write() as tx:
            if index.complete(tx, study.id, now, study.last_received_at):
                index.note(tx, study.id, why)
                state = StudyState.COMPLETE
                events.record(tx, now, Level.ALARM, Topic.STUDY, study.id, state, state, why)

    def _complete(self, study: OpenStudy, evidence: str) -> int:
        """Plan without keeping a writer waiting; enter the plan if the study is still the same."""
        now = self._clock()
        with self._database.read() as tx:
            plan = self._planner.plan(tx, study.id, now)
        for job in plan.to_prepare():
            with self._database.write() as tx:
                ledger.prepare(tx, job, now)
        seen = study.last_received_at
        with self._database.write() as tx:
            if not index.complete(tx, study.id, now, seen, evidence, study.revision):
                return 0
            entered = plan.enter(tx)
        self._passed(Passage(Stage.COMPLETED, seen, now, study.study_instance_uid))
        log.info(
            "study_complete",
            study=study_digest(study.study_instance_uid),
            instances=plan.instances,
            jobs=entered,
            evidence=evidence,
        )
        return entered


def _is_quiet(study: OpenStudy, now: datetime, quiet: timedelta) -> bool:
    return study.last_received_at <= now - quiet


def _key(study: OpenStudy) -> tuple[int, int]:
    return study.id, study.revision


@dataclass(frozen=True, slots=True)
class _Due:
    """A study that is to be completed, and by what evidence."""

    study: OpenStudy
    evidence: str
