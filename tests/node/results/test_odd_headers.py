"""Whatever stands in a header: a named refusal or a right result, and always a report."""

from __future__ import annotations

import math
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from analyzers import registry
from node.series.geometry import UnsupportedSeries
from node.series.read import read_series
from node.work import job
from node.work.executor import Outcome, Ticket, Verdict
from storage.files.results import JobFolder
from storage.kinds import REPORTS
from tests import spliced

NAME = b"Jane"
FACTOR = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))


def perform(paths: list[Path], folder: Path, verdict: Verdict | None = None) -> Outcome:
    info = registry.info("gaussian_filter")
    ticket = Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer=info.name,
        analyzer_version=info.version,
        parameters=dict(info.defaults),
        instances=tuple(paths),
        place=JobFolder(folder),
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return job.perform(ticket if verdict is None else ticket.as_notice(verdict, ("why",)), "cpu")


ODD = {
    "IS": [b"A1", b"1_0", b"4.0", b"99999999999", b"-1", b"1\\2"],
    "DS": [b"10:1", b"1,5", b"NaN", b"inf", b"1_0", b"1e400", b"7\\8", b"-0", b"0x10", b"\xb2"],
    "TM": [b"0928", b"10", b"246060", b"10:00", b"1", b"100000.1234567", b"-1", b"095960"],
    "DA": [b"2026", b"20261301", b"2026.01.05", b"00000000", b"99991231", b"00010101"],
    "DT": [b"202601051028", b"20260105+0100", b"x", b"20260105100000-0000", b"99991231235960"],
    "UI": [b"1.2.x", b"9" * 70, b"", b"0", b"1..2"],
    "PN": [b"Doe^Jane\\Doe^Jim", b"M\xfcller", b"=" * 9, b"\x1b$B;3ED"],
    "AS": [b"66", b"066", b"ABCY", b"999Y"],
    "CS": [b"lower", b"A" * 40, b"A\\\\B", b"\xff\xfe", b"bqml "],
    "SH": [b"\xfc", b"A" * 40], "LO": [b"\xe4\xf6", b"L" * 200, b"a\\b"],
    "SQ": [b"\xfe\xff\x00\xe0\xff\xff\xff\x7f", b"abc", b"\xfe\xff\x00\xe0\0\0\0\0"],
    "US": [b"\x01", b"\x01\x00\x02", b""],
}  # fmt: skip

KEYWORDS = {
    "SeriesNumber": "IS", "InstanceNumber": "IS", "AcquisitionNumber": "IS",
    "NumberOfFrames": "IS", "LossyImageCompressionRatio": "DS", "LossyImageCompression": "CS",
    "WindowCenter": "DS", "WindowWidth": "DS", "KVP": "DS", "ImagePositionPatient": "DS",
    "ImageOrientationPatient": "DS", "PixelSpacing": "DS", "SliceThickness": "DS",
    "SpacingBetweenSlices": "DS", "RescaleSlope": "DS", "RescaleIntercept": "DS",
    "PatientSize": "DS", "PatientAge": "AS", "PatientBirthDate": "DA", "PatientName": "PN",
    "PatientSex": "CS", "PatientID": "LO", "ReferringPhysicianName": "PN", "StudyDate": "DA",
    "StudyTime": "TM", "AcquisitionTime": "TM", "TimezoneOffsetFromUTC": "SH",
    "FrameOfReferenceUID": "UI", "Modality": "CS", "BodyPartExamined": "CS", "ImageType": "CS",
    "PatientOrientation": "CS", "ProtocolName": "LO", "AccessionNumber": "SH",
    "PositionReferenceIndicator": "LO", "SpecificCharacterSet": "CS", "RescaleType": "LO",
    "RequestAttributesSequence": "SQ", "ContributingEquipmentSequence": "SQ",
    "OtherPatientIDsSequence": "SQ", "ContrastBolusAgentSequence": "SQ",
    "SamplesPerPixel": "US", "PixelPaddingValue": "US", "BurnedInAnnotation": "CS",
    "PhotometricInterpretation": "CS", "ExposureTime": "IS", "ScanOptions": "CS",
}  # fmt: skip
OF_PET = {
    "Units": "CS", "CorrectedImage": "CS", "DecayCorrection": "CS", "SeriesType": "CS",
    "PatientWeight": "DS", "SeriesDate": "DA", "SeriesTime": "TM", "AcquisitionDate": "DA",
    "AcquisitionTime": "TM", "FrameReferenceTime": "DS", "DecayFactor": "DS", "ImageIndex": "US",
    "NumberOfSlices": "US", "TimezoneOffsetFromUTC": "SH",
    "RadiopharmaceuticalInformationSequence": "SQ",
    "RadiopharmaceuticalInformationSequence/RadionuclideTotalDose": "DS",
    "RadiopharmaceuticalInformationSequence/RadionuclideHalfLife": "DS",
    "RadiopharmaceuticalInformationSequence/RadiopharmaceuticalStartTime": "TM",
    "RadiopharmaceuticalInformationSequence/RadiopharmaceuticalStartDateTime": "DT",
    "RadiopharmaceuticalInformationSequence/RadionuclideCodeSequence": "SQ",
}  # fmt: skip

