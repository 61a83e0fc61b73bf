"""Many small studies, each of one CT instance of 8 × 8 pixels, the same for every side.

What stands in a study follows from its number alone: a hundred studies a day and, of 100,000, a
hundred to each beginning of three syllables of a family name. So it is known how many every query
has to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

HITS = 100
_FIRST_DAY = date(2000, 1, 1)
_SYLLABLES = ("BA", "DE", "FI", "GO", "HU", "KA", "LE", "MI", "NO", "PU")
_STRIDE = 61_651
"""Prime: names come in another order than numbers and dates."""
_PLACES = ("2.25.4999999999", "PATIENT-9999999", "ACC-9999999", "BABABABABA^BENCH", "29991231")


@dataclass(frozen=True, slots=True)
class Study:
    """The keys of one study, all of one length whatever its number."""

    number: int

    @property
    def uid(self) -> str:
        return f"2.25.4{self.number:09d}"

    @property
    def patient_id(self) -> str:
        return f"PATIENT-{self.number:07d}"

    @property
    def accession(self) -> str:
        return f"ACC-{self.number:07d}"

    @property
    def family(self) -> str:
        """Five syllables; the last two tell apart those of one beginning."""
        digits = f"{self.number * _STRIDE % 100_000:05d}"
        return "".join(_SYLLABLES[int(digit)] for digit in digits)

    @property
    def day(self) -> str:
        return f"{_FIRST_DAY + timedelta(days=self.number // HITS):%Y%m%d}"


class Template:
    """Makes the file of a study by putting its keys in place of others of the same length."""

    def __init__(self) -> None:
        file = BytesIO()
        _instance().save_as(file, enforce_file_format=True)
        self._bytes = file.getvalue()

    def file(self, study: Study) -> bytes:
        made = self._bytes
        name = f"{study.family}^BENCH"
        for place, value in zip(
            _PLACES,
            (study.uid, study.patient_id, study.accession, name, study.day),
            strict=True,
        ):
            made = made.replace(place.encode(), value.encode())
        return made


def _instance() -> Dataset:
    uid, patient, accession, name, day = _PLACES
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"{uid}.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, f"{uid}.1"
    dataset.SpecificCharacterSet, dataset.Modality = "ISO_IR 100", "CT"
    dataset.PatientName, dataset.PatientID = name, patient
    dataset.PatientBirthDate, dataset.PatientSex = "19600229", "O"
    dataset.StudyDate, dataset.StudyTime = day, "093000.25"
    dataset.AccessionNumber, dataset.StudyID = accession, "1"
    dataset.StudyDescription, dataset.SeriesDescription = "CHEST", "CHEST 2.5 LUNG"
    dataset.ReferringPhysicianName = "REFERRER^BENCH"
    dataset.BodyPartExamined, dataset.SeriesNumber, dataset.InstanceNumber = "CHEST", 2, 1
    dataset.ImagePositionPatient = ["0", "0", "0"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing = ["0.7", "0.7"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.arange(64, dtype=np.uint16).tobytes()
    return dataset
