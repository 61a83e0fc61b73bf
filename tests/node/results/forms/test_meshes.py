"""Surfaces of structures: closed, as large as the structure, and where it lies."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from analyzers.contract import Findings
from analyzers.grid.surface import TooManyFaces, surface
from node.results.write import write_results
from storage.kinds import ObjectKind
from tests.node.results import sources


def ball(radius: float, size: int = 40) -> NDArray[np.bool_]:
    grid = np.indices((size, size, size)) - (size - 1) / 2
    return np.asarray((grid**2).sum(axis=0) <= radius**2)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_ball_has_its_volume_and_area(mirrored: bool) -> None:
    affine = np.diag([2.0, -2.0 if mirrored else 2.0, 2.0, 1.0])
    made = surface(ball(12), affine, 100_000)
    assert made.volume == pytest.approx(4 / 3 * np.pi * 24**3, rel=0.03)
    a, b, c = np.moveaxis(made.corners, 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert area == pytest.approx(4 * np.pi * 24**2, rel=0.03)  # with steps it were 1.5 times that


def test_every_edge_has_two_triangles() -> None:
    mask = ball(9)
    mask[0:3, 5:9, 5:6] = True
    triangles = surface(mask, np.eye(4), 100_000).triangles
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert set(counts.tolist()) == {2}


def test_a_line_of_voxels_that_smoothing_would_take_away_stays() -> None:
    mask = np.zeros((30, 30, 30), np.bool_)
    mask[4, 4, 2:28] = True
    assert surface(mask, np.eye(4), 100_000).volume == pytest.approx(26)


@pytest.mark.parametrize("mirrored", [False, True])
def test_voxels_that_stand_alone_keep_their_whole_volume(mirrored: bool) -> None:
    mask = np.zeros((30, 30, 30), np.bool_)
    mask[4::6, 4::6, 4::6] = True
    affine = np.diag([2.0, -2.0 if mirrored else 2.0, 3.0, 1.0])
    made = surface(mask, affine, 100_000)
    assert made.volume == pytest.approx(np.count_nonzero(mask) * 12)
    assert len(made.triangles) == 12 * np.count_nonzero(mask)


def test_a_mask_like_noise_has_no_surface_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzers.grid.surface.MOST_FACES", 500)
    noise = np.random.default_rng(1).random((20, 20, 20)) < 0.5
    with pytest.raises(TooManyFaces, match="at most 500 are made"):
        surface(noise, np.eye(4), 1_000_000)


def test_many_triangles_become_fewer() -> None:
    mask = ball(30, 80)
    fine, coarse = surface(mask, np.eye(4), 10**6), surface(mask, np.eye(4), 5_000)
    assert len(coarse.triangles) < 8_000 < len(fine.triangles)
    assert coarse.volume == pytest.approx(fine.volume, rel=0.05)


@pytest.mark.parametrize("orientation", sources.ORIENTATIONS)
def test_each_structure_is_an_object_that_lies_where_the_structure_does(
    tmp_path: Path, orientation: str
) -> None:
    source = sources.ct_source(orientation)
    results = write_results(
        source,
        Findings((sources.lungs(),)),
        sources.PROVENANCE,
        tmp_path / "out",
        [ObjectKind.MESH],
    )
    made = [one for one in results.objects if one.kind is ObjectKind.MESH]
    assert len(made) == 2
    assert source.volume is not None
    for one, number in zip(made, (2, 5), strict=True):
        dataset = pydicom.dcmread(tmp_path / one.key)
        content = dataset.EncapsulatedDocument
        (count,) = struct.unpack("<I", content[80:84])
        facets = np.frombuffer(
            content[84 : 84 + 50 * count], np.dtype([("numbers", "<f4", (4, 3)), ("of", "<u2")])
        )
        where = np.argwhere(sources.labels() == number)
        middle = (source.volume.affine @ (*where.mean(axis=0), 1))[:3]
        assert facets["numbers"][:, 1:].mean(axis=(0, 1)) == pytest.approx(middle, abs=1.5)
        assert dataset.file_meta.MediaStorageSOPClassUID == dataset.SOPClassUID


@pytest.mark.parametrize("most", [100, 300, 600, 1200, 2400])
def test_a_thin_sheet_has_a_surface_however_few_triangles_are_wanted(most: int) -> None:
    mask = np.zeros((5, 40, 40), np.bool_)
    mask[2, 5:35, 5:35] = True
    assert surface(mask, np.eye(4), most).volume == pytest.approx(900, rel=0.1)
