"""Images that no node has seen: as a scanner makes them, of any size and under new UIDs."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

_PLACE = b"2.25.9000000000"
_sets = itertools.count(1)


class Images:
    """Files of one kind; every call gives them under UIDs that nobody has seen."""

    def __init__(self, folder: Path, count: int, rows: int) -> None:
        self._folder = folder
        self._count = count
        dataset = image(rows)
        dataset.save_as(folder.with_suffix(".dcm"), enforce_file_format=True)
        self._template = folder.with_suffix(".dcm").read_bytes()

    def fresh(self) -> Path:
        """A folder with one study. Files are written over: ext4 makes new ones slowly for some
        seconds after others were deleted, which would count against the receivers."""
        self._folder.mkdir(exist_ok=True)
        study = b"2.25.9%09d" % next(_sets)
        whole = self._template.replace(_PLACE, study)
        for number in range(self._count):
            data = whole.replace(b".1.1000000", b".1.%07d" % (1_000_001 + number))
            (self._folder / f"{number:06d}.dcm").write_bytes(data)
        os.sync()  # not while the next side is timed
        return self._folder


def image(rows: int) -> Dataset:
    """A CT image as a scanner makes it, of so many rows and columns."""
    chance = np.random.default_rng(rows)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    study = _PLACE.decode()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"{study}.1.1000000"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.1"
    dataset.FrameOfReferenceUID = f"{study}.2"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality, dataset.Manufacturer = "CT", "BENCH"
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, keyword, "20260105")
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(dataset, keyword, "093000.25")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientID = "Bench^Patient", "BENCH"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19600101", "O", "066Y"
    dataset.AccessionNumber, dataset.StudyID = "BENCH01", "1"
    dataset.StudyDescription, dataset.SeriesDescription = "CHEST", "CHEST 2.5 LUNG"
    dataset.ManufacturerModelName, dataset.StationName = "BENCH 1", "CT1"
    dataset.BodyPartExamined, dataset.ProtocolName = "CHEST", "CHEST ROUTINE"
    dataset.KVP, dataset.SliceThickness = "120", "2.5"
    dataset.ConvolutionKernel, dataset.PatientPosition = "B60f", "HFS"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 2, 1, 1
    dataset.ImagePositionPatient = ["-175.5", "-175.5", "-120.25"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing, dataset.SliceLocation = ["0.703125", "0.703125"], "-120.25"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = rows
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope = "-1024", "1"
    dataset.WindowCenter, dataset.WindowWidth = ["-600", "40"], ["1500", "400"]
    for number in range(30):  # what a scanner adds of its own
        dataset.add_new(0x00090010, "LO", "BENCH PRIVATE")
        dataset.add_new(0x00091000 + number, "LO", f"private value {number}")
    pixels = chance.integers(0, 4096, (rows, rows), dtype=np.uint16)
    dataset.PixelData = pixels.tobytes()
    return dataset
