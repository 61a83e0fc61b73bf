"""One level of PyWavelets' discrete wavelet transform (mode ``symmetric``) as products of matrices.

The transform of an axis is linear, so PyWavelets' answer to the identity is its matrix, edges
included; only the blocks of it that are not zero are multiplied. That runs at the speed of the
BLAS along every axis, on the CPU and on CUDA alike, where strided filtering does not.
Coefficients along an axis of length n: first the coarse half, then the fine half.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pywt
from numpy.typing import NDArray

from analyzers.threads import bands, for_each

BLOCK = 64
"""Outputs a block: enough for the BLAS, few enough to skip most zeros."""
STRIP = 2048
"""Columns at once along the slices."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A banded matrix: ``out[rows] += block @ in[columns]``."""

    length: int
    """Number of rows of the whole matrix."""
    rows: tuple[slice, ...]
    columns: tuple[slice, ...]
    blocks: tuple[NDArray[np.float32], ...]


def decomposed(image: Any, wavelet: str, axes: list[int]) -> Any:
    """Coefficients of a float32 tensor ``(slice, row, column)`` along the axes."""
    import torch

    matrices = {axis: _forward(image.shape[axis], wavelet) for axis in axes}
    shape = [
        matrices[axis].length if axis in matrices else length
        for axis, length in enumerate(image.shape)
    ]
    out = torch.empty(shape, dtype=image.dtype, device=image.device)
    _within_slices(image, out, matrices)
    if 0 in matrices:
        _along_slices(out, matrices[0], len(image))
    return out


def reconstruct(coefficients: Any, wavelet: str, axes: list[int], out: Any) -> None:
    """Write the image from its coefficients to ``out``, which has its shape.

    The coefficients are spent: no second copy of the volume is needed.
    """
    matrices = {axis: _backward(out.shape[axis], wavelet) for axis in axes}
    if 0 in matrices:
        _along_slices(coefficients, matrices[0], len(coefficients))
    _within_slices(coefficients[: len(out)], out, matrices)


@lru_cache(maxsize=64)
def _forward(length: int, wavelet: str) -> Blocks:
    coarse, fine = pywt.dwt(np.eye(length), wavelet, mode="symmetric", axis=0)
    return _blocks(np.concatenate([coarse, fine]), [0, length])


@lru_cache(maxsize=64)
def _backward(length: int, wavelet: str) -> Blocks:
    half = pywt.dwt_coeff_len(length, pywt.Wavelet(wavelet), "symmetric")
    coarse, fine = np.split(np.eye(2 * half), 2)
    matrix = pywt.idwt(coarse, fine, wavelet, mode="symmetric", axis=0)[:length]
    return _blocks(matrix, [0, half, 2 * half])


def _blocks(matrix: NDArray[np.float64], borders: list[int]) -> Blocks:
    """Cut a matrix into blocks of rows, within the given ranges of columns, without the zeros."""
    rows, columns, blocks = [], [], []
    for first in range(0, len(matrix), BLOCK):
        part = matrix[first : first + BLOCK]
        for start, stop in itertools.pairwise(borders):
            used = np.flatnonzero(np.any(part[:, start:stop] != 0, axis=0)) + start
            if used.size:
                span = slice(int(used[0]), int(used[-1]) + 1)
                rows.append(slice(first, first + len(part)))
                columns.append(span)
                blocks.append(np.ascontiguousarray(part[:, span], np.float32))
    return Blocks(len(matrix), tuple(rows), tuple(columns), tuple(blocks))


def _within_slices(image: Any, out: Any, matrices: dict[int, Blocks]) -> None:
    """Apply the matrices of rows and columns to every slice."""

    def plane(index: int) -> None:
        part = image[index]
        if 1 in matrices:
            part = _product(matrices[1], part)
        if 2 in matrices:
            part = _product(matrices[2], part.T).T
        out[index] = part

    for_each(plane, range(len(image)), torch_on_device=image.device.type)


def _along_slices(image: Any, matrix: Blocks, used: int) -> None:
    """Apply a matrix across the first slices, those that are used, in place."""
    flat = image.reshape(len(image), -1)

    def product(strip: slice) -> None:
        flat[: matrix.length, strip] = _product(matrix, flat[:used, strip])

    for_each(product, bands(flat.shape[1], STRIP), torch_on_device=image.device.type)


def _product(matrix: Blocks, right: Any) -> Any:
    import torch

    out = torch.zeros((matrix.length, right.shape[1]), dtype=right.dtype, device=right.device)
    for rows, columns, block in zip(matrix.rows, matrix.columns, matrix.blocks, strict=True):
        out[rows].addmm_(torch.from_numpy(block).to(right.device), right[columns])
    return out
