"""Chan-Vese, geodesic contour, watershed and random walker on bodies with known borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from analyzers import registry
from analyzers.contract import InvalidParameters, NotApplicable, Segmentation, Volume
from analyzers.grid.balls import Spacing
from analyzers.segmentation import variational
from analyzers.segmentation.variational import Quadratic, least_surface, model_image
from tests.analyzers.segmentation import bodies

METHODS = ("chan_vese", "geodesic_contour", "watershed", "random_walker")
MIDDLE_MM = (27.5 * 1.25, 27.5 * 1.25, 17.5 * 2.0)


def segment(name: str, of: Volume, **given: Any) -> Segmentation:
    findings = registry.load(name)("cpu").analyze(of, registry.parameters(name, given))
    (found,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return found


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seed_mm", [(), MIDDLE_MM, tuple(m + 6.0 for m in MIDDLE_MM)])
def test_a_sphere_in_lung_is_found_alone_and_round_a_point(
    name: str, seed_mm: tuple[float, ...]
) -> None:
    body = bodies.lesion()
    found = segment(name, body.volume(), seed_mm=seed_mm)
    assert bodies.dice(found.labels, body.truth["lesion"]) > 0.97
    assert found.segments[0].measurements[0].value == pytest.approx(body.ml("lesion"), rel=0.05)
    assert found.segments[0].measurements[1].value == pytest.approx(40, abs=25)


@pytest.mark.parametrize("name", METHODS)
def test_what_hangs_on_a_neck_is_cut_off(name: str) -> None:
    body = bodies.lesion(neck=True)
    found = segment(name, body.volume(), seed_mm=MIDDLE_MM)
    assert bodies.dice(found.labels, body.truth["lesion"]) > 0.94
    joined = segment(name, body.volume(), seed_mm=MIDDLE_MM, neck_mm=0.0, lowest=-300.0)
    assert joined.labels[body.truth["lesion"]].mean() > 0.95


@pytest.mark.parametrize("name", METHODS)
def test_a_range_of_values_selects_among_structures(name: str) -> None:
    body = bodies.lesion(noise=10.0)
    values = body.values.copy()
    values[:8, :12, :12] = 300
    of = bodies.as_volume(values, body.spacing_mm)
    found = segment(name, of, lowest=-100.0, highest=150.0, least_ml=2.0)
    assert bodies.dice(found.labels, body.truth["lesion"]) > 0.93
    bright = segment(name, of, lowest=200.0)
    assert bodies.dice(bright.labels, values == 300) > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_an_oblique_grid_gives_the_same_voxels(name: str) -> None:
    of = bodies.lesion().volume()
    turned = bodies.turned(of, 15.0)
    place = tuple(float(one) for one in (turned.affine @ [17.5, 27.5, 27.5, 1])[:3])
    reference = segment(name, of, seed_mm=MIDDLE_MM)
    assert bodies.dice(segment(name, turned, seed_mm=place).labels, reference.labels) > 0.99


@pytest.mark.parametrize("name", METHODS)
def test_no_contrast_no_structure_and_no_point_are_said(name: str) -> None:
    with pytest.raises(NotApplicable, match="contrast"):
        segment(name, bodies.as_volume(np.full((10, 20, 20), 5, np.int16), (2.0, 1.0, 1.0)))
    of = bodies.lesion().volume()
    with pytest.raises(NotApplicable, match="range"):
        segment(name, of, lowest=2000.0)
    with pytest.raises(NotApplicable, match="outside"):
        segment(name, of, seed_mm=(-500.0, 0.0, 0.0))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"seed_mm": (1.0, 2.0)},
        {"reach_mm": 1.0},
        {"lowest": 50.0, "highest": 10.0},
        {"least_ml": -1.0},
        {"neck_mm": 99.0},
    ],
)
def test_parameters_out_of_range_are_refused_by_name(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameters, match=next(iter(wrong))):
        registry.parameters(name, wrong)


# --- the two energies -----------------------------------------------------------------------------


def dense_gradient(shape: tuple[int, ...], axis: int, step: float) -> np.ndarray:
    """The forward difference along an axis as a matrix, for small arrays."""
    size = int(np.prod(shape))
    columns = []
    for place in range(size):
        unit = np.zeros(size)
        unit[place] = 1
        grid = unit.reshape(shape)
        ahead = np.zeros(shape)
        np.moveaxis(ahead, axis, 0)[:-1] = np.diff(np.moveaxis(grid, axis, 0), axis=0) / step
        columns.append(ahead.ravel())
    return np.array(columns).T


def test_the_model_image_solves_the_normal_equations_of_its_energy() -> None:
    rng = np.random.default_rng(2)
    shape, spacing, penalty = (3, 4, 5), (3.0, 1.0, 0.7), 1.7
    y, trust = rng.random(shape), rng.random(shape) + 0.1
    weights = [rng.random(shape) for _ in range(3)]
    system = np.diag(trust.ravel())
    for axis, step in enumerate(spacing):
        gradient = dense_gradient(shape, axis, step)
        system += penalty * gradient.T @ np.diag(weights[axis].ravel()) @ gradient
    expected = np.linalg.solve(system, (trust * y).ravel()).reshape(shape)
    one, two, three = (torch.tensor(w, dtype=torch.float32) for w in weights)
    energy = Quadratic(
        torch.tensor(y, dtype=torch.float32),
        torch.tensor(trust, dtype=torch.float32),
        penalty,
        (one, two, three),
    )
    found = model_image(energy, spacing).numpy()
    np.testing.assert_allclose(found, expected, atol=3e-3)


def test_a_constant_image_is_its_own_model_image() -> None:
    y = torch.full((4, 5, 6), 0.37)
    found = model_image(Quadratic(y.clone(), None, 50.0), (2.0, 1.0, 1.0))
    torch.testing.assert_close(found, y)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0)])
@pytest.mark.parametrize(("radius_mm", "kept"), [(4.0, False), (9.0, True)])
def test_the_least_surface_keeps_a_ball_only_if_it_outweighs_its_surface(
    spacing: Spacing, radius_mm: float, kept: bool
) -> None:
    """A ball of radius R with cost -1 inside survives a surface weight below R / 3."""
    shape = (round(30 / spacing[0]), 30, 30)
    z, y, x = bodies.millimetres(shape, spacing)
    away = np.sqrt(z**2 + y**2 + x**2)
    cost = torch.tensor(np.where(away < radius_mm, -1.0, 1.0), dtype=torch.float32)
    u = least_surface(cost, None, 2.0, spacing, 400).numpy()
    assert (u[away < 2].mean() > 0.5) == kept
    assert u[away > radius_mm + 2].max() < 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", METHODS)
def test_cuda_and_cpu_agree(name: str) -> None:
    of = bodies.lesion().volume()
    found = []
    for device in ("cpu", "cuda:0"):
        findings = registry.load(name)(device).analyze(of, registry.parameters(name, {}))
        (one,) = [item for item in findings.items if isinstance(item, Segmentation)]
        found.append(one.labels)
    assert bodies.dice(*found) > 0.999


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_model_image_is_the_same_however_many_planes_are_worked_on_at_once(
    axis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of an image that is a plane thick."""
    shape = [9, 12, 11]
    shape[axis] = 1
    rng = np.random.default_rng(5)
    y, one, two, three = torch.tensor(rng.random((4, *shape)), dtype=torch.float32)
    trust = torch.tensor(rng.choice([1.0, 1000.0], shape), dtype=torch.float16)
    found = []
    for voxels in (2**18, 1):
        monkeypatch.setattr(variational, "VOXELS_AT_ONCE", voxels)
        energy = Quadratic(y.clone(), trust, 4.0, (one, two, three))
        found.append(model_image(energy, (2.0, 1.0, 0.7), 200))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-6)
