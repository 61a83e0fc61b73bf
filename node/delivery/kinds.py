"""The kinds of objects as a destination is offered them: a row each.

What it is called, which SOP classes it is of, and whether it goes by itself, in the place of
another, or when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydicom.uid import (
    UID,
    BlendingSoftcopyPresentationStateStorage,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    EncapsulatedSTLStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    SpatialRegistrationStorage,
)

from storage.kinds import ObjectKind

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage. PS3.4 B.5."""


class Role(StrEnum):
    """When an object goes."""

    ALWAYS = "always"
    """Wherever it is taken."""
    STAND_IN = "in place of another"
    ON_REQUEST = "when asked for"
    QUIET = "on the page; elsewhere when asked for"


@dataclass(frozen=True, slots=True)
class Row:
    kind: ObjectKind
    role: Role
    name: str
    sop_classes: tuple[UID, ...]
    """Those that it has, whatever it is made from."""
    others: tuple[UID, ...] = ()
    """Those that it may have: of derived images, those of their sources."""
    is_form: bool = False
    """Made when a destination may need it."""
    is_reported: bool = False
    """The report may refer to it."""

    @property
    def refers(self) -> bool:
        """Whether it may refer to what the node has made; else to images from outside alone."""
        return self.kind not in _OF_IMAGES


_OF_IMAGES = (
    ObjectKind.IMAGE,
    ObjectKind.SEGMENTATION,
    ObjectKind.PROBABILITY,
    ObjectKind.LABEL_MAP,
    ObjectKind.MAP,
    ObjectKind.STRUCTURE_SET,
    ObjectKind.MESH,
)

ROWS = (
    Row(ObjectKind.IMAGE, Role.ALWAYS, "image", (SecondaryCaptureImageStorage,), is_reported=True),
    Row(
        ObjectKind.SEGMENTATION,
        Role.ALWAYS,
        "segmentation",
        (SegmentationStorage,),
        is_reported=True,
    ),
    Row(
        ObjectKind.PROBABILITY,
        Role.ON_REQUEST,
        "probability map",
        (SegmentationStorage,),
        is_form=True,
    ),
    Row(ObjectKind.LABEL_MAP, Role.ON_REQUEST, "label map", (LABEL_MAP_STORAGE,), is_form=True),
    Row(ObjectKind.MAP, Role.ALWAYS, "parametric map", (ParametricMapStorage,), is_reported=True),
    Row(
        ObjectKind.REGISTRATION,
        Role.ALWAYS,
        "registration",
        (SpatialRegistrationStorage,),
        is_reported=True,
    ),
    Row(
        ObjectKind.PRESENTATION,
        Role.ALWAYS,
        "presentation state",
        (GrayscaleSoftcopyPresentationStateStorage, BlendingSoftcopyPresentationStateStorage),
        is_reported=True,
    ),
    Row(
        ObjectKind.WINDOW,
        Role.QUIET,
        "window preset",
        (GrayscaleSoftcopyPresentationStateStorage,),
    ),
    Row(
        ObjectKind.OUTLINES,
        Role.STAND_IN,
        "outlines",
        (GrayscaleSoftcopyPresentationStateStorage,),
        is_form=True,
    ),
    Row(
        ObjectKind.STRUCTURE_SET,
        Role.ON_REQUEST,
        "structure set",
        (RTStructureSetStorage,),
        is_form=True,
    ),
    Row(ObjectKind.MESH, Role.ON_REQUEST, "mesh", (EncapsulatedSTLStorage,), is_form=True),
    Row(
        ObjectKind.PICTURE,
        Role.STAND_IN,
        "key pictures",
        (SecondaryCaptureImageStorage,),
        is_form=True,
    ),
    Row(ObjectKind.SHEET, Role.STAND_IN, "sheet", (SecondaryCaptureImageStorage,), is_form=True),
    Row(ObjectKind.REPORT, Role.ALWAYS, "report", (Comprehensive3DSRStorage,)),
    Row(ObjectKind.RECORD, Role.QUIET, "record of a run", (Comprehensive3DSRStorage,)),
    Row(
        ObjectKind.REGIONS,
        Role.STAND_IN,
        "report that speaks of images alone",
        (Comprehensive3DSRStorage,),
        is_form=True,
    ),
    Row(
        ObjectKind.DOCUMENT,
        Role.STAND_IN,
        "PDF report",
        (EncapsulatedPDFStorage,),
        is_form=True,
    ),
    Row(ObjectKind.SUMMARY, Role.ALWAYS, "summary report", (Comprehensive3DSRStorage,)),
    Row(
        ObjectKind.KEY_OBJECTS,
        Role.ALWAYS,
        "key object selection",
        (KeyObjectSelectionDocumentStorage,),
    ),
    Row(
        ObjectKind.RETRACTION,
        Role.ALWAYS,
        "retraction",
        (KeyObjectSelectionDocumentStorage,),
    ),
)

OF_KIND = {row.kind: row for row in ROWS}

TEXTS = (
    ObjectKind.REPORT,
    ObjectKind.REGIONS,
    ObjectKind.DOCUMENT,
    ObjectKind.SHEET,
)
"""What says what a job found, the better first."""
STAND_INS = tuple(row.kind for row in ROWS if row.role is Role.STAND_IN)
