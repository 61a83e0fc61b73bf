"""Announcements: what is expected, what has come, and whom it vouches for."""

from __future__ import annotations

import pytest

from storage import announcements, index
from storage.announcements import DuplicateAnnouncement, StepIsFinal
from storage.database import Database, Transaction
from storage.records import Announcement, AnnouncementKind, AnnouncementState, StepStatus
from tests.storage.samples import NOON, announce, minutes, record, reference

STATES = tuple(AnnouncementState)


def announced_in(tx: Transaction, study: str) -> int:
    return announcements.announced_in_studies(tx, [study])[study].instances


def has_arrived(tx: Transaction, one: Announcement) -> bool:
    """Whether its list is final, and all on it is there."""
    return not announcements.missing_of(tx, one.id) and one.status is StepStatus.COMPLETED


def receive(database: Database, *numbers: int, series: str = "1.2.3.1") -> int:
    with database.write() as tx:
        index.add(tx, [record(n, series=series) for n in numbers])
        study = index.find_study(tx, "1.2.3")
    assert study is not None
    return study.id


def test_a_step_is_found_as_it_was_entered(database: Database) -> None:
    with database.write() as tx:
        announce(tx, 1, 2, status=StepStatus.IN_PROGRESS)
    with database.read() as tx:
        step = announcements.find(tx, AnnouncementKind.MPPS, "9.1")
        assert announcements.find(tx, AnnouncementKind.IAN, "9.1") is None
        assert announced_in(tx, "1.2.3") == 2
    assert step is not None
    assert (step.status, step.state) == (StepStatus.IN_PROGRESS, AnnouncementState.IN_PROGRESS)
    assert (step.studies, step.attributes, step.announced_at) == (
        ("1.2.3",),
        {"Modality": "CT"},
        NOON,
    )


def test_a_uid_is_entered_once(database: Database) -> None:
    with database.write() as tx:
        announce(tx, 1)
    with pytest.raises(DuplicateAnnouncement), database.write() as tx:
        announce(tx, 1)
    with database.write() as tx:
        announce(tx, 1, kind=AnnouncementKind.IAN)


def test_a_change_replaces_the_list_and_a_final_step_refuses_changes(database: Database) -> None:
    with database.write() as tx:
        announce(tx, 1, 2, status=StepStatus.IN_PROGRESS)
        step = announcements.find(tx, AnnouncementKind.MPPS, "9.1", for_update=True)
        assert step is not None
        completed = StepStatus.COMPLETED
        announcements.change(tx, step, NOON, completed, {}, [reference("1.2.3.1.7")])
    with database.write() as tx:
        step = announcements.find(tx, AnnouncementKind.MPPS, "9.1")
        assert step is not None and step.state is AnnouncementState.AWAITED
        assert announced_in(tx, "1.2.3") == 1
        with pytest.raises(StepIsFinal):
            announcements.change(tx, step, NOON, StepStatus.DISCONTINUED, {}, None)


def test_missing_instances_are_counted_and_gone_when_they_are_indexed(database: Database) -> None:
    with database.write() as tx:
        number = announce(tx, 1, 2, 3)
        assert announcements.missing_of(tx, number) == 3
    receive(database, 1, 2)
    with database.read() as tx:
        (one,) = announcements.in_state(tx, *announcements.HOLDING)
        assert (announcements.missing_of(tx, one.id), has_arrived(tx, one)) == (1, False)
    receive(database, 3)
    with database.read() as tx:
        (one,) = announcements.in_state(tx, *announcements.HOLDING)
        assert has_arrived(tx, one)


def test_an_arrived_step_vouches_for_a_study_whose_instances_it_all_names(
    database: Database,
) -> None:
    study_id = receive(database, 1, 2)
    with database.write() as tx:
        announce(tx, 1, 2)
        assert announcements.vouched_studies(tx) == []
        (one,) = announcements.in_state(tx, *announcements.HOLDING)
        announcements.arrived(tx, one, NOON)
        assert announcements.vouched_studies(tx) == [study_id]
        assert announcements.unannounced_in(tx, study_id) == 0
    receive(database, 1, series="1.2.3.2")
    with database.read() as tx:
        assert announcements.unannounced_in(tx, study_id) == 1


def test_what_was_given_up_is_looked_at_again_when_its_study_opens_again(
    database: Database,
) -> None:
    study_id = receive(database, 1)
    with database.write() as tx:
        announce(tx, 1, 2)
        (one,) = announcements.in_state(tx, *announcements.HOLDING)
        announcements.give_up(tx, one, NOON, "in vain")
        assert index.complete(tx, study_id, NOON, NOON)
        assert announcements.reopened_glances(tx) == []
        index.add(tx, [record(2, at=NOON + minutes(1))])
        (again,) = announcements.reopened_glances(tx)
        (one,) = announcements.get_all(tx, [again.id])
        assert has_arrived(tx, one)
