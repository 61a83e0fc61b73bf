"""Analyses that a person wants of what is stored: with other parameters, by another analyzer, or
of a study that is not complete.

What is entered is a job like any other, with a key of its own. It takes the place of the earlier
result of the same analyzer on the same series, unless it is to stand beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import structlog

from analyzers import registry
from analyzers.contract import AnalyzerError, ParameterValues
from node.clock import Clock
from node.config.nearest import nearest
from node.config.rules import RuleSettings
from node.errors import NotPossible
from node.intake.planning import Plan, Planner
from node.observe.logs import study_digest
from node.series.parts import part_in
from node.wishes import BY_HAND, Wish
from storage import announcements, events, index, ledger, own_jobs, successors
from storage.database import Database, Transaction
from storage.records import Job, Level, NewJob, StudyRow, StudyState, Topic

log = structlog.get_logger(__name__)

UNKNOWN = "?"
"""Nobody has said how many images the study has."""
_TRIES = 3


class ByHand:
    """Enters such jobs; every method may be called from any thread.

    Each raises ``NotPossible`` where a condition is not met, and has changed nothing then, and
    ``NotFound``.
    """

    def __init__(
        self,
        database: Database,
        rules: Sequence[RuleSettings],
        parameters: Mapping[str, ParameterValues],
        destinations: Collection[str],
        clock: Clock,
    ) -> None:
        self._database = database
        self._rules = tuple(rules)
        self._parameters = parameters
        self._destinations = tuple(destinations)
        self._clock = clock

    def again(
        self, job_id: int, parameters: ParameterValues, said_by: str, beside: bool = False
    ) -> int:
        """Have a job's series analyzed with other parameters, to the same destinations; gives the
        new job."""
        with self._database.read() as tx:
            job = ledger.get(tx, job_id)
            series_id = _series_of(tx, job)
        if job.analyzer in own_jobs.OWN:
            raise NotPossible(f"job {job_id} is a {job.analyzer}: it has no parameters")
        return self.analyze(
            Wish(
                study_id=job.study_id,
                analyzer=job.analyzer,
                said_by=said_by,
                parameters={**job.parameters, **parameters},
                series_id=series_id,
                destinations=job.destinations,
                priority=job.priority,
                beside=beside,
                rule=job.rule,
                variant=job.variant,
            )
        )

    def analyze(self, wish: Wish) -> int:
        """Have a study analyzed by any analyzer that is installed; gives the new job."""
        self._check(wish)
        for _ in range(_TRIES):
            entered = self._try(wish)
            if entered is not None:
                return entered
        raise NotPossible("images of the study came meanwhile: try again when it is complete")

    def now(self, study_id: int, said_by: str) -> int:
        """Have the rules run on a study that is not complete; gives how many jobs were entered.

        What was missing is said in every result. What comes later opens the study again.
        """
        planner = Planner(self._rules, self._parameters)
        for _ in range(_TRIES):
            at = self._clock()
            with self._database.read() as tx:
                study = index.get_study(tx, study_id)
                if study.state is StudyState.COMPLETE:
                    raise NotPossible(f"study {study_id} is complete: it was analyzed already")
                revision = index.revision_of(tx, study_id)
                missing = missing_of(tx, study)
                plan = planner.plan(tx, study_id, at, missing)
            evidence = f"analyzed at once, as {said_by} wanted; {in_words(missing)}"
            entered = self._complete(plan, study, evidence, revision)
            if entered is not None:
                return entered
        raise NotPossible("images of the study keep coming: try again when they pause")

    # --- its steps --------------------------------------------------------------------------------

    def _complete(self, plan: Plan, study: StudyRow, evidence: str, revision: int) -> int | None:
        """None where images came since the plan was made."""
        with self._database.write() as tx:
            seen = study.last_received_at
            if not index.complete(tx, study.id, plan.at, seen, evidence, revision):
                return None
            entered = plan.enter(tx)
        digest = study_digest(study.study_instance_uid)
        log.info("study_analyzed_at_once", study=digest, jobs=entered)
        return entered

    def _check(self, wish: Wish) -> None:
        if wish.analyzer not in registry.names():
            known = nearest(wish.analyzer, registry.names())
            raise NotPossible(f"there is no analyzer {wish.analyzer!r}{known}")
        for name in wish.destinations:
            if name not in self._destinations:
                raise NotPossible(f"no destination is called {name!r}")
        try:
            registry.parameters(wish.analyzer, wish.parameters)
        except AnalyzerError as error:
            raise NotPossible(str(error)) from error

    def _try(self, wish: Wish) -> int | None:
        """None where the study changed since the plan was made."""
        at = self._clock()
        with self._database.read() as tx:
            study = index.get_study(tx, wish.study_id)
            revision = index.revision_of(tx, wish.study_id)
            missing = "" if study.state is StudyState.COMPLETE else missing_of(tx, study)
            plan = self._planner(wish).plan(tx, wish.study_id, at, missing, wish.series_id)
        job = _wanted(plan, wish)
        with self._database.write() as tx:
            if index.revision_of(tx, wish.study_id) != revision:
                return None
            job = _named_anew(tx, job)
            entered = ledger.enqueue_beside(tx, job, at)
            if entered is None:
                return None
            reason = f"wanted by {wish.said_by}"
            state = "pending"
            events.record(tx, at, Level.INFO, Topic.JOB, entered, "", state, reason)
        log.info("job_entered_by_hand", job=entered, analyzer=wish.analyzer)
        return entered

    def _planner(self, wish: Wish) -> Planner:
        rule = RuleSettings(
            name=BY_HAND,
            analyzers=(wish.analyzer,),
            parameters={wish.analyzer: dict(wish.parameters)},
            destinations=wish.destinations,
            priority=wish.priority,
        )
        return Planner((*self._rules, rule), self._parameters)


def _series_of(tx: Transaction, job: Job) -> int:
    for one in index.series_of(tx, job.study_id):
        if one.series_instance_uid == job.series_instance_uid:
            return one.id
    raise NotPossible(f"the images of job {job.id} are not there any more")


def _wanted(plan: Plan, wish: Wish) -> NewJob:
    """The job of the wish among all that would be planned now; of several parts of a series
    that on the same one, or else the first that fits."""
    found = [
        job
        for job in plan.jobs
        if job.analyzer == wish.analyzer and f", {BY_HAND}, " in f", {job.rule}, "
    ]
    if not found:
        raise NotPossible("the study has no series from outside that could be analyzed")
    part = part_in(wish.variant)
    job = next((one for one in found if part_in(one.variant) == part), found[0])
    if job.refusals:
        raise NotPossible("; ".join(job.refusals))
    own = part_in(job.variant)
    return replace(
        job,
        rule=wish.rule,
        variant=f"{_beside(wish)}{own}" if wish.beside else wish.variant or own,
        every_series=True,
        destinations=wish.destinations,
        priority=wish.priority,
        notices=True,
    )


def _beside(wish: Wish) -> str:
    said = json.dumps([wish.series_id, dict(wish.parameters)], sort_keys=True, default=str)
    return f"beside {hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _named_anew(tx: Transaction, job: NewJob) -> NewJob:
    """The job, where it is new; under another name where it ran before, and another one has taken
    its place since: so a person can go back."""
    there = ledger.find(tx, ledger.key_of(job))
    if there is None:
        return job
    newest = successors.newest_of(tx, there.id)
    if newest is None or job.variant != there.variant:
        raise NotPossible(_same_stands_there(there))
    after = ledger.get(tx, newest)
    if ledger.parameters_digest(after.parameters) == job.parameters_digest:
        raise NotPossible(_same_stands_there(after))
    digest = ledger.joined_digest(job.inputs_digest, {"after": after.key}, ())
    return replace(job, inputs_digest=digest)


def _same_stands_there(job: Job) -> str:
    return (
        f"job {job.id} is the same: it ran, or runs, on these images with these parameters."
        " Try that one again, or send it"
    )


# --- what is missing ------------------------------------------------------------------------------


def missing_of(tx: Transaction, study: StudyRow) -> str:
    """What a study that is not complete lacks, as ``NewJob.missing`` has it: so many of so many
    that were announced, or that nobody has announced any."""
    uid = study.study_instance_uid
    said = announcements.announced_in_studies(tx, [uid]).get(uid)
    if said is None or not said.instances:
        return UNKNOWN
    return f"{min(said.missing, said.instances)}/{said.instances}"


def in_words(missing: str) -> str:
    """For the history of a study."""
    some, _, of = missing.partition("/")
    if not of:
        return "nobody has announced how many images it has"
    return f"{some} of {of} announced images had not come"
