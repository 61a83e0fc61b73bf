"""The parts of the hippocampus on small MR crops as instances, by a trained Mask R-CNN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import families, structures
from analyzers.contract import (
    About,
    Code,
    Detection,
    Findings,
    InputContract,
    Limits,
    Parameter,
    Parameters,
    Volume,
)
from analyzers.segmentation.hippocampus import (
    NOTHING_FOUND,
    PARTS,
    HippocampusNetwork,
    agreement_of,
    parts_found,
)

if TYPE_CHECKING:
    from analyzers.models.slice_instances import Marked

PREFERRED = (
    "For volumes hippocampus_fpn and hippocampus_unet are to be preferred: they scatter less."
)


@dataclass(frozen=True, slots=True)
class InstanceParameters(Parameters):
    """When the report warns."""

    least_score: Annotated[
        float, Parameter("score of a part below which the report warns", least=0, most=1)
    ] = 0.7


class HippocampusMaskRcnn:
    """A Mask R-CNN (10.1109/ICCV.2017.322) over the sagittal slices, at 1 mm.

    Each part is an instance with its box, score and mask; the masks stacked are the segments.
    """

    name: ClassVar[str] = "hippocampus_mask_rcnn"
    version: ClassVar[str] = "1.3.0"
    title: ClassVar[str] = "Hippocampus (Mask R-CNN)"
    about: ClassVar[About] = About(
        purpose="Marks anterior and posterior part of the hippocampus on MR crops round it, as "
        "instances.",
        gives=(
            "boxes with score",
            "segments with their volumes",
        ),
        card="models/weights/hippocampus_mask_rcnn/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/hippocampus_mask_rcnn/model.toml",
        "models/weights/hippocampus_atlas/model.toml",
    )
    inputs: ClassVar[InputContract] = HippocampusNetwork.inputs
    limits: ClassVar[Limits] = HippocampusNetwork.limits
    parameters: ClassVar[type[InstanceParameters]] = InstanceParameters

    def __init__(self, device: str) -> None:
        """device: where the network runs.

        Raises
        ------
        BrokenModel
            The stored weights are missing or damaged.
        """
        from analyzers.models import hippocampus_networks as networks
        from analyzers.models import stored_model

        self.device = device
        model = stored_model.load(self.name)
        self.network = networks.restored(self.name, model)
        self.agreement = agreement_of(model)

    def analyze(self, volume: Volume, parameters: InstanceParameters) -> Findings:
        """Two segments with their volumes, the volume of both, a box with a score for each part.

        Raises
        ------
        NotApplicable
            The images are no crop round a hippocampus, or show nothing.
        """
        from analyzers.grid.patient_grid import clear_padding
        from analyzers.models import hippocampus_networks as networks
        from analyzers.models.hippocampus_crop import crop_of
        from analyzers.models.slice_instances import labelled, marked

        self.inputs.require_age(volume)
        crop = crop_of(volume)
        answer = marked(self.network, crop.image, networks.CLASSES, self.device)
        labels = labelled(crop.back(answer.fields))
        clear_padding(volume, crop.grid, labels)
        stored = crop.grid.restore(labels)
        boxes = [
            _box(part, stored == number, _score(answer, number), parameters.least_score)
            for number, part in enumerate(PARTS, 1)
            if (labels == number).any()
        ]
        return Findings(
            (*parts_found(crop, labels, volume.voxel_ml), *boxes),
            (*_remarks(boxes, parameters), self.agreement, PREFERRED),
            crop.cautions,
        )


def _score(answer: Marked, number: int) -> float:
    """Mean score of a part's marks, each weighted by what it marks."""
    own = [mark for mark in answer.marks if mark.part == number]
    weight = np.array([mark.mask.sum() for mark in own])
    return float((weight * [mark.score for mark in own]).sum() / max(float(weight.sum()), 1e-9))


def _box(part: str, mask: NDArray[np.bool_], score: float, threshold: float) -> Detection:
    places = np.argwhere(mask)
    first, last = places.min(0).tolist(), places.max(0).tolist()
    found = structures.of(f"{part}_hippocampus")
    return Detection(
        key=f"{found.key}_box",
        kind=found.kind,
        category=found.category,
        first=(first[0], first[1], first[2]),
        last=(last[0], last[1], last[2]),
        score=score,
        threshold=threshold,
        site=found.site,
    )


def _remarks(boxes: list[Detection], parameters: InstanceParameters) -> tuple[str, ...]:
    if not boxes:
        return (NOTHING_FOUND,)
    said = []
    if len(boxes) < len(PARTS):
        found = boxes[0].key.split("_")[0]
        said.append(f"Only the {found} part was found.")
    said += [
        f"{box.key.split('_')[0].capitalize()} part: score {box.score:.2f}, check the result."
        for box in boxes
        if box.score is not None and box.score < parameters.least_score
    ]
    return tuple(said)
