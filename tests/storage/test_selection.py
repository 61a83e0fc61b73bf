"""What a destination is not sent of a job, how that is owed again, and what is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import abilities, events, ledger, outbox, selection
from storage.abilities import KnownAbilities
from storage.database import Database, Transaction
from storage.kinds import ObjectKind
from storage.records import DeliveryState, JobResults, JobState, Level, Topic
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, results

PENDING, LEFT_OUT = DeliveryState.PENDING, DeliveryState.LEFT_OUT
FORMS = (ObjectKind.PICTURE, ObjectKind.SHEET)


def done(tx: Transaction, name: str = "a", prefix: str = "9.1") -> int:
    """A done job with an image, a SEG and a report owed to "pacs"."""
    job_id = enqueue(tx, new_job(tx, add_study(tx), name))
    ledger.claim(tx, NOON)
    ledger.done(tx, job_id, NOON, results(prefix))
    return job_id


def by_kind(tx: Transaction, job_id: int) -> dict[str, DeliveryState]:
    return {one.object.kind: one.state for one in outbox.list_deliveries(tx, job_id=job_id)}


def test_what_is_left_out_is_not_due_and_its_reason_stands_with_it(database: Database) -> None:
    with database.write() as tx:
        job_id = done(tx)
        seg = next(one for one in outbox.claim(tx, "pacs", NOON) if one.object.kind == "seg")
        selection.leave_out(tx, {seg.id: "not taken"}, NOON)
        outbox.release_sending(tx, NOON)
        assert {one.object.kind for one in outbox.claim(tx, "pacs", NOON)} == {"image", "sr"}
        (left_out,) = selection.left_out_of_jobs(tx, [job_id])
        assert (left_out.kind, left_out.reason, left_out.number) == ("seg", "not taken", 1)
        told = events.list_events(tx, Topic.DELIVERY, seg.id)[0]
        assert (told.from_state, told.to_state) == ("sending", "left_out")


def test_what_gave_way_is_owed_again_when_the_other_was_refused(database: Database) -> None:
    with database.write() as tx:
        job_id = done(tx)
        claimed = {one.object.kind: one for one in outbox.claim(tx, "pacs", NOON)}
        left_out = [claimed[ObjectKind.SEGMENTATION].id, claimed[ObjectKind.IMAGE].id]
        selection.leave_out(tx, dict.fromkeys(left_out, "gave way"), NOON)
        kinds = (ObjectKind.IMAGE,)
        image = claimed[ObjectKind.IMAGE]
        assert selection.reconsider(tx, image, kinds, NOON) == 0  # it was itself refused
        assert selection.reconsider(tx, claimed[ObjectKind.REPORT], kinds, NOON) == 1
        assert by_kind(tx, job_id) == {
            "image": PENDING,
            "seg": LEFT_OUT,
            "sr": DeliveryState.SENDING,
        }


def test_a_person_may_ask_for_all_that_was_not_sent_also_elsewhere(database: Database) -> None:
    with database.write() as tx:
        job_id = done(tx)
        claimed = {one.object.kind: one.id for one in outbox.claim(tx, "pacs", NOON)}
        selection.leave_out(tx, {claimed["seg"]: "not taken"}, NOON)
        outbox.failed(tx, claimed["sr"], NOON, 0xC000, "refused")
        outbox.sent(tx, claimed["image"], NOON, 0)
        assert selection.ask_for(tx, "pacs", job_id, NOON) == 2
        assert by_kind(tx, job_id) == {"image": DeliveryState.SENT, "seg": PENDING, "sr": PENDING}
        assert selection.ask_for(tx, "archive", job_id, NOON) == 3
        found = selection.of_jobs(tx, "archive", [job_id])
        assert [one.state for one in found] == [PENDING] * 3


def test_what_a_job_has_written_over_goes_nowhere_whoever_asks_for_it(database: Database) -> None:
    with database.write() as tx:
        job_id = done(tx)
        before = outbox.claim(tx, "pacs", NOON)
        selection.leave_out(tx, {one.id: "not taken" for one in before}, NOON)
        ledger.restart(tx, job_id, NOON)
        ledger.claim(tx, NOON)
        first, again = results().objects, results("9.2").objects
        same_files = (replace(b, key=a.key) for a, b in zip(first, again, strict=True))
        ledger.done(tx, job_id, NOON, JobResults(tuple(same_files)))
        assert selection.ask_for(tx, "archive", job_id, NOON) == 3
        found = selection.of_jobs(tx, "archive", [job_id])
        assert {one.object.sop_instance_uid for one in found} == {"9.2.0", "9.2.1", "9.2.2"}
        assert selection.ask_for(tx, "pacs", job_id, NOON) == 0


def test_nothing_of_a_job_whose_place_a_newer_one_has_taken_is_asked_for(
    database: Database,
) -> None:
    with database.write() as tx:
        job_id = done(tx)
        study = ledger.get(tx, job_id).study_id
        newer = enqueue(tx, new_job(tx, study, "a", inputs="i2"))
        ledger.claim(tx, NOON)
        ledger.done(tx, newer, NOON, results("9.2"))
        with pytest.raises(selection.Superseded):
            selection.ask_for(tx, "pacs", job_id, NOON)


def test_where_objects_stand_is_told_of_those_that_the_node_made(database: Database) -> None:
    with database.write() as tx:
        done(tx)
        uids = ["9.1.0", "1.2.3.4.5"]
        assert selection.states_of(tx, "pacs", uids) == {"9.1.0": PENDING}
        assert selection.states_of(tx, "archive", uids) == {"9.1.0": None}


def test_what_is_known_of_a_destination_is_kept_until_it_is_forgotten(database: Database) -> None:
    known = KnownAbilities("pacs", NOON, "these", frozenset({("1.1", "1.2"), ("1.1", "1.3")}))
    with database.write() as tx:
        abilities.put(tx, known)
        abilities.put(tx, known.without("1.1"))
        assert abilities.get(tx, "pacs") == known.without("1.1")
        assert abilities.get(tx, "archive") is None
        abilities.forget(tx, "pacs")
        assert abilities.get(tx, "pacs") is None


# --- further forms --------------------------------------------------------------------------------


def test_a_done_job_is_due_again_for_further_forms_with_its_first_start(
    database: Database,
) -> None:
    with database.write() as tx:
        job_id = done(tx)
        before = ledger.get(tx, job_id)
        assert ledger.want_forms(tx, job_id, FORMS, NOON + minutes(1), "for pacs")
        assert not ledger.want_forms(tx, job_id, FORMS, NOON + minutes(1), "for pacs")
        job = ledger.claim(tx, NOON + minutes(1))
        assert job is not None
        assert (job.id, job.forms, job.is_further) == (job_id, FORMS, True)
        assert job.started_at == before.started_at
        more = results("9.1", ("sr", "seg", "image", "picture"))
        ledger.done(tx, job_id, NOON + minutes(2), more, job.forms)
        assert by_kind(tx, job_id)["picture"] is PENDING
        assert len(outbox.list_deliveries(tx, job_id=job_id)) == 4
        assert not ledger.want_forms(tx, job_id, FORMS, NOON + minutes(3), "for pacs")


def test_what_waited_for_further_forms_is_due_when_they_are_made(database: Database) -> None:
    with database.write() as tx:
        job_id = done(tx)
        ids = [one.id for one in outbox.claim(tx, "pacs", NOON)]
        outbox.give_back(tx, ids, NOON, NOON + minutes(60), "waits")
        assert not outbox.claim(tx, "pacs", NOON + minutes(1))
        ledger.want_forms(tx, job_id, FORMS, NOON, "for pacs")
        ledger.claim(tx, NOON)
        ledger.done(tx, job_id, NOON + minutes(1), results("9.1"), FORMS)
        assert len(outbox.claim(tx, "pacs", NOON + minutes(1))) == 3


def test_a_job_whose_further_forms_fail_is_done_as_it_was_with_an_alarm(
    database: Database,
) -> None:
    with database.write() as tx:
        job_id = done(tx)
        before = ledger.results_of(tx, job_id)
        ledger.want_forms(tx, job_id, FORMS, NOON, "for pacs")
        ledger.claim(tx, NOON)
        ledger.without_forms(tx, job_id, NOON, "no memory")
        after = ledger.get(tx, job_id)
        assert (after.state, after.is_further, after.forms) == (JobState.DONE, False, FORMS)
        unmade = dict.fromkeys(FORMS, "no memory")
        assert ledger.results_of(tx, job_id) == replace(before, unmade=unmade)
        (alarm,) = events.list_events(tx, level=Level.ALARM)
        assert "no memory" in alarm.reason


def test_a_job_that_is_superseded_while_it_is_due_for_further_forms_stays_done(
    database: Database,
) -> None:
    with database.write() as tx:
        job_id = done(tx)
        ledger.want_forms(tx, job_id, FORMS, NOON, "for pacs")
        ledger.claim(tx, NOON)
        study = ledger.get(tx, job_id).study_id
        enqueue(tx, new_job(tx, study, "a", inputs="i2"))
        ledger.release_running(tx, NOON)
        assert ledger.get(tx, job_id).state is JobState.DONE


def test_what_was_left_out_for_what_it_refers_to_is_owed_again_once_that_is_sent(
    database: Database,
) -> None:
    with database.write() as tx:
        study = add_study(tx)
        ids = []
        for name, prefix in (("lungs", "9.1"), ("summary", "9.2")):
            ids.append(enqueue(tx, new_job(tx, study, name)))
            ledger.claim(tx, NOON)
            ledger.done(tx, ids[-1], NOON, results(prefix, kinds=("sr",)))
        part, above = (outbox.list_deliveries(tx, job_id=one)[0] for one in ids)
        selection.leave_out(tx, {above.id: "dangles"}, NOON)
        assert selection.reconsider_above(tx, part, "another reason", NOON) == 0
        assert selection.reconsider_above(tx, part, "dangles", NOON) == 1
        assert by_kind(tx, ids[1]) == {"sr": PENDING}
