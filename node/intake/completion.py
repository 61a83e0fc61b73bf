"""Decides that a study is complete, and enters its jobs in the same transaction.

Evidence: every announced instance is there (see ``announced``); or else every association that
brought the study has ended, and nothing came for the quiet period. A late image re-opens the study
(see ``storage.index.add``); it is completed again with new jobs.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from analyzers import registry
from analyzers.contract import AnalyzerInfo, ParameterValues
from node.clock import Clock
from node.config.rules import RuleSettings
from node.config.tables import CompletionSettings
from node.intake.announced import EVIDENCE, Announced
from node.intake.companions import companions, in_order, same_patient
from node.intake.descriptions import Descriptions
from node.intake.routing import Decision, SeriesVerdict, is_foreign, mixed_patients, route
from node.intake.rules import unmet
from node.observe.logs import study_digest
from storage import events, index, ledger, outbox
from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable
from storage.index import OpenStudy
from storage.records import (
    Level,
    NewJob,
    Priority,
    StoredSeries,
    StudyState,
    Topic,
)

log = structlog.get_logger(__name__)

QUIET = "associations ended, quiet period over"

AT_ONCE = 20
"""So many studies are planned before it is looked what has become due, and is more urgent."""
ROUNDS = 50
"""So often in one step: whoever watches over it sees that it goes on."""
ROWS_AT_ONCE = 5_000
"""So many instances may the jobs of a study name that are entered in one transaction."""


class Completion:
    """Completes due studies.

    open_studies: UIDs of the studies that live associations or the index queue are bringing.
    indexing: UIDs of those that the index queue is bringing.
    """

    def __init__(
        self,
        database: Database,
        settings: CompletionSettings,
        planner: Planner,
        open_studies: Callable[[], Set[str]],
        clock: Clock,
        indexing: Callable[[], Set[str]] = frozenset,
    ) -> None:
        self._announced = Announced(database, settings.announced_wait_s, indexing)
        self._database = database
        self._settings = settings
        self._planner = planner
        self._open_studies = open_studies
        self._clock = clock
        self._started_at = clock()
        self._urgency: dict[tuple[int, int], int] = {}

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

    def _due(self) -> list[_Due]:
        """What is complete by evidence, then what has been quiet for long enough."""
        now = self._clock()
        quiet = timedelta(seconds=self._settings.quiet_period_s)
        word = self._announced.step(now)
        vouched = [_Due(study, EVIDENCE) for study in word.vouched]
        if now - self._started_at < quiet:
            return vouched  # senders that a restart cut off get the quiet period to come back
        known = {one.study.id for one in vouched}
        return vouched + [
            _Due(study, QUIET)
            for study in self._closed([one for one in word.open if _is_quiet(one, now, quiet)], now)
            if study.id not in known and study.study_instance_uid not in word.held
        ]

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


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be entered for a study, as it was when it was read."""

    study_id: int
    at: datetime
    instances: int
    jobs: tuple[NewJob, ...]
    note: str
    alarms: tuple[str, ...] = ()

    def to_prepare(self) -> tuple[NewJob, ...]:
        """The jobs that are too large to be entered all in one transaction, in their order."""
        rows = sum(_rows_of(job) for job in self.jobs)
        return self.jobs if rows > ROWS_AT_ONCE else ()

    def enter(self, tx: Transaction) -> int:
        """Enter the jobs; gives how many are new."""
        index.note(tx, self.study_id, self.note)
        for text in self.alarms:
            state = StudyState.COMPLETE
            events.record(tx, self.at, Level.ALARM, Topic.STUDY, self.study_id, state, state, text)
        return len(ledger.enqueue_all(tx, self.jobs, self.at))


def _rows_of(job: NewJob) -> int:
    return len(job.instance_ids) + sum(len(ids) for ids in job.companions.values())


