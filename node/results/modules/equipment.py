"""Which equipment made an object: the node as its General Equipment, and all that contributed.

The images' own equipment stands in the sequence of those that contributed (PS3.3 C.12.1), never at
the top: what the node makes is not the scanner's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from analyzers.contract import Code
from node.results import uids
from node.results.modules import copied
from node.results.modules.source import Provenance
from node.results.modules.texts import concept, text
from node.results.modules.times import local_time
from node.results.words import sentences
from node.series.source import Source
from storage.header import values

MANUFACTURER = "Wetread"
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
_OF_A_MACHINE = (
    *("Manufacturer", "InstitutionName", "InstitutionalDepartmentName", "StationName"),
    *("ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
)


def stamp(
    dataset: Dataset, source: Source, provenance: Provenance, image: Dataset | None = None
) -> None:
    """General Equipment (PS3.3 C.7.5.1) and Contributing Equipment Sequence.

    image: the header of the image that these pixels were made from, where they are an image; the
        machine that acquired it contributed too.
    """
    maker, header = provenance.maker, image or source.headers[0]
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = provenance.analyzer
    dataset.DeviceSerialNumber = serial_number(provenance)
    dataset.SoftwareVersions = provenance.analyzer_version
    said = {
        "InstitutionName": maker.institution or copied.text_of(header, "InstitutionName"),
        "InstitutionalDepartmentName": maker.department,
        "StationName": maker.station,
    }
    for keyword, value in said.items():
        if value:
            setattr(dataset, keyword, value)
    earlier = _earlier(header)
    if image is not None and not any(_purpose(one) == ACQUISITION_EQUIPMENT for one in earlier):
        earlier += _machine(image)
    dataset.ContributingEquipmentSequence = Items([*earlier, contribution(source, provenance)])


def serial_number(provenance: Provenance) -> str:
    """The node's. Without a node, for an author at work, it only tells algorithms apart."""
    if provenance.maker.serial:
        return provenance.maker.serial
    named = f"{provenance.analyzer}\0{provenance.analyzer_version}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def device_uid(provenance: Provenance) -> str:
    """Of the algorithm with its models on this node."""
    return uids.device_uid(
        provenance.analyzer,
        provenance.analyzer_version,
        provenance.weights,
        provenance.maker.serial,
    )


def contribution(source: Source, provenance: Provenance) -> Dataset:
    """The algorithm as an item of Contributing Equipment Sequence."""
    item, maker = Dataset(), provenance.maker
    item.PurposeOfReferenceCodeSequence = [concept(PROCESSING_EQUIPMENT)]
    item.Manufacturer = MANUFACTURER
    for keyword, said in (
        ("InstitutionName", maker.institution),
        ("InstitutionalDepartmentName", maker.department),
        ("StationName", maker.station),
    ):
        if said:
            setattr(item, keyword, said)
    item.ManufacturerModelName = provenance.analyzer
    item.DeviceSerialNumber = serial_number(provenance)
    item.SoftwareVersions = provenance.analyzer_version
    item.DeviceUID = device_uid(provenance)
    item.ContributionDateTime = local_time(source, provenance).strftime("%Y%m%d%H%M%S.%f%z")
    item.ContributionDescription = text(", ".join(_described(source, provenance)), 1024)
    return item


def _described(source: Source, provenance: Provenance) -> Iterator[str]:
    language = provenance.maker.language
    yield sentences.RUN_BY(
        language,
        analyzer=provenance.analyzer_title,
        version=provenance.node_version,
        device=provenance.device.partition(":")[0],
    )
    if provenance.weights:
        yield sentences.WITH_MODEL(language, digest=provenance.weights[:12])
    if source.decoder:
        yield sentences.DECODED_BY(language, decoder=source.decoder)


def _earlier(header: Dataset) -> list[Dataset]:
    """The items of the images that say who contributed what: both are type 1."""
    element = copied.of(header, "ContributingEquipmentSequence")
    items: list[Dataset] = [] if element is None else list(element.value)
    return [
        item
        for item in items
        if item.get("Manufacturer") and item.get("PurposeOfReferenceCodeSequence")
    ]


def _purpose(item: Dataset) -> Code:
    """The first code of its purpose."""
    code = item.PurposeOfReferenceCodeSequence[0]
    found = values.text(code, "CodeValue"), values.text(code, "CodingSchemeDesignator")
    known = (ACQUISITION_EQUIPMENT, PROCESSING_EQUIPMENT)
    return next(
        (one for one in known if (one.value, one.scheme) == found), Code(*found, meaning="another")
    )


def _machine(image: Dataset) -> list[Dataset]:
    """The equipment of an image: it acquired it, or made it from others where it is derived.

    Nothing where the image names no manufacturer, which an item has to.
    """
    item = Dataset()
    for keyword in _OF_A_MACHINE:
        element = copied.of(image, keyword)
        if element is not None and not element.is_empty:
            item[keyword] = element
    if "Manufacturer" not in item:
        return []
    is_derived = values.texts(image, "ImageType")[:1] == ("DERIVED",)
    purpose = PROCESSING_EQUIPMENT if is_derived else ACQUISITION_EQUIPMENT
    item.PurposeOfReferenceCodeSequence = [concept(purpose)]
    return [item]
