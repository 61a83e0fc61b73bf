"""The job ledger: what is unique, what runs next, what a job leaves behind."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from storage import events, index, ledger, outbox
from storage.database import Database
from storage.errors import NotFound
from storage.records import (
    DeliveryState,
    FindingRow,
    JobResults,
    JobState,
    Level,
    Priority,
    StoredInstance,
    Topic,
)
from tests.storage.samples import (
    NOON,
    add_study,
    enqueue,
    minutes,
    new_job,
    record,
    result,
    results,
)


def instance(uid: str, sha256: str = "a") -> StoredInstance:
    return StoredInstance(0, uid, "1.2", "1.2.1", "aa/b.dcm", 1, sha256, {})


# --- keys -----------------------------------------------------------------------------------------


def test_the_digest_of_inputs_knows_uids_and_bytes_but_no_order() -> None:
    one, two = instance("1.2"), instance("1.3")
    digest = ledger.inputs_digest([one, two])
    assert digest == ledger.inputs_digest([two, one])
    assert digest == ledger.inputs_digest([replace(one, id=7, key="x", header={"Rows": 1}), two])
    others = [[one], [one, two, two], [one, instance("1.3", "b")], [one, instance("1.4")], []]
    assert len({digest, *(ledger.inputs_digest(other) for other in others)}) == 6


def test_the_digest_of_parameters_knows_no_order() -> None:
    digest = ledger.parameters_digest({"a": 1, "b": {"c": 2.5, "d": None}})
    assert digest == ledger.parameters_digest({"b": {"d": None, "c": 2.5}, "a": 1})
    assert digest != ledger.parameters_digest({"a": 1, "b": {"c": 2.5, "d": 0}})


def test_a_job_key_keeps_its_parts_apart() -> None:
    keys = {
        ledger.job_key("i", "lungs", "1.0", "p"),
        ledger.job_key("i", "lungs1", ".0", "p"),
        ledger.job_key("j", "lungs", "1.0", "p"),
        ledger.job_key("i", "lungs", "1.0", "q"),
    }
    assert len(keys) == 4
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)


# --- entering -------------------------------------------------------------------------------------


def test_a_job_comes_back_as_it_was_entered(database: Database) -> None:
    with database.write() as tx:
        wanted = new_job(tx, add_study(tx), priority=Priority.URGENT, destinations=("a", "b"))
        job_id = enqueue(tx, replace(wanted, refusals=("too few slices",), notices=False))
    with database.read() as tx:
        job = ledger.get(tx, job_id)
        inputs = ledger.input_instances(tx, job_id)
        event = events.list_events(tx, Topic.JOB, job_id)[0]
    assert (job.state, job.attempts, job.created_at) == (JobState.PENDING, 0, NOON)
    assert (job.analyzer, job.analyzer_version, job.rule) == ("lungs", "1.0", "every chest")
    assert (job.parameters, job.priority) == ({"sigma_mm": 2.0}, Priority.URGENT)
    assert (job.destinations, job.refusals, job.notices) == (("a", "b"), ("too few slices",), False)
    assert (job.study_instance_uid, job.series_instance_uid) == ("1.2.3", "1.2.3.1")
    assert (job.started_at, job.finished_at, job.predecessor_id) == (None, None, None)
    assert job.key == ledger.job_key("i1", "lungs", "1.0", "p")
    assert [one.sop_instance_uid for one in inputs] == ["1.2.3.1.1", "1.2.3.1.2", "1.2.3.1.3"]
    assert (event.from_state, event.to_state) == ("", "pending")


def test_the_same_job_is_entered_once(database: Database) -> None:
    with database.write() as tx:
        job = new_job(tx, add_study(tx))
        assert ledger.enqueue(tx, job, NOON) is not None
        assert ledger.enqueue(tx, job, NOON + minutes(1)) is None
        different = (
            replace(job, inputs_digest="i2"),
            replace(job, analyzer="bones"),
            replace(job, analyzer_version="1.1"),
            replace(job, parameters_digest="q"),
        )
        assert None not in [ledger.enqueue(tx, one, NOON) for one in different]
        assert ledger.enqueue(tx, replace(job, rule="x", priority=Priority.STAT), NOON) is None
        assert len(ledger.list_jobs(tx)) == 5


def test_an_analyzer_with_a_retrained_model_is_another_job(database: Database) -> None:
    with database.write() as tx:
        plain = new_job(tx, add_study(tx))
        trained, anew = replace(plain, weights="a"), replace(plain, weights="b")
        ids = [ledger.enqueue(tx, one, NOON) for one in (plain, trained, anew, trained)]
        jobs = [ledger.get(tx, one) for one in ids[:3] if one is not None]
    assert ids[3] is None
    assert [one.weights for one in jobs] == ["", "a", "b"]
    assert len({one.key for one in jobs}) == 3


def test_two_threads_cannot_enter_one_job_twice(database: Database) -> None:
    with database.write() as tx:
        job = new_job(tx, add_study(tx))
    entered: list[int | None] = []

    def enter() -> None:
        with database.write() as tx:
            entered.append(ledger.enqueue(tx, job, NOON))

    run_together(enter, 4)
    assert sorted(one is None for one in entered) == [False, True, True, True]


def test_a_job_that_only_writes_a_refusal_needs_no_inputs(database: Database) -> None:
    with database.write() as tx:
        job = enqueue(tx, replace(new_job(tx, add_study(tx)), instance_ids=()))
        assert ledger.input_instances(tx, job) == []


def test_jobs_are_listed_newest_first_by_study_and_state(database: Database) -> None:
    with database.write() as tx:
        first, second = add_study(tx, "1"), add_study(tx, "2")
        a = enqueue(tx, new_job(tx, first))
        b = enqueue(tx, new_job(tx, second, inputs="i2"))
        c = enqueue(tx, new_job(tx, first, "bones"))
        ledger.claim(tx, NOON)

        def ids(**which: object) -> list[int]:
            return [job.id for job in ledger.list_jobs(tx, **which)]  # type: ignore[arg-type]

        assert ids() == [c, b, a]
        assert ids(study_id=first) == [c, a]
        assert ids(state=JobState.RUNNING) == [a]
        assert ids(study_id=first, state=JobState.PENDING) == [c]
        assert ids(limit=1, offset=1) == [b]


# --- order ----------------------------------------------------------------------------------------


def claimed(database: Database, at: object = NOON) -> list[int]:
    found = []
    with database.write() as tx:
        while job := ledger.claim(tx, at):  # type: ignore[arg-type]
            found.append(job.id)
    return found


def test_priority_goes_first_and_then_age(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        ids = {
            (priority, n): enqueue(
                tx, new_job(tx, study, f"{priority}{n}", priority), NOON + minutes(n / 60)
            )
            for n in (2, 1)
            for priority in (Priority.ROUTINE, Priority.STAT, Priority.URGENT)
        }
    order = [(one, n) for one in (Priority.STAT, Priority.URGENT, Priority.ROUTINE) for n in (1, 2)]
    assert claimed(database, NOON + minutes(1)) == [ids[one] for one in order]


@pytest.mark.parametrize(
    ("older", "waited_min", "fresh", "older_goes_first"),
    [
        (Priority.ROUTINE, 9, Priority.URGENT, False),
        (Priority.ROUTINE, 11, Priority.URGENT, True),
        (Priority.ROUTINE, 31, Priority.STAT, False),
        (Priority.ROUTINE, 60 * 24 * 365, Priority.STAT, False),
        (Priority.URGENT, 21, Priority.STAT, False),
        (Priority.STAT, 1, Priority.STAT, True),
    ],
)
def test_waiting_outranks_priority_in_the_end_but_never_stat(
    database: Database, older: Priority, waited_min: int, fresh: Priority, older_goes_first: bool
) -> None:
    with database.write() as tx:
        study = add_study(tx)
        old = enqueue(tx, new_job(tx, study, "old", older))
        new = enqueue(tx, new_job(tx, study, "new", fresh), NOON + minutes(waited_min))
    expected = [old, new] if older_goes_first else [new, old]
    assert claimed(database, NOON + minutes(waited_min)) == expected


def test_a_routine_job_never_starves_under_a_stream_of_urgent_jobs(database: Database) -> None:
    """One urgent job comes each minute, one job runs each minute."""
    with database.write() as tx:
        study = add_study(tx)
        routine = enqueue(tx, new_job(tx, study, "routine"))
        for minute in range(60):
            now = NOON + minutes(minute)
            enqueue(tx, new_job(tx, study, f"urgent{minute}", Priority.URGENT), now)
            job = ledger.claim(tx, now)
            assert job is not None
            if job.id == routine:
                break
    assert minute == 10


# --- claiming -------------------------------------------------------------------------------------


def test_a_claimed_job_runs(database: Database) -> None:
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx)))
        job = ledger.claim(tx, NOON + minutes(1))
        assert job is not None and job == ledger.get(tx, job_id)
        assert ledger.claim(tx, NOON + minutes(1)) is None
        event = events.list_events(tx, Topic.JOB, job_id)[0]
    assert (job.id, job.state, job.attempts) == (job_id, JobState.RUNNING, 1)
    assert job.started_at == NOON + minutes(1)
    assert (event.from_state, event.to_state, event.at) == ("pending", "running", NOON + minutes(1))


def test_a_claim_undone_leaves_the_job_due(database: Database) -> None:
    with database.write() as tx:
        enqueue(tx, new_job(tx, add_study(tx)))
    with pytest.raises(ZeroDivisionError), database.write() as tx:
        assert ledger.claim(tx, NOON)
        raise ZeroDivisionError
    assert len(claimed(database)) == 1


def test_four_threads_claim_each_job_once(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        entered = {enqueue(tx, new_job(tx, study, f"a{n}")) for n in range(40)}
    taken: list[int] = []

    def work() -> None:
        while True:
            with database.write() as tx:
                job = ledger.claim(tx, NOON)
            if job is None:
                return
            taken.append(job.id)

    run_together(work, 4)
    assert len(taken) == 40 and set(taken) == entered


def run_together(work: object, number: int) -> None:
    start = threading.Barrier(number)
    faults: list[BaseException] = []

    def run() -> None:
        start.wait(10)
        try:
            work()  # type: ignore[operator]
        except BaseException as fault:  # noqa: BLE001  looked at below
            faults.append(fault)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_job_put_off_is_not_due_early_and_keeps_its_first_start(database: Database) -> None:
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        ledger.retry_later(tx, job_id, NOON, NOON + minutes(5), "disk full", "Traceback …")
        job = ledger.get(tx, job_id)
        assert (job.state, job.reason, job.traceback) == (
            JobState.PENDING,
            "disk full",
            "Traceback …",
        )
        assert events.list_events(tx, Topic.JOB, job_id)[0].level is Level.WARNING
    assert claimed(database, NOON + minutes(4.99)) == []
    assert claimed(database, NOON + minutes(5)) == [job_id]
    with database.read() as tx:
        job = ledger.get(tx, job_id)
    assert (job.attempts, job.started_at) == (2, NOON)


def test_what_ran_when_the_node_ended_is_due_again(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        ids = [enqueue(tx, new_job(tx, study, name)) for name in ("a", "b", "c")]
        ledger.claim(tx, NOON)
        ledger.claim(tx, NOON)
        assert ledger.release_running(tx, NOON + minutes(1)) == 2
        assert ledger.release_running(tx, NOON + minutes(1)) == 0
        job = ledger.get(tx, ids[0])
        assert (job.state, job.attempts, job.started_at) == (JobState.PENDING, 1, NOON)
        assert "restarted" in events.list_events(tx, Topic.JOB, ids[0])[0].reason
    assert claimed(database, NOON + minutes(1)) == ids


# --- ending ---------------------------------------------------------------------------------------


def test_a_done_job_leaves_results_and_owes_each_to_each_destination(database: Database) -> None:
    left = JobResults(
        objects=results("9.1").objects,
        findings=(FindingRow("left lung", "volume", 2.5, "l"), FindingRow("x", "y", None, "", "?")),
        previews=("job/a.png",),
        remarks=("motion",),
    )
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx), destinations=("pacs", "archive")))
        ledger.claim(tx, NOON)
        assert ledger.results_of(tx, job_id) == JobResults()
        ledger.done(tx, job_id, NOON + minutes(2), left)
    with database.read() as tx:
        job = ledger.get(tx, job_id)
        assert (job.state, job.finished_at, job.reason) == (JobState.DONE, NOON + minutes(2), "")
        assert ledger.results_of(tx, job_id) == left
        owed = outbox.list_deliveries(tx, job_id=job_id)
        assert len(owed) == 6
        assert {one.destination for one in owed} == {"pacs", "archive"}
        assert {one.object for one in owed} == set(left.objects)
        event = events.list_events(tx, Topic.JOB, job_id)[0]
        assert (event.from_state, event.to_state, event.level) == ("running", "done", Level.INFO)


def test_a_job_done_twice_has_its_rows_once_and_what_was_sent_stays_sent(
    database: Database,
) -> None:
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        ledger.done(tx, job_id, NOON, results("9.1", ("seg", "sr")))
        first, second = outbox.claim(tx, "pacs", NOON)
        outbox.sent(tx, first.id, NOON, 0)
        outbox.failed(tx, second.id, NOON, 0x0122, "SOP class not supported")
        ledger.restart(tx, job_id, NOON)
        assert ledger.claim(tx, NOON)
        again = tuple(replace(one, sha256="e" * 64) for one in results("9.1").objects)
        ledger.done(tx, job_id, NOON + minutes(1), JobResults(again))
        assert [one.sha256 for one in ledger.results_of(tx, job_id).objects] == ["e" * 64] * 3
        states = {one.id: one.state for one in outbox.list_deliveries(tx, job_id=job_id)}
    assert len(states) == 3
    assert states.pop(first.id) is DeliveryState.SENT
    assert set(states.values()) == {DeliveryState.PENDING}


def test_a_job_that_does_not_apply_may_leave_a_report(database: Database) -> None:
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        ledger.not_applicable(tx, job_id, NOON, "no lungs", results("9.1", ("sr",)))
        job = ledger.get(tx, job_id)
        assert (job.state, job.reason) == (JobState.NOT_APPLICABLE, "no lungs")
        assert len(outbox.list_deliveries(tx, job_id=job_id)) == 1
        assert events.open_alarms(tx) == []


def test_a_failed_job_is_an_alarm_with_its_reason(database: Database) -> None:
    odd = "Traceback\nValueError: \0 \udcff 山"
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        ledger.failed(tx, job_id, NOON, "bad geometry\0", odd)
        job = ledger.get(tx, job_id)
        alarm = events.open_alarms(tx)[0]
    assert (job.state, job.reason) == (JobState.FAILED, "bad geometry")
    assert job.traceback == "Traceback\nValueError:  ? 山"
    assert (alarm.subject, alarm.subject_id, alarm.reason) == (
        Topic.JOB,
        job_id,
        "bad geometry",
    )
    assert claimed(database, NOON + minutes(99)) == []


@pytest.mark.parametrize("ending", ["done", "failed", "not_applicable"])
def test_an_ended_job_can_be_restarted_and_counts_from_new(database: Database, ending: str) -> None:
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        if ending == "done":
            ledger.done(tx, job_id, NOON, results())
        elif ending == "failed":
            ledger.failed(tx, job_id, NOON, "bad", "Traceback")
        else:
            ledger.not_applicable(tx, job_id, NOON, "no lungs", JobResults())
        ledger.restart(tx, job_id, NOON + minutes(1))
        job = ledger.get(tx, job_id)
        assert (job.state, job.attempts, job.reason, job.traceback) == (JobState.PENDING, 0, "", "")
        assert (job.finished_at, job.started_at) == (None, NOON)
        event = events.list_events(tx, Topic.JOB, job_id)[0]
        assert (event.from_state, event.to_state) == (ending, "pending")
    assert claimed(database, NOON) == []
    assert claimed(database, NOON + minutes(1)) == [job_id]


def test_old_jobs_that_are_restarted_do_not_go_before_a_fresh_stat_job(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        old = enqueue(tx, new_job(tx, study, "old"))
        ledger.claim(tx, NOON)
        ledger.failed(tx, old, NOON, "bad", "")
        ledger.restart(tx, old, NOON + minutes(600))
        stat = enqueue(tx, new_job(tx, study, "new", Priority.STAT), NOON + minutes(601))
    assert claimed(database, NOON + minutes(601)) == [stat, old]


def test_a_running_job_cannot_be_restarted(database: Database) -> None:
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        with pytest.raises(ledger.JobRunning):
            ledger.restart(tx, job_id, NOON)
        assert ledger.get(tx, job_id).state is JobState.RUNNING


def test_an_unknown_job_is_named(database: Database) -> None:
    with database.write() as tx:
        for act in (
            lambda: ledger.get(tx, 7),
            lambda: ledger.restart(tx, 7, NOON),
            lambda: ledger.done(tx, 7, NOON, JobResults()),
            lambda: ledger.failed(tx, 7, NOON, "", ""),
            lambda: ledger.retry_later(tx, 7, NOON, NOON, "", ""),
            lambda: ledger.results_of(tx, 7),
            lambda: ledger.report_of(tx, 7),
        ):
            with pytest.raises(NotFound, match="no job 7"):
                act()
        assert ledger.input_instances(tx, 7) == []


# --- predecessors ---------------------------------------------------------------------------------


def test_a_later_job_knows_the_one_it_supersedes(database: Database) -> None:
    with database.write() as tx:
        study, other = add_study(tx), add_study(tx, "5")
        index.add(tx, [record(1, "1.2.3", "1.2.3.2")])
        first = enqueue(tx, new_job(tx, study))
        ledger.claim(tx, NOON)
        second = enqueue(tx, new_job(tx, study, inputs="i2", series=1))
        ledger.claim(tx, NOON)
        third = enqueue(tx, new_job(tx, study, inputs="i3"))
        strangers = [
            enqueue(tx, new_job(tx, study, "bones")),
            enqueue(tx, new_job(tx, other, inputs="i4")),
        ]

        def before(job_id: int) -> int | None:
            return ledger.get(tx, job_id).predecessor_id

        assert (before(first), before(second), before(third)) == (None, first, first)
        assert [before(one) for one in strangers] == [None, None]


def test_a_job_that_has_not_run_gives_way_to_its_successor(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        index.add(tx, [record(1, "1.2.3", "1.2.3.2")])
        running = enqueue(tx, new_job(tx, study))
        ledger.claim(tx, NOON)
        elsewhere = enqueue(tx, new_job(tx, study, inputs="i2", series=1))
        waiting = enqueue(tx, new_job(tx, study, inputs="i3"))
        newest = enqueue(tx, new_job(tx, study, inputs="i4"), NOON + minutes(1))
        jobs = {one.id: one for one in ledger.list_jobs(tx)}
        event = events.list_events(tx, Topic.JOB, waiting)[0]
    assert jobs[waiting].state is JobState.NOT_APPLICABLE
    assert jobs[waiting].reason == f"superseded by job {newest} before it ran"
    assert jobs[waiting].finished_at == NOON + minutes(1)
    assert (event.from_state, event.to_state) == ("pending", "not_applicable")
    assert jobs[running].state is JobState.RUNNING
    assert jobs[elsewhere].state is jobs[newest].state is JobState.PENDING


def test_the_report_to_supersede_is_found_along_the_chain(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        first = enqueue(tx, new_job(tx, study))
        assert ledger.report_of(tx, first) is None
        ledger.claim(tx, NOON)
        ledger.done(tx, first, NOON, results("9.1", ("sr", "seg")))
        second = enqueue(tx, new_job(tx, study, inputs="i2"))
        third = enqueue(tx, new_job(tx, study, inputs="i3"))
        assert ledger.get(tx, second).state is JobState.NOT_APPLICABLE
        assert ledger.get(tx, third).predecessor_id == second
        expected = (result("9.1.0", "sr"), "1.2.3")
        assert ledger.report_of(tx, first) == expected
        assert ledger.report_of(tx, third) == expected
        ledger.claim(tx, NOON)
        ledger.done(tx, third, NOON, results("9.3", ("sr",)))
        found = ledger.report_of(tx, third)
        assert found is not None and found[0].sop_instance_uid == "9.3.0"
