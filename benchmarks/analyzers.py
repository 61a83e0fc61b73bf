"""How fast the filters are beside SciPy, scikit-image, SimpleITK and OpenCV: one table of ratios.

Every row is one result, computed by each side in turn in one process; times are medians over the
rounds, a ratio above 1 means that Wetread is faster than the fastest other. float32 in and out
(compression: uint16), arrays of ``(slice, row, column)``. On CUDA the others stay on the CPU,
transfers to and from the device are counted, and GB/s are the bytes of one reading and one writing
over the time. Memory is the most that a process of its own held during the work, the volume
counted, over the size of the volume.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import exposure, filters, restoration

from analyzers.filters import (
    clahe,
    frame_codecs,
    mean,
    median,
    non_local_means,
    unsharp_mask,
    wavelet_denoise,
)
from analyzers.grid import blur
from analyzers.threads import for_each

Floats = NDArray[np.float32]
Work = Callable[[Floats], object]
SMALL, FULL = (12, 256, 256), (120, 512, 512)
FEW = 12
"""Slices of the rows where a peer takes minutes for all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One result and who can give it. Each side gets an array of its own that it may write to."""

    name: str
    ours: Work
    others: dict[str, Work]
    slices: int | None = None
    dtype: type[np.generic] = np.float32

    def part(self, values: Floats) -> NDArray[np.generic]:
        """What of the volume is worked on."""
        part = values[: self.slices]
        return part if self.dtype is np.float32 else (part + 4096).astype(self.dtype)


def main() -> None:
    options = _options()
    shape = SMALL if options.quick else FULL
    values = np.random.default_rng(0).normal(0, 100, shape).astype(np.float32)
    values += np.linspace(-900, 900, shape[2], dtype=np.float32)
    found = [row for row in rows(options.device) if options.only in row.name]
    if options.memory_of:
        (row,) = (row for row in found if row.name == options.memory_of)
        print(held(row, replace(row, slices=None).part(values)))
        return
    print(f"{'×'.join(map(str, shape))} float32, {options.device}, {options.rounds} rounds\n")
    print("| filter | Wetread s | fastest other | its s | ratio | all others | GB/s | memory |")
    print("|---|---|---|---|---|---|---|---|")
    for row in found:
        memory = f"{_held_alone(row, sys.argv[1:]):.2f}"
        print(f"{line(row, row.part(values), options.rounds)} {memory} |", flush=True)


def _held_alone(row: Row, arguments: list[str]) -> float:
    command = [sys.executable, "-m", "benchmarks.analyzers", *arguments, "--memory-of", row.name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def held(row: Row, values: NDArray[np.generic]) -> float:
    """Most memory during the work, over the volume's; the first time fills caches and pools."""
    row.ours(values[:1].copy())
    before = _memory_kb("VmRSS") - values.nbytes / 1024
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    row.ours(values)
    return (_memory_kb("VmHWM") - before) * 1024 / values.nbytes


def _memory_kb(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help=f"a small volume, {SMALL}")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--memory-of", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def line(row: Row, values: NDArray[np.generic], rounds: int) -> str:
    """Measure a row and write it as a line of the table."""
    sides = {"Wetread": row.ours, **row.others}
    times: dict[str, list[float]] = {name: [] for name in sides}
    row.ours(values.copy())  # what is made at first use: kernels of the device, pools of memory
    for _ in range(rounds):
        for name, work in sides.items():
            own = values.copy()
            start = time.perf_counter()
            work(own)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in times.items()}
    ours = medians.pop("Wetread")
    fastest = min(medians, key=lambda name: medians[name])
    others = ", ".join(f"{name} {found / ours:.2f}" for name, found in medians.items())
    rate = 2 * values.nbytes / ours / 1e9
    return (
        f"| {row.name} | {ours:.3f} | {fastest} | {medians[fastest]:.3f} "
        f"| {medians[fastest] / ours:.2f} | {others} | {rate:.2f} |"
    )


def rows(device: str) -> list[Row]:
    """All comparisons."""
    return [
        *(_mean(sizes, device) for sizes in ((1, 5, 5), (5, 5, 5))),
        *(_median(sizes, device) for sizes in ((1, 3, 3), (3, 3, 3), (1, 7, 7))),
        *(_gaussian(sigmas, device) for sigmas in ((0.0, 1.5, 1.5), (1.5, 1.5, 1.5))),
        *(_unsharp(sigmas, device) for sigmas in ((0.0, 1.5, 1.5), (1.5, 1.5, 1.5))),
        *(_wavelet(dimensions, device) for dimensions in ("2d", "3d")),
        *(_clahe(tiles, device) for tiles in ((0, 8, 8), (3, 8, 8))),
        *(
            _non_local_means(*sizes, device)
            for sizes in (((1, 5, 5), (1, 11, 11)), (3 * (3,), 3 * (5,)))
        ),
        _jpeg_2000(),
    ]


def _label(name: str, sizes: tuple[float, ...]) -> str:
    return f"{name} {'×'.join(f'{size:g}' for size in sizes)}"


def _on_cuda(device: str) -> bool:
    return device.startswith("cuda")


