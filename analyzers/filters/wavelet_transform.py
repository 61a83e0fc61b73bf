"""One level of PyWavelets' discrete wavelet transform (mode ``symmetric``) as products of matrices.

The transform of an axis is linear, so PyWavelets' answer to the identity is its matrix, edges
included; only the blocks of it that are not zero are multiplied. That runs at the speed of the
BLAS along every axis, on the CPU and on CUDA alike, where strided filtering does not.
Coefficients along an axis of length n: first the coarse half, then the fine half. They are all of
the volume that is held: the image comes and goes slice by slice.
"""

from __future__ import annotations

import itertools
import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import pywt
from numpy.typing import NDArray

from analyzers.threads import bands, for_each

BLOCK = 64
"""Outputs a block: enough for the BLAS, few enough to skip most zeros."""
STRIP = 512
"""Columns at once along the slices."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A banded matrix: ``out[rows] += block @ in[columns]``."""

    length: int
    """Number of rows of the whole matrix."""
    rows: tuple[slice, ...]
    columns: tuple[slice, ...]
    blocks: tuple[NDArray[np.float32], ...]


class Image(Protocol):
    """Gives slices ``(row, column)`` as float32 tensors on the device that is worked on."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, z: int, /) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """values: a float32 tensor ``(slice, row, column)``, by ``decomposed``."""

    values: Any
    pages: mmap.mmap | None
    """Where the values lie on the CPU."""

    def spend(self, z: int) -> None:
        """Give the memory of a slice back; its values are lost."""
        if self.pages is None:
            return
        size = self.values[0].numel() * self.values.element_size()
        first = -(-z * size // mmap.PAGESIZE) * mmap.PAGESIZE
        whole = ((z + 1) * size - first) // mmap.PAGESIZE * mmap.PAGESIZE
        if whole > 0:
            self.pages.madvise(mmap.MADV_DONTNEED, first, whole)


def decomposed(image: Image, wavelet: str, axes: list[int], device: str) -> Coefficients:
    """Coefficients of an image along the axes."""
    matrices = {axis: _forward(image.shape[axis], wavelet) for axis in axes}
    shape = [
        matrices[axis].length if axis in matrices else length
        for axis, length in enumerate(image.shape)
    ]
    out = _room(shape, device)

    def plane(z: int) -> None:
        out.values[z] = _within_slice(image[z], matrices)

    for_each(plane, range(image.shape[0]), torch_on_device=device)
    if 0 in matrices:
        _along_slices(out.values, matrices[0], image.shape[0])
    return out


def reconstruct(
    coefficients: Coefficients,
    wavelet: str,
    axes: list[int],
    shape: tuple[int, ...],
    put: Callable[[int, Any], object],
) -> None:
    """Make an image of this shape from its coefficients, which are spent.

    put: takes the number of a slice and the slice, in any order and from any thread.
    """
    matrices = {axis: _backward(shape[axis], wavelet) for axis in axes}
    values = coefficients.values
    if 0 in matrices:
        _along_slices(values, matrices[0], len(values))

    def plane(z: int) -> None:
        put(z, _within_slice(values[z], matrices))
        coefficients.spend(z)

    for_each(plane, range(shape[0]), torch_on_device=values.device.type)


def _room(shape: list[int], device: str) -> Coefficients:
    import torch

    count = math.prod(shape)
    if device.startswith("cuda") or not count:
        return Coefficients(torch.empty(shape, device=device), None)
    pages = mmap.mmap(-1, 4 * count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return Coefficients(torch.frombuffer(pages, dtype=torch.float32).view(shape), pages)


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


def _within_slice(plane: Any, matrices: dict[int, Blocks]) -> Any:
    """Apply the matrices of rows and columns to a slice."""
    if 1 in matrices:
        plane = _product(matrices[1], plane)
    if 2 in matrices:
        plane = _product(matrices[2], plane.T).T
    return plane


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
