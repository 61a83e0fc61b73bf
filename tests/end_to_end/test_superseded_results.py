"""A late image, and a node that is killed at every step: the PACS ends with one state of things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from node.demo.ct_files import CtSeries
from node.demo.phantom import ChestPhantom
from node.results.gate import gate
from storage import own_jobs
from storage.records import JobState
from tests.end_to_end.test_study_to_report import (
    REPORT,
    SEGMENTATION,
    in_pacs,
    push,
    study_uid,
    validator_errors,
)
from tests.node_process import Node, State, destination, rule, running_node
from tests.peers import Orthanc

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

ANALYZERS = ("lung_segmentation", "bone_segmentation")
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
REJECTED = "113001"


@pytest.fixture(scope="module")
def node(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    text = f"{destination(orthanc.port)}retract = true\n{rule(*ANALYZERS)}"
    with running_node(tmp_path_factory.mktemp("node"), text) as one:
        yield one


def ended(state: State, analyzer: str) -> int:
    return sum(one.analyzer == analyzer and one.state is JobState.DONE for one in state.jobs)


def is_settled(state: State, summaries: int) -> bool:
    return ended(state, own_jobs.SUMMARY) == summaries and state.is_settled


def title(note: Dataset) -> str:
    return str(note.ConceptNameCodeSequence[0].CodeValue)


def tracked(objects: list[Dataset]) -> set[str]:
    return {
        str(segment.TrackingUID)
        for one in objects
        if one.SOPClassUID == SEGMENTATION
        for segment in one.SegmentSequence
    }


def test_what_a_late_image_superseded_is_taken_back_once_whenever_the_node_is_killed(
    node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    phantom = ChestPhantom(
        shape=(30, 64, 64), spacing_mm=(10.0, 6.0, 6.0), series=CtSeries(study="superseded")
    )
    files = phantom.write(tmp_path / "first")
    late = tmp_path / "late"
    late.mkdir()
    files[-1].rename(late / files[-1].name)
    uid = study_uid(tmp_path / "first")
    push(node, tmp_path / "first")
    node.wait(lambda state: is_settled(state, summaries=1))
    before = in_pacs(orthanc, uid)
    assert len([one for one in before if one.SOPClassUID == KEY_OBJECTS]) == 1
    push(node, late)
    for step in (
        lambda state: ended(state, ANALYZERS[0]) + ended(state, ANALYZERS[1]) > len(ANALYZERS),
        lambda state: sum(one.analyzer == own_jobs.SUMMARY for one in state.jobs) > 1,
        lambda state: any(one.analyzer == own_jobs.RETRACTION for one in state.jobs),
        lambda state: ended(state, own_jobs.RETRACTION) > 0,
    ):
        node.wait(step)
        node.kill()
        node.start()
    node.wait(lambda state: is_settled(state, summaries=2))
    after = in_pacs(orthanc, uid)
    check(before, after, tmp_path)


def check(before: list[Dataset], after: list[Dataset], folder: Path) -> None:
    """What the PACS holds in the end."""
    old = {str(one.SOPInstanceUID) for one in before}
    new = [one for one in after if str(one.SOPInstanceUID) not in old]
    notes = [one for one in new if one.SOPClassUID == KEY_OBJECTS and title(one) == REJECTED]
    taken_back = Counter(uid for note in notes for uid in gate.evidence_of(note))
    assert taken_back == dict.fromkeys(old, 1)
    assert tracked(new) == tracked(before)
    results = [one for one in new if one not in notes]
    kinds = Counter(str(one.SOPClassUID) for one in results)
    assert kinds == {SEGMENTATION: 2, REPORT: 3, KEY_OBJECTS: 1}
    held = {str(one.SOPInstanceUID) for one in after}
    composite = [
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for one in results
        for item in _items(one)
        if item.ValueType == "COMPOSITE"
    ]
    assert composite and set(composite) <= held - old
    numbers = Counter(int(one.SeriesNumber) for one in after)
    series = {int(one.SeriesNumber): str(one.SeriesInstanceUID) for one in after}
    assert len(set(series.values())) == len(numbers)
    assert min(numbers) >= 500_000_000
    for index, one in enumerate(new):
        path = folder / f"{index}.dcm"
        one.save_as(path)
        assert validator_errors(path) == []


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _items(child)
