"""Studies as they are looked at: stacks of slices, what lies over them, and pictures of both.

All methods may be called from any thread. What was read is remembered, up to so many bytes, by what
tells its bytes: nothing is shown that was replaced meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from pydicom.dataset import Dataset

from node.errors import NodeError
from node.look import objects
from node.look.kept import Kept
from node.look.objects import OverObject
from node.look.over.blends import Blend
from node.look.over.port import Overlay
from node.look.presets import Shades
from node.look.stack import MOST_SLICES, Slice, Stack, stack_of
from node.retrieve.frames import NoPixels, UnreadablePixels
from node.retrieve.kept import KeptFrames
from node.retrieve.opened import OpenFrames, open_frames
from storage.database import Database, Transaction
from storage.errors import UnreadableInstance
from storage.files.archive import Archive
from storage.header import values
from storage.header.guarded import guarded_header
from storage.header.reading import read_header
from storage.holdings import Held
from storage.index import shown
from storage.index.shown import Member, OwnResult, ShownSeries

PICTURES_BYTES, OVERLAYS_BYTES, STACKS_BYTES = 64 << 20, 32 << 20, 32 << 20
_SLICE_BYTES = 700
"""About what a slice takes in memory."""
_MOST_OBJECTS = 200
_MOST_ASKED = 16
"""Images without a place whose headers are read."""
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_TRIED = 8
"""Objects that are looked at for one that lies on a series."""
_IMAGES = frozenset({"RTSTRUCT", "SR", "PR", "KO", "SEG", "REG", "DOC", "RTPLAN", "M3D"})
"""Modalities of series that are no images."""
BROKEN = (NoPixels, UnreadablePixels, UnreadableInstance, OSError)
"""What reading an instance may end with."""


class NothingToLookAt(NodeError):
    """The study has no images, or there is no such series, slice or object."""


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A study at one moment: its series of images, and what lies over images."""

    id: int
    revision: int
    series: tuple[ShownSeries, ...]
    """Those of images; first the ones from outside."""
    others: tuple[ShownSeries, ...]
    over: tuple[Member, ...]
    made: dict[str, OwnResult]

    def made_from(self, stack: Stack) -> int:
        """The row of the series that a stack of the node's own was made from; 0: of none."""
        own = self.made.get(stack.slices[0].held.sop_instance_uid)
        return own.source_series_id if own else 0

    def find(self, series_id: int) -> ShownSeries:
        """Raises NothingToLookAt."""
        found = next((one for one in self.series if one.id == series_id), None)
        if found is None:
            raise NothingToLookAt("the study has no such series of images")
        return found


@dataclass(frozen=True, slots=True)
class Facts:
    """What the index does not keep of an image. orientation: Patient Orientation. pixel_mm: between
    rows, between columns; None where nobody knows."""

    orientation: tuple[str, ...] = ()
    pixel_mm: tuple[float, float] | None = None


