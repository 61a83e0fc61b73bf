"""The errors of this room. All are permanent: the same findings would end the same way."""

from __future__ import annotations

from node.errors import NodeError
from storage.records import JobResults


class ResultError(NodeError):
    """Base of the errors raised while results are made."""


class EmptySegmentation(ResultError):
    """No structure of the segmentation has a voxel: there is nothing to encode."""


class FindingsContradictImages(ResultError):
    """The analyzer broke the contract: wrong grid or type, labels that no segment describes."""


class DerivedUnsupported(ResultError):
    """Derived images cannot be made from images of this kind; the message says which."""


class TooDetailed(ResultError):
    """A form of the findings would be larger than those who read it bear; the message says so."""


class GateRefused(ResultError):
    """The output gate lets an object not pass. ``reasons`` name the conditions that it breaks."""

    def __init__(self, kind: str, reasons: tuple[str, ...]) -> None:
        super().__init__(f"{kind} refused: {'; '.join(reasons)}")
        self.kind = kind
        self.reasons = reasons
        self.results: JobResults | None = None
        """All that the run made, where it made all: a person may release them."""
        self.further: tuple[GateRefused, ...] = ()
        """What else of the same run was refused."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """All that was broken in the run, each with the kind of its object."""
        return tuple(
            f"{one.kind}: {reason}" for one in (self, *self.further) for reason in one.reasons
        )