def _simpleitk(filter_name: str, sizes: tuple[int, int, int]) -> dict[str, Work]:
    """One of SimpleITK's filters; none where it is not installed."""
    if importlib.util.find_spec("SimpleITK") is None:
        return {}
    sitk = importlib.import_module("SimpleITK")
    work, radii = getattr(sitk, filter_name), [size // 2 for size in sizes[::-1]]
    return {"SimpleITK": lambda v: sitk.GetArrayFromImage(work(sitk.GetImageFromArray(v), radii))}


def _mean(sizes: tuple[int, int, int], device: str) -> Row:
    others: dict[str, Work] = {
        "SciPy": lambda v: ndimage.uniform_filter(v, sizes),
        **_simpleitk("BoxMean", sizes),
    }
    if sizes[0] == 1:
        others["OpenCV"] = lambda v: _slices(v, lambda p: cv2.blur(p, sizes[1:]))
    if _on_cuda(device):
        return Row(_label("mean", sizes), lambda v: mean.mean_on_device(v, sizes, device), others)
    return Row(_label("mean", sizes), lambda v: mean.mean_on_cpu(v, sizes), others)


def _median(sizes: tuple[int, int, int], device: str) -> Row:
    others: dict[str, Work] = {
        "SciPy": lambda v: ndimage.median_filter(v, sizes, mode="nearest"),
        "scikit-image": lambda v: filters.median(v, np.ones(sizes), mode="nearest"),
        **_simpleitk("Median", sizes),
    }
    if sizes in ((1, 3, 3), (1, 5, 5)):
        others["OpenCV"] = lambda v: _slices(v, lambda p: cv2.medianBlur(p, sizes[1]))
    if _on_cuda(device):
        return Row(
            _label("median", sizes), lambda v: median.median_on_device(v, sizes, device), others
        )
    return Row(_label("median", sizes), lambda v: median.median_on_cpu(v, sizes), others)


def _gaussian(sigmas: tuple[float, float, float], device: str) -> Row:
    others: dict[str, Work] = {
        "SciPy": lambda v: ndimage.gaussian_filter(v, sigmas),
        "scikit-image": lambda v: filters.gaussian(v, sigmas, mode="reflect", preserve_range=True),
    }
    if sigmas[0] == 0:
        others["OpenCV"] = lambda v: _slices(
            v, lambda p: cv2.GaussianBlur(p, (13, 13), sigmas[1], borderType=cv2.BORDER_REFLECT)
        )
    if _on_cuda(device):
        return Row(
            _label("Gaussian", sigmas), lambda v: blur.blur_on_device(v, sigmas, device), others
        )
    return Row(_label("Gaussian", sigmas), lambda v: blur.blur_on_cpu(v, sigmas), others)


def _unsharp(sigmas: tuple[float, float, float], device: str) -> Row:
    others: dict[str, Work] = {
        "SciPy": lambda v: 2 * v - ndimage.gaussian_filter(v, sigmas),
    }
    if sigmas[0] == 0:
        others["OpenCV"] = lambda v: _slices(
            v, lambda p: cv2.addWeighted(p, 2, cv2.GaussianBlur(p, (13, 13), sigmas[1]), -1, 0)
        )
    else:
        others["scikit-image"] = lambda v: filters.unsharp_mask(v, 1.5, 1.0, preserve_range=True)
    return Row(
        _label("unsharp mask", sigmas),
        lambda v: unsharp_mask.sharpened(v, sigmas, 1.0, device),
        others,
    )


def _wavelet(dimensions: str, device: str) -> Row:
    def skimage(values: Floats) -> object:
        return restoration.denoise_wavelet(
            values, wavelet="db2", wavelet_levels=3, rescale_sigma=False
        )

    parameters = wavelet_denoise.WaveletParameters(dimensions=dimensions)
    other: Work = (lambda v: _slices(v, skimage)) if dimensions == "2d" else skimage
    return Row(
        f"wavelet db2 {dimensions}",
        lambda v: wavelet_denoise.denoised(v, parameters, device),
        {"scikit-image": other},
    )


def _clahe(tiles: tuple[int, int, int], device: str) -> Row:
    """The others: as near as they come (OpenCV on 16 bits, scikit-image with as many bins)."""
    span = (-1500.0, 1500.0)

    def sixteen_bits(values: Floats) -> object:
        tool = cv2.createCLAHE(3.0, tiles[1:])
        return _slices(values, lambda p: tool.apply(((p + 1500) * 20).clip(0, 65535).astype("u2")))

    def skimage(values: Floats) -> object:
        kernel = np.maximum(np.array(values.shape) // tiles, 1)
        return exposure.equalize_adapthist((values + 1500) / 3000 % 1, kernel, nbins=clahe.BINS)

    others: dict[str, Work] = (
        {"OpenCV": sixteen_bits} if tiles[0] == 0 else {"scikit-image": skimage}
    )
    return Row(
        _label("CLAHE", tiles), lambda v: clahe.equalized(v, tiles, span, 3.0, device), others
    )


def _slices(values: Floats, work: Callable[[Floats], object]) -> object:
    return [work(plane) for plane in values]


def _non_local_means(patch: tuple[int, int, int], search: tuple[int, int, int], device: str) -> Row:
    """The other: as near as it comes, its patches are weighted alike and its edge is another."""
    noise, strength = 100.0, 0.8

    def skimage(values: Floats) -> object:
        return restoration.denoise_nl_means(
            values, patch[1], search[1] // 2, strength * noise, fast_mode=True, sigma=noise
        )

    in_3d = patch[0] > 1
    return Row(
        f"{_label('non-local means', patch)} in {'×'.join(map(str, search))}, {FEW} slices",
        lambda v: non_local_means.denoised(v, patch, search, (noise, strength), device),
        {"scikit-image": skimage if in_3d else lambda v: _slices(v, skimage)},
        slices=FEW,
    )


def _jpeg_2000() -> Row:
    """Lossless encoding of every slice."""
    options = frame_codecs.Options(1.0, 100, 0)
    lossless = (cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000)
    codec = frame_codecs.CODECS["jpeg_2000"]
    return Row(
        "JPEG 2000 lossless",
        lambda v: for_each(lambda p: codec.encode(p, options), v),
        {"OpenCV": lambda v: _slices(v, lambda p: cv2.imencode(".jp2", p, lossless))},
        dtype=np.uint16,
    )


if __name__ == "__main__":
    main()
