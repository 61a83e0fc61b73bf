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
    NotApplicable,
    Parameter,
    Parameters,
    ParametricMap,
    Segment,
    Segmentation,
    Volume,
)

if TYPE_CHECKING:
    from analyzers.grid.patient_grid import PatientGrid
    from analyzers.models.hippocampus_atlas import Side
    from analyzers.models.hippocampus_input import Resampling


PARTS = ("anterior", "posterior")
HIPPOCAMPAL_VOLUME = Code("HIPPOVOL", codes.PRIVATE_SCHEME, "Volume of one hippocampus")
UNCERTAINTY = Code("SEGENTROPY", codes.PRIVATE_SCHEME, "Uncertainty of a segmentation")
EVIDENCE = Code("SEGEVIDENCE", codes.PRIVATE_SCHEME, "Evidence for a segmentation")
NOTHING_FOUND = "No hippocampus was found on these images."
PLACELESS_MM = 2.0
"""From the origin to a corner of a crop without a place."""
LEAST_ASIDE_MM = 12.0
"""From the middle of the scanner, from which a crop lies on a side."""
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
        self.network = networks.restored(self.name, stored_model.load(self.name)).to(device)

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
        return Findings(items, _remarks(labels, answer.agreement, parameters), crop.cautions)


class HippocampusUNet(HippocampusNetwork):
    """A 3-D U-Net (10.1007/978-3-319-46723-8_49)."""

    name: ClassVar[str] = "hippocampus_unet"
    version: ClassVar[str] = "1.2.0"
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
    version: ClassVar[str] = "1.1.0"
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


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A crop as the networks see it. image: ``(z, y, x)`` at 1 mm, normalised."""

    grid: PatientGrid
    resampling: Resampling
    image: NDArray[np.float32]
    valid: NDArray[np.bool_] | None = None
    """What was measured of the crop's own voxels, patient axes; None: all."""
    cautions: tuple[str, ...] = ()
    """Why not to rely on what is found here."""

    def back(self, fields: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fields ``(n, z, y, x)`` of the networks' grid on the crop's own voxels, patient axes."""
        return np.stack([self.resampling.back(field) for field in fields])


def crop_of(volume: Volume) -> Crop:
    """What the networks are shown of a series.

    Raises
    ------
    NotApplicable
        It is no crop round a hippocampus, lies otherwise than its header says, or shows nothing.
    """
    from analyzers.grid.field import mirrored_values
    from analyzers.grid.patient_grid import measured_here, patient_grid
    from analyzers.models import hippocampus_atlas
    from analyzers.models.hippocampus_input import Resampling, normalized, require_crop

    require_crop(volume)
    grid = patient_grid(volume)
    values = np.nan_to_num(grid.view(mirrored_values(volume)))
    resampling = Resampling(values.shape, grid.spacing_mm)
    image = normalized(resampling.forward(values))
    if not image.any():
        raise NotApplicable("All pixels of the series have the same value.")
    found = hippocampus_atlas.likeness(image, hippocampus_atlas.stored())
    hippocampus_atlas.require_hippocampus(found)
    cautions = _of_side(volume, found.side)
    return Crop(grid, resampling, image, measured_here(volume, grid), cautions)


def _of_side(volume: Volume, seen: Side) -> tuple[str, ...]:
    """A caution where the side that the shape shows is not the one where the crop lies."""
    from analyzers.models.hippocampus_atlas import Side

    lies = _side_of_place(volume)
    if lies is not None and lies is not seen:
        return (
            f"The crop lies on the {lies} of the patient, but shows a {seen} hippocampus: it may be"
            " mirrored. Do not rely on the result before the side is clear.",
        )
    if lies is None and seen is Side.RIGHT:
        return (
            "The crop shows a right hippocampus or a mirrored left one; its header does not say"
            " where in the patient it lies. Do not rely on the result before the side is clear.",
        )
    return ()


def _side_of_place(volume: Volume) -> Side | None:
    """By the middle of the crop from the origin; None: near it, or no place was given.

    A corner at the origin is a place that nobody measured: it is what converters write.
    """
    from analyzers.models.hippocampus_atlas import Side

    last = np.array(volume.shape) - 1
    corners = [volume.affine @ [*(last * chosen), 1] for chosen in np.ndindex(2, 2, 2)]
    if min(float(np.abs(corner[:3]).max()) for corner in corners) <= PLACELESS_MM:
        return None
    x = float(np.mean(corners, 0)[0])
    if abs(x) < LEAST_ASIDE_MM:
        return None
    return Side.LEFT if x > 0 else Side.RIGHT


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
