"""The hippocampus on small MR crops, anterior and posterior part, by trained networks.

They were trained on crops of about 36×50×35 mm round one hippocampus, and read only such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families, structures
from analyzers.contract import (
    About,
    Code,
    Finding,
    Findings,
    InputContract,
    Limits,
    Measurement,
    Parameter,
    Parameters,
    ParametricMap,
    Segment,
    Segmentation,
    Volume,
)

if TYPE_CHECKING:
    from analyzers.models.hippocampus_crop import Crop
    from analyzers.models.stored_model import StoredModel


PARTS = ("anterior", "posterior")
HIPPOCAMPAL_VOLUME = Code("HIPPOVOL", codes.PRIVATE_SCHEME, "Volume of one hippocampus")
UNCERTAINTY = Code("SEGENTROPY", codes.PRIVATE_SCHEME, "Uncertainty of a segmentation")
EVIDENCE = Code("SEGEVIDENCE", codes.PRIVATE_SCHEME, "Evidence for a segmentation")
NOTHING_FOUND = "No hippocampus was found on these images."
MAPS = ("uncertainty", "grad_cam", "none")


@dataclass(frozen=True, slots=True)
class HippocampusParameters(Parameters):
    """When the report warns, and what it shows."""

    least_agreement: Annotated[
        float,
        Parameter("overlap of the variants below which the report warns", least=0, most=1),
    ] = 0.85
    evidence: Annotated[str, Parameter("the map that is reported", choices=MAPS)] = "uncertainty"


class HippocampusNetwork:
    """A stored network at 1 mm, with test-time augmentation."""

    name: ClassVar[str]
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"MR"}),
        min_slices=10,
        max_spacing_mm=2.0,
        derived=True,
        youngest_years=18,
    )
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=4096)
    parameters: ClassVar[type[HippocampusParameters]] = HippocampusParameters

    def __init__(self, device: str) -> None:
        """device: where the network runs.

        Raises
        ------
        BrokenModel
            The stored weights are missing or damaged.
        """
        from analyzers.models import hippocampus_networks as networks
        from analyzers.models import stored_model

        self.run = networks.run_on(device)
        model = stored_model.load(self.name)
        self.network = networks.restored(self.name, model).to(device)
        self.agreement = agreement_of(model)

    def analyze(self, volume: Volume, parameters: HippocampusParameters) -> Findings:
        """Two segments with their volumes, the volume of both, a map.

        Raises
        ------
        NotApplicable
            The images are no crop round a hippocampus, or show nothing.
        """
        from analyzers.grid.patient_grid import clear_padding
        from analyzers.models import hippocampus_networks as networks
        from analyzers.models.engine import averaged
        from analyzers.models.evidence import entropy, grad_cam
        from analyzers.models.hippocampus_crop import crop_of

        self.inputs.require_age(volume)
        crop = crop_of(volume)
        answer = averaged(self.network, crop.image, self.run)
        shares = networks.calibrated(self.name, answer.shares)
        labels = networks.labelled(crop.back(shares))
        clear_padding(volume, crop.grid, labels)
        items: tuple[Finding, ...] = parts_found(crop, labels, volume.voxel_ml)
        if parameters.evidence == "uncertainty":
            items += (_map(crop, entropy(answer.shares), "Uncertainty", UNCERTAINTY),)
        elif parameters.evidence == "grad_cam":
            chart = grad_cam(self.network, crop.image, self.run.multiple, self.run.device)
            items += (_map(crop, chart, "Grad-CAM", EVIDENCE),)
        remarks = _remarks(labels, answer.agreement, parameters)
        return Findings(items, (*remarks, self.agreement), crop.cautions)


class HippocampusUNet(HippocampusNetwork):
    """A 3-D U-Net (10.1007/978-3-319-46723-8_49)."""

    name: ClassVar[str] = "hippocampus_unet"
    version: ClassVar[str] = "1.4.0"
    title: ClassVar[str] = "Hippocampus (3-D U-Net)"
    about: ClassVar[About] = About(
        purpose="Marks anterior and posterior part of the hippocampus on MR crops round it, by "
        "a 3-D U-Net.",
        gives=(
            "two segments with their volumes",
            "the volume of both",
            "a map of uncertainty or evidence",
        ),
        card="models/weights/hippocampus_unet/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/hippocampus_unet/model.toml",
        "models/weights/hippocampus_atlas/model.toml",
    )


class HippocampusFPN(HippocampusNetwork):
    """A 3-D feature pyramid network (10.1109/CVPR.2017.106, 10.1109/CVPR.2019.00656)."""

    name: ClassVar[str] = "hippocampus_fpn"
    version: ClassVar[str] = "1.3.0"
    title: ClassVar[str] = "Hippocampus (feature pyramid network)"
    about: ClassVar[About] = About(
        purpose="Marks anterior and posterior part of the hippocampus on MR crops round it, by "
        "a feature pyramid network.",
        gives=(
            "two segments with their volumes",
            "the volume of both",
            "a map of uncertainty or evidence",
        ),
        card="models/weights/hippocampus_fpn/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/hippocampus_fpn/model.toml",
        "models/weights/hippocampus_atlas/model.toml",
    )


def parts_found(
    crop: Crop, labels: NDArray[np.uint8], voxel_ml: float
) -> tuple[Segmentation, Measurement]:
    """The parts as segments with their volumes, and the volume of both.

    labels: 0, 1 (anterior), 2 (posterior), in patient axes.
    """
    from analyzers.models import hippocampus_networks as networks

    counts = np.bincount(labels.ravel(), minlength=networks.CLASSES)
    segments = tuple(
        _segment(number, part, float(counts[number]) * voxel_ml)
        for number, part in enumerate(PARTS, 1)
    )
    whole_ml = round(float(counts[1:].sum()) * voxel_ml, 3)
    return (
        Segmentation(crop.grid.restore(labels), segments, title="Hippocampus"),
        Measurement(HIPPOCAMPAL_VOLUME, whole_ml, codes.MILLILITER),
    )


def agreement_of(model: StoredModel) -> str:
    """How far volumes of a network lie from those that readers drew, for its report."""
    figures = model.facts["figures"]
    limits = figures["volume_limits_ml"]
    assert isinstance(limits, list)
    low, high = (float(one) for one in limits)
    return (
        f"Volumes of one hippocampus by this network lay between {low:+.2f} and {high:+.2f} mL of"
        f" those that readers drew (95 % limits of agreement, {figures['volume_crops']} crops that"
        " it had not seen)."
    )


def _remarks(
    labels: NDArray[np.uint8], agreement: float, parameters: HippocampusParameters
) -> tuple[str, ...]:
    if not labels.any():
        return (NOTHING_FOUND,)
    if agreement < parameters.least_agreement:
        return (
            "Repeated segmentations of altered images overlap by a Dice of only"
            f" {agreement:.2f}: check the result.",
        )
    return ()


def _map(crop: Crop, chart: NDArray[np.float32], title: str, quantity: Code) -> ParametricMap:
    own = crop.resampling.back(chart)
    if crop.valid is not None:
        own = np.where(crop.valid, own, 0)
    values = np.ascontiguousarray(crop.grid.restore(own), np.float32)
    return ParametricMap(values, f"{title}: hippocampus", quantity, codes.NO_UNIT)


def _segment(number: int, part: str, volume_ml: float) -> Segment:
    size = Measurement(codes.VOLUME, round(volume_ml, 3), codes.MILLILITER)
    return structures.of(f"{part}_hippocampus").segment(number, (size,))