class Looker:
    """Over a node's database and files."""

    def __init__(self, database: Database, archive: Archive) -> None:
        self._database = database
        self._archive = archive
        self._places = KeptFrames()
        self._studies: Kept[Study] = Kept(STACKS_BYTES, _study_bytes)
        self._stacks: Kept[Stack] = Kept(STACKS_BYTES, lambda one: len(one.slices) * _SLICE_BYTES)
        self._overlays: Kept[Overlay] = Kept(OVERLAYS_BYTES, lambda one: one.size_bytes)
        self._references: Kept[frozenset[str]] = Kept(1 << 20, lambda one: 200 + 100 * len(one))
        self._facts: Kept[Facts] = Kept(1 << 20, lambda one: 300)
        self.shades: Kept[Shades] = Kept(1 << 20, lambda one: 2000)
        self.pictures: Kept[bytes] = Kept(PICTURES_BYTES, len)

    # --- what there is ----------------------------------------------------------------------------

    def study(self, study_id: int) -> Study:
        """Raises NotFound, DatabaseUnavailable."""
        with self._database.look() as tx:
            revision = shown.revision(tx, study_id)
            return self._studies.get((study_id, revision), lambda: _read(tx, study_id, revision))

    def stack(self, study: Study, series_id: int) -> Stack:
        """Raises NothingToLookAt, DatabaseUnavailable."""
        series = study.find(series_id)
        key = (study.id, study.revision, series_id)
        found = self._stacks.get(key, lambda: self._stack(series))
        if not found.slices:
            raise NothingToLookAt("the series has no images")
        return found

    def _stack(self, series: ShownSeries) -> Stack:
        with self._database.look() as tx:
            members = shown.members(tx, [series.id], MOST_SLICES)
        return stack_of(series.id, members, dict(series.header))

    # --- what lies over it ------------------------------------------------------------------------

    def over(self, study: Study, series: ShownSeries) -> list[OverObject]:
        """The objects that lie over a series, or in its space; what is shown first first."""
        spaces = {one.id: _space(one) for one in (*study.series, *study.others)}
        titles = {one.id: one.description for one in (*study.series, *study.others)}
        found = []
        for member in study.over:
            of_series, near = self._relation(study, member, series, spaces)
            form = objects.form_of(member.held.sop_class_uid)
            if form is None or not (of_series or near):
                continue
            own = study.made.get(member.held.sop_instance_uid)
            title = titles.get(member.series_id) or objects.WORDS[form]
            kind = own.kind if own else None
            job = own.job_id if own else 0
            found.append(OverObject(member.held, form, title, job, of_series, kind))
        return sorted(found, key=lambda one: one.rank)

    def _relation(
        self, study: Study, member: Member, series: ShownSeries, spaces: dict[int, str]
    ) -> tuple[bool, bool]:
        """Whether an object is about a series; else whether it lies in the same space."""
        own = study.made.get(member.held.sop_instance_uid)
        if own is not None:
            of_series = own.source_series_id == series.id
            space = spaces.get(own.source_series_id, "")
            return of_series, bool(space) and space == _space(series)
        referred = self._referred_to(member.held)
        of_series = series.series_instance_uid in referred
        uids = {one.series_instance_uid: _space(one) for one in study.series}
        near = {uids.get(uid, "") for uid in referred} - {""}
        return of_series, _space(series) in near

    def _referred_to(self, held: Held) -> frozenset[str]:
        def read() -> frozenset[str]:
            with suppress(*BROKEN):
                return objects.series_referred_to(self.header(held))
            return frozenset()

        return self._references.get(held.sha256, read)

    def overlay(self, study: Study, held: Held) -> Overlay:
        """Raises NothingToLookAt, UnreadableInstance, OSError."""
        form = objects.form_of(held.sop_class_uid)
        if form is None:
            raise NothingToLookAt("this object lies over no images")

        def read() -> Overlay:
            return objects.read(form, held, self.frames, self.header(held))

        made = self._overlays.get((held.sha256, held.id), read)
        if isinstance(made, Blend):
            made.above = self._above(study, made)
        return made

    def _above(self, study: Study, blend: Blend) -> Stack | None:
        for series in study.series:
            stack = self.stack(study, series.id)
            if stack.slices and stack.slices[0].held.sop_instance_uid in blend.images_above:
                return stack
        return None

    def first_finding(
        self, study: Study, stack: Stack, over: Sequence[OverObject]
    ) -> tuple[OverObject | None, int]:
        """What is shown first, and on which slice: what should not be there before what is only
        measured; the middle one where nothing is found."""
        read = []
        for one in [one for one in over if one.of_series][:_TRIED]:
            with suppress(*BROKEN, NothingToLookAt):
                read.append((one, self.overlay(study, one.held)))
        for one, overlay in sorted(read, key=lambda pair: not pair[1].abnormal):
            with suppress(*BROKEN):
                index = overlay.best(stack)
                if index is not None:
                    return one, index
        return None, (len(stack.slices) - 1) // 2

    # --- bytes ------------------------------------------------------------------------------------

    def frames(self, held: Held) -> AbstractContextManager[OpenFrames]:
        """Raises what ``open_frames`` raises."""
        blob = self._archive.blob(held)
        known_by = f"{held.sha256} {blob.store.size(blob.key)}"
        return open_frames(self._places, blob, known_by, held.transfer_syntax_uid)

    def header(self, held: Held) -> Dataset:
        """Raises UnreadableInstance, OSError."""
        return guarded_header(read_header(self._archive.blob(held)).dataset)

    def facts(self, one: Slice, count: int) -> Facts:
        """Of a slice. Images without a place are asked themselves, where there are ``count``, a
        few, of them."""
        if one.place is not None:
            return Facts((), one.place.spacing)
        if count > _MOST_ASKED:
            return Facts()

        def read() -> Facts:
            with suppress(*BROKEN):
                return _facts(self.header(one.held))
            return Facts()

        return self._facts.get(one.held.sha256, read)


def _facts(header: Dataset) -> Facts:
    for keyword in _SPACINGS:
        spacing = values.known(values.numbers(header, keyword))
        if spacing is not None and len(spacing) == 2 and min(spacing) > 0:
            return Facts(values.texts(header, "PatientOrientation"), (spacing[0], spacing[1]))
    return Facts(values.texts(header, "PatientOrientation"))


def _read(tx: Transaction, study_id: int, revision: int) -> Study:
    every = shown.series_shown(tx, study_id)
    made = shown.own_results(tx, study_id)
    images = [one for one in every if is_of_images(one)]
    others = [one for one in every if not is_of_images(one)]
    over = shown.members(tx, [one.id for one in others], _MOST_OBJECTS * 10)
    lying = [one for one in over if _lies_over(one, made)]
    images.sort(key=lambda one: (one.own, one.number is None, one.number or 0, one.id))
    newest = lying[-_MOST_OBJECTS:]
    return Study(study_id, revision, tuple(images), tuple(others), tuple(newest), made)


def is_of_images(series: ShownSeries) -> bool:
    """Whether it has slices of its own to be looked at."""
    is_over = objects.form_of(series.sop_class_uid) is not None
    return not is_over and series.modality not in _IMAGES and "Rows" in series.header


def _lies_over(member: Member, made: dict[str, OwnResult]) -> bool:
    if objects.form_of(member.held.sop_class_uid) is None:
        return False
    own = made.get(member.held.sop_instance_uid)
    return own is None or objects.has_a_place(own.kind)


def _space(series: ShownSeries) -> str:
    return str(series.header.get("FrameOfReferenceUID", ""))


def _study_bytes(study: Study) -> int:
    return 2000 * (len(study.series) + len(study.others) + len(study.over)) + 2000
