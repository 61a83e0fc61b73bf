"""Analyzers that hear of each other, and a compressed series, through a real node into a PACS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from node.demo.ct_files import CtSeries
from node.demo.phantom import ChestPhantom
from storage.records import JobState
from tests.end_to_end.test_study_to_report import (
    REPORT,
    finished,
    in_pacs,
    of_class,
    push,
    study_uid,
    validator_errors,
)
from tests.node_process import destination, rule, running_node
from tests.peers import running_orthanc

JPEG_LS = "1.2.840.10008.1.2.4.80"


def texts(item: Dataset) -> Iterator[str]:
    """Every text and every coded answer of a report."""
    if "TextValue" in item:
        yield str(item.TextValue)
    for code in item.get("ConceptCodeSequence") or []:
        yield str(code.CodeMeaning)
    for child in item.get("ContentSequence") or []:
        yield from texts(child)


@pytest.mark.interop
@pytest.mark.timeout(300)
def test_rules_hear_the_quality_check_and_a_compressed_series_keeps_its_pixels(
    tmp_path: Path,
) -> None:
    phantom = ChestPhantom(
        shape=(30, 64, 64), spacing_mm=(10.0, 6.0, 6.0), series=CtSeries(study="after")
    )
    files = phantom.write(tmp_path / "study")
    uid = study_uid(tmp_path / "study")
    for name in ("orthanc", "node"):
        (tmp_path / name).mkdir()
    with running_orthanc(tmp_path / "orthanc") as pacs:
        text = destination(pacs.port) + rule("rule_annotation", "quality", "compression")
        with running_node(tmp_path / "node", text) as node:
            push(node, tmp_path / "study")
            state = finished(node, uid, timeout_s=150)
        results = in_pacs(pacs, uid)
    jobs = {job.analyzer: job for job in state.jobs}
    assert {name: job.state for name, job in jobs.items()} == dict.fromkeys(jobs, JobState.DONE)
    waited, rules = jobs["quality"].finished_at, jobs["rule_annotation"].started_at
    assert waited is not None
    assert rules is not None
    assert waited <= rules

    reports = {str(one.ManufacturerModelName): one for one in of_class(results, REPORT)}
    assert set(reports) == set(jobs)
    concluded = " ".join(texts(reports["rule_annotation"]))
    assert "quality" in concluded.lower()

    sent = [pydicom.dcmread(path) for path in files]
    by_uid = {str(one.SOPInstanceUID): one for one in sent}
    packed = [one for one in results if one.file_meta.TransferSyntaxUID == JPEG_LS]
    assert len(packed) == len(sent)
    for image in packed:
        source = by_uid[str(image.SourceImageSequence[0].ReferencedSOPInstanceUID)]
        assert np.array_equal(image.pixel_array, source.pixel_array)
        assert image.ImagePositionPatient == source.ImagePositionPatient
    for number, one in enumerate([packed[0], *reports.values()]):
        path = tmp_path / f"{number}.dcm"
        one.save_as(path)
        assert validator_errors(path) == []
