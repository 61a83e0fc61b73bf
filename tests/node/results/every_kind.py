"""Findings of every kind over small series: whoever adds a row to the table adds one here."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
from pydicom.uid import PositronEmissionTomographyImageStorage

from analyzers.contract import (
    Blending,
    Classification,
    Code,
    ColorImage,
    DerivedImage,
    Detection,
    Finding,
    Findings,
    Measurement,
    OperatingPoint,
    ParametricMap,
    Registration,
    Shades,
    Statement,
    WindowPreset,
)
from node.series.source import Source
from tests.node.results.sources import (
    ABNORMAL,
    BLUR,
    ML,
    NODULE,
    VOLUME,
    ct_source,
    lungs,
)
from tests.node.results.test_compressed import lossless

QUANTITY, UNITLESS = Code("EVIDENCE", "99WETREAD", "Evidence"), Code("1", "UCUM", "no units")
RESAMPLED = Code("113085", "DCM", "Spatial resampling")
YES = Code("373066001", "SCT", "Yes")
POINT = OperatingPoint(0.5, 0.9, 0.8, "a set")
PET = {
    "SOPClassUID": PositronEmissionTomographyImageStorage,
    "SeriesInstanceUID": "2.25.74",
    "FrameOfReferenceUID": "2.25.75",
    "Modality": "PT",
    "Units": "BQML",
    "CountsSource": "EMISSION",
    "SeriesType": ["STATIC", "IMAGE"],
    "NumberOfSlices": 9,
    "DecayCorrection": "START",
    "FrameReferenceTime": "1000",
    "DecayFactor": "1.1",
    "SeriesDate": "20260101",
    "SeriesTime": "101500",
}


def fused_source(slices: int = 9) -> Source:
    """A CT with a PET on its grid beside it, in another frame of reference."""
    ct = ct_source()
    assert ct.volume is not None
    small = replace(
        ct.volume,
        stored=ct.volume.stored[:slices],
        slope=ct.volume.slope[:slices],
        intercept=ct.volume.intercept[:slices],
    )
    ct = replace(ct, headers=ct.headers[:slices], frames=ct.frames[:slices], volume=small)
    headers = deepcopy(ct.headers)
    for number, header in enumerate(headers):
        for keyword, value in PET.items():
            setattr(header, keyword, value)
        header.SOPInstanceUID = f"2.25.7400{number}"
        header.AcquisitionTime = f"1015{number:02d}"
    pet = replace(small, modality="PT", intercept=np.zeros(slices), units=None)
    return replace(ct, companions={"pet": Source(headers, ct.frames, pet, "pydicom 3.0.2")})


def flat_source() -> Source:
    """One image without a place in space, with a map over it."""
    bare = ct_source(ImagePositionPatient=None, ImageOrientationPatient=None)
    assert bare.volume is not None
    one = replace(
        bare.volume,
        stored=bare.volume.stored[:1],
        slope=bare.volume.slope[:1],
        intercept=bare.volume.intercept[:1],
    )
    return replace(bare, headers=bare.headers[:1], frames=bare.frames[:1], volume=one)


def chart(source: Source) -> ParametricMap:
    assert source.volume is not None
    shape = source.volume.shape
    values = np.linspace(-1, 3, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return ParametricMap(values, "Evidence", QUANTITY, UNITLESS)


def in_space(source: Source) -> Findings:
    """One of each kind over ``fused_source``."""
    assert source.volume is not None
    shape = source.volume.shape
    values = np.random.default_rng(3).uniform(0, 5e4, shape).astype(np.float32)
    palette = np.stack([np.arange(256), np.arange(256), np.arange(256)[::-1]], axis=1)
    share = np.random.default_rng(5).uniform(0, 1, shape).astype(np.float32)
    labels = lungs().labels[: shape[0]]
    segmentation = replace(lungs(), labels=labels, probabilities={"left_lung": share})
    measured = Measurement(VOLUME, 1.5, ML)
    nodule = Detection(
        "nodule_1", NODULE, ABNORMAL, (1, 3, 4), (1, 10, 12), 0.8, measurements=(measured,)
    )
    items: tuple[Finding, ...] = (
        segmentation,
        DerivedImage(source.volume.values(), "Smoothed", BLUR),
        DerivedImage(values, "PET on the grid of the CT", RESAMPLED, "", "pet"),
        lossless(source),
        chart(source),
        ColorImage(np.full((*shape, 3), 9, np.uint8), "Coloured", QUANTITY),
        Registration("pet", np.eye(4), "PET to CT"),
        Blending(
            "pet", palette.astype(np.uint8), 0.4, Shades(-160, 240), Shades(0, 5e4), "PET over CT"
        ),
        WindowPreset("lung", Shades(-1350, 150)),
        WindowPreset("bone", Shades(-500, 1300)),
        nodule,
        measured,
        Classification(NODULE, YES, 0.75, POINT, ("a reason",)),
        Statement(NODULE, "A nodule.", "size", ("it is there",), "a rule"),
    )
    return Findings(items, ("a remark",))


def on_a_plane(source: Source) -> Findings:
    """The kinds that ``flat_source`` alone has."""
    return Findings((chart(source),))
