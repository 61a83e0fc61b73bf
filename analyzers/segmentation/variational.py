"""Solvers for two energies on anisotropic grids, in torch: the same code on CPU and CUDA.

``model_image``: min Σ d·(y - f)² + λ Σ w·‖∇f‖², quadratic, by conjugate gradients. With w = 1 it
smooths; with w falling at edges, and d large on seeds, it is the random walker.
``least_surface``: min λ Σ g·‖∇u‖ + Σ r·u over 0 ≤ u ≤ 1, convex, by a primal-dual iteration; the
set u > ½ is a minimal surface (Chan, Esedoglu, Nikolova, DOI 10.1137/040615286).

Arrays are float32 tensors (z, y, x); gradients are forward differences in 1/mm, and
nothing flows over the edge of the array. What is needed for a step alone is made for some planes
at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from analyzers.grid.balls import Spacing

RELATIVE_RESIDUAL = 1e-3
LEAST_WEIGHT = 1e-6
VOXELS_AT_ONCE = 2**18


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """The energy of ``model_image``. weights: one tensor for each axis; None: 1 everywhere.

    Element i of a weight stands for the edge between voxel i and i + 1 along its axis. trust: of
    any float type; None: 1 everywhere.
    """

    observed: Tensor
    trust: Tensor | None
    penalty_mm2: float
    weights: tuple[Tensor, Tensor, Tensor] | None = None


def model_image(energy: Quadratic, spacing_mm: Spacing, steps: int = 60) -> Tensor:
    """The minimiser f, started from the observed image; stops at a relative residual of 1e-3.

    f takes the place of the observed image, which is spent.
    """
    diagonal = _diagonal(energy, spacing_mm)
    f = energy.observed
    image, residual = torch.empty_like(f), torch.empty_like(f)
    _trusted(energy, f, residual)
    torch.div(residual, diagonal, out=image)
    enough = RELATIVE_RESIDUAL**2 * max(_dot(residual, image), 1e-20)
    residual.sub_(_normal(energy, spacing_mm, f, image))
    direction = residual / diagonal
    product = _dot(residual, direction)
    for _ in range(steps):
        if product <= enough:
            break
        _normal(energy, spacing_mm, direction, image)
        length = product / max(_dot(direction, image), 1e-30)
        f.add_(direction, alpha=length)
        residual.sub_(image, alpha=length)
        preconditioned = torch.div(residual, diagonal, out=image)
        following = _dot(residual, preconditioned)
        direction.mul_(following / product).add_(preconditioned)
        product = following
    return f


def least_surface(
    cost: Tensor, edge: Tensor | None, weight_mm: float, spacing_mm: Spacing, steps: int = 80
) -> Tensor:
    """The minimiser u (0–1). cost: r, negative inside; edge: g, is changed; weight_mm: λ in mm."""
    u = (cost < 0).to(cost.dtype)
    lead, length = u.clone(), torch.empty_like(u)
    flows = [torch.zeros_like(u) for _ in range(3)]
    step = 0.99 / math.sqrt(sum(4.0 / mm**2 for mm in spacing_mm))
    limit = weight_mm if edge is None else edge.mul_(weight_mm).clamp_(min=LEAST_WEIGHT)
    for _ in range(steps):
        for axis, flow in enumerate(flows):
            _ascend(flow, lead, axis, step / spacing_mm[axis])
        _shorten(flows, limit, length)
        lead.copy_(u)
        u.sub_(cost, alpha=step)
        for axis, flow in enumerate(flows):
            _spread(u, flow, axis, step / spacing_mm[axis])
        u.clamp_(0.0, 1.0)
        lead.neg_().add_(u, alpha=2.0)
    return u


def _ascend(flow: Tensor, image: Tensor, axis: int, rate: float) -> None:
    """flow += rate · forward difference, in place."""
    count = image.shape[axis] - 1
    if count > 0:
        part = flow.narrow(axis, 0, count)
        part.add_(image.narrow(axis, 1, count), alpha=rate)
        part.sub_(image.narrow(axis, 0, count), alpha=rate)


def _spread(image: Tensor, flow: Tensor, axis: int, rate: float) -> None:
    """image += rate · divergence of the flow along an axis, in place."""
    count = image.shape[axis] - 1
    if count > 0:
        part = flow.narrow(axis, 0, count)
        image.narrow(axis, 0, count).add_(part, alpha=rate)
        image.narrow(axis, 1, count).sub_(part, alpha=rate)


def slope(image: Tensor, spacing_mm: Spacing) -> Tensor:
    """Length of the gradient by central differences, in 1/mm."""
    total = torch.zeros_like(image)
    for axis, step in enumerate(spacing_mm):
        ahead = forward(image, axis, step)
        both = ahead.clone()
        count = image.shape[axis]
        if count > 1:
            both.narrow(axis, 1, count - 1).add_(ahead.narrow(axis, 0, count - 1))
        total.add_(both.div_(2).square_())
    return total.sqrt_()


def edge_weights(image: Tensor, contrast: float) -> tuple[Tensor, Tensor, Tensor]:
    """exp(-(difference / contrast)²) between neighbours along each axis (random walker)."""
    one, two, three = (
        forward(image, axis, 1.0).div_(contrast).square_().neg_().exp_().clamp_(min=1e-4)
        for axis in range(3)
    )
    return one, two, three


def forward(image: Tensor, axis: int, step_mm: float) -> Tensor:
    """Forward difference along an axis; 0 at its end."""
    out = torch.zeros_like(image)
    count = image.shape[axis] - 1
    if count > 0:
        difference = out.narrow(axis, 0, count)
        torch.sub(image.narrow(axis, 1, count), image.narrow(axis, 0, count), out=difference)
        difference.div_(step_mm)
    return out


def _normal(energy: Quadratic, spacing_mm: Spacing, f: Tensor, out: Tensor) -> Tensor:
    """(d + λ ∇ᵀ w ∇) f, written to ``out``."""
    _trusted(energy, f, out)
    for axis, step in enumerate(spacing_mm):
        rate = energy.penalty_mm2 / step**2
        along = [] if energy.weights is None else [_ends(energy.weights[axis], axis)[0]]
        for here, ahead, low, high, *weight in _some_planes(
            *_ends(f, axis), *_ends(out, axis), *along
        ):
            flow = ahead - here
            for one in weight:
                flow.mul_(one)
            low.sub_(flow, alpha=rate)
            high.add_(flow, alpha=rate)
    return out


def _trusted(energy: Quadratic, f: Tensor, out: Tensor) -> None:
    """d f, written to ``out``."""
    if energy.trust is None:
        out.copy_(f)
        return
    for trust, here, made in _some_planes(energy.trust, f, out):
        torch.mul(trust, here, out=made)


def _diagonal(energy: Quadratic, spacing_mm: Spacing) -> Tensor:
    """The diagonal of the normal equations, for Jacobi preconditioning."""
    f = energy.observed
    out = torch.ones_like(f) if energy.trust is None else energy.trust.to(f.dtype, copy=True)
    for axis, step in enumerate(spacing_mm):
        rate = energy.penalty_mm2 / step**2
        for end in _ends(out, axis):
            if energy.weights is None:
                end.add_(rate)
                continue
            for part, weight in _some_planes(end, _ends(energy.weights[axis], axis)[0]):
                part.add_(weight * rate)
    return out.clamp_(min=1e-12)


def _shorten(flows: list[Tensor], limit: Tensor | float, length: Tensor) -> None:
    """Scale vectors that are longer than the limit down to it, in place. length: a buffer."""
    torch.mul(flows[0], flows[0], out=length)
    for flow in flows[1:]:
        length.addcmul_(flow, flow)
    length.sqrt_().div_(limit).clamp_(min=1.0)
    for flow in flows:
        flow.div_(length)


def _dot(one: Tensor, other: Tensor) -> float:
    products = (torch.mul(*part).sum(dtype=torch.float64) for part in _some_planes(one, other))
    return float(torch.stack(list(products)).sum())


def _ends(image: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Views of the voxels at the beginnings and at the ends of the edges along an axis."""
    count = image.shape[axis] - 1
    return image.narrow(axis, 0, count), image.narrow(axis, 1, count)


def _some_planes(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Parts of tensors of one shape, the last planes first; on CUDA all at once."""
    first = tensors[0]
    if first.device.type == "cuda":
        return iter((tensors,))
    planes = max(1, VOXELS_AT_ONCE // max(first.shape[1:].numel(), 1))
    return zip(*(reversed(torch.split(one, planes)) for one in tensors), strict=True)
