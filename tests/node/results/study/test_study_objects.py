"""The summary of a study, its key images, and the note that takes back what was superseded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import Classification, Code, Findings
from node.results.modules.source import HierarchicalReference, Maker, Provenance
from node.results.study.members import Member, Selected
from node.results.study.write import write_retraction, write_summary
from node.results.write import write_results
from node.series.source import Source
from storage import own_jobs
from storage.kinds import ObjectKind
from storage.records import JobResults, JobState
from tests.node.results import sources
from tests.node.results.sources import ct_source, enhanced_source, lungs

SUMMARY = replace(
    sources.PROVENANCE, analyzer=own_jobs.SUMMARY, analyzer_title="Summary", parameters={}
)
OPACITY = Code("OPACITY", "99TEST", "Opacity")
ABSENT = Code("272519000", "SCT", "Absent")
PRESENT = Code("52101004", "SCT", "Present")
FAILED = Member("Bones", "bones", "1", JobState.FAILED, "it ran out of memory", None, ())
UNFIT = Member("Airways", "airways", "1", JobState.NOT_APPLICABLE, "3 slices", None, ())


def analyzed(source: Source, folder: Path, findings: Findings) -> Member:
    """An analysis as it is when it has ended."""
    results = write_results(source, findings, sources.PROVENANCE, folder)
    report = folder / "report.dcm"
    (made,) = [one for one in results.objects if one.kind.is_report]
    refers_to = HierarchicalReference.to(pydicom.dcmread(report))
    assert made.sop_instance_uid == refers_to.sop_instance_uid
    return Member("Lungs", "lungs", "1", JobState.DONE, "", report, (refers_to,))


@pytest.fixture(scope="module")
def source() -> Source:
    return ct_source()


@pytest.fixture(scope="module")
def member(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Member:
    return analyzed(source, tmp_path_factory.mktemp("lungs"), Findings((lungs(),)))


def written(
    source: Source, folder: Path, *members: Member, provenance: Provenance = SUMMARY
) -> tuple[JobResults, dict[ObjectKind, Dataset]]:
    alone = Source(source.headers[:1], (), None)
    results = write_summary(alone, members, provenance, folder)
    return results, {one.kind: pydicom.dcmread(folder.parent / one.key) for one in results.objects}


def below(item: Dataset, kind: str) -> list[Dataset]:
    found = []
    for child in item.get("ContentSequence", ()):
        found += [child] if child.ValueType == kind else []
        found += below(child, kind)
    return found


@pytest.mark.parametrize(
    ("language", "begin"),
    [("en", "Lungs (series 3, volume 2 of 3): "), ("de", "Lungen (Serie 3, Volumen 2 von 3): ")],
)
def test_a_summary_says_what_each_looked_at_where_one_analyzer_looked_at_several(
    source: Source, member: Member, tmp_path: Path, language: str, begin: str
) -> None:
    placed = replace(member, place="series 3, volume 2 of 3")
    spoken = replace(SUMMARY, maker=replace(SUMMARY.maker, language=language))
    _, objects = written(source, tmp_path, placed, provenance=spoken)
    said = [one.TextValue for one in below(objects[ObjectKind.SUMMARY], "TEXT")]
    assert any(text.startswith(begin) for text in said)


def test_a_summary_says_first_how_the_analyses_ended_then_what_each_came_to(
    source: Source, member: Member, tmp_path: Path
) -> None:
    results, made = written(source, tmp_path / "out", member, FAILED, UNFIT)
    report = made[ObjectKind.SUMMARY]
    said = [str(one.TextValue) for one in below(report, "TEXT")]
    conclusions = said[said.index("3 analyses: 1 failed, 1 not applicable, 1 done.") :]
    assert conclusions[1].startswith("Lungs: ")
    assert "Right lung" in conclusions[1]
    assert conclusions[2] == "Bones: FAILED, there is no result. it ran out of memory"
    assert conclusions[3].startswith("Airways: NOT APPLICABLE")
    assert report.SeriesDescription == "1 FAILED, 1 NOT APPLICABLE, 1 DONE: Summary"
    assert report.CompletionFlag == "PARTIAL"
    assert [(one.structure, one.name) for one in results.findings] == [
        ("Lungs", "done"),
        ("Bones", "failed"),
        ("Airways", "not applicable"),
    ]


def test_a_summary_says_of_what_was_cancelled_that_there_is_no_result_and_not_by_whom(
    source: Source, member: Member, tmp_path: Path
) -> None:
    why = "cancelled by anna: wrong study"
    cancelled = Member("Bones", "bones", "1", JobState.CANCELLED, why, None, ())
    _, made = written(source, tmp_path / "out", member, cancelled)
    report = made[ObjectKind.SUMMARY]
    said = [str(one.TextValue) for one in below(report, "TEXT")]
    assert "Bones: CANCELLED by a person, there is no result." in said
    assert "2 analyses: 1 cancelled, 1 done." in said
    assert not any("anna" in one for one in said)
    assert report.CompletionFlag == "PARTIAL"


def test_a_summary_refers_to_each_report_and_shows_where_its_first_finding_lies(
    source: Source, member: Member, tmp_path: Path
) -> None:
    _, made = written(source, tmp_path / "out", member, FAILED)
    report = made[ObjectKind.SUMMARY]
    (referred,) = below(report, "COMPOSITE")
    uid = referred.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert uid == member.refers_to[0].sop_instance_uid
    (group,) = hd.sr.srread(
        tmp_path / "out/summary.dcm"
    ).content.get_planar_roi_measurement_groups()
    assert len(group.roi.value) > 4
    (region,) = below(report, "SCOORD")
    image = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    largest = int(np.argmax((sources.labels() == 2).sum(axis=(1, 2))))
    assert image == source.headers[largest].SOPInstanceUID


def test_places_of_several_series_or_images_are_followed_up_each_by_itself(
    source: Source, member: Member, tmp_path: Path
) -> None:
    def tracked(*members: Member, folder: str) -> list[str]:
        _, made = written(source, tmp_path / folder, *members)
        return [str(one.UID) for one in below(made[ObjectKind.SUMMARY], "UIDREF")[-len(members) :]]

    (alone,) = tracked(member, folder="alone")
    several = tracked(member, replace(member, title="Second view"), folder="several")
    assert several[0] == alone
    assert len(set(several)) == 2


def answering(source: Source, folder: Path, name: str, answer: Code) -> Member:
    found = Findings((Classification(OPACITY, answer, 0.6),))
    return replace(analyzed(source, folder, found), title=name, analyzer=name)


def test_a_summary_says_where_analyses_of_a_series_disagree(source: Source, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    one = answering(source, tmp_path / "one", "Forest", ABSENT)
    two = answering(source, tmp_path / "two", "Network", PRESENT)
    results, made = written(source, tmp_path / "out", one, two)
    said = [str(it.TextValue) for it in below(made[ObjectKind.SUMMARY], "TEXT")]
    unlike = "The analyses disagree. Opacity: Forest: Absent; Network: Present."
    assert said.index(unlike) == said.index("2 analyses: 2 done.") + 1
    assert (results.findings[0].name, results.findings[0].text) == ("disagreement", unlike)
    three = answering(source, tmp_path / "three", "Vectors", ABSENT)
    results, _ = written(source, tmp_path / "alike", one, three)
    assert [it.name for it in results.findings] == ["done", "done"]


def test_readers_that_know_no_segments_have_a_summary_of_the_reports_that_they_get(
    source: Source, member: Member, tmp_path: Path
) -> None:
    plain, _ = written(source, tmp_path / "out", member, FAILED)
    regions = (replace(member.refers_to[0], sop_instance_uid="2.25.9"),)
    results, _ = written(source, tmp_path / "out", replace(member, regions=regions), FAILED)
    assert set(plain.objects) < set(results.objects)
    (other,) = set(results.objects) - set(plain.objects)
    assert other.kind is ObjectKind.SUMMARY
    (referred,) = below(pydicom.dcmread(tmp_path / other.key), "COMPOSITE")
    assert referred.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.9"


def test_the_key_images_are_those_on_which_a_finding_is_looked_at(
    source: Source, member: Member, tmp_path: Path
) -> None:
    _, made = written(source, tmp_path / "out", member, FAILED)
    document = made[ObjectKind.KEY_OBJECTS]
    assert document.ConceptNameCodeSequence[0].CodeValue == "113000"
    selected = [
        one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in below(document, "IMAGE")
    ]
    areas = [(sources.labels() == number).sum(axis=(1, 2)) for number in (2, 5)]
    wanted = [source.headers[int(np.argmax(area))].SOPInstanceUID for area in areas]
    assert selected == wanted
    document = hd.ko.KeyObjectSelectionDocument.from_dataset(document)
    assert len(document.content.get_references()) == 2


def test_of_an_image_of_several_frames_the_frame_is_named(tmp_path: Path) -> None:
    source = enhanced_source()
    member = analyzed(source, tmp_path / "lungs", Findings((lungs(),)))
    _, made = written(source, tmp_path / "out", member, FAILED)
    frames = [
        int(one.ReferencedSOPSequence[0].ReferencedFrameNumber)
        for one in below(made[ObjectKind.KEY_OBJECTS], "IMAGE")
    ]
    areas = [(sources.labels() == number).sum(axis=(1, 2)) for number in (2, 5)]
    assert frames == [source.frames[int(np.argmax(area))].number for area in areas]


def test_where_nothing_was_found_no_image_is_a_key_image(source: Source, tmp_path: Path) -> None:
    member = analyzed(source, tmp_path / "none", Findings((sources.empty(),)))
    results, _ = written(source, tmp_path / "out", member, UNFIT)
    assert [one.kind for one in results.objects] == [ObjectKind.SUMMARY]


def test_the_same_ends_give_the_same_bytes_and_others_another_uid(
    source: Source, member: Member, tmp_path: Path
) -> None:
    once, _ = written(source, tmp_path / "out", member, FAILED)
    again, _ = written(source, tmp_path / "out", member, FAILED)
    assert once.objects == again.objects
    later = replace(SUMMARY, predecessor=member.refers_to[0])
    otherwise = [
        written(source, tmp_path / "other", member, UNFIT)[0],
        written(source, tmp_path / "later", member, FAILED, provenance=later)[0],
    ]
    uids = {one.sop_instance_uid for found in (once, *otherwise) for one in found.objects}
    assert len(uids) == 6
    report = pydicom.dcmread(tmp_path / "later/summary.dcm")
    (study,) = report.PredecessorDocumentsSequence
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == member.refers_to[0].sop_instance_uid


def test_a_summary_in_german_has_its_umlauts(
    source: Source, member: Member, tmp_path: Path
) -> None:
    german = replace(SUMMARY, maker=Maker(language="de"))
    _, made = written(source, tmp_path / "out", member, FAILED, provenance=german)
    said = " ".join(str(one.TextValue) for one in below(made[ObjectKind.SUMMARY], "TEXT"))
    assert "2 Auswertungen: 1 fehlgeschlagen, 1 fertig." in said
    assert made[ObjectKind.KEY_OBJECTS].SeriesDescription.endswith("Schlüsselbilder")


@pytest.mark.parametrize(
    ("reason", "code"), [("quality", "113001"), ("safety", "113037"), ("retention", "113039")]
)
def test_a_retraction_names_every_object_and_why_it_is_taken_back(
    source: Source, member: Member, reason: str, code: str, tmp_path: Path
) -> None:
    report = Selected(member.refers_to[0], is_image=False)
    seg = Selected(replace(member.refers_to[0], sop_instance_uid="2.25.7"), is_image=True)
    alone = Source(source.headers[:1], (), None)
    provenance = replace(SUMMARY, analyzer=own_jobs.RETRACTION, analyzer_title="Lungs")
    write_retraction(alone, (seg, report), reason, provenance, tmp_path / "out")
    note = pydicom.dcmread(tmp_path / "out/retraction.dcm")
    assert note.ConceptNameCodeSequence[0].CodeValue == code
    assert len(below(note, "IMAGE")) == len(below(note, "COMPOSITE")) == 1
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    listed = [
        one for series in study.ReferencedSeriesSequence for one in series.ReferencedSOPSequence
    ]
    assert {one.ReferencedSOPInstanceUID for one in listed} == {
        "2.25.7",
        member.refers_to[0].sop_instance_uid,
    }


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dsrdump is not installed")
def test_dcmtk_reads_them_and_dciodvfy_finds_no_error(
    source: Source, member: Member, tmp_path: Path
) -> None:
    results, _ = written(source, tmp_path / "out", member, FAILED)
    for one in results.objects:
        path = tmp_path / one.key
        shown = subprocess.run(["dsrdump", path], capture_output=True, check=True)
        assert b"CONTAINER" in shown.stdout
        tool = Path(sys.executable).with_name("dciodvfy")
        said = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
        assert "Error" not in said.stdout + said.stderr
