"""What kinds of objects results are, and which is delivered before which."""

from __future__ import annotations

from enum import StrEnum


class ObjectKind(StrEnum):
    """In the order of delivery: what others refer to goes first, the reports of all last."""

    IMAGE = "image"
    SEGMENTATION = "seg"
    """BINARY: one bit a voxel and structure."""
    PROBABILITY = "probability"
    """FRACTIONAL segmentation: how probable a structure is at each voxel."""
    LABEL_MAP = "labelmap"
    """Label map segmentation: one number a voxel, for structures without end."""
    MAP = "map"
    REGISTRATION = "reg"
    PRESENTATION = "pr"
    WINDOW = "window"
    """Presentation states that only preset a window."""
    OUTLINES = "outlines"
    """Presentation states: outlines and texts on the images themselves."""
    STRUCTURE_SET = "rtstruct"
    """RT Structure Set: the outlines of structures, for those who plan treatments."""
    MESH = "mesh"
    """Encapsulated STL."""
    PICTURE = "picture"
    """Secondary captures of the slices that matter, for those who show nothing else."""
    SHEET = "sheet"
    """One secondary capture with what the report says."""
    REPORT = "sr"
    RECORD = "record"
    """The report of a run that only made images, or ways of showing them: it says what was made,
    and nothing of the patient."""
    REGIONS = "sr-regions"
    """The report for readers that know no segments: it refers to the images alone."""
    DOCUMENT = "pdf"
    """The report as an encapsulated PDF."""
    SUMMARY = "summary"
    """The one report of a study and rule, above those of the analyzers."""
    KEY_OBJECTS = "ko"
    RETRACTION = "retraction"
    """A key object note that takes back what a later result has taken the place of (IHE IOCM)."""

    @property
    def rank(self) -> int:
        """The place in the order of delivery; 0 goes first."""
        return tuple(ObjectKind).index(self)

    @property
    def is_report(self) -> bool:
        """Whether it is the root of all that its run made: one a run."""
        return self in REPORTS

    @property
    def is_quiet(self) -> bool:
        """Whether it is shown on the page, and goes to a destination only if that asks for it."""
        return self in (ObjectKind.WINDOW, ObjectKind.RECORD)


REPORTS = (ObjectKind.REPORT, ObjectKind.RECORD)