class Planner:
    """Turns a complete study into ledger rows."""

    def __init__(
        self, rules: tuple[RuleSettings, ...], parameters: Mapping[str, ParameterValues]
    ) -> None:
        names = {name for rule in rules for name in rule.analyzers}
        self._rules = rules
        self._installed: dict[str, AnalyzerInfo] = {name: registry.info(name) for name in names}
        self._parameters = {
            name: dataclasses.asdict(registry.parameters(name, parameters.get(name, {})))
            for name in names
        }

    def plan(self, tx: Transaction, study_id: int, at: datetime) -> Plan:
        """What is to be done with a study, read and thought over; ``Plan.enter`` enters it."""
        series, known = index.series_of(tx, study_id), Descriptions()
        decisions = route(series, self._rules, self._installed, known)
        fired = [decision for decision in decisions if decision.fired]
        return Plan(
            study_id,
            at,
            sum(len(one.instances) for one in series),
            tuple(self._jobs(study_id, series, fired, known)),
            "" if fired else _why_nothing(decisions),
            tuple(_alarm(one) for one in series if one.disagreements and is_foreign(one)),
        )

    def urgencies(self, tx: Transaction, study_ids: Sequence[int]) -> dict[int, int]:
        """How urgent studies look, 0 first: by the rules whose conditions a first image meets."""
        ranks = {rule.name: outbox.urgency(rule.priority) for rule in self._rules}
        lowest = max(ranks.values(), default=0)
        found = dict.fromkeys(study_ids, lowest)
        if min(ranks.values(), default=0) == lowest:
            return found  # nothing is more urgent than anything else
        for one in index.glances(tx, study_ids):
            met = (ranks[rule.name] for rule in self._rules if not unmet(rule.when, one.header))
            found[one.study_id] = min((found[one.study_id], *met))
        return found

    def _jobs(
        self,
        study_id: int,
        series: Sequence[StoredSeries],
        fired: Sequence[Decision],
        known: Descriptions,
    ) -> list[NewJob]:
        """The jobs, each behind those whose findings its analyzer wants."""
        jobs: list[NewJob] = []
        together = Counter(decision.rule.name for decision in fired)
        names = list(dict.fromkeys(decision.analyzer for decision in fired))
        for name in in_order(names, self._installed):
            after = self._installed[name].after
            earlier = tuple(job for job in jobs if job.analyzer in after)
            jobs += merged(
                dataclasses.replace(
                    self._job(study_id, decision, series, earlier, known),
                    notices=decision.rule.tells_failed(together[decision.rule.name]),
                )
                for decision in fired
                if decision.analyzer == name
            )
        return jobs

    def _job(
        self,
        study_id: int,
        decision: Decision,
        study: Sequence[StoredSeries],
        earlier: tuple[NewJob, ...],
        known: Descriptions,
    ) -> NewJob:
        info = self._installed[decision.analyzer]
        series, refusals = _inputs(decision)
        beside = {} if refusals else companions(study, series, info, known)
        waits_for = () if refusals else _heard(earlier, series, study)
        parameters = self._parameters[decision.analyzer]
        return NewJob(
            inputs_digest=ledger.joined_digest(
                known.digest(series),
                {role: known.digest(one) for role, one in beside.items()},
                waits_for,
            ),
            analyzer=info.name,
            analyzer_version=info.version,
            parameters_digest=ledger.parameters_digest(parameters),
            parameters=parameters,
            study_id=study_id,
            series_id=series.id,
            instance_ids=tuple(instance.id for instance in series.instances),
            rule=decision.rule.name,
            priority=decision.rule.priority,
            destinations=decision.rule.destinations,
            refusals=refusals,
            companions={
                role: tuple(instance.id for instance in one.instances)
                for role, one in beside.items()
            },
            waits_for=waits_for,
            weights=info.weights,
        )


def _alarm(series: StoredSeries) -> str:
    return f"{SeriesVerdict(series, (mixed_patients(series),)).sentence()}: it is not analyzed"


def tells_not_applicable(rules: Sequence[RuleSettings], named: str) -> bool:
    """Whether a job's rule wants a report of what did not apply."""
    return any(rule.tells_not_applicable and rule.has_set(named) for rule in rules)


def _heard(
    earlier: Sequence[NewJob], series: StoredSeries, study: Sequence[StoredSeries]
) -> tuple[str, ...]:
    """The keys of the jobs whose findings are wanted: those on series of the same patient."""
    same = {one.id for one in study if one.id == series.id or same_patient(one, series)}
    return tuple(ledger.key_of(job) for job in earlier if job.series_id in same)


def merged(jobs: Iterable[NewJob]) -> list[NewJob]:
    """Jobs that rules share become one: all their destinations, the higher priority."""
    found: dict[str, NewJob] = {}
    for job in jobs:
        key = ledger.key_of(job)
        other = found.get(key)
        found[key] = job if other is None else _both(other, job)
    return list(found.values())


def _both(one: NewJob, other: NewJob) -> NewJob:
    ranks = list(Priority)
    return dataclasses.replace(
        one,
        rule=f"{one.rule}, {other.rule}",
        priority=min(one.priority, other.priority, key=ranks.index),
        destinations=tuple(dict.fromkeys((*one.destinations, *other.destinations))),
        notices=one.notices or other.notices,
    )


def _inputs(decision: Decision) -> tuple[StoredSeries, tuple[str, ...]]:
    if decision.chosen is not None:
        return decision.chosen, ()
    largest = max(decision.refused, key=lambda verdict: len(verdict.series.instances))
    return largest.series, tuple(verdict.sentence() for verdict in decision.refused)


def _why_nothing(decisions: tuple[Decision, ...]) -> str:
    if not decisions:
        return "no rule is configured"
    reasons = {
        f"rule {decision.rule.name!r}: {verdict.sentence()}": None
        for decision in decisions
        for verdict in decision.unmatched[:3]
    }
    return " · ".join(list(reasons)[:6]) or "the study has no series from outside"
