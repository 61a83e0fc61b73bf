"""Radiomics features against the consensus values of the IBSI digital phantom."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.classification.radiomics import grid
from analyzers.classification.radiomics.cooccurrence import cooccurrence_features
from analyzers.classification.radiomics.intensity import (
    histogram,
    peaks,
    statistics,
    volume_histogram,
)
from analyzers.classification.radiomics.neighbourhood import tone_features
from analyzers.classification.radiomics.shape import autocorrelation, shape_features
from analyzers.classification.radiomics.sizes import (
    dependence_features,
    distance_features,
    run_features,
    zone_features,
)

SPACING = np.array([2.0, 2.0, 2.0])

SIZES = {
    "short": "s{s}e",
    "long": "l{s}e",
    "low": "lg{e}e",
    "high": "hg{e}e",
    "short_low": "s{s}lge",
    "short_high": "s{s}hge",
    "long_low": "l{s}lge",
    "long_high": "l{s}hge",
    "level_nonuniformity": "glnu",
    "level_nonuniformity_norm": "glnu_norm",
    "size_nonuniformity": "{n}nu",
    "size_nonuniformity_norm": "{n}nu_norm",
    "share": "{p}_perc",
    "level_variance": "gl_var",
    "size_variance": "{n}_var",
    "entropy": "{n}_entr",
}
"""Our names → the tags of the reference file, for runs, zones and distance zones."""


def _tags(kind: str) -> dict[str, str]:
    letters = {
        "rlm": {"s": "r", "e": "r", "n": "rl", "p": "r"},
        "szm": {"s": "z", "e": "z", "n": "zs", "p": "z"},
        "dzm": {"s": "d", "e": "z", "n": "zd", "p": "z"},
    }[kind]
    return {name: tag.format(**letters) for name, tag in SIZES.items()}


DEPENDENCE = {
    "short": "lde",
    "long": "hde",
    "low": "lgce",
    "high": "hgce",
    "short_low": "ldlge",
    "short_high": "ldhge",
    "long_low": "hdlge",
    "long_high": "hdhge",
    "level_nonuniformity": "glnu",
    "level_nonuniformity_norm": "glnu_norm",
    "size_nonuniformity": "dcnu",
    "size_nonuniformity_norm": "dcnu_norm",
    "share": "dc_perc",
    "level_variance": "gl_var",
    "size_variance": "dc_var",
    "entropy": "dc_entr",
    "energy": "dc_energy",
}


@pytest.fixture(scope="module")
def phantom(test_data: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_], Path]:
    nibabel = pytest.importorskip("nibabel")
    folder = test_data / "studies" / "radiomics_ibsi1_digital"
    image = np.asarray(nibabel.load(folder / "phantom.nii.gz").dataobj).T.astype(np.int64)
    mask = np.asarray(nibabel.load(folder / "mask.nii.gz").dataobj).T > 0
    return image, mask, folder


def _ours(image: NDArray[np.int64], mask: NDArray[np.bool_]) -> dict[str, float]:
    levels = np.where(mask, image, 0)
    found: dict[str, float] = {}
    plain = {
        "morph": shape_features(mask, image, SPACING) | autocorrelation(mask, image, SPACING),
        "stat": statistics(image, mask),
        "ih": histogram(levels),
        "ivh": volume_histogram(levels),
        "loc_peak": {name[:4].rstrip("a"): v for name, v in peaks(image, mask, SPACING).items()},
    }
    for kind, features in plain.items():
        found |= {f"{kind}_{name}": value for name, value in features.items()}
    same = {name: name for name in ("coarseness", "contrast", "busyness", "complexity", "strength")}
    grouped: list[tuple[str, Mapping[str, grid.Features], dict[str, str] | None]] = [
        ("cm", cooccurrence_features(levels), None),
        ("rlm", run_features(levels), _tags("rlm")),
        ("szm", zone_features(levels), _tags("szm")),
        ("dzm", distance_features(levels), _tags("dzm")),
        ("ngl", dependence_features(levels), DEPENDENCE),
        ("ngt", tone_features(levels), same),
    ]
    for kind, ways, tags in grouped:
        for way, features in ways.items():
            for name, value in features.items():
                found[f"{kind}_{tags[name] if tags else name}_{way}"] = value
    return found


def _agrees(value: float, row: dict[str, str]) -> bool:
    """Within the tolerance, after the rounding to three significant digits that IBSI prints."""
    reference = float(row["reference value"])
    if abs(value - reference) <= float(row["tolerance"]) + 1e-9:
        return True
    return abs(float(f"{value:.3g}") - reference) <= float(row["tolerance"]) + 1e-9


def test_every_feature_with_a_consensus_value_is_within_its_tolerance(
    phantom: tuple[NDArray[np.int64], NDArray[np.bool_], Path],
) -> None:
    image, mask, folder = phantom
    ours = _ours(image, mask)
    with (folder / "ibsi_1_dig_phantom.csv").open(encoding="utf-8-sig") as file:
        rows = [row for row in csv.DictReader(file, delimiter=";") if row["reference value"]]
    missing = [row["tag"] for row in rows if row["tag"] not in ours]
    wrong = [
        (row["tag"], ours[row["tag"]], row["reference value"])
        for row in rows
        if row["tag"] in ours and not _agrees(ours[row["tag"]], row)
    ]
    assert (missing, wrong) == ([], [])
    assert len(rows) > 450
