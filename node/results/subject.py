"""For whom an object is: the attributes copied from the images, and the character set.

Patient, study and request are copied unaltered, also where they break the standard: an archive
files by them. What the node says itself is encoded so that nothing of it is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from pydicom.charset import convert_encodings, python_encoding
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

REQUIRED_OF_SUBJECT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
"""Type 1 and 2 of Patient and General Study (PS3.3 C.7.1.1, C.7.2.1): written even where empty."""

OPTIONAL_OF_SUBJECT = (
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "PatientBirthTime",
    "EthnicGroup",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "BreedRegistrationSequence",
    "ResponsiblePerson",
    "ResponsiblePersonRole",
    "ResponsibleOrganization",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "PhysiciansOfRecord",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientSexNeutered",
    "PatientState",
    "PregnancyStatus",
    "LastMenstrualDate",
    "SmokingStatus",
    "MedicalAlerts",
    "Allergies",
    "AdditionalPatientHistory",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "LongitudinalTemporalOffsetFromEvent",
    "LongitudinalTemporalEventType",
)


_NAMES = (*REQUIRED_OF_SUBJECT, *OPTIONAL_OF_SUBJECT)


def copy(dataset: Dataset, header: Dataset) -> None:
    """Patient, study and accession attributes of the images; type 2 ones empty where missing."""
    for keyword in REQUIRED_OF_SUBJECT:
        if keyword in header:
            dataset[keyword] = deepcopy(header[keyword])
        else:
            setattr(dataset, keyword, "")
    for keyword in OPTIONAL_OF_SUBJECT:
        if keyword in header and not header[keyword].is_empty:
            dataset[keyword] = deepcopy(header[keyword])
        else:
            dataset.pop(keyword, None)
    if dataset.get("PatientIdentityRemoved") == "YES" and not _says_how(dataset):
        dataset.DeidentificationMethod = "Not stated in the source images"


def _says_how(dataset: Dataset) -> bool:
    """Whether the removal of the identity is described: type 1C in PS3.3 C.7.1.1."""
    return "DeidentificationMethod" in dataset or "DeidentificationMethodCodeSequence" in dataset


def character_set(dataset: Dataset, header: Dataset) -> str | list[str] | None:
    """The source's character set, or UTF-8 where it cannot spell what the object says itself.

    A source that declares none is read as Latin-1 by pydicom; that is then declared. What has a
    name that the standard does not know was read as far as it could be, and is UTF-8 from here on.
    """
    given = header.get("SpecificCharacterSet") or None
    if given is not None and not _known(given):
        return "ISO_IR 192"
    own = [value for value in _strings(dataset) if not value.isascii()]
    if own and not all(_spelled(value, given) for value in own):
        return "ISO_IR 192"
    if given is None and not all(str(header.get(word, "")).isascii() for word in _NAMES):
        return "ISO_IR 100"
    return given if given is None or isinstance(given, str) else list(given)


def _known(charset: str | list[str]) -> bool:
    """Whether the defined terms are the standard's, and not a vendor's own spelling."""
    terms = [charset] if isinstance(charset, str) else charset
    return all(term in python_encoding for term in terms)


def _spelled(value: str, charset: str | list[str] | None) -> bool:
    try:
        value.encode(convert_encodings(charset)[0])
    except UnicodeEncodeError:
        return False
    return True


def _strings(dataset: Dataset) -> Iterator[str]:
    """Every text in the object that the node wrote itself."""
    for element in elements(dataset):
        if element.VR in ("LO", "SH", "ST", "LT", "UT", "UC", "PN"):
            values = element.value if element.VM > 1 else [element.value]
            yield from (str(value) for value in values)


def elements(dataset: Dataset) -> Iterator[DataElement]:
    """Every element at any depth, outside of the per-frame functional groups and the subject."""
    for element in dataset:
        if element.keyword in _NAMES or element.keyword == "PerFrameFunctionalGroupsSequence":
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)
        else:
            yield element
