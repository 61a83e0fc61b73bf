"""The images of a report, by series: those it rests on, and those made with it (PS3.16 TID 1600).

What all images of a series share stands once, at their group (TID 1602, 1604); the images are bare
references, so that a series of a thousand stays small. It is the last part of a report: whoever
renders it begins with the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import highdicom as hd
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import (
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SpatialRegistrationStorage,
)

from analyzers.codes import LEFT, MILLIMETER, PRIVATE_SCHEME, RIGHT
from analyzers.contract import Code
from node.results import prepared, uids
from node.results.modules import copied, planes, provenance, sites
from node.results.modules.source import HierarchicalReference
from node.series.source import Source
from storage.header import values

LIBRARY = Code("111028", "DCM", "Image Library")
GROUP = Code("126200", "DCM", "Image Library Group")
SOURCE_IMAGE = Code("260753009", "SCT", "Source")
DERIVED_IMAGE = Code("DERIVEDIMAGE", PRIVATE_SCHEME, "Derived image")
MODALITY = Code("121139", "DCM", "Modality")
TARGET_REGION = Code("123014", "DCM", "Target Region")
IMAGE_LATERALITY = Code("111027", "DCM", "Image Laterality")
SERIES_UID = Code("112002", "DCM", "Series Instance UID")
FRAME_OF_REFERENCE_UID = Code("112227", "DCM", "Frame of Reference UID")
ROWS = Code("110910", "DCM", "Pixel Data Rows")
COLUMNS = Code("110911", "DCM", "Pixel Data Columns")
HORIZONTAL = Code("111026", "DCM", "Horizontal Pixel Spacing")
VERTICAL = Code("111066", "DCM", "Vertical Pixel Spacing")
THICKNESS = Code("112225", "DCM", "Slice Thickness")
BETWEEN = Code("112226", "DCM", "Spacing between slices")
REGISTRATION = Code("REG", "DCM", "Registration")
PRESENTATION_STATE = Code("PR", "DCM", "Presentation State")
PIXELS = Code("{pixels}", "UCUM", "Pixels")

OTHER = Code("OT", "DCM", "Other Modality")
MODALITIES: Mapping[str, Code] = {
    "CR": Code("CR", "DCM", "Computed Radiography"),
    "CT": Code("CT", "DCM", "Computed Tomography"),
    "DX": Code("DX", "DCM", "Digital Radiography"),
    "MG": Code("MG", "DCM", "Mammography"),
    "MR": Code("MR", "DCM", "Magnetic Resonance"),
    "NM": Code("NM", "DCM", "Nuclear Medicine"),
    "PT": Code("PT", "DCM", "Positron emission tomography"),
    "RF": Code("RF", "DCM", "Radiofluoroscopy"),
    "RG": Code("RG", "DCM", "Radiographic imaging"),
    "US": Code("US", "DCM", "Ultrasound"),
    "XA": Code("XA", "DCM", "X-Ray Angiography"),
}
"""PS3.16 CID 29; whatever else made images is "other"."""
_SIDES = {"L": LEFT, "R": RIGHT, "B": Code("51440002", "SCT", "Right and left")}
_MADE_BY_OTHERS = frozenset({str(ParametricMapStorage), str(SecondaryCaptureImageStorage)})
_OBJECTS = {str(SpatialRegistrationStorage): REGISTRATION}
_CONTENT = Tag("ContentSequence")
_CLASS, _INSTANCE = "ReferencedSOPClassUID", "ReferencedSOPInstanceUID"
_CONTEXT = hd.sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
_CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS


def add_images(
    document: Dataset, sources: Sequence[Source], made: Iterable[HierarchicalReference] = ()
) -> None:
    """Add the library to a finished report: a group for each series that was analyzed or used, and
    for each that was made. None where neither holds an image.

    highdicom reads it, but looks into every item of what it builds itself.
    """
    groups = [_of_source(one) for one in sources if _images(one)]
    groups += [_of_made(series, sources) for series in _by_series(made)]
    if groups:
        container = _container(LIBRARY, groups)
        prepared.keep_ready(container)
        document.ContentSequence.append(container)


def other_objects(made: Iterable[HierarchicalReference]) -> list[hd.sr.ContentItem]:
    """What was made and is no image: whoever starts at the report finds it, too."""
    return [
        hd.sr.CompositeContentItem(
            provenance.concept(_OBJECTS.get(one.sop_class_uid, PRESENTATION_STATE)),
            one.sop_class_uid,
            one.sop_instance_uid,
            _CONTAINS,
        )
        for one in made
    ]


def _of_source(source: Source) -> hd.sr.ContainerContentItem:
    uids_of = [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in _images(source)]
    return _group(_descriptors(source), SOURCE_IMAGE, uids_of)


def _of_made(
    series: Sequence[HierarchicalReference], sources: Sequence[Source]
) -> hd.sr.ContainerContentItem:
    first = series[0]
    modality = _code(MODALITY, _modality_of(first, sources))
    shared = [modality, _uid(SERIES_UID, first.series_instance_uid)]
    return _group(
        shared, DERIVED_IMAGE, [(made.sop_class_uid, made.sop_instance_uid) for made in series]
    )


def _modality_of(made: HierarchicalReference, sources: Sequence[Source]) -> Code:
    """That of the images with the same SOP class: a derived image keeps its kind."""
    if made.sop_class_uid in _MADE_BY_OTHERS:
        return OTHER
    headers = (source.headers[0] for source in sources)
    kinds = {str(header.SOPClassUID): copied.modality_of(header) for header in headers}
    return MODALITIES.get(kinds.get(made.sop_class_uid, ""), OTHER)


def _images(source: Source) -> list[Dataset]:
    """Headers of images; a series that was refused may hold others."""
    return [one for one in source.headers if values.known(values.whole(one, "Rows"))]


def _by_series(made: Iterable[HierarchicalReference]) -> list[list[HierarchicalReference]]:
    series: dict[str, list[HierarchicalReference]] = {}
    for one in made:
        series.setdefault(one.series_instance_uid, []).append(one)
    return list(series.values())


# --- what the images of a series share ------------------------------------------------------------


def _descriptors(source: Source) -> Iterator[hd.sr.ContentItem]:
    headers = _images(source)
    header = headers[0]
    yield _code(MODALITY, MODALITIES.get(copied.modality_of(header), OTHER))
    region, side = sites.region_of(header), _side(header)
    if region is not None:
        yield _code(TARGET_REGION, region)
    if side is not None:
        yield _code(IMAGE_LATERALITY, side)
    yield _uid(SERIES_UID, str(header.SeriesInstanceUID))
    if source.frames and planes.plane(source, 0) is not None:
        yield _uid(FRAME_OF_REFERENCE_UID, str(uids.frame_of_reference_uid(source)))
    for name, keyword in ((ROWS, "Rows"), (COLUMNS, "Columns")):
        sizes = {values.known(values.whole(one, keyword)) for one in headers}
        if len(sizes) == 1 and (size := sizes.pop()):
            yield _number(name, size, PIXELS)
    yield from _distances(source, header)


def _distances(source: Source, header: Dataset) -> Iterator[hd.sr.ContentItem]:
    """In mm; what is not known, or 0, is left out."""
    here = planes.plane(source, 0) if source.frames else None
    known = [values.known(values.numbers(header, one)) for one in _SPACINGS]
    spacing = here.spacing if here else next((one for one in known if one), None)
    if spacing and len(spacing) == 2 and min(spacing) > 0:
        yield _number(HORIZONTAL, spacing[1], MILLIMETER)
        yield _number(VERTICAL, spacing[0], MILLIMETER)
    if here is not None and here.thickness_mm:
        yield _number(THICKNESS, here.thickness_mm, MILLIMETER)
    if here is not None and source.volume is not None and source.volume.shape[0] > 1:
        yield _number(BETWEEN, round(planes.distance_mm(source.volume), 4), MILLIMETER)


_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing")


def _side(header: Dataset) -> Code | None:
    given = (copied.text_of(header, one) for one in ("ImageLaterality", "Laterality"))
    return next((_SIDES[one] for one in given if one in _SIDES), None)


# --- content items --------------------------------------------------------------------------------


def _container(name: Code, items: Iterable[Dataset]) -> hd.sr.ContainerContentItem:
    container = hd.sr.ContainerContentItem(
        name=provenance.concept(name), is_content_continuous=False, relationship_type=_CONTAINS
    )
    container.add(DataElement("ContentSequence", "SQ", list(items)))
    return container


def _group(
    shared: Iterable[hd.sr.ContentItem], name: Code, images: Iterable[tuple[str, str]]
) -> hd.sr.ContainerContentItem:
    """What a series shares, and its images (SOP class, SOP instance); of ASCII alone, as bytes."""
    described = list(shared)
    if not all(str(one).isascii() for one in described):
        return _container(GROUP, [*described, *(_entry(name, *one) for one in images)])
    pattern = prepared.Pattern(_entry(name, "", ""), frozenset({_CLASS, _INSTANCE}))
    entries = (
        pattern.fill({_CLASS: sop_class_uid.encode(), _INSTANCE: sop_instance_uid.encode()})
        for sop_class_uid, sop_instance_uid in images
    )
    group = _container(GROUP, ())
    group[_CONTENT] = prepared.raw_sequence(
        _CONTENT, map(prepared.item, [*map(prepared.encoded, described), *entries])
    )
    prepared.keep_ready(group)
    return group


def _entry(name: Code, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """An image without descriptors of its own (TID 1601).

    Not one of highdicom's, which know no private SOP class.
    """
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    item = Dataset()
    item.RelationshipType = _CONTAINS.value
    item.ValueType = "IMAGE"
    item.ConceptNameCodeSequence = Items([provenance.concept(name)])
    item.ReferencedSOPSequence = Items([reference])
    return item


def _code(name: Code, value: Code) -> hd.sr.CodeContentItem:
    return hd.sr.CodeContentItem(provenance.concept(name), provenance.concept(value), _CONTEXT)


def _uid(name: Code, value: str) -> hd.sr.UIDRefContentItem:
    return hd.sr.UIDRefContentItem(provenance.concept(name), value, _CONTEXT)


def _number(name: Code, value: float, unit: Code) -> hd.sr.NumContentItem:
    item = hd.sr.NumContentItem(
        provenance.concept(name), value, provenance.concept(unit), relationship_type=_CONTEXT
    )
    item.MeasuredValueSequence[0].NumericValue = planes.decimal(value)
    return item
