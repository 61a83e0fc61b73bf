"""What ``extract`` takes from a data set, refuses, and leaves out."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from storage.errors import UnreadableInstance
from storage.header.attributes import MAX_FRAMES, extract
from storage.header.told import patient_key

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

IDENTITY = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")


def image(**values: Any) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID = "1.2"
    dataset.SeriesInstanceUID = "1.2.3"
    dataset.Modality = "CT"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return dataset


def raw(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def reread(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)


def with_raw_value(keyword: str, placeholder: str, value: bytes) -> Dataset:
    """A data set read from a file in which a value was overwritten, as no library would write."""
    assert len(placeholder) == len(value)
    data = raw(image(**{keyword: placeholder}))
    assert data.count(placeholder.encode()) == 1
    return reread(data.replace(placeholder.encode(), value))


# --- identity -------------------------------------------------------------------------------------


def test_identity_and_levels_are_taken_apart() -> None:
    found = extract(reread(raw(image(PatientID="P1", SeriesNumber=3, InstanceNumber=7))))
    assert found.sop_instance_uid == "1.2.3.4"
    assert found.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert found.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert (found.study_instance_uid, found.series_instance_uid) == ("1.2", "1.2.3")
    assert found.study["PatientID"] == "P1"
    assert found.series == {"Modality": "CT", "SeriesInstanceUID": "1.2.3", "SeriesNumber": 3}
    assert found.instance["InstanceNumber"] == 7


@pytest.mark.parametrize("keyword", IDENTITY)
def test_a_missing_or_empty_uid_is_refused_by_name(keyword: str) -> None:
    missing = image()
    delattr(missing, keyword)
    for dataset in (missing, image(**{keyword: ""}), image(**{keyword: None})):
        with pytest.raises(UnreadableInstance, match=f"^{keyword} is missing$"):
            extract(dataset)


def test_a_data_set_without_transfer_syntax_is_refused() -> None:
    for meta in (FileMetaDataset(), None):
        dataset = image()
        if meta is None:
            del dataset.file_meta
        else:
            dataset.file_meta = meta
        with pytest.raises(UnreadableInstance, match="TransferSyntaxUID is missing"):
            extract(dataset)


@pytest.mark.parametrize("keyword", IDENTITY)
@pytest.mark.parametrize(
    "hostile",
    [
        "/etc/passwd", "..", "../1.2", "1.2/3", "1." * 32 + "1", "1.2\0.3", "1..2", ".1", "1.2.",
        "1.2 .3", "1.2\\3.4", "١.٢", "1.2.a", "Yamada",
    ],
)  # fmt: skip
def test_what_is_no_uid_is_refused_without_quoting_it(keyword: str, hostile: str) -> None:
    with pytest.raises(UnreadableInstance) as caught:
        extract(image(**{keyword: hostile}))
    assert str(caught.value) == f"{keyword} is not a UID"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("fine", ["1.2.3\0", "1.2.3 ", "1." * 31 + "11", "1.02.003", "2"])
def test_padding_full_length_and_leading_zeros_are_tolerated(fine: str) -> None:
    assert extract(image(SOPInstanceUID=fine)).sop_instance_uid == fine.strip("\0 ")


def test_a_uid_of_another_representation_is_refused() -> None:
    dataset = image()
    dataset[0x00080018] = DataElement(0x00080018, "OB", b"1.2.3.4 ")
    with pytest.raises(UnreadableInstance, match="SOPInstanceUID"):
        extract(dataset)


# --- values ---------------------------------------------------------------------------------------


def test_numbers_become_numbers_and_lists_stay_lists() -> None:
    found = extract(
        reread(
            raw(
                image(
                    PixelSpacing=[0.5, 0.75], ImagePositionPatient=["-1.5", "2", "1e2"], Rows=512,
                    SliceThickness="2.5", ImageType=["ORIGINAL", "PRIMARY"], EchoNumbers=[1, 2],
                )
            )
        )
    )  # fmt: skip
    assert found.instance["PixelSpacing"] == [0.5, 0.75]
    assert found.instance["ImagePositionPatient"] == [-1.5, 2.0, 100.0]
    assert (found.instance["Rows"], found.instance["SliceThickness"]) == (512, 2.5)
    assert found.instance["ImageType"] == ["ORIGINAL", "PRIMARY"]
    assert found.instance["EchoNumbers"] == [1, 2]
    plain = [found.instance["SliceThickness"], *found.instance["PixelSpacing"]]
    assert {type(value) for value in plain} == {float}
    assert type(found.instance["EchoNumbers"][0]) is int


def test_names_in_japanese_are_kept_whole() -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    utf8 = extract(reread(raw(image(PatientName=name))))
    dataset = image()
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = name
    iso2022 = extract(reread(raw(dataset)))
    assert utf8.study["PatientName"] == iso2022.study["PatientName"] == name


def test_odd_values_stay_out_and_the_rest_comes_in() -> None:
    found = extract(
        image(
            SeriesDescription="  ", PatientSex="", SliceThickness=None, PixelSpacing=[],
            ProtocolName="Thorax\0", StudyDescription=" Chest ",
        )
    )  # fmt: skip
    assert "SeriesDescription" not in found.series and "PatientSex" not in found.study
    assert "SliceThickness" not in found.instance and "PixelSpacing" not in found.instance
    assert found.series["ProtocolName"] == "Thorax"
    assert found.study["StudyDescription"] == "Chest"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("SliceThickness", b"2,5 "), ("SliceThickness", b"nan "), ("SliceThickness", b"inf "),
     ("InstanceNumber", b"1.x "), ("InstanceNumber", b"one "), ("PixelSpacing", b"1\\x ")],
)  # fmt: skip
def test_a_malformed_number_is_left_out_and_the_rest_comes_in(keyword: str, value: bytes) -> None:
    found = extract(with_raw_value(keyword, "7777", value))
    assert keyword not in found.instance
    assert found.sop_instance_uid == "1.2.3.4" and found.series["Modality"] == "CT"


def test_bytes_of_a_wrong_character_set_do_not_stop_it() -> None:
    found = extract(with_raw_value("PatientName", "Xxxxxxxx", b"M\xfcller\xed\xa0"))
    assert found.study["PatientName"].startswith("M")
    json.dumps(dict(found.study)).encode("utf-8")


def test_a_sequence_or_bytes_where_text_belongs_are_left_out() -> None:
    dataset = image(BodyPartExamined="CHEST")
    dataset[0x00100020] = DataElement(0x00100020, "SQ", Sequence([image()]))
    dataset[0x0008103E] = DataElement(0x0008103E, "OB", b"\x01\x02")
    dataset[0x00281050] = DataElement(0x00281050, "SQ", Sequence([]))
    dataset[0x52009230] = DataElement(0x52009230, "OB", b"\x01\x02")
    dataset[0x00180012] = DataElement(0x00180012, "OB", b"\x01\x02")
    found = extract(dataset)
    assert "PatientID" not in found.study and "SeriesDescription" not in found.series
    assert found.series["BodyPartExamined"] == "CHEST"


def test_private_and_unknown_elements_stay_out() -> None:
    dataset = image()
    block = dataset.private_block(0x0011, "WETREAD TEST", create=True)
    block.add_new(0x01, "LO", "secret")
    dataset.OtherPatientNames = "Alias^One"
    assert "secret" not in repr(extract(dataset)) and "Alias" not in repr(extract(dataset))


def test_everything_extracted_is_json() -> None:
    found = extract(enhanced(3))
    for level in (found.study, found.series, found.instance):
        assert json.loads(json.dumps(level, allow_nan=False)) == level


def test_damaged_bytes_give_attributes_or_the_named_error() -> None:
    """Whatever is flipped in a file: nothing else comes out, and JSON stays JSON."""
    good = raw(enhanced(3))
    chance = random.Random(4)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(300, len(data))] = chance.randrange(256)
        try:
            dataset = reread(bytes(data))
        except Exception:  # noqa: BLE001  what pydicom refuses never reaches extract
            continue
        try:
            json.dumps([extract(dataset).study, extract(dataset).instance], allow_nan=False)
            outcomes["read"] += 1
        except UnreadableInstance:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 0


# --- enhanced multi-frame -------------------------------------------------------------------------


def enhanced(frames: int, **values: Any) -> Dataset:
    def item(**inner: Any) -> Dataset:
        made = Dataset()
        for keyword, value in inner.items():
            setattr(made, keyword, value)
        return made

    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.5], SliceThickness=2)],
    )
    places = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 2 * number])])
        for number in range(frames)
    ]
    return image(
        NumberOfFrames=frames,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=places,
        **values,
    )


def test_geometry_of_enhanced_images_comes_from_their_functional_groups() -> None:
    found = extract(reread(raw(enhanced(3)))).instance
    assert found["NumberOfFrames"] == 3
    assert found["FramePositions"] == [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 4.0]]
    assert found["ImageOrientationPatient"] == [1, 0, 0, 0, 1, 0]
    assert (found["PixelSpacing"], found["SliceThickness"]) == ([0.5, 0.5], 2)


def test_positions_are_left_out_when_one_frame_has_none() -> None:
    dataset = enhanced(3)
    for broken in ([], [0, 0], None):
        place = dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
        place.ImagePositionPatient = broken
        found = extract(dataset).instance
        assert "FramePositions" not in found and "PixelSpacing" in found
    del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence
    assert "FramePositions" not in extract(dataset).instance


def test_positions_of_very_many_frames_are_capped() -> None:
    dataset = enhanced(2)
    dataset.PerFrameFunctionalGroupsSequence = [dataset.PerFrameFunctionalGroupsSequence[0]] * (
        MAX_FRAMES + 5
    )
    assert len(extract(dataset).instance["FramePositions"]) == MAX_FRAMES


def test_contrast_of_enhanced_images_is_routable() -> None:
    agent = Dataset()
    assert extract(image(ContrastBolusAgentSequence=[agent])).series["ContrastBolusAgent"]
    agent.CodeMeaning = "Iohexol"
    found = extract(image(ContrastBolusAgentSequence=[agent]))
    assert found.series["ContrastBolusAgent"] == "Iohexol"
    both = image(ContrastBolusAgentSequence=[agent], ContrastBolusAgent="Ultravist")
    assert extract(both).series["ContrastBolusAgent"] == "Ultravist"


# --- patients -------------------------------------------------------------------------------------


def test_a_patient_is_an_id_and_its_issuer() -> None:
    known = patient_key({"PatientID": "1"}, "1.2")
    assert known == patient_key({"PatientID": "1", "PatientName": "X"}, "1.3")
    assert known != patient_key({"PatientID": "1", "IssuerOfPatientID": "A"}, "1.2")
    assert known != patient_key({"PatientID": "2"}, "1.2")
    assert len(known) == 64


def test_patients_without_an_id_are_kept_apart_by_study_however_long_its_uid() -> None:
    long = "1." + "2" * 60
    assert patient_key({}, long + ".1") != patient_key({}, long + ".2")
    assert patient_key({}, "1.2") == patient_key({"PatientID": ""}, "1.2")
