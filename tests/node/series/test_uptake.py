"""SUV: the times by the standard's grammar, every quantity possible, and the reason where there is
none."""

from __future__ import annotations

import warnings
from datetime import timedelta

import pytest
from pydicom.dataset import Dataset

from node.series.uptake import suv_factor, uptake

HALF_LIFE_S = 6586.2


def pet(**attributes: object) -> Dataset:
    """70 kg, 350 MBq of F-18 at 10:00, scanned at 11:00."""
    header, isotope, nuclide = Dataset(), Dataset(), Dataset()
    header.Units, header.CorrectedImage, header.DecayCorrection = "BQML", ["ATTN", "DECY"], "START"
    header.PatientWeight = "70"
    header.SeriesDate = header.AcquisitionDate = "20260105"
    header.SeriesTime = header.AcquisitionTime = "110000"
    isotope.RadionuclideTotalDose, isotope.RadionuclideHalfLife = "350000000", str(HALF_LIFE_S)
    isotope.RadiopharmaceuticalStartTime = "100000"
    nuclide.CodeValue, nuclide.CodingSchemeDesignator = "77004003", "SCT"
    nuclide.CodeMeaning = "^18^Fluorine"
    isotope.RadionuclideCodeSequence = [nuclide]
    with warnings.catch_warnings(action="ignore"):  # pydicom's, of odd values
        for keyword, value in attributes.items():
            holder = isotope if keyword.startswith("Radio") else header
            if keyword in holder:
                delattr(holder, keyword)
            if value is not None:
                setattr(holder, keyword, value)
    header.RadiopharmaceuticalInformationSequence = [isotope]
    return header


def code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodeMeaning, item.CodingSchemeDesignator = value, meaning, "SCT"
    return item


def after(waited: timedelta, half_life_s: float = HALF_LIFE_S) -> float:
    return float(70_000 / (350e6 * 2 ** (-waited.total_seconds() / half_life_s)))


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("attributes", "waited"),
    [
        ({"RadiopharmaceuticalStartTime": "0928"}, timedelta(minutes=92)),
        ({"RadiopharmaceuticalStartTime": "10"}, HOUR),
        ({"RadiopharmaceuticalStartTime": "10:00:00"}, HOUR),
        ({"RadiopharmaceuticalStartTime": "095960"}, HOUR),
        ({"RadiopharmaceuticalStartTime": "100000.250000 "}, HOUR - timedelta(seconds=0.25)),
        ({"SeriesTime": "1130", "AcquisitionTime": "1130"}, timedelta(minutes=90)),
        ({"RadiopharmaceuticalStartDateTime": "202601051028"}, timedelta(minutes=32)),
        ({"RadiopharmaceuticalStartDateTime": "2026010510"}, HOUR),
        ({"RadiopharmaceuticalStartDateTime": "20260105"}, HOUR),
        (
            {
                "RadiopharmaceuticalStartDateTime": "20260105090000+0000",
                "TimezoneOffsetFromUTC": "+0100",
            },
            HOUR,
        ),
        (
            {
                "RadiopharmaceuticalStartDateTime": "20260105013000.5-0730",
                "TimezoneOffsetFromUTC": "+0100",
                "RadiopharmaceuticalStartTime": None,
            },
            timedelta(minutes=60) - timedelta(seconds=0.5),
        ),
        (
            {
                "RadiopharmaceuticalStartDateTime": "20260105100000",
                "TimezoneOffsetFromUTC": "-0500",
            },
            HOUR,
        ),
        ({"RadiopharmaceuticalStartDateTime": "20260105100000+0545"}, HOUR),
        ({"RadiopharmaceuticalStartDateTime": "20260104230000-1100"}, HOUR),
        ({"RadiopharmaceuticalStartTime": "110007"}, timedelta(seconds=-7)),
    ],
)
def test_times_are_read_by_the_grammar_of_the_standard(
    attributes: dict[str, object], waited: timedelta
) -> None:
    assert suv_factor([pet(**attributes)]) == pytest.approx(after(waited), rel=1e-9)


def test_a_nuclide_that_lives_for_days_is_scanned_days_later() -> None:
    y90 = pet(
        RadiopharmaceuticalStartDateTime="20260102100000",
        RadionuclideHalfLife="230600",
        RadionuclideCodeSequence=[],
    )
    expected = after(timedelta(days=3, hours=1), 230600)
    assert suv_factor([y90]) == pytest.approx(expected)


