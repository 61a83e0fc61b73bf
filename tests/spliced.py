"""Small series whose elements are replaced byte by byte, as no library would write them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
)

SHAPE = (6, 20, 16)
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


def ct(folder: Path) -> list[Path]:
    """Six slices of 20 by 16, 3 mm apart, in HU."""
    return [_saved(_ct(index), folder / f"ct{index}.dcm") for index in range(SHAPE[0])]


def pet(folder: Path) -> list[Path]:
    """The same places; Bq/mL, 350 MBq of F-18 at 10:00, 70 kg, scanned at 11:00."""
    return [_saved(_pet(index), folder / f"pet{index}.dcm") for index in range(SHAPE[0])]


def splice(path: Path, keyword: str, value: bytes | None, vr: bytes = b"") -> None:
    """Replace, add or take away (None) a top-level element of an Explicit VR file.

    A keyword "Outer/Inner" names an element of the first item of a sequence, which is there.
    """
    head, body = _parts(path.read_bytes())
    outer, _, inner = keyword.partition("/")
    path.write_bytes(
        head
        + (_nested(body, outer, inner, value, vr) if inner else _replaced(body, outer, value, vr))
    )


def _nested(body: bytes, outer: str, inner: str, value: bytes | None, vr: bytes) -> bytes:
    sequence = _elements(body)[_tag(outer)]
    item = _replaced(sequence[20:], inner, value, vr)
    return _replaced(body, outer, struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item, b"SQ")


def _replaced(body: bytes, keyword: str, value: bytes | None, vr: bytes) -> bytes:
    elements = _elements(body)
    tag = _tag(keyword)
    elements.pop(tag, None)
    if value is not None:
        vr = vr or dictionary_VR(tag).split(" ")[0].encode()
        value += (b"\0" if vr in (b"UI", b"OB", b"UN") else b" ") * (len(value) % 2)
        length = struct.pack("<xxL" if vr in _LONG else "<H", len(value))
        elements[tag] = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr) + length + value
    return b"".join(elements[tag] for tag in sorted(elements))


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return int(tag)


def _parts(data: bytes) -> tuple[bytes, bytes]:
    """Preamble with file meta information, and the data set."""
    end = 144 + struct.unpack("<L", data[140:144])[0]
    return data[:end], data[end:]


def _elements(body: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(body):
        group, element = struct.unpack("<HH", body[at : at + 4])
        if body[at + 4 : at + 6] in _LONG:
            length, head = struct.unpack("<L", body[at + 8 : at + 12])[0], 12
        else:
            length, head = struct.unpack("<H", body[at + 6 : at + 8])[0], 8
        found[group << 16 | element] = body[at : at + head + length]
        at += head + length
    return found


def _saved(image: Dataset, path: Path) -> Path:
    image.save_as(path, enforce_file_format=True)
    return path


def _image(index: int, sop_class: str) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = sop_class
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    uid = f"1.2.276.0.7230010.3.9.{len(sop_class)}.{index}"
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = uid
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.276.0.7230010.3.1", f"{uid[:-2]}.9"
    image.FrameOfReferenceUID = "1.2.276.0.7230010.3.2"
    image.PatientName, image.PatientID = "Synthetic^Anna", "4711"
    image.PatientBirthDate, image.PatientSex, image.PatientAge = "19600101", "F", "066Y"
    image.PatientWeight, image.PatientSize = "70", "1.7"
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = "20260105"
    image.StudyTime = "105500"
    image.SeriesTime = image.AcquisitionTime = "110000"
    image.StudyID, image.AccessionNumber, image.ReferringPhysicianName = "1", "A1", "Doctor^D"
    image.Manufacturer, image.SeriesNumber, image.InstanceNumber = "SYNTH", "4", str(index + 1)
    image.SeriesDescription = "Chest"
    image.ImagePositionPatient = [-8, -10, index * 3]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SliceThickness, image.PatientPosition = [1, 1], "3", "HFS"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = SHAPE[1:]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 1
    pixels = np.random.default_rng(index).integers(0, 900, SHAPE[1:]).astype("<i2")
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OW"
    return image


def _ct(index: int) -> Dataset:
    image = _image(index, CTImageStorage)
    image.Modality, image.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = "1", "-500", "HU"
    image.KVP, image.AcquisitionNumber, image.BodyPartExamined = "120", "1", "CHEST"
    image.WindowCenter, image.WindowWidth = "40", "400"
    return image


def _pet(index: int) -> Dataset:
    image = _image(index, PositronEmissionTomographyImageStorage)
    image.Modality, image.ImageType = "PT", ["ORIGINAL", "PRIMARY"]
    image.RescaleSlope, image.RescaleIntercept = "2", "0"
    image.Units, image.CountsSource, image.DecayCorrection = "BQML", "EMISSION", "START"
    image.SeriesType, image.NumberOfSlices = ["WHOLE BODY", "IMAGE"], SHAPE[0]
    image.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    image.FrameReferenceTime, image.ActualFrameDuration, image.ImageIndex = "0", "120000", index + 1
    image.CollimatorType, image.DecayFactor = "NONE", "1.0"
    isotope, nuclide = Dataset(), Dataset()
    isotope.Radiopharmaceutical, isotope.RadiopharmaceuticalStartTime = "FDG", "100000"
    isotope.RadionuclideTotalDose, isotope.RadionuclideHalfLife = "350000000", "6586.2"
    nuclide.CodeValue, nuclide.CodingSchemeDesignator = "77004003", "SCT"
    nuclide.CodeMeaning = "^18^Fluorine"
    isotope.RadionuclideCodeSequence = [nuclide]
    image.RadiopharmaceuticalInformationSequence = [isotope]
    return image
