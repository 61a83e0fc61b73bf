"""``docs/air.md``: what IHE AI Results asks of an evidence creator, read from written objects.

``python -m tests.node.results.air_table docs/air.md`` makes one run with findings of every kind and
all further forms, reads the files back, and writes what each kind of object holds.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID

from node.results.forms.table import FORMS
from node.results.modules.source import Provenance
from node.results.write import write_notice, write_results
from node.series.source import Source
from tests.node.results.every_kind import in_space
from tests.node.results.test_equipment import RUN, scanned

SUBJECT = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_HEAD = """\
# IHE AI Results: what written objects hold

What the profile AI Results (AIR) asks of an evidence creator, for every kind of object that one run
with findings of all kinds makes, in all further forms. This page is made by `make docs` from the
objects themselves, read back from their files. Secondary captures, presentation states and what is
encapsulated are outside the profile; they say the same of themselves.

"""


@dataclass(frozen=True, slots=True)
class Written:
    """An object with what it was made from and with."""

    name: str
    dataset: Dataset
    source: Source
    run: Provenance
    others: frozenset[str]
    """UIDs of the primary objects of the run."""

    @property
    def algorithm(self) -> Dataset:
        """The item of Contributing Equipment Sequence that names the analyzer."""
        item: Dataset = self.dataset.ContributingEquipmentSequence[-1]
        return item

    @property
    def is_report(self) -> bool:
        return self.dataset.Modality == "SR"


Answer = bool | None
Check = Callable[[Written], Answer]


# --- what is asked --------------------------------------------------------------------------------


def _subject(one: Written) -> Answer:
    header = one.source.headers[0]
    return all(one.dataset.get(word) == header.get(word) for word in SUBJECT)


def _requests(one: Written) -> Answer:
    word = "ReferencedRequestSequence" if one.is_report else "RequestAttributesSequence"
    given = one.source.headers[0].RequestAttributesSequence
    numbers = [item.RequestedProcedureID for item in one.dataset.get(word, ())]
    return numbers == [item.RequestedProcedureID for item in given]


def _contributing(one: Written) -> Answer:
    item = one.algorithm
    purpose = item.PurposeOfReferenceCodeSequence[0]
    named = all(item.get(word) for word in ("Manufacturer", "ManufacturerModelName"))
    known = all(item.get(word) for word in ("SoftwareVersions", "DeviceUID"))
    return (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109102", "DCM") and (
        named and known
    )


def _acquisition(one: Written) -> Answer:
    """Of images; what is drawn or said about images is none."""
    if "PixelData" not in one.dataset and "FloatPixelData" not in one.dataset:
        return None
    if one.dataset.Modality in ("SEG", "PR"):
        return None
    purposes = [
        item.PurposeOfReferenceCodeSequence[0].CodeValue
        for item in one.dataset.ContributingEquipmentSequence
    ]
    return purposes.count("109101") == 1


def _equipment(one: Written) -> Answer:
    dataset = one.dataset
    return all(
        dataset.get(word)
        for word in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber")
    ) and bool(dataset.get("SoftwareVersions"))


def _node(one: Written) -> Answer:
    maker, dataset = one.run.maker, one.dataset
    said = dataset.get("InstitutionName"), dataset.get("StationName")
    return (*said, dataset.get("DeviceSerialNumber")) == (
        maker.institution,
        maker.station,
        maker.serial,
    )


def _segments(one: Written) -> Answer:
    if one.dataset.Modality != "SEG":
        return None
    return all(
        item.SegmentAlgorithmType == "AUTOMATIC"
        and item.SegmentAlgorithmName == one.dataset.ManufacturerModelName
        and len(item.SegmentationAlgorithmIdentificationSequence) == 1
        for item in one.dataset.SegmentSequence
        if item.SegmentNumber
    )


def _same_names(one: Written) -> Answer:
    """(111001) = Model Name = (0066,0036), and so for version and source."""
    item = one.algorithm
    expected = (item.ManufacturerModelName, item.SoftwareVersions, item.Manufacturer)
    if one.dataset.Modality == "SEG":
        found = [
            (inner.AlgorithmName, inner.AlgorithmVersion, inner.AlgorithmSource)
            for segment in one.dataset.SegmentSequence
            if segment.SegmentNumber
            for inner in segment.SegmentationAlgorithmIdentificationSequence
        ]
        return set(found) == {expected}
    if one.is_report:
        names = {text for code, text in _said(one.dataset) if code == "111001"}
        versions = {text for code, text in _said(one.dataset) if code == "111003"}
        if not names:
            return None
        return (names, versions) == ({expected[0]}, {expected[1]})
    return None


def _observer(one: Written) -> Answer:
    if not one.is_report:
        return None
    return one.algorithm.DeviceUID in [uid for code, uid in _said(one.dataset) if code == "121012"]


def _codes(one: Written) -> Answer:
    if one.dataset.Modality != "SEG":
        return None
    return all(
        item[word].value[0].CodingSchemeDesignator == "SCT"
        for item in one.dataset.SegmentSequence
        if item.SegmentNumber
        for word in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence")
    )


def _tracking(one: Written) -> Answer:
    if one.dataset.Modality == "SEG":
        segments = [item for item in one.dataset.SegmentSequence if item.SegmentNumber]
        return all(item.get("TrackingID") and item.get("TrackingUID") for item in segments)
    if not one.is_report:
        return None
    groups = [item for item in _items(one.dataset) if _code(item) == "125007"]
    inside = [{_code(child) for child in item.ContentSequence} for item in groups]
    return all({"112039", "112040"} <= codes for codes in inside) if groups else None


def _date(one: Written) -> Answer:
    start = one.run.started_at.astimezone().strftime("%Y%m%d")
    own = {"PR": "PresentationCreationDate", "RTSTRUCT": "StructureSetDate"}
    word = own.get(one.dataset.Modality, "ContentDate")
    return one.dataset.get(word) == start


def _root(one: Written) -> Answer:
    """Every primary object is reached from the report's tree."""
    if one.name != "report":
        return None
    reached = {
        str(reference.ReferencedSOPInstanceUID)
        for item in _items(one.dataset)
        for reference in item.get("ReferencedSOPSequence", ())
    }
    return one.others <= reached


