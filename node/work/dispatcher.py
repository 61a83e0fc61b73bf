"""The one dispatcher of a database: due jobs by priority → executor → outcome, committed.

An outcome and the deliveries that follow from it are one transaction. While the database is away
outcomes wait here; if the node dies first, the job is due again and makes the same objects.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from node.backoff import doubled
from node.clock import Clock
from node.config.rules import RuleSettings
from node.config.tables import WorkerSettings
from node.errors import DEVICE_MEMORY
from node.news import NewsWatch
from node.observe.health import Heartbeat
from node.observe.passages import Passage, Passed, Stage, unobserved
from node.results.modules.source import Maker
from node.work import notices, summaries
from node.work.executor import Executor, Outcome, Ticket, Verdict
from node.work.reasons import first_line, loggable
from node.work.tickets import Tickets
from storage import events, ledger, suspension
from storage.database import Database, Transaction
from storage.errors import StorageError, StoreUnavailable
from storage.files.decoded_shelf import DecodedShelf
from storage.files.port import Instances, Results
from storage.kinds import ObjectKind
from storage.records import Job, JobResults, JobState, Level, Topic

log = structlog.get_logger(__name__)

_Arrival = tuple[Job, Ticket, Outcome]

WAIT_S = 10.0
"""The first pause of a job that waits for what is not its own; doubles up to ``LONGEST_WAIT_S``."""
LONGEST_WAIT_S = 60.0
LONGEST_RETRY_S = 86_400.0
"""How far the pause before another attempt doubles."""

POLL_S = 0.5
"""How often the ledger is asked without being woken: for jobs restarted by another process."""


class Dispatcher:
    """Call ``run`` in a thread, ``wake`` when there may be work, ``stop`` to end.

    on_settled: called whenever a job's results were committed: there is something to deliver.
    tells_not_applicable: whether a rule, by its name, wants a report of what did not apply.
    forms: further forms of a job's findings that its destinations want.
    rules: those whose jobs get a summary above them.
    decoded: where pixels lie that were decoded while they came.
    taken: told of how many images a job found there, and how many it did not.
    watch: tells of what is written; without, the ledger is asked whether there is news.
    """

    def __init__(
        self,
        database: Database,
        instances: Instances,
        results: Results,
        executor: Executor,
        settings: WorkerSettings,
        clock: Clock,
        heartbeat: Heartbeat | None = None,
        on_settled: Callable[[], None] = lambda: None,
        tells_not_applicable: Callable[[str], bool] = lambda rule: False,
        maker: Maker = Maker(),  # noqa: B008  frozen
        forms: Callable[[Transaction, Job], tuple[ObjectKind, ...]] = lambda tx, job: (),
        rules: Sequence[RuleSettings] = (),
        poll_s: float = POLL_S,
        passed: Passed = unobserved,
        decoded: DecodedShelf | None = None,
        taken: Callable[[int, int], None] = lambda hits, misses: None,
        watch: NewsWatch | None = None,
    ) -> None:
        self._passed = passed
        self._taken = taken
        self._began: dict[int, datetime] = {}
        self._database = database
        self._executor = executor
        self._settings = settings
        self._clock = clock
        self._arrivals: queue.Queue[_Arrival | None] = queue.Queue()
        self._unsettled: list[_Arrival] = []
        self._running = 0
        self._in_hand: set[int] = set()
        self._claim_is_open = False
        self._waits: dict[int, int] = {}
        self._held_until: datetime | None = None
        self._waiting_for = ""
        self._stopping = threading.Event()
        self._heartbeat = heartbeat or Heartbeat("dispatcher", clock)
        self._on_settled = on_settled
        self._rules = tuple(rules)
        self._tickets = Tickets(instances, results, clock, maker, forms, self._rules, decoded)
        self._notices = notices.Notices(
            database, clock, settings, self._tickets, tells_not_applicable
        )
        self._poll_s = poll_s
        self._news = (watch or NewsWatch(database)).news(self._is_settled)
        self._news.wake = self.wake

    def wake(self) -> None:
        """There may be a due job."""
        self._arrivals.put(None)

    def stop(self) -> None:
        self._stopping.set()
        self.wake()

    def run(self) -> None:
        """Dispatch until stopped. A database that is away is waited for."""
        woken = True
        while not self._stopping.is_set():
            try:
                self._news.have(self.step, woken)
                self._heartbeat.beat()
            except StorageError as error:
                self._heartbeat.fault(str(error))
                log.error("dispatcher_waits", reason=str(error))
            except Exception as error:  # border: without this loop no job ever runs or ends
                self._heartbeat.fault(type(error).__name__)
                log.exception("dispatcher_fault")
            woken = self._wait()

    def _is_settled(self, tx: Transaction) -> bool:
        is_busy = self._running or self._unsettled or self._in_hand
        return not is_busy and not ledger.is_anything_open(tx)

    def step(self) -> None:
        """Settle what has ended, then start what is due while slots are free."""
        while self._unsettled:
            self._settle_or_fail(*self._unsettled[0])
            self._unsettled.pop(0)
        self._end_unwanted()
        self._tell_of_unwanted()
        self._write_notices()
        while self._running < self._executor.slots and not self._stopping.is_set():
            if self._is_held():
                return
            job, ticket = self._claim()
            if job is None or ticket is None:
                return
            self._start(job, ticket)

    def _end_unwanted(self) -> None:
        """End the workers of the jobs that a person has cancelled: their outcomes come as any."""
        if not self._in_hand:
            return
        with self._database.read() as tx:
            unwanted = ledger.wanted_cancelled(tx)
        for job_id in self._in_hand.intersection(unwanted):
            self._executor.end(job_id)

    def _tell_of_unwanted(self) -> None:
        """A job that was cancelled, and whose outcome was not to be waited for, may have been the
        last of its rule."""
        with self._database.read() as tx:
            unwanted = ledger.cancelled_not_told_of(tx)
        for job_id in unwanted:
            with self._database.write() as tx:
                job = ledger.get(tx, job_id)
                if job.state in (JobState.CANCELLED, JobState.DONE):
                    self._tell_above(tx, job)
                    ledger.told_of(tx, job_id)

    def _wait(self) -> bool:
        """True where somebody has woken it, or a job has ended."""
        return self._news.rest(self._arrives, self._poll_s)

    def _arrives(self, timeout_s: float) -> bool:
        try:
            arrivals = [self._arrivals.get(timeout=timeout_s)]
        except queue.Empty:
            return False
        with suppress(queue.Empty):
            while True:
                arrivals.append(self._arrivals.get_nowait())
        for arrival in arrivals:
            self._take_in(arrival)
        return True

    def _take_in(self, arrival: _Arrival | None) -> None:
        if arrival is not None:
            self._running -= 1
            self._taken(*arrival[2].decoded_before)
            self._unsettled.append(arrival)

    def _claim(self) -> tuple[Job | None, Ticket | None]:
        """The job that is due first. A claim whose answer was lost may have been committed."""
        doubtful, self._claim_is_open = self._claim_is_open, True
        with self._database.write() as tx:
            if doubtful:
                why = "the database was away when it was claimed"
                ledger.release_running(tx, self._clock(), self._in_hand, why)
            job, ticket = self._claim_in(tx)
        self._claim_is_open = False
        return job, ticket

    def _claim_in(self, tx: Transaction) -> tuple[Job | None, Ticket | None]:
        job = None if suspension.current(tx) else ledger.claim(tx, self._clock())
        if job is None:
            return None, None
        try:
            with tx.begin_nested():  # PostgreSQL forgets the whole of what a statement failed in
                return job, self._tickets.of(tx, job)
        except StoreUnavailable:
            self._held_until = self._clock() + timedelta(seconds=WAIT_S)
            raise
        except StorageError:
            raise
        except Exception as error:  # border: one job must not hold up the others
            log.exception("job_not_started", job=job.id)
            reason, now = f"the job cannot be started: {type(error).__name__}", self._clock()
            if job.is_further:
                ledger.without_forms(tx, job.id, now, reason)
            else:
                ledger.failed(tx, job.id, now, reason, traceback.format_exc())
            self._tell_above(tx, job)
            return None, None

    def _start(self, job: Job, ticket: Ticket) -> None:
        self._in_hand.add(job.id)
        now = self._clock()
        self._began = {one: at for one, at in self._began.items() if one in self._in_hand}
        self._began[job.id] = now
        since = max(job.created_at, job.not_before)
        self._passed(Passage(Stage.STARTED, since, now, job.study_instance_uid, job.id))
        log.info("job_started", job=job.id, analyzer=job.analyzer, attempt=job.attempts)
        self._submit(ticket, lambda outcome: (job, ticket, outcome))

    def _submit(self, ticket: Ticket, arrival: Callable[[Outcome], _Arrival]) -> None:
        running = self._executor.submit(ticket)
        self._running += 1
        running.add_done_callback(lambda done: self._arrivals.put(arrival(done.result())))

    # --- outcomes ---------------------------------------------------------------------------------

    def _settle_or_fail(self, job: Job, ticket: Ticket, outcome: Outcome) -> None:
        try:
            self._settle(job, ticket, outcome)
        except StorageError:
            raise
        except Exception as error:  # border: one job must not hold up the others
            log.exception("outcome_not_recorded", job=job.id)
            if notices.is_one(ticket):
                self._notices.give_up(job.id, type(error).__name__)
                return
            reason = f"the outcome cannot be recorded: {type(error).__name__}"
            failure = Outcome(Verdict.FAILED, reason=reason, traceback=traceback.format_exc())
            if job.is_further:
                self._stay_as_it_was(job, failure)
            else:
                self._finish(job, ticket, failure)

    def _settle(self, job: Job, ticket: Ticket, outcome: Outcome) -> None:
        if notices.is_one(ticket):
            if self._notices.enter(job, outcome, self._stopping.is_set()):
                self._on_settled()
            return
        if self._has_been_cancelled(job, ticket, outcome):
            return
        if self._stopping.is_set() and (outcome.transient or outcome.waits_for):
            return  # cut off by the stop: still running in the ledger, so due at the next start
        if outcome.verdict is Verdict.FAILED and outcome.waits_for:
            self._wait_for(job, outcome)
        elif outcome.verdict is Verdict.FAILED and outcome.transient and self._has_attempts(job):
            self._retry_later(job, outcome)
        elif job.is_further and outcome.verdict is not Verdict.DONE:
            self._stay_as_it_was(job, outcome)
        elif outcome.verdict is Verdict.FAILED and ticket.notice is None and job.notices:
            self._report_failure(job, ticket, outcome)
        else:
            self._finish(job, ticket, outcome)

    def _has_been_cancelled(self, job: Job, ticket: Ticket, outcome: Outcome) -> bool:
        """End it as cancelled where a person wants that. Whatever else ends it asks again: the
        wish may come in between."""
        with self._database.read() as tx:
            if not ledger.get(tx, job.id).cancel_wish:
                return False
        self._finish(job, ticket, replace(outcome, verdict=Verdict.FAILED))
        return True

    def _wait_for(self, job: Job, outcome: Outcome) -> None:
        """Put the job off without counting it. What all jobs need holds them all."""
        now, missing = self._clock(), outcome.waits_for
        times = self._waits[job.id] = self._waits.get(job.id, 0) + 1
        due = now + timedelta(seconds=doubled(WAIT_S, times, LONGEST_WAIT_S))
        with self._database.write() as tx:
            ledger.wait_for(tx, job.id, now, due, f"waits for {missing}")
            if missing != DEVICE_MEMORY and not self._waiting_for:
                self._note(tx, Level.ALARM, f"no job can go on: waits for {missing}")
        if missing != DEVICE_MEMORY:
            self._held_until, self._waiting_for = due, missing
        self._in_hand.discard(job.id)
        log.warning("job_waits", job=job.id, waits_for=missing, reason=loggable(outcome))

    def _is_held(self) -> bool:
        return self._held_until is not None and self._clock() < self._held_until

    def _go_on(self, tx: Transaction) -> None:
        """A job has ended: whatever was waited for is there again."""
        if self._waiting_for:
            self._note(tx, Level.INFO, f"jobs go on: {self._waiting_for} is there again")

    def _note(self, tx: Transaction, level: Level, reason: str) -> None:
        states = ("working", "waiting") if level is Level.ALARM else ("waiting", "working")
        events.record(tx, self._clock(), level, Topic.NODE, 0, *states, reason)

    def _has_attempts(self, job: Job) -> bool:
        return job.attempts < self._settings.attempts

    def _retry_later(self, job: Job, outcome: Outcome) -> None:
        now = self._clock()
        first_s = self._settings.retry_delay_s
        delay_s = doubled(first_s, job.attempts, max(LONGEST_RETRY_S, first_s))
        due = now + timedelta(seconds=delay_s)
        with self._database.write() as tx:
            ledger.add_lines(tx, job.id, outcome.lines)
            ledger.retry_later(tx, job.id, now, due, outcome.reason, outcome.traceback)
        self._in_hand.discard(job.id)
        log.warning("job_put_off", job=job.id, delay_s=delay_s, reason=loggable(outcome))

    def _report_failure(self, job: Job, ticket: Ticket, outcome: Outcome) -> None:
        """Write the report that says so, on the slot that has just become free."""
        told = outcome.told or first_line(outcome.reason)
        notice = replace(ticket, notices=True).as_notice(Verdict.FAILED, (told,))
        self._submit(notice, lambda report: (job, notice, _with_report(outcome, report)))

    def _stay_as_it_was(self, job: Job, outcome: Outcome) -> None:
        """It was done, and no further forms could be made of it."""
        with self._database.write() as tx:
            self._go_on(tx)
            ledger.add_lines(tx, job.id, outcome.lines)
            ledger.without_forms(tx, job.id, self._clock(), outcome.reason)
            self._tell_above(tx, job)  # another may have ended meanwhile, and found this one open
        self._in_hand.discard(job.id)
        self._waits.pop(job.id, None)
        self._held_until, self._waiting_for = None, ""
        log.error("further_forms_not_made", job=job.id, reason=loggable(outcome))
        self._on_settled()

    def _finish(self, job: Job, ticket: Ticket, outcome: Outcome) -> None:
        now = self._clock()
        with self._database.write() as tx:
            self._go_on(tx)
            ledger.add_lines(tx, job.id, outcome.lines)
            match outcome.verdict:
                case Verdict.DONE:
                    ledger.done(tx, job.id, now, outcome.results, outcome.forms)
                case Verdict.NOT_APPLICABLE:
                    ledger.not_applicable(tx, job.id, now, outcome.reason, outcome.results)
                case Verdict.FAILED:
                    results = _with_words(outcome)
                    ledger.failed(tx, job.id, now, outcome.reason, outcome.traceback, results)
            self._tell_above(tx, job)
            ended = ledger.get(tx, job.id)
            if ended.cancel_wish:
                ledger.told_of(tx, job.id)
        state = ended.state
        self._in_hand.discard(job.id)
        self._waits.pop(job.id, None)
        self._held_until, self._waiting_for = None, ""
        began = self._began.pop(job.id, now)
        self._passed(Passage(Stage.ENDED, began, now, job.study_instance_uid, job.id))
        log.log(
            40 if state is JobState.FAILED else 20,
            "job_ended",
            job=job.id,
            analyzer=ticket.analyzer,
            verdict=str(outcome.verdict if state is not JobState.CANCELLED else state),
            seconds=round(outcome.seconds, 2),
            reason=loggable(outcome),
        )
        self._on_settled()

    def _tell_above(self, tx: Transaction, job: Job) -> None:
        """Owe the summary of the rule, and the report of what did not apply, with the end of the
        job, where that is the last."""
        try:
            with tx.begin_nested():  # PostgreSQL forgets the whole of what a statement failed in
                summaries.enter_due(tx, job.id, self._rules, self._clock())
                self._notices.owe_due(tx, job)
        except StorageError:
            raise
        except Exception as error:  # border: what stands above jobs must not keep one from ending
            log.exception("summary_not_entered", job=job.id)
            reason = f"the summary above it cannot be entered: {type(error).__name__}"
            events.record(tx, self._clock(), Level.ALARM, Topic.JOB, job.id, "", "", reason)

    def _write_notices(self) -> None:
        """Begin the reports that are owed, on slots that are free."""
        for job_id in self._notices.due():
            if self._running >= self._executor.slots or self._stopping.is_set() or self._is_held():
                return
            self._begin_notice(job_id)

    def _begin_notice(self, job_id: int) -> None:
        begun = self._notices.begin(job_id)
        if begun is not None:
            job, notice = begun
            self._submit(notice, lambda report: (job, notice, report))


def _with_words(failure: Outcome) -> JobResults:
    """What a failed job leaves behind: without a report of it, what that would say."""
    results = failure.results
    if results.remarks or not failure.told:
        return results
    return replace(results, remarks=(failure.told,))


def _with_report(failure: Outcome, report: Outcome) -> Outcome:
    """The failure, with the report about it; or with why that could not be written either."""
    if report.waits_for:
        return replace(failure, waits_for=report.waits_for)
    if report.traceback or not report.results.objects:
        reason = f"{failure.reason} (and no report of it could be written: {report.reason})"
        return replace(failure, results=report.results, reason=reason, transient=False)
    return replace(failure, results=report.results, transient=False)
