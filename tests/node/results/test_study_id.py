"""A Study ID that is too long for its representation: copied as it is, so that the study agrees.

Shortened it would be another one: an archive that files or compares by it would find a study with
two, which is worse than one that its modality has made too long (PS3.5 6.2: 16 characters in SH).
"""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import pydicom
import pytest

from node.results.gate import validator
from node.results.write import write_results
from node.series.source import Source
from tests.node.results.every_kind import fused_source, in_space
from tests.node.results.sources import PROVENANCE
from tests.node.results.test_interop import tool

LONG = "STUDY-2026-000001"


pytestmark = pytest.mark.filterwarnings("ignore:The value length:UserWarning")


@pytest.fixture(scope="module")
def source() -> Source:
    """A CT and a PET whose Study ID is too long."""
    made = fused_source(slices=2)
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        for header in (*made.headers, *made.companions["pet"].headers):
            header.StudyID = LONG
    return made


def test_a_study_id_of_17_characters_goes_into_every_object_unaltered(
    source: Source, tmp_path: Path
) -> None:
    made = write_results(source, in_space(source), PROVENANCE, tmp_path / "job").objects
    assert {pydicom.dcmread(tmp_path / one.key).StudyID for one in made} == {LONG}


def test_it_is_all_that_dciodvfy_finds_and_no_error_of_ours(source: Source, tmp_path: Path) -> None:
    program = tool("dciodvfy")
    made = write_results(source, in_space(source), PROVENANCE, tmp_path / "job").objects
    for one in made:
        path = tmp_path / one.key
        assert validator.errors(path, source) == []
        command = [program, "-new", str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        errors = [line for line in told.stderr.splitlines() if line.startswith("Error")]
        assert errors and all("StudyID" in line for line in errors)
