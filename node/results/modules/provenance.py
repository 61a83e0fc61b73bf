"""Who made an object, from what, when, and for whom: the same values in every object.

Owns the algorithm identification (IHE AIR) and file meta; puts together what its neighbours own.
"""

from __future__ import annotations

import highdicom as hd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from analyzers.contract import Code
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.results.modules import equipment, request, subject, times
from node.results.modules.equipment import MANUFACTURER as MANUFACTURER
from node.results.modules.equipment import serial_number as serial_number
from node.results.modules.source import Provenance
from node.results.modules.texts import concept as concept
from node.results.modules.texts import text as text
from node.results.modules.times import local_time as local_time
from node.series.source import Source

ALGORITHM_FAMILY = Code("123110", "DCM", "Artificial Intelligence")
PRIVATE_SCHEME = "99WETREAD"


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
        uid=equipment.device_uid(provenance),
        name=provenance.analyzer_title,
        manufacturer_name=MANUFACTURER,
        model_name=provenance.analyzer,
        serial_number=serial_number(provenance),
    )


def parameter_texts(provenance: Provenance) -> list[str]:
    """One ``name=value`` a parameter, sorted."""
    return [f"{name}={value}" for name, value in sorted(provenance.parameters.items())]


def series_title(provenance: Provenance, what: str = "") -> str:
    """A Series Description (VR LO): "OUTCOME: analyzer, what it shows"; its end is cut first."""
    title = provenance.analyzer_title
    if what.casefold() not in title.casefold():
        title = f"{title}, {what}"
    return text(f"{provenance.outcome}: {title}" if provenance.outcome else title)


def stamp(
    dataset: Dataset, source: Source, provenance: Provenance, image: Dataset | None = None
) -> None:
    """Write equipment, request, dates, subject, character set and file meta into a finished object.

    image: see ``equipment.stamp``.
    """
    equipment.stamp(dataset, source, provenance, image)
    request.stamp(dataset, source.headers[0])
    times.stamp(dataset, source, provenance)
    _name_private_scheme(dataset)
    subject.stamp(dataset, source.headers[0], provenance.maker.language)
    dataset.file_meta = _file_meta(dataset, provenance)


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
