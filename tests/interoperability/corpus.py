"""2,000 small studies of many kinds, the same for every archive: made from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

SEED = 12
_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
}
_FAMILIES = ("Adams", "ADAMSON", "Baker", "de Boer", "O'Neill", "Smith-Jones", "Zhou", "Müller")
_GIVEN = ("John", "JANE", "Anna", "anna maria", "Li", "", "René")
_MORE = ("", "", "^R^^Dr", "^Q")
_DESCRIPTIONS = (
    "CHEST", "Chest 2 views", "ABDOMEN AND PELVIS", "head", "HEAD*CONTRAST", "Thorax/LWK", "",
)  # fmt: skip
_REFERRERS = ("House^Gregory", "WILSON^JAMES", "Cuddy^Lisa^^Dr", "")
_TIMES = ("093000", "09", "0915", "093000.25", "235959.999999", "000000", "", "140000")


def studies(count: int) -> Iterator[list[Dataset]]:
    """The images of each study; a patient has one to four studies, a study one to three series."""
    chance = random.Random(SEED)
    number = 0
    patient = 0
    while number < count:
        patient += 1
        person = _person(chance, patient)
        for _ in range(min(chance.choice((1, 1, 2, 4)), count - number)):
            number += 1
            yield _study(chance, number, person)


def write(folder: Path, count: int) -> list[Dataset]:
    """All images, a file each; and what was written."""
    folder.mkdir(parents=True)
    written = []
    for images in studies(count):
        for image in images:
            image.save_as(folder / f"{len(written):06d}.dcm", enforce_file_format=True)
            written.append(image)
    return written


def _person(chance: random.Random, number: int) -> Dataset:
    family, given = chance.choice(_FAMILIES), chance.choice(_GIVEN)
    name = f"{family}^{given}{chance.choice(_MORE)}".rstrip("^")
    person = Dataset()
    person.SpecificCharacterSet = "ISO_IR 100"
    person.PatientName = chance.choice((name, name, name, name.upper(), name.lower(), ""))
    person.PatientID = chance.choice(
        (f"P{number:05d}", f"p{number:05d}a", f"{number}-X", f"{number}")
    )
    person.PatientBirthDate = chance.choice(("", f"{chance.randrange(1930, 2020)}0228"))
    person.PatientSex = chance.choice(("M", "F", "O", ""))
    return person


def _study(chance: random.Random, number: int, person: Dataset) -> list[Dataset]:
    head = Dataset()
    head.update(person)
    head.StudyInstanceUID = f"2.25.5.{number}"
    day = (
        f"{chance.randrange(2018, 2024)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}"
    )
    head.StudyDate = chance.choice((day, day, day, ""))
    head.StudyTime = chance.choice(_TIMES)
    head.AccessionNumber = chance.choice((f"A{number:06d}", f"a{number}", f"A {number}", ""))
    head.StudyID = str(number % 50)
    head.StudyDescription = chance.choice(_DESCRIPTIONS)
    head.ReferringPhysicianName = chance.choice(_REFERRERS)
    modalities = chance.sample(sorted(_CLASSES), chance.choice((1, 1, 1, 2, 3)))
    return [image for at, one in enumerate(modalities) for image in _series(chance, head, at, one)]


def _series(chance: random.Random, head: Dataset, at: int, modality: str) -> Iterator[Dataset]:
    for number in range(chance.choice((1, 1, 2))):
        image = Dataset()
        image.update(head)
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = _CLASSES[modality]
        image.SeriesInstanceUID = f"{head.StudyInstanceUID}.{at + 1}"
        image.SOPInstanceUID = f"{image.SeriesInstanceUID}.{number + 1}"
        image.Modality, image.SeriesNumber = modality, at + 1
        image.SeriesDescription = ("LOCALIZER", "ax T2", "", "Recon 1")[at % 4]
        image.InstanceNumber = number + 1
        image.ImageType = ["ORIGINAL", "PRIMARY", ("AXIAL", "LOCALIZER")[number % 2]]
        image.BodyPartExamined = ("CHEST", "HEAD", "")[at % 3]
        image.Rows = image.Columns = 8 * (number + 1)
        yield image


def values(images: Sequence[Dataset], keyword: str) -> list[str]:
    """All that are not empty, in order."""
    return sorted({str(image.get(keyword, "")) for image in images} - {""})