def _items(holder: Dataset) -> Iterator[Dataset]:
    """Every content item below."""
    for item in holder.get("ContentSequence", ()):
        yield item
        yield from _items(item)


def _code(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeValue", "")) if names else ""


def _said(document: Dataset) -> Iterator[tuple[str, str]]:
    """Code and text or UID of content items."""
    for item in _items(document):
        yield _code(item), str(item.get("TextValue") or item.get("UID") or "")


CHECKS: Mapping[str, Check] = {
    "Patient, study and accession attributes are those of the images": _subject,
    "The requests are named (0040,0275), in documents (0040,A370)": _requests,
    "The algorithm in Contributing Equipment Sequence (0018,A001) as Processing Equipment (109102):"
    " manufacturer, model name, software versions, Device UID": _contributing,
    "Of images: the machine that acquired what they were made from (109101)": _acquisition,
    "Enhanced General Equipment: manufacturer, model name, serial number, software versions": (
        _equipment
    ),
    "Institution Name, Station Name and serial number are the node's": _node,
    "Segment Algorithm Type and Name, Segmentation Algorithm Identification Sequence (0062,0007)": (
        _segments
    ),
    "Algorithm name, version and source alike wherever they stand (TID 4019, 0066,0036,"
    " equipment)": _same_names,
    "The observer (TID 1004) is the device that contributed": _observer,
    "Property category and type of segments are SNOMED CT codes": _codes,
    "Tracking Identifier and Tracking UID on every finding": _tracking,
    "Content Date is that of the start of the analysis": _date,
    "Every other primary object of the run is reached from the report": _root,
}


# --- the page -------------------------------------------------------------------------------------


def page() -> str:
    """The whole page."""
    return _HEAD + _table(list(_written()))


def _written() -> Iterator[Written]:
    """The first object of each name of a file, in the order in which they are made."""
    source, run = scanned(), dataclasses.replace(RUN, weights="ab" * 32)
    kinds = tuple(form.kind for form in FORMS)
    forms = {form.file for form in FORMS}
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        results = write_results(source, in_space(source), run, folder / "job", kinds)
        notice = write_notice(source, "failed", ["a reason"], run, folder / "notice")
        found: dict[str, Dataset] = {}
        for one in (*results.objects, *notice.objects):
            found.setdefault(_name(one.key), pydicom.dcmread(folder / one.key))
        primary = frozenset(
            one.sop_instance_uid
            for one in results.objects
            if not _name(one.key).startswith(tuple(forms)) and _name(one.key) != "report"
        )
        for name, dataset in found.items():
            yield Written(name, dataset, source, run, primary)


def _name(key: str) -> str:
    """What stands in the head of a column."""
    folder, _, file = key.partition("/")
    if folder == "notice":
        return "report of a failure"
    return file.removesuffix(".dcm").partition("-")[0]


def _table(objects: list[Written]) -> str:
    lines = ["| What is asked | Holds in | Lacking in |", "| --- | --- | --- |"]
    for asked, check in CHECKS.items():
        answers = {one.name: check(one) for one in objects}
        holds = [name for name, answer in answers.items() if answer]
        lacks = [name for name, answer in answers.items() if answer is False]
        where = "every object" if len(holds) == len(objects) else ", ".join(holds) or "–"
        lines.append(f"| {asked} | {where} | {', '.join(lacks) or '–'} |")
    lines += ["", "The objects:", "", "| | SOP class |", "| --- | --- |"]
    lines += [f"| {one.name} | {_class(one.dataset.SOPClassUID)} |" for one in objects]
    return "\n".join(lines) + "\n"


def _class(uid: str) -> str:
    known = {"1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage"}
    return known.get(uid, UID(uid).name)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