_ANY = st.binary(max_size=24) | st.just(b"Doe^" + NAME)
_REPRESENTATIONS = st.sampled_from([b""] * 6 + [b"UN", b"XX", b"OB", b"SQ", b"US", b"FD", b"LO"])


def _changes(keywords: dict[str, str]) -> st.SearchStrategy[tuple[str, bytes, bytes]]:
    return st.sampled_from(sorted(keywords)).flatmap(
        lambda keyword: st.tuples(
            st.just(keyword),
            st.sampled_from(ODD[keywords[keyword]]) | _ANY,
            _REPRESENTATIONS,
        )
    )


def check(
    make: object, keyword: str, value: bytes, vr: bytes, which: slice = slice(None)
) -> Outcome:
    """A right result or a named refusal; its report; and the report of a failure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = spliced.pet(folder) if make == "pet" else spliced.ct(folder)
        right = read_series(paths).volume
        for path in paths[which]:
            spliced.splice(path, keyword, value, vr)
        outcome = perform(paths, folder / "out")
        assert outcome.verdict is not Verdict.FAILED or "pixel data" in outcome.reason, outcome
        assert outcome.results.objects[-1].kind in REPORTS
        assert NAME.decode() not in outcome.reason
        assert NAME.decode() not in " ".join(outcome.results.remarks)
        notice = perform(paths, folder / "notice", Verdict.FAILED)
        assert [one.kind for one in notice.results.objects] == ["sr"], notice
        if outcome.verdict is Verdict.DONE and right is not None:
            volume = read_series(paths).volume
            assert volume is not None
            if keyword not in SPATIAL:
                assert np.array_equal(volume.affine, right.affine)
            assert np.isfinite(volume.values()).all()
        return outcome


SPATIAL = frozenset({"ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"})
FEW = settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
MANY = settings(FEW, max_examples=100, derandomize=False)


@FEW
@given(_changes(KEYWORDS))
@example(("SeriesNumber", b"A1", b""))
@example(("LossyImageCompressionRatio", b"10:1", b""))
@example(("ImagePositionPatient", b"-188,0\\-201,0\\-765,0", b""))
@example(("PatientAge", b"1", b"US"))
@example(("WindowWidth", b"\1\2\3", b"FD"))
@example(("Modality", b"Doe^Jane", b""))
@example(("PhotometricInterpretation", b"Doe^Jane", b""))
@example(("BodyPartExamined", b"CHEST", b"XX"))
@example(("RequestAttributesSequence", b"abcdefgh", b""))
def test_no_value_of_a_ct_stops_its_report(change: tuple[str, bytes, bytes]) -> None:
    check("ct", *change)


@FEW
@given(_changes(OF_PET))
@example(("RadiopharmaceuticalInformationSequence", b"abcd", b""))
@example(("RadiopharmaceuticalInformationSequence/RadionuclideCodeSequence", b"", b"SQ"))
@example(("DecayFactor", b"x", b""))
def test_no_value_of_a_pet_stops_its_report_or_changes_its_numbers(
    change: tuple[str, bytes, bytes],
) -> None:
    outcome = check("pet", *change)
    assert outcome.verdict is not Verdict.FAILED


@pytest.mark.slow
@pytest.mark.timeout(3600)
@MANY
@given(_changes(KEYWORDS))
def test_no_value_of_many_stops_the_report_of_a_ct(change: tuple[str, bytes, bytes]) -> None:
    check("ct", *change)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@MANY
@given(_changes(OF_PET))
def test_no_value_of_many_stops_the_report_of_a_pet(change: tuple[str, bytes, bytes]) -> None:
    assert check("pet", *change).verdict is not Verdict.FAILED


@pytest.mark.parametrize("keyword", ["RadionuclideCodeSequence", "DecayFactor"])
def test_a_pet_without_what_the_standard_asks_for_is_filtered_all_the_same(
    keyword: str, tmp_path: Path
) -> None:
    paths = spliced.pet(tmp_path)
    for path in paths:
        inner = keyword == "RadionuclideCodeSequence"
        whole = f"RadiopharmaceuticalInformationSequence/{keyword}" if inner else keyword
        spliced.splice(path, whole, None)
    outcome = perform(paths, tmp_path / "out")
    assert outcome.verdict is Verdict.DONE, outcome.reason


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.sampled_from(
        sorted(key for key in OF_PET if OF_PET[key] in ("DS", "TM", "DT", "DA", "CS"))
    ).flatmap(lambda key: st.tuples(st.just(key), st.sampled_from(ODD[OF_PET[key]]) | _ANY))
)
def test_an_suv_is_right_or_its_reason_is_said(change: tuple[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        paths = spliced.pet(Path(name))
        for path in paths:
            spliced.splice(path, *change)
        try:
            volume = read_series(paths).volume
        except UnsupportedSeries:
            return
    assert volume is not None
    if volume.suv_factor is None:
        assert volume.suv_reason
        assert "Jane" not in volume.suv_reason
    else:
        expected = EXPECTED.get(change, FACTOR)
        assert math.isclose(volume.suv_factor, expected, rel_tol=1e-9), change


def _after(minutes: float) -> float:
    return float(70_000 / (350e6 * 2 ** (-60 * minutes / 6586.2)))


_ISOTOPE = "RadiopharmaceuticalInformationSequence/"
EXPECTED = {
    (f"{_ISOTOPE}RadiopharmaceuticalStartTime", b"0928"): _after(92),
    (f"{_ISOTOPE}RadiopharmaceuticalStartDateTime", b"202601051028"): _after(32),
    ("SeriesTime", b"10"): _after(0),
    ("SeriesTime", b"10:00"): _after(0),
    ("SeriesTime", b"095960"): _after(0),
    ("AcquisitionTime", b"10"): _after(0),
    ("AcquisitionTime", b"10:00"): _after(0),
    ("AcquisitionTime", b"095960"): _after(0),
}


def test_text_that_does_not_decode_keeps_its_bytes(tmp_path: Path) -> None:
    paths = spliced.ct(tmp_path)
    latin, gbk = "Müller^Jürgen".encode("latin-1"), "王^小东".encode("gbk")
    for path in paths:
        spliced.splice(path, "SpecificCharacterSet", b"ISO_IR 192")
        spliced.splice(path, "PatientName", latin)
        spliced.splice(path, "ReferringPhysicianName", gbk)
        spliced.splice(path, "StudyDescription", b"Sch\xe4del")
        spliced.splice(path, "ProtocolName", b"Sch\xe4del")
    outcome = perform(paths, tmp_path / "out")
    assert outcome.verdict is Verdict.DONE, outcome.reason
    for item in outcome.results.objects:
        data = (tmp_path / item.key).read_bytes()
        assert latin in data
        assert gbk in data
        assert data.count(b"Sch\xe4del") == 1
        assert "\ufffd".encode() not in data
        assert b"ISO_IR 192" in data


@pytest.mark.parametrize("declared", [b"ISO_IR 999", b"Doe^Jane"])
def test_a_character_set_that_nobody_knows_is_kept_with_its_bytes(
    declared: bytes, tmp_path: Path
) -> None:
    paths = spliced.ct(tmp_path)
    name = "Müller^Jürgen".encode()
    for path in paths:
        spliced.splice(path, "SpecificCharacterSet", declared)
        spliced.splice(path, "PatientName", name)
    outcome = perform(paths, tmp_path / "out")
    assert outcome.verdict is Verdict.DONE, outcome.reason
    for item in outcome.results.objects:
        data = (tmp_path / item.key).read_bytes()
        assert name in data
        assert declared in data


def test_a_name_that_decodes_is_read_as_ever(tmp_path: Path) -> None:
    paths = spliced.ct(tmp_path)
    for path in paths:
        spliced.splice(path, "SpecificCharacterSet", b"ISO_IR 192")
        spliced.splice(path, "PatientName", "Müller^Jürgen=王^小东".encode())
    outcome = perform(paths, tmp_path / "out")
    report = pydicom.dcmread(tmp_path / outcome.results.objects[-1].key)
    assert str(report.PatientName) == "Müller^Jürgen=王^小东"
