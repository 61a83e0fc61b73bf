"""The kinds of findings: one row each, in the order in which their objects are made.

A row says all that there is to a kind: what it is built into and by whom, what the gate reads back,
the picture, the line for people, how the report speaks of it, its place in the order of delivery
and among the numbers of series. A new kind is a type of the contract, a builder and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    BlendingSoftcopyPresentationStateStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    SpatialRegistrationStorage,
)

from analyzers.contract import (
    Blending,
    Classification,
    ColorImage,
    CompressedImage,
    DerivedImage,
    Detection,
    Measurement,
    ParametricMap,
    Registration,
    Segment,
    Segmentation,
    Statement,
    WindowPreset,
)
from node.results import makers
from node.results.bench import Bench, Piece
from node.results.gate.written import Written
from node.results.modules import origin
from node.results.modules.acquisition import KEPT
from node.results.objects import color, parametric
from node.results.report import lines
from node.results.series_numbers import Block
from node.results.words import sentences
from node.series.source import Source
from storage.kinds import ObjectKind
from storage.records import FindingRow

F = TypeVar("F")


class Mention(Enum):
    """How the report speaks of an object, beside listing it as evidence."""

    STRUCTURES = auto()
    """Each of its structures has a group of its own."""
    IMAGES = auto()
    """By its title among the images made, with a reference to its series."""
    STATE = auto()
    """By its title among the presentation states made."""
    NONE = auto()


def _nothing_more(written: Written, piece: Piece[Any], number: int) -> None:
    """The gate reads back what it reads of every object, and no more."""


@dataclass(frozen=True, slots=True)
class Objects(Generic[F]):
    """What a kind of finding is built into.

    build: the objects, in order; nothing where there is nothing to encode.
    read_back: what the gate asks of the written file beyond what it asks of all; the third
        argument is the number of the file, from 0. Raises ``GateRefused``.
    """

    kind: ObjectKind
    sop_classes: tuple[UID, ...]
    file: str
    """Beginning of the names of files."""
    numbers: Block
    mention: Mention
    build: Callable[[Piece[F]], Iterable[Dataset]]
    read_back: Callable[[Written, Piece[F], int], None] = _nothing_more
    picture: Callable[[Piece[F], Path], None] | None = None
    is_series: bool = False
    """Whether each makes one file for every image of the source."""

    def file_name(self, piece: Piece[F], number: int) -> str:
        each = f"-{number:05d}" if self.is_series else ""
        return f"{self.file}-{piece.place.index}{each}.dcm"


def _everywhere(source: Source) -> bool:
    return True


def _as_it_is(bench: Bench, item: F) -> F:
    return item


@dataclass(frozen=True, slots=True)
class Kind(Generic[F]):
    """One kind of finding.

    lines: for people; the structures of a segmentation that have a voxel, and the language.
    objects: None where the finding stands in the report alone.
    together: one picture of all findings of the kind.
    fits: for which source this row holds; the first that fits does.
    made_as: what the finding becomes before it is built.
    """

    finding: type[F]
    name: str
    lines: Callable[[F, Sequence[Segment], str], Iterable[FindingRow]]
    objects: Objects[Any] | None = None
    together: tuple[str, Callable[[Bench, Sequence[F], Path], None]] | None = None
    fits: Callable[[Source], bool] = _everywhere
    made_as: Callable[[Bench, F], Any] = _as_it_is


# --- the table ------------------------------------------------------------------------------------


def _line(of: Callable[[F, str], Iterable[FindingRow]]) -> Callable[..., Iterable[FindingRow]]:
    return lambda item, present, language: of(item, language)


def _lies_in_space(source: Source) -> bool:
    return source.volume is None or parametric.can_be_placed(source)


def _overlaid(bench: Bench, item: ParametricMap) -> ColorImage:
    return color.overlay(origin.volume_of(bench.source), item, bench.provenance.maker.language)


_SINGLE_FRAME = tuple(UID(one) for one in KEPT)

KINDS: tuple[Kind[Any], ...] = (
    Kind(
        Segmentation,
        "Segmentation",
        lines.of_segmentation,
        Objects(
            ObjectKind.SEGMENTATION,
            (SegmentationStorage,),
            "seg",
            Block(10, 18),
            Mention.STRUCTURES,
            makers.segmentation_object,
            makers.read_segmentation,
            makers.segmentation_picture,
        ),
    ),
    Kind(
        DerivedImage,
        "Derived image",
        _line(lines.of_images),
        Objects(
            ObjectKind.IMAGE,
            _SINGLE_FRAME,
            "image",
            Block(50, 10),
            Mention.IMAGES,
            makers.derived_images,
            picture=makers.derived_picture,
            is_series=True,
        ),
    ),
    Kind(
        CompressedImage,
        "Compressed image",
        _line(lines.of_images),
        Objects(
            ObjectKind.IMAGE,
            _SINGLE_FRAME,
            "compressed",
            Block(60, 10),
            Mention.IMAGES,
            makers.compressed_images,
            makers.read_compressed,
            is_series=True,
        ),
    ),
    Kind(
        ParametricMap,
        "Parametric map",
        _line(lines.of_map),
        Objects(
            ObjectKind.MAP,
            (ParametricMapStorage,),
            "map",
            Block(30, 20),
            Mention.IMAGES,
            makers.parametric_map,
            picture=makers.map_picture,
        ),
        fits=_lies_in_space,
    ),
    Kind(
        ParametricMap,
        "Parametric map over images without a place in space",
        _line(lines.of_map),
        Objects(
            ObjectKind.IMAGE,
            (SecondaryCaptureImageStorage,),
            "overlay",
            Block(80, 10),
            Mention.IMAGES,
            makers.overlay_images,
            picture=makers.map_picture,
            is_series=True,
        ),
        made_as=_overlaid,
    ),
    Kind(
        ColorImage,
        "Colour image",
        _line(lines.of_images),
        Objects(
            ObjectKind.IMAGE,
            (SecondaryCaptureImageStorage,),
            "color",
            Block(70, 10),
            Mention.IMAGES,
            makers.color_images,
            picture=makers.color_picture,
            is_series=True,
        ),
    ),
    Kind(
        Registration,
        "Registration",
        _line(lines.titled(sentences.ROW_REGISTRATION)),
        Objects(
            ObjectKind.REGISTRATION,
            (SpatialRegistrationStorage,),
            "registration",
            Block(90, 5),
            Mention.NONE,
            makers.registration_object,
            makers.read_registration,
        ),
    ),
    Kind(
        Blending,
        "Blending",
        _line(lines.titled(sentences.ROW_STATE)),
        Objects(
            ObjectKind.PRESENTATION,
            (BlendingSoftcopyPresentationStateStorage,),
            "blending",
            Block(95, 3),
            Mention.STATE,
            makers.blending_state,
        ),
    ),
    Kind(
        WindowPreset,
        "Window preset",
        _line(lines.titled(sentences.ROW_STATE)),
        Objects(
            ObjectKind.WINDOW,
            (GrayscaleSoftcopyPresentationStateStorage,),
            "window",
            Block(98, is_one_series=True),
            Mention.STATE,
            makers.window_state,
        ),
    ),
    Kind(
        Detection,
        "Detection",
        _line(lines.of_detection),
        together=("detections.png", makers.detections_picture),
    ),
    Kind(Measurement, "Measurement", _line(lines.of_measurement)),
    Kind(Classification, "Classification", _line(lines.of_classification)),
    Kind(Statement, "Statement", _line(lines.of_statement)),
)


def kind_of(finding: object, source: Source) -> Kind[Any]:
    """The row of a finding. Raises ``LookupError`` where the contract knows more than the table."""
    for kind in KINDS:
        if isinstance(finding, kind.finding) and kind.fits(source):
            return kind
    raise LookupError(f"no kind of finding is {type(finding).__name__}")


def only_make(findings: Sequence[object], source: Source) -> bool:
    """Whether they say nothing of the patient: of a filter, of a way of showing the images."""
    made = [kind_of(item, source).objects for item in findings]
    return bool(made) and all(one and one.mention is not Mention.STRUCTURES for one in made)
