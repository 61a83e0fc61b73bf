"""Bone on CT, its volume and mean attenuation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analyzers import families, structures
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    NoParameters,
    NotApplicable,
    Segmentation,
    Volume,
    counting,
)
from analyzers.segmentation.measures import tallied

LEAST_EXTENT_MM = 20.0
LEAST_BONE_ML = 1.0
LEAST_METAL_ML = 0.5


class BoneSegmentation:
    """Segments bone with its marrow on CT as one structure.

    Metal is left out. Contrast agent is left out where its shape tells it from bone: a small or
    calcified vessel that touches bone, and excreted contrast agent, may still be taken for bone.
    """

    name: ClassVar[str] = "bone_segmentation"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Bone segmentation"
    about: ClassVar[About] = About(
        purpose="Marks bone on CT.",
        gives=(
            "a segment",
            "volume and mean density",
        ),
        evidence="Can mark contrast-filled vessels and bowel that touch bone.",
    )
    family: ClassVar[Code] = families.MORPHOLOGICAL_OPERATIONS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT"}), min_slices=3, max_spacing_mm=10.0
    )
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; the work is done on the CPU."""
        self.device = device

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Bone with its measurements.

        Raises
        ------
        NotApplicable
            The images show no, or next to no, bone.
        """
        from analyzers.anatomy.bone_masks import METAL_HU, bone_mask
        from analyzers.grid.hounsfield import hounsfield_planes
        from analyzers.grid.patient_grid import clear_padding, patient_grid, require_extent

        require_extent(volume, LEAST_EXTENT_MM)
        one_more = counting(3)
        grid = patient_grid(volume)
        hu = hounsfield_planes(volume, grid)
        one_more()
        bone = bone_mask(hu, grid.spacing_mm)
        one_more()
        clear_padding(volume, grid, bone)
        tally = tallied(hu, bone.view(np.uint8), (1,))[1]
        one_more()
        if tally.voxels * volume.voxel_ml < LEAST_BONE_ML:
            raise NotApplicable("The images show no bone.")
        segment = structures.of("bone").segment(1, tally.volume_and_attenuation(volume.voxel_ml))
        labels = grid.restore(bone.view(np.uint8))
        metal = sum(np.count_nonzero(hu[z] >= METAL_HU) for z in range(len(hu)))
        metal_ml = float(metal) * volume.voxel_ml
        remarks = ("Metal in the images: it is not part of the bone.",)
        return Findings(
            items=(Segmentation(labels, (segment,), title="Bone"),),
            remarks=remarks if metal_ml >= LEAST_METAL_ML else (),
        )