@pytest.mark.parametrize("units", ["BQML", "GML"])
@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"Radiopharmaceutical": "FDG -- fluorodeoxyglucose"}, "FDG"),
        ({"Radiopharmaceutical": "F-18 Fluorodeoxyglucose"}, "FDG"),
        ({"RadiopharmaceuticalCodeSequence": [code("35321007", "")]}, "FDG"),
        ({"RadiopharmaceuticalCodeSequence": [code("C-B1031", "FDG")]}, "FDG"),
        ({"Radiopharmaceutical": "F18-PSMA-1007"}, "PSMA ligand"),
        ({"RadiopharmaceuticalCodeSequence": [code("C96234", "")]}, "DCFBC F18"),
        ({"Radiopharmaceutical": "NaF"}, "sodium fluoride"),
        ({"Radiopharmaceutical": "Solution"}, ""),
        ({"Radiopharmaceutical": "Doe^Jane"}, ""),
        ({}, ""),
    ],
)
def test_the_tracer_is_told_by_code_or_text_and_no_text_of_the_header_is_repeated(
    units: str, attributes: dict[str, object], name: str
) -> None:
    found = uptake([pet(Units=units, **attributes)])
    assert found.factor is not None
    assert (found.tracer.name, found.tracer.nuclide) == (name, "F-18")


def test_a_nuclide_of_pet_that_lasts_as_long_as_another_is_not_taken_for_it() -> None:
    """Zr-89 and Ga-67 lie 0.2 % apart."""
    header = pet(
        RadionuclideCodeSequence=[code("63360001", "^89^Zirconium")],
        RadionuclideHalfLife="282276",
        RadiopharmaceuticalStartDateTime="20260102100000",
    )
    found = uptake([header])
    assert found.factor is not None
    assert found.tracer.nuclide == "Zr-89"


def test_suv_of_a_header_that_contradicts_itself_is_said_to_be_less_exact() -> None:
    found = uptake([pet(Units="GML", RadionuclideHalfLife="4062.6")])
    assert found.factor == 1.0
    assert "Half Life is not that of the nuclide" in found.reason
    assert "Corrected Image" in uptake([pet(Units="GML", CorrectedImage=None)]).reason


def test_padded_and_lower_case_code_strings_are_the_same_code_strings() -> None:
    padded = pet(Units=" BQML ", CorrectedImage=["decy ", " ATTN "], DecayCorrection="START ")
    assert suv_factor([padded]) == pytest.approx(after(HOUR))


def test_a_series_corrected_to_the_injection_needs_no_times() -> None:
    header = pet(DecayCorrection="ADMIN", RadiopharmaceuticalStartTime=None, SeriesTime=None)
    assert suv_factor([header]) == pytest.approx(70_000 / 350e6)


