"""How fast the shipped networks answer, by device, precision and windows at once.

A line a way of running, medians over the rounds, after two rounds that warm up. The images lie in
the memory of the host, and so do the answers: what goes to the device and back is counted. GFLOP
are those of the network's own layers, counted once on the CPU. On CUDA the first lines say what the
device can do at most here: bytes it copies within its memory (read and written), bytes from and to
the host, and a matrix product in bfloat16.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from analyzers.classification.opacity_cnn import ensemble, member_logits
from analyzers.detection.opacity_detector import fitted, marks
from analyzers.detection.opacity_window import SIDE as DETECTED_SIDE
from analyzers.models import hippocampus_networks, stored_model
from analyzers.models.engine import Run, averaged, probabilities
from analyzers.models.slice_instances import marked
from analyzers.radiograph.opacity_network import SIDE

CROP, HEAD = (40, 56, 40), (160, 192, 160)
"""Voxels of a crop round a hippocampus, and of a whole head at 1 mm."""
WARM = 2

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Row:
    """One network over one input, run in one way."""

    network: str
    given: str
    way: str
    work: Work


def main() -> None:
    options = _options()
    print(f"{options.device}, {_called(options.device)}, {options.rounds} rounds\n")
    if _on_cuda(options.device):
        _tell_limits(options.device)
    print("| network | input | way | ms | GFLOP | TFLOP/s | device MB |")
    print("|---|---|---|---|---|---|---|")
    counted: dict[tuple[str, str], float] = {}
    for row in rows(options.device):
        if options.only not in row.network:
            continue
        gflop = counted.get((row.network, row.given)) or _gflop(row)
        counted[row.network, row.given] = gflop
        print(_line(row, gflop, options), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="networks whose name holds this")
    return parser.parse_args()


def rows(device: str) -> Iterator[Row]:
    """All networks, in every way that the device knows."""
    for name in ("hippocampus_unet", "hippocampus_fpn"):
        yield from _volumetric(name, device)
    network = _restored("hippocampus_mask_rcnn", device)
    crop = _image(CROP)
    yield Row(
        "hippocampus_mask_rcnn",
        _size(CROP),
        "float32",
        lambda: marked(network, crop, hippocampus_networks.CLASSES, device),
    )
    yield from _radiograph(device)


def _volumetric(name: str, device: str) -> Iterator[Row]:
    network = _restored(name, device)
    crop, head = _image(CROP), _image(HEAD)
    for way, run in _ways(hippocampus_networks.run_on(device)):
        yield Row(name, f"{_size(CROP)}, 4 variants", way, _averaging(network, crop, run))
        yield Row(name, _size(HEAD), way, _windowing(network, head, run))


def _averaging(network: torch.nn.Module, image: NDArray[np.float32], run: Run) -> Work:
    return lambda: averaged(network, image, run)


def _windowing(network: torch.nn.Module, image: NDArray[np.float32], run: Run) -> Work:
    return lambda: probabilities(network, image, run)


def _ways(run: Run) -> Iterator[tuple[str, Run]]:
    if not _on_cuda(run.device):
        yield "float32", run
        return
    for mixed in (False, True):
        for number in (1, run.at_once):
            way = f"{'bfloat16' if mixed else 'float32'}, {number} at once"
            yield way, replace(run, mixed_precision=mixed, at_once=number)


def _radiograph(device: str) -> Iterator[Row]:
    on = torch.device(device)
    members = ensemble(stored_model.load("opacity_cnn"), on)
    x = torch.from_numpy(_image((1, 1, SIDE, SIDE)))
    yield Row(
        "opacity_cnn",
        f"{SIDE}×{SIDE}, {len(members)} members, mirrored too",
        "float32",
        lambda: member_logits(members, x.to(on)),
    )
    detectors = fitted(stored_model.load("opacity_faster_rcnn").arrays, on)
    view = torch.from_numpy(_image((2, DETECTED_SIDE, DETECTED_SIDE)))
    yield Row(
        "opacity_faster_rcnn",
        f"{DETECTED_SIDE}×{DETECTED_SIDE}, {len(detectors)} members, mirrored too",
        "float32",
        lambda: marks(detectors, view.to(on)),
    )


def _restored(name: str, device: str) -> torch.nn.Module:
    return hippocampus_networks.restored(name, stored_model.load(name)).to(device)


def _image(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


# --- measuring ------------------------------------------------------------------------------------


def _line(row: Row, gflop: float, options: argparse.Namespace) -> str:
    on_cuda = _on_cuda(options.device)
    for _ in range(WARM):
        row.work()
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(options.device)
    median = statistics.median(_seconds(row.work, options.device) for _ in range(options.rounds))
    held = f"{torch.cuda.max_memory_allocated(options.device) / 1e6:.0f}" if on_cuda else ""
    rate = f"{gflop / median / 1e3:.2f}"
    return (
        f"| {row.network} | {row.given} | {row.way} | {median * 1e3:.1f} | {gflop:.1f} | {rate} |"
        f" {held} |"
    )


def _gflop(row: Row) -> float:
    with FlopCounterMode(display=False) as counter:
        row.work()
    return float(counter.get_total_flops() / 1e9)


def _seconds(work: Work, device: str) -> float:
    start = time.perf_counter()
    work()
    if _on_cuda(device):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _tell_limits(device: str) -> None:
    large = torch.rand(1 << 29, device=device)  # 2 GiB
    host = torch.rand(1 << 27)
    square = torch.rand(8192, 8192, device=device, dtype=torch.bfloat16)
    limits = {
        "copy within the device": (lambda: large.clone(), 2 * large.nbytes / 1e9, "GB/s"),
        "host to device": (lambda: host.to(device), host.nbytes / 1e9, "GB/s"),
        "device to host": (lambda: large[: 1 << 27].cpu(), host.nbytes / 1e9, "GB/s"),
        "product in bfloat16": (lambda: square @ square, 2 * 8192**3 / 1e12, "TFLOP/s"),
    }
    for name, (work, amount, unit) in limits.items():
        for _ in range(WARM):
            work()
        median = statistics.median(_seconds(work, device) for _ in range(9))
        print(f"{name}: {amount / median:.0f} {unit}")
    print()


def _called(device: str) -> str:
    if _on_cuda(device):
        return str(torch.cuda.get_device_name(device))
    return f"{torch.get_num_threads()} threads"


def _on_cuda(device: str) -> bool:
    return device.startswith("cuda")


if __name__ == "__main__":
    main()
