"""What the node itself writes of a study: as a document, refused, kept with what went in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest

from node.results import identity, kept
from node.results.errors import GateRefused
from node.results.gate import gate
from node.results.modules.source import HierarchicalReference
from node.results.study.members import Member, Selected
from node.work import above, job, manifest
from node.work.executor import Retraction, Summary, Ticket, Verdict
from storage import own_jobs
from storage.files.blobs import Blob
from storage.files.results import JobFolder, ResultStore
from storage.kinds import ObjectKind
from storage.records import JobState

OBJECT = HierarchicalReference("1.2.3", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.4.5")
MEMBERS = (
    Member("Bones", "bones", "1", JobState.FAILED, "It ran out of memory.", None, ()),
    Member("Lungs", "lungs", "2", JobState.NOT_APPLICABLE, "3 slices", None, (OBJECT,), (OBJECT,)),
)
RETRACTION = Retraction((Selected(OBJECT, is_image=False),), "safety")


@pytest.fixture
def ticket(phantom_paths: list[Path], tmp_path: Path) -> Ticket:
    (tmp_path / "quarantine").mkdir()
    return Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer=own_jobs.SUMMARY,
        analyzer_version="1",
        parameters={},
        instances=tuple(phantom_paths[:1]),
        place=JobFolder(tmp_path / ("ab" * 32), tmp_path / "quarantine"),
        started_at=datetime(2026, 1, 2, 8, tzinfo=UTC),
        title="Summary",
        above=Summary(tuple(replace(one, refers_to=(), regions=()) for one in MEMBERS)),
    )


def test_a_summary_is_a_document_for_those_who_take_no_report(
    ticket: Ticket, tmp_path: Path
) -> None:
    outcome = job.perform(replace(ticket, forms=(ObjectKind.DOCUMENT,)), "cpu")
    assert outcome.verdict is Verdict.DONE, outcome.reason
    assert [one.kind for one in outcome.results.objects] == ["summary", "pdf"]
    made = pydicom.dcmread(tmp_path / outcome.results.objects[1].key)
    assert bytes(made.EncapsulatedDocument).startswith(b"%PDF-")
    report = pydicom.dcmread(tmp_path / outcome.results.objects[0].key)
    assert made.SeriesNumber != report.SeriesNumber
    assert made.BurnedInAnnotation == "NO"


@pytest.mark.parametrize("writers", [identity.writers(), ("another highdicom",)])
def test_a_document_made_later_stands_beside_the_summary_that_was_sent_whatever_makes_it(
    ticket: Ticket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writers: tuple[str, ...]
) -> None:
    first = job.perform(ticket, "cpu")
    (sent,) = first.results.objects
    bytes_sent = (tmp_path / sent.key).read_bytes()
    monkeypatch.setattr(identity, "writers", lambda: writers)
    asked = replace(ticket, forms=(ObjectKind.DOCUMENT,), is_further=True)
    later = job.perform(asked, "cpu")
    assert later.verdict is Verdict.DONE, later.reason
    assert later.results.objects[0] == sent
    assert (tmp_path / sent.key).read_bytes() == bytes_sent
    assert [one.kind for one in later.results.objects] == ["summary", "pdf"]
    assert (tmp_path / later.results.objects[1].key).is_file()
    again = job.perform(asked, "cpu")
    assert again.results.objects == later.results.objects


def test_a_summary_for_reports_of_regions_made_later_by_another_version_is_the_only_new_one(
    ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = job.perform(ticket, "cpu")
    monkeypatch.setattr(identity, "writers", lambda: ("another highdicom",))
    assert isinstance(ticket.above, Summary)
    bones, lungs = ticket.above.members
    with_regions = Summary((bones, replace(lungs, regions=(OBJECT,))))
    later = job.perform(replace(ticket, above=with_regions, is_further=True), "cpu")
    assert later.verdict is Verdict.DONE, later.reason
    assert later.results.objects[:1] == first.results.objects
    assert [one.key.rpartition("/")[2] for one in later.results.objects] == [
        "summary.dcm",
        "summary-regions.dcm",
    ]


@pytest.mark.parametrize("wanted", ["summary", "retraction"])
def test_one_that_the_gate_refuses_lies_in_quarantine_whole(
    ticket: Ticket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        raise GateRefused("sr", ("it is not valid",))

    if wanted == "retraction":
        ticket = replace(ticket, analyzer=own_jobs.RETRACTION, above=RETRACTION)
    monkeypatch.setattr(gate, "check_required", refuse)
    outcome = job.perform(ticket, "cpu")
    assert outcome.verdict is Verdict.FAILED
    (aside,) = (tmp_path / "quarantine").iterdir()
    assert f"kept in quarantine as {aside.name}" in outcome.reason
    known = kept.refused(JobFolder(aside))
    assert known is not None
    assert [one.kind.value for one in known[0].results.objects] == [wanted]


@pytest.mark.parametrize("wanted", [Summary(MEMBERS), RETRACTION], ids=["summary", "retraction"])
def test_the_record_says_what_it_was_made_from(
    wanted: Summary | Retraction, tmp_path: Path
) -> None:
    results = ResultStore(tmp_path)
    if isinstance(wanted, Summary):
        report = Blob(results.blobs, "cd/report.dcm")
        wanted = Summary((replace(wanted.members[0], report=report), *wanted.members[1:]))
    plain = json.loads(json.dumps(above.content(wanted)))
    again = above.read(plain, results.blobs)
    assert above.content(again) == plain
    assert type(again) is type(wanted)


def test_a_summary_made_again_from_its_record_has_the_same_bytes(
    ticket: Ticket, tmp_path: Path
) -> None:
    first = job.perform(ticket, "cpu")
    known = kept.last(ticket.place)
    assert known is not None
    made = manifest.read(known.made_from)
    assert made is not None
    wanted = above.read(made.above, ResultStore(tmp_path).blobs)
    elsewhere = JobFolder(tmp_path / "again" / ("ab" * 32))
    again = replace(ticket, above=wanted, place=elsewhere, is_kept=False, title=made.title)
    assert job.perform(again, "cpu").results.objects == first.results.objects
