"""Solvers for two energies on anisotropic grids, in torch: the same code on CPU and CUDA.

``model_image``: min Σ d·(y - f)² + λ Σ w·‖∇f‖², quadratic, by conjugate gradients. With w = 1 it
smooths; with w falling at edges, and d large on seeds, it is the random walker.
``least_surface``: min λ Σ g·‖∇u‖ + Σ r·u over 0 ≤ u ≤ 1, convex, by a primal-dual iteration; the
set u > ½ is a minimal surface (Chan, Esedoglu, Nikolova, DOI 10.1137/040615286).

Arrays are float32 tensors (z, y, x); gradients are forward differences in 1/mm, and
nothing flows over the edge of the array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from analyzers.grid.balls import Spacing

RELATIVE_RESIDUAL = 1e-3
LEAST_WEIGHT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """The energy of ``model_image``. weights: one tensor for each axis; None: 1 everywhere.

    Element i of a weight stands for the edge between voxel i and i + 1 along its axis.
    """

    observed: Tensor
    trust: Tensor | None
    penalty_mm2: float
    weights: tuple[Tensor, Tensor, Tensor] | None = None


def model_image(energy: Quadratic, spacing_mm: Spacing, steps: int = 60) -> Tensor:
    """The minimiser f, started from the observed image; stops at a relative residual of 1e-3."""
    diagonal = _diagonal(energy, spacing_mm)
    f = energy.observed.clone()
    image, spare = torch.empty_like(f), torch.empty_like(f)
    residual = f.clone() if energy.trust is None else energy.trust * f
    torch.div(residual, diagonal, out=spare)
    enough = RELATIVE_RESIDUAL**2 * max(_dot(residual, spare, image), 1e-20)
    residual.sub_(_normal(energy, spacing_mm, f, image, spare))
    direction = residual / diagonal
    product = _dot(residual, direction, image)
    for _ in range(steps):
        if product <= enough:
            break
        _normal(energy, spacing_mm, direction, image, spare)
        length = product / max(_dot(direction, image, spare), 1e-30)
        f.add_(direction, alpha=length)
        residual.sub_(image, alpha=length)
        preconditioned = torch.div(residual, diagonal, out=spare)
        following = _dot(residual, preconditioned, image)
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
        total.add_((both / 2) ** 2)
    return total.sqrt_()


def edge_weights(image: Tensor, contrast: float) -> tuple[Tensor, Tensor, Tensor]:
    """exp(-(difference / contrast)²) between neighbours along each axis (random walker)."""
    one, two, three = (
        torch.exp(-((forward(image, axis, 1.0) / contrast) ** 2)).clamp_(min=1e-4)
        for axis in range(3)
    )
    return one, two, three


def forward(image: Tensor, axis: int, step_mm: float) -> Tensor:
    """Forward difference along an axis; 0 at its end."""
    out = torch.zeros_like(image)
    count = image.shape[axis] - 1
    if count > 0:
        difference = image.narrow(axis, 1, count) - image.narrow(axis, 0, count)
        out.narrow(axis, 0, count).copy_(difference.div_(step_mm))
    return out


def _normal(
    energy: Quadratic, spacing_mm: Spacing, f: Tensor, out: Tensor, spare: Tensor
) -> Tensor:
    """(d + λ ∇ᵀ w ∇) f, written to ``out``; spare: a buffer."""
    if energy.trust is None:
        out.copy_(f)
    else:
        torch.mul(energy.trust, f, out=out)
    for axis, step in enumerate(spacing_mm):
        count = f.shape[axis] - 1
        if count <= 0:
            continue
        ahead, here = f.narrow(axis, 1, count), f.narrow(axis, 0, count)
        flow = torch.sub(ahead, here, out=spare.view(-1)[: here.numel()].view(here.shape))
        if energy.weights is not None:
            flow.mul_(energy.weights[axis].narrow(axis, 0, count))
        rate = energy.penalty_mm2 / step**2
        out.narrow(axis, 0, count).sub_(flow, alpha=rate)
        out.narrow(axis, 1, count).add_(flow, alpha=rate)
    return out


def _diagonal(energy: Quadratic, spacing_mm: Spacing) -> Tensor:
    """The diagonal of the normal equations, for Jacobi preconditioning."""
    f = energy.observed
    out = torch.ones_like(f) if energy.trust is None else energy.trust.clone()
    for axis, step in enumerate(spacing_mm):
        count = f.shape[axis] - 1
        if count <= 0:
            continue
        rate = energy.penalty_mm2 / step**2
        for first in (0, 1):
            part = out.narrow(axis, first, count)
            if energy.weights is None:
                part.add_(rate)
            else:
                part.add_(energy.weights[axis].narrow(axis, 0, count) * rate)
    return out.clamp_(min=1e-12)


def _shorten(flows: list[Tensor], limit: Tensor | float, length: Tensor) -> None:
    """Scale vectors that are longer than the limit down to it, in place. length: a buffer."""
    torch.mul(flows[0], flows[0], out=length)
    for flow in flows[1:]:
        length.addcmul_(flow, flow)
    length.sqrt_().div_(limit).clamp_(min=1.0)
    for flow in flows:
        flow.div_(length)


def _dot(one: Tensor, other: Tensor, spare: Tensor) -> float:
    return float(torch.mul(one, other, out=spare).sum(dtype=torch.float64))
