"""Who made an object, from what, when, and for whom: the same values in every object.

Owns the equipment and algorithm identification (IHE AIR), dates and file meta.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

import highdicom as hd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian

from analyzers.contract import Code
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.results import uids
from node.results.modules import copied, subject
from node.results.modules.source import Provenance
from node.results.words import sentences
from node.series.source import Source
from storage import values
from storage.values import Unknown

MANUFACTURER = "Wetread"
ALGORITHM_FAMILY = Code("123110", "DCM", "Artificial Intelligence")
PRIVATE_SCHEME = "99WETREAD"
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")


def algorithm_sequence(provenance: Provenance) -> hd.AlgorithmIdentificationSequence:
    """The Segmentation Algorithm Identification Sequence (0062,0007)."""
    return hd.AlgorithmIdentificationSequence(
        name=provenance.analyzer,
        version=provenance.analyzer_version,
        family=concept(provenance.family or ALGORITHM_FAMILY),
        source=MANUFACTURER,
        parameters={name: str(value) for name, value in sorted(provenance.parameters.items())}
        or None,
    )


def algorithm_content(provenance: Provenance) -> hd.sr.AlgorithmIdentification:
    """The same identification as content items (PS3.16 TID 4019)."""
    return hd.sr.AlgorithmIdentification(
        name=provenance.analyzer,
        version=provenance.analyzer_version,
        parameters=parameter_texts(provenance) or None,
        family=concept(provenance.family or ALGORITHM_FAMILY),
        manufacturer=MANUFACTURER,
    )


def device_observer(provenance: Provenance) -> hd.sr.DeviceObserverIdentifyingAttributes:
    """The algorithm as the observer of a report (PS3.16 TID 1004)."""
    return hd.sr.DeviceObserverIdentifyingAttributes(
        uid=uids.device_uid(provenance.analyzer, provenance.analyzer_version),
        name=provenance.analyzer_title,
        manufacturer_name=MANUFACTURER,
        model_name=provenance.analyzer,
        serial_number=serial_number(provenance),
    )


def parameter_texts(provenance: Provenance) -> list[str]:
    """One ``name=value`` a parameter, sorted."""
    return [f"{name}={value}" for name, value in sorted(provenance.parameters.items())]


def serial_number(provenance: Provenance) -> str:
    """A Device Serial Number: a short digest of the algorithm's name and version."""
    named = f"{provenance.analyzer}\0{provenance.analyzer_version}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def concept(code: Code) -> hd.sr.CodedConcept:
    """A code of the contract as highdicom's."""
    return hd.sr.CodedConcept(code.value, code.scheme, text(code.meaning))


def text(value: str, limit: int = 64) -> str:
    """``value`` as one line without backslashes, at most ``limit`` bytes (VR LO).

    The standard counts characters (PS3.5 6.2), many readers and dciodvfy bytes.
    """
    line = " ".join(value.replace("\\", "/").split())
    if len(line.encode()) <= limit:
        return line
    return line.encode()[: limit - 3].decode(errors="ignore").rstrip() + "..."


def series_title(provenance: Provenance, what: str = "") -> str:
    """A Series Description (VR LO): "OUTCOME: analyzer, what it shows"; its end is cut first."""
    title = provenance.analyzer_title
    if what.casefold() not in title.casefold():
        title = f"{title}, {what}"
    return text(f"{provenance.outcome}: {title}" if provenance.outcome else title)


def local_time(source: Source, provenance: Provenance) -> datetime:
    """The start of the analysis in the source's time zone, or in this machine's."""
    offset = values.offset(source.headers[0], "TimezoneOffsetFromUTC")
    if isinstance(offset, Unknown):
        return provenance.started_at.astimezone()
    return provenance.started_at.astimezone(timezone(offset))


def utc_offset(header: Dataset) -> str:
    """Timezone Offset From UTC, "+0100"; empty where the header has none that there is.

    PS3.3 C.12.1.1.8: from -1200 to +1400.
    """
    offset = values.offset(header, "TimezoneOffsetFromUTC")
    return "" if isinstance(offset, Unknown) else values.text(header, "TimezoneOffsetFromUTC")


def stamp(dataset: Dataset, source: Source, provenance: Provenance) -> None:
    """Write equipment, dates, subject, character set and file meta into a finished object."""
    _stamp_equipment(dataset, source, provenance)
    _stamp_time(dataset, source, provenance)
    _name_private_scheme(dataset)
    subject.stamp(dataset, source.headers[0], provenance.maker.language)
    dataset.file_meta = _file_meta(dataset, provenance)


def _stamp_equipment(dataset: Dataset, source: Source, provenance: Provenance) -> None:
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = provenance.analyzer
    dataset.DeviceSerialNumber = serial_number(provenance)
    dataset.SoftwareVersions = provenance.analyzer_version
    dataset.ContributingEquipmentSequence = Items(
        [*_earlier_equipment(source.headers[0]), contributing_equipment(source, provenance)]
    )


def _earlier_equipment(header: Dataset) -> list[Dataset]:
    """The items of the images that say who contributed what: both are type 1."""
    element = copied.of(header, "ContributingEquipmentSequence")
    items: list[Dataset] = [] if element is None else list(element.value)
    return [
        item
        for item in items
        if item.get("Manufacturer") and item.get("PurposeOfReferenceCodeSequence")
    ]


def contributing_equipment(source: Source, provenance: Provenance) -> Dataset:
    """The algorithm as an item of Contributing Equipment Sequence (PS3.3 C.12.1)."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [concept(PROCESSING_EQUIPMENT)]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = provenance.analyzer
    item.DeviceSerialNumber = serial_number(provenance)
    item.SoftwareVersions = provenance.analyzer_version
    item.DeviceUID = uids.device_uid(provenance.analyzer, provenance.analyzer_version)
    item.ContributionDateTime = local_time(source, provenance).strftime("%Y%m%d%H%M%S.%f%z")
    item.ContributionDescription = text(_contribution(source, provenance), 1024)
    return item


def _contribution(source: Source, provenance: Provenance) -> str:
    language = provenance.maker.language
    said = sentences.RUN_BY(
        language,
        analyzer=provenance.analyzer_title,
        version=provenance.node_version,
        device=provenance.device.partition(":")[0],
    )
    decoded = sentences.DECODED_BY(language, decoder=source.decoder)
    return f"{said}, {decoded}" if source.decoder else said


def _stamp_time(dataset: Dataset, source: Source, provenance: Provenance) -> None:
    moment = local_time(source, provenance)
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    for event in ("InstanceCreation", "Series", "Content"):
        setattr(dataset, f"{event}Date", date)
        setattr(dataset, f"{event}Time", time)
    if offset := utc_offset(source.headers[0]):
        dataset.TimezoneOffsetFromUTC = offset


def _name_private_scheme(dataset: Dataset) -> None:
    """Say whose codes 99WETREAD are, where the object holds one (PS3.3 C.12.1.1.7)."""
    schemes = (e.value for e in subject.elements(dataset) if e.keyword == "CodingSchemeDesignator")
    if PRIVATE_SCHEME not in schemes:
        return
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeName = "Wetread private codes"
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    dataset.CodingSchemeIdentificationSequence = [item]


def _file_meta(dataset: Dataset, provenance: Provenance) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta
