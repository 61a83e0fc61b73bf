"""Lung opacities on a frontal chest radiograph: where, how sure, and what the marks rest on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families
from analyzers.contract import (
    About,
    Code,
    Detection,
    Finding,
    Findings,
    InputContract,
    Limits,
    Measurement,
    Parameter,
    Parameters,
    ParametricMap,
    Volume,
)
from analyzers.models.learners import Calibration, Linear
from analyzers.radiograph import concepts
from analyzers.radiograph.opacity import (
    FITNESS_MODEL,
    INPUTS,
    LIMITS,
    calibration_of,
    framed_chest,
    in_words,
    verdict,
)

if TYPE_CHECKING:
    from analyzers.detection.opacity_detector import Marks
    from analyzers.detection.opacity_window import Window


ALTERED_STRUCTURE = Code("49755003", "SCT", "Morphologically Altered Structure")
OPACITY = Code("112001", "DCM", "Opacity")
"""CID 6102 Chest Finding or Feature."""
LEAST_MEASURED = 0.5
"""Part of a box that must be no padding."""
SCORE_SPREAD = Code(
    "SCORESPREAD", codes.PRIVATE_SCHEME, "Spread of the score over networks and mirror images"
)


@dataclass(frozen=True, slots=True)
class OpacityBoxParameters(Parameters):
    """Which boxes are reported, and what beside them."""

    threshold: Annotated[
        float,
        Parameter(
            "least score of a reported box; 0: the model's own operating point", least=0, below=1
        ),
    ] = 0.0
    evidence: Annotated[
        str, Parameter("the map that is reported", choices=("grad_cam", "none"))
    ] = "grad_cam"


class OpacityFasterRcnn:
    """Boxes round opacities, each with the chance that it is right and how far the networks, each
    on the image and its mirror image, disagree; whether there is an opacity at all; a map of what
    the surest mark rests on.

    What edges and density of the whole chest say weighs in each score.
    """

    name: ClassVar[str] = "opacity_faster_rcnn"
    version: ClassVar[str] = "3.0.1"
    title: ClassVar[str] = "Lung opacities (Faster R-CNN)"
    about: ClassVar[About] = About(
        purpose="Draws boxes round lung opacities on frontal chest radiographs.",
        gives=(
            "boxes with their chance to be right",
            "present or absent, with a calibrated probability",
            "a map of the evidence",
        ),
        card="models/weights/opacity_faster_rcnn/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/opacity_faster_rcnn/model.toml",
        FITNESS_MODEL,
    )
    inputs: ClassVar[InputContract] = INPUTS
    limits: ClassVar[Limits] = LIMITS
    parameters: ClassVar[type[OpacityBoxParameters]] = OpacityBoxParameters

    def __init__(self, device: str) -> None:
        import torch

        from analyzers.detection.opacity_detector import fitted
        from analyzers.models import stored_model

        self.device = torch.device(device)
        self.model = stored_model.load(self.name)
        arrays = self.model.arrays
        self.mean = np.asarray(arrays["mean_chest"], np.float32)
        self.whole = Linear.of(stored_model.part_of(arrays, "whole."))
        self.networks = fitted(arrays, self.device)

    def analyze(self, volume: Volume, parameters: OpacityBoxParameters) -> Findings:
        """Raises NotApplicable when it is no frontal chest radiograph."""
        import torch

        from analyzers.detection.opacity_detector import SEEN, marks, weighed
        from analyzers.detection.opacity_evidence import grad_cam
        from analyzers.detection.opacity_window import channels, window
        from analyzers.grid.field import repeated_values
        from analyzers.radiograph.opacity_features import features

        chest = framed_chest(volume, self.mean)
        shape = (volume.shape[1], volume.shape[2])
        place = window(chest.frame, shape)
        view = place.view(repeated_values(volume)[0])
        x = torch.from_numpy(channels(view)).to(self.device)
        whole = self._log_odds(features(chest.framed, SEEN))
        found = weighed(marks(self.networks, x), whole)
        threshold = parameters.threshold or self.model.number("box_point", "threshold")
        boxes = [
            box
            for box in self._detections(found, place, shape, threshold)
            if volume.valid is None or _measured_share(box, volume.valid) >= LEAST_MEASURED
        ]
        items: list[Finding] = [self._verdict(found, boxes, whole), *boxes]
        if parameters.evidence == "grad_cam":
            surest = found.boxes[0] if len(found.boxes) else np.zeros(4)
            items.append(_map(grad_cam(self.networks, x, surest), place, volume))
        return Findings(tuple(items), (self._remark(threshold),), chest.cautions)

    def _log_odds(self, row: NDArray[np.float64]) -> float:
        """That the whole image shows an opacity, from its features."""
        decided = self.whole.decide(row[None])
        return float(self._calibration("whole_calibration").log_odds(decided)[0])

    def _calibration(self, section: str) -> Calibration:
        return Calibration(
            self.model.number(section, "slope"), self.model.number(section, "offset")
        )

    def _verdict(self, found: Marks, boxes: list[Detection], whole: float) -> Finding:
        from analyzers.detection.opacity_detector import WHOLE, log_odds

        best = log_odds(np.array([found.score.max(initial=0.0)]))
        probability = float(calibration_of(self.model).probability(best)[0])
        reasons = [f"{box.key.replace('_', ' ')}: score {box.score:.2f}" for box in boxes[:2]]
        added = in_words({"edges and density of the whole chest": WHOLE * whole})
        return verdict(self.model, probability, (*reasons, *added))

    def _detections(
        self, found: Marks, place: Window, shape: tuple[int, int], threshold: float
    ) -> list[Detection]:
        from analyzers.detection.opacity_detector import log_odds

        calibration = self._calibration("box_calibration")
        chance = calibration.probability(log_odds(found.score))
        evaluated = np.array([self.model.number("box_point", "threshold")])
        point = float(calibration.probability(log_odds(evaluated))[0])
        boxes: list[Detection] = []
        for index in np.flatnonzero(found.score >= threshold):
            box, number = found.boxes[index], len(boxes) + 1
            first, last = _corners(place.outward(box), shape)
            sure, spread = float(chance[index]), float(found.spread[index])
            box_found = _detection(number, box, sure, spread, first, last)
            boxes.append(replace(box_found, threshold=point))
        return boxes

    def _remark(self, threshold: float) -> str:
        own = self.model.number("box_point", "threshold")
        start = f"Boxes are reported from a score of {threshold:.2f} on"
        if threshold != own:
            return f"{start}, which is not the operating point that was evaluated ({own:.2f})."
        share = self.model.number("box_point", "sensitivity")
        false = self.model.number("box_point", "false_per_image")
        where = self.model.operating_point().evaluated_on
        return (
            f"{start}: {share:.0%} of the boxes were found with {false:.2f} false marks per image "
            f"on {where}."
        )


def _measured_share(box: Detection, valid: NDArray[np.bool_]) -> float:
    """The part of a box that is no padding."""
    corners = zip(box.first, box.last, strict=True)
    return float(valid[tuple(slice(first, last + 1) for first, last in corners)].mean())


def _detection(
    number: int,
    box: NDArray[np.float64],
    score: float,
    spread: float,
    first: tuple[int, int],
    last: tuple[int, int],
) -> Detection:
    """box: in pixels of the view, which tells the side; first, last: corners (row, column)."""
    from analyzers.detection.opacity_window import SIDE
    from analyzers.radiograph.opacity_features import zone_of

    zone = zone_of(*(float(box[[axis, axis + 2]].mean() / SIDE) for axis in (1, 0)))
    side = {"left": codes.LEFT, "right": codes.RIGHT}.get(zone.split()[0])
    return Detection(
        key=f"opacity_{number}",
        kind=OPACITY,
        category=ALTERED_STRUCTURE,
        first=(0, *first),
        last=(0, *last),
        score=score,
        laterality=side,
        site=codes.LUNG,
        measurements=(Measurement(SCORE_SPREAD, spread, codes.NO_UNIT),),
    )


def _corners(
    box: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last pixel (row, column) of a box in pixel edges, on the radiograph."""
    left, top, right, bottom = box
    edges = np.array([[top, left], [bottom - 1, right - 1]])
    low, high = np.clip(np.rint(edges), 0, np.array(shape) - 1).astype(int).tolist()
    return (low[0], low[1]), (max(high[0], low[0]), max(high[1], low[1]))


def _map(chart: NDArray[np.float32], place: Window, volume: Volume) -> ParametricMap:
    """The chart of the view back on the radiograph; 0 over padding."""
    laid = place.laid_back(chart, (volume.shape[1], volume.shape[2]))[None]
    if volume.valid is not None:
        laid = np.where(volume.valid, laid, 0)
    return ParametricMap(
        values=np.ascontiguousarray(laid, np.float32),
        title="Grad-CAM: what the surest opacity rests on",
        quantity=concepts.OPACITY_EVIDENCE,
        unit=codes.NO_UNIT,
    )