def test_a_time_to_the_hour_is_said_to_be_less_exact() -> None:
    found = uptake([pet(RadiopharmaceuticalStartTime="10")])
    assert found.factor is not None
    assert found.reason == "the time of injection is given to the hour only"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Units": "PROPCNT"}, "Units are PROPCNT"),
        ({"Units": "Doe^Jane"}, "Units are none of the standard's"),
        ({"Units": None}, "Units is not given"),
        ({"Units": "GML", "SUVType": "LBM"}, "SUV Type is not body weight"),
        ({"Units": "CNTS"}, "without a factor to activity"),
        ({"CorrectedImage": None}, "Corrected Image does not say"),
        ({"CorrectedImage": ["ATTN"]}, "Corrected Image does not say"),
        ({"AttenuationCorrectionMethod": "NONE"}, "Attenuation Correction Method"),
        ({"SeriesDescription": "WB NAC"}, "attenuation was not corrected"),
        ({"Units": "GML", "CorrectedImage": ["DECY"]}, "does not say that attenuation was"),
        ({"Units": "GML", "SeriesDescription": "PET no_AC"}, "attenuation was not corrected"),
        (
            {"DecayCorrection": "ADMIN", "RadionuclideHalfLife": "4062.6"},
            "Half Life is not that of the nuclide in its code",
        ),
        ({"DecayCorrection": "ADMIN", "RadionuclideHalfLife": "109.8"}, "no nuclide of PET"),
        ({"RadionuclideHalfLife": "574300"}, "the nuclide (Lu-177) is none of PET"),
        ({"Radiopharmaceutical": "Lu-177 DOTATATE"}, "the nuclide (Lu-177) is none of PET"),
        ({"Units": "GML", "Radiopharmaceutical": "177Lu-PSMA"}, "(Lu-177) is none of PET"),
        ({"Radiopharmaceutical": "^99m^Technetium MDP"}, "(Tc-99m) is none of PET"),
        (
            {
                "Radiopharmaceutical": "FDG",
                "RadionuclideCodeSequence": [],
                "RadionuclideHalfLife": "4062.6",
            },
            "the nuclide is not that of the radiopharmaceutical (FDG)",
        ),
        (
            {
                "Radiopharmaceutical": "FDG",
                "RadiopharmaceuticalCodeSequence": [code("126758", "PSMA-1007 F^18^")],
            },
            "code and text name different radiopharmaceuticals",
        ),
        ({"DecayCorrection": "NONE"}, "Decay Correction is NONE"),
        ({"DecayCorrection": ""}, "Decay Correction is not given"),
        ({"PatientWeight": ""}, "Patient's Weight is not given"),
        ({"PatientWeight": "70000"}, "Patient's Weight is not possible (from 0.3 to 650 kg is)"),
        ({"PatientWeight": "0"}, "Patient's Weight is not possible"),
        ({"RadionuclideTotalDose": "350"}, "Radionuclide Total Dose is not possible"),
        ({"RadionuclideTotalDose": "9.46"}, "Radionuclide Total Dose is not possible"),
        ({"RadionuclideTotalDose": "350000"}, "Radionuclide Total Dose is not possible"),
        ({"RadionuclideTotalDose": None}, "Radionuclide Total Dose is not given"),
        ({"RadionuclideHalfLife": "109.8"}, "Half Life is that of no nuclide of PET, in seconds"),
        ({"RadionuclideHalfLife": "1.83"}, "Half Life is that of no nuclide of PET"),
        ({"RadionuclideHalfLife": "4062.6"}, "Half Life is not that of the nuclide in its code"),
        ({"RadionuclideHalfLife": None}, "Radionuclide Half Life is not given"),
        ({"RadiopharmaceuticalStartTime": None}, "Radiopharmaceutical Start Time is not given"),
        ({"RadiopharmaceuticalStartTime": "9"}, "Start Time is not a time of day"),
        ({"RadiopharmaceuticalStartTime": "2500"}, "Start Time is not a time of day"),
        ({"RadiopharmaceuticalStartTime": "110500"}, "lies after the start of the scan"),
        ({"RadiopharmaceuticalStartTime": "120000"}, "lies after the start of the scan"),
        (
            {"RadiopharmaceuticalStartDateTime": "20260105110500"},
            "lies after the start of the scan",
        ),
        (
            {"RadiopharmaceuticalStartDateTime": "20260104100000"},
            "too many half-lives before the scan",
        ),
        (
            {
                "RadiopharmaceuticalStartDateTime": "20260105100000+0100",
                "RadiopharmaceuticalStartTime": None,
            },
            "Timezone Offset From UTC is needed",
        ),
        (
            {"RadionuclideHalfLife": "230600", "RadionuclideCodeSequence": []},
            "the date of injection is not given",
        ),
        ({"SeriesDate": None, "AcquisitionTime": ""}, "neither Series Time nor Acquisition Time"),
        ({"SeriesDate": "00010101", "RadiopharmaceuticalStartTime": "2300"}, ""),
    ],
)
def test_where_there_is_no_suv_the_reason_names_the_attribute(
    attributes: dict[str, object], reason: str
) -> None:
    found = uptake([pet(**attributes)])
    assert found.factor is None
    assert found.reason
    assert reason in found.reason


@pytest.mark.parametrize(
    "attributes",
    [{"PatientWeight": "71"}, {"Units": "CNTS"}, {"RadiopharmaceuticalStartTime": "1001"}],
)
def test_images_that_disagree_have_no_suv(attributes: dict[str, object]) -> None:
    found = uptake([pet(), pet(**attributes)])
    assert found.factor is None
    assert found.reason


def test_philips_counts_need_the_factor_of_their_vendor() -> None:
    header = pet(Units="CNTS")
    block = header.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x09, "DS", "2.5")
    assert suv_factor([header]) == pytest.approx(2.5 * after(HOUR))
    block.add_new(0x00, "DS", "0.002")
    assert suv_factor([header]) == pytest.approx(0.002)


def test_a_code_is_not_believed_where_nothing_of_its_nuclide_could_be_left() -> None:
    """Days after an injection of Y-90, on a scanner whose protocol still names F-18."""
    header = pet(RadionuclideHalfLife="230600", RadiopharmaceuticalStartDateTime="20260102100000")
    expected = after(timedelta(days=3, hours=1), 230600)
    assert suv_factor([header]) == pytest.approx(expected, rel=1e-6)
    soon = pet(RadionuclideHalfLife="230600", RadiopharmaceuticalStartDateTime="20260105100000")
    assert uptake([soon]).reason == "Radionuclide Half Life is not that of the nuclide in its code"
