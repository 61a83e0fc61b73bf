"""Further forms of the findings of a run, for destinations that show no SEG or no SR: a row each.

Made after the report, which does not speak of them: who gets which is decided by destination.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    EncapsulatedSTLStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.results.bench import Bench
from node.results.forms import (
    document,
    label_maps,
    meshes,
    outlines,
    pictures,
    probabilities,
    regions,
    sheet,
    structure_set,
)
from node.results.gate.required import LABEL_MAP_STORAGE
from node.results.report import sr
from node.results.series_numbers import Block
from storage.kinds import ObjectKind


def _nothing_more(path: Path, bench: Bench, number: int) -> None:
    """The gate reads back what it reads of every object, and no more."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form: the same findings give the same bytes under the same UIDs.

    build: the objects, in order; nothing where the findings have nothing of the kind.
    read_back: what the gate asks of the written file beyond what it asks of all; the third
        argument is the number of the file, from 0. Raises ``GateRefused``.
    """

    name: str
    """As the documents call it."""
    sop_class: UID
    numbers: Block
    kind: ObjectKind
    file: str
    """Beginning of the names of files."""
    build: Callable[[Bench], Iterable[Dataset]]
    read_back: Callable[[Path, Bench, int], None] = _nothing_more


PAGES: tuple[Form, ...] = (
    Form(
        "Summary sheet",
        SecondaryCaptureImageStorage,
        sheet.NUMBERS,
        ObjectKind.SHEET,
        "sheet",
        sheet.build,
        sheet.read_back,
    ),
    Form(
        "Report as a document",
        EncapsulatedPDFStorage,
        document.NUMBERS,
        ObjectKind.DOCUMENT,
        "document",
        document.build,
        document.read_back,
    ),
)
"""What the report says, on pages."""

FORMS: tuple[Form, ...] = (
    Form(
        "Probabilities of a segmentation",
        SegmentationStorage,
        probabilities.NUMBERS,
        ObjectKind.PROBABILITY,
        "probability",
        probabilities.build,
        probabilities.read_back,
    ),
    Form(
        "Segmentation as a label map",
        LABEL_MAP_STORAGE,
        label_maps.NUMBERS,
        ObjectKind.LABEL_MAP,
        "labelmap",
        label_maps.build,
        label_maps.read_back,
    ),
    Form(
        "Outlines and texts on the images",
        GrayscaleSoftcopyPresentationStateStorage,
        outlines.NUMBERS,
        ObjectKind.OUTLINES,
        "outlines",
        outlines.build,
        outlines.read_back,
    ),
    Form(
        "Outlines of structures for treatment planning",
        RTStructureSetStorage,
        structure_set.NUMBERS,
        ObjectKind.STRUCTURE_SET,
        "structures",
        structure_set.build,
        structure_set.read_back,
    ),
    Form(
        "Surfaces of structures",
        EncapsulatedSTLStorage,
        meshes.NUMBERS,
        ObjectKind.MESH,
        "mesh",
        meshes.build,
        meshes.read_back,
    ),
    Form(
        "Key pictures",
        SecondaryCaptureImageStorage,
        pictures.NUMBERS,
        ObjectKind.PICTURE,
        "picture",
        pictures.build,
        pictures.read_back,
    ),
    Form(
        "Report by regions of the images",
        Comprehensive3DSRStorage,
        sr.REGIONS_NUMBER,
        ObjectKind.REGIONS,
        "regions",
        regions.build,
        regions.read_back,
    ),
    *PAGES,
)

OF_NOTICES = PAGES
"""Those that say that there is no result, and why."""
