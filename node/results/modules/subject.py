"""For whom an object is: the attributes copied from the images, and the character set.

Patient, study and request are copied unaltered, also where they break the standard: an archive
files by them. What the node says itself is encoded so that nothing of it is lost.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from copy import deepcopy

from pydicom.charset import convert_encodings, python_encoding
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from node.results.words import sentences
from storage.header import values
from storage.header.guarded import TEXT, undecoded

Charset = str | list[str] | None
"""Specific Character Set as it is declared: no term, one, or several."""

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


def stamp(dataset: Dataset, header: Dataset, language: str) -> None:
    """Patient, study and accession attributes of the images, and the character set of all text."""
    charset = character_set(dataset, header)
    if charset != "ISO_IR 192":
        _spell_simply(dataset, charset)
    copy(dataset, header, charset)
    if dataset.get("PatientIdentityRemoved") == "YES" and not _says_how(dataset):
        dataset.DeidentificationMethod = sentences.NOT_STATED(language)
    if charset is None:
        dataset.pop("SpecificCharacterSet", None)
    else:
        dataset.SpecificCharacterSet = charset


def copy(dataset: Dataset, header: Dataset, charset: Charset = None) -> None:
    """Patient, study and accession attributes of the images; type 2 ones empty where missing.

    Text that does not decode keeps its very bytes: ``charset`` has to be that of the images.
    """
    for keyword in REQUIRED_OF_SUBJECT:
        element = values.element(header, keyword)
        if element is None:
            setattr(dataset, keyword, "")
        else:
            dataset[keyword] = _unaltered(element, charset)
    for keyword in OPTIONAL_OF_SUBJECT:
        element = values.element(header, keyword)
        if element is None or element.is_empty:
            dataset.pop(keyword, None)
        else:
            dataset[keyword] = _unaltered(element, charset)


def _says_how(dataset: Dataset) -> bool:
    """Whether the removal of the identity is described: type 1C in PS3.3 C.7.1.1."""
    return "DeidentificationMethod" in dataset or "DeidentificationMethodCodeSequence" in dataset


def _unaltered(element: DataElement, charset: Charset) -> DataElement:
    """A copy, with its own bytes where they are no text in the character set."""
    if element.VR == "SQ":
        items = [_unaltered_item(item, charset) for item in element.value or ()]
        return DataElement(element.tag, "SQ", items)
    if element.VR not in TEXT or not any(undecoded(text) is not None for text in _parts(element)):
        return deepcopy(element)
    raw = b"\\".join(
        part.encode("ascii", "surrogateescape")
        if undecoded(part) is not None
        else part.encode(convert_encodings(charset)[0], "replace")
        for part in _parts(element)
    )
    if element.VR == "PN":
        return DataElement(element.tag, "PN", PersonName(raw, convert_encodings(charset)))
    copied = DataElement(element.tag, element.VR, None)
    copied.value = raw
    return copied


def _unaltered_item(item: Dataset, charset: Charset) -> Dataset:
    copied = Dataset()
    for element in item:
        copied.add(_unaltered(element, charset))
    return copied


_SPELLED_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "AE", "Ö": "OE", "Ü": "UE", "ß": "ss", "–": "-"}
)


def character_set(dataset: Dataset, header: Dataset) -> Charset:
    """The source's character set, so that what is copied keeps its bytes; or UTF-8.

    UTF-8 where the source's cannot spell what the object says itself: unless names that are no
    ASCII were copied and what it says can be spelled with plain letters. A source that declares
    none is read as Latin-1 by pydicom; that is then declared. Where text of the source does not
    decode, its character set stays as it is declared. Else what has a name that the standard does
    not know was read as far as it could be, and is UTF-8 from here on.
    """
    terms = list(values.texts(header, "SpecificCharacterSet"))
    given: Charset = terms if len(terms) > 1 else terms[0] if terms and terms[0] else None
    of_subject = list(_of_subject(header))
    if any(undecoded(text) is not None for text in of_subject):
        return given or "ISO_IR 100"
    if given is not None and not _known(given):
        return "ISO_IR 192"
    own = [text for text in _strings(dataset) if not text.isascii()]
    names_are_ascii = all(text.isascii() for text in of_subject)
    if given is None and (own or not names_are_ascii):
        given = "ISO_IR 100"
    if all(_spelled(text, given) for text in own):
        return given
    is_simple = all("?" not in in_ascii(text.replace("?", "")) for text in own)
    return given if is_simple and not names_are_ascii else "ISO_IR 192"


def _known(charset: str | list[str]) -> bool:
    """Whether the defined terms are the standard's, and not a vendor's own spelling."""
    terms = [charset] if isinstance(charset, str) else charset
    return all(term in python_encoding for term in terms)


def _spelled(text: str, charset: Charset) -> bool:
    first = charset[0] if isinstance(charset, list) else charset
    if first in {None, "", "ISO_IR 6", "ISO 2022 IR 6"}:
        return text.isascii()
    try:
        text.encode(convert_encodings(charset)[0])
    except UnicodeEncodeError:
        return False
    return True


def _spell_simply(dataset: Dataset, charset: Charset) -> None:
    """Write what the object says itself in letters that its character set has."""
    for element in elements(dataset):
        if element.VR not in TEXT or all(part.isascii() for part in _parts(element)):
            continue
        simple = [part if _spelled(part, charset) else in_ascii(part) for part in _parts(element)]
        element.value = simple if len(simple) > 1 else simple[0]


def in_ascii(text: str) -> str:
    """As close to it as ASCII comes: umlauts as two letters, other accents left out."""
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLED_OUT))
    return (
        "".join(one for one in plain if not unicodedata.combining(one))
        .encode("ascii", "replace")
        .decode()
    )


def _of_subject(header: Dataset) -> Iterator[str]:
    """Every text that is copied from the images unaltered."""
    for keyword in _NAMES:
        element = values.element(header, keyword)
        if element is not None:
            yield from _texts_in(element)


def _texts_in(element: DataElement) -> Iterator[str]:
    if element.VR == "SQ":
        for item in element.value or ():
            for inner in item:
                yield from _texts_in(inner)
    elif element.VR in TEXT:
        yield from _parts(element)


def _parts(element: DataElement) -> list[str]:
    if element.is_empty:
        return []
    return [str(part) for part in (element.value if element.VM > 1 else [element.value])]


def _strings(dataset: Dataset) -> Iterator[str]:
    """Every text in the object that the node wrote itself."""
    for element in elements(dataset):
        if element.VR in TEXT:
            yield from _parts(element)


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
