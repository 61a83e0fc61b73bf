"""What reading a CT costs a job: today, beside an earlier commit, and where it was decoded before.

    make bench-decoding
    make bench-decoding ARGS="--slices 100 --runs 1"

Given are CPU seconds of reading one series of 512×512 slices in a process of its own, without
its imports, medians over runs; both sides in turn. "before" is what the process of the
lowest priority spends while the images come. Every side must give the same voxels.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread, uid

from benchmarks.earlier import sides
from node.demo.ct_files import CtFiles, CtSeries, CtVolume, write_ct

SYNTAXES = {
    "uncompressed": uid.ExplicitVRLittleEndian,
    "RLE": uid.RLELossless,
    "JPEG-LS": uid.JPEGLSLossless,
    "JPEG 2000": uid.JPEG2000Lossless,
}
SHELF_BYTES = 1 << 34


def volume(slices: int) -> CtVolume:
    """A body with lungs, soft structure and the noise of a scanner: it packs as real ones do."""
    drawn = np.random.default_rng(1)
    row, column = np.mgrid[0:512, 0:512]
    body = ((column - 256) / 210) ** 2 + ((row - 256) / 160) ** 2 < 1
    lung = ((column - 170) / 60) ** 2 + ((row - 250) / 90) ** 2 < 1
    plane = np.where(lung, -850.0, np.where(body, 40.0, -1000.0))
    stack = [
        plane + 30 * np.sin(column / 17 + number / 9) + drawn.normal(0, 15, plane.shape)
        for number in range(slices)
    ]
    hu = np.clip(np.rint(stack), -1024, 3000).astype(np.int16)
    affine = np.zeros((4, 4))
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (0, 0, 1.0), (0, 0.7, 0), (0.7, 0, 0)
    affine[:, 3] = (-180, -180, 0, 1)
    return CtVolume(hu, affine, (1, 0, 0), (0, 1, 0), "HFS", CtSeries(), "decoding")


def prepare(folder: Path, slices: int) -> None:
    """The same series in every transfer syntax, sealed as the store seals it."""
    from storage.files.seal import seal_file

    drawn = volume(slices)
    for name, syntax in SYNTAXES.items():
        files = CtFiles(transfer_syntax=syntax, signed=True)
        for path in write_ct(drawn, folder / name, files):
            seal_file(path, dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def read(folder: Path, how: str) -> None:
    """In a process of its own, on any side: ``plain``, ``kept`` or ``before``; prints CPU, wall,
    and a digest of the voxels."""
    read_series = _reader()
    paths = sorted(folder.glob("*.dcm"))
    read_series(paths[:2])  # what is imported at the first image is no part of the work
    if how != "plain":
        from node.series.decoded import Shelf
        from node.work.ahead import decode
        from storage.files.blobs import Blob, Files
        from storage.files.decoded_shelf import DecodedShelf

        shelf = DecodedShelf(folder.parent / "shelf", SHELF_BYTES)
        blobs = tuple(Blob(Files(folder), path.name) for path in paths)
    cpu, wall = time.process_time(), time.perf_counter()
    digest = ""
    if how == "before":
        decode(blobs, shelf)
    elif how == "kept":
        found = read_series(blobs, Shelf(shelf))
    else:
        found = read_series(paths)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if how != "before" and found.volume is not None:
        digest = hashlib.sha256(found.volume.stored.tobytes()).hexdigest()
    print(cpu, wall, digest)


def _reader() -> Callable[..., Any]:
    """What reads a series, where the side has it."""
    try:
        module = importlib.import_module("node.series.read")
    except ModuleNotFoundError:
        module = importlib.import_module("node.work.series")
    read_series: Callable[..., Any] = module.read_series
    return read_series


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--slices", type=int, default=400)
    asked.add_argument("--runs", type=int, default=3)
    asked.add_argument("--one", nargs=2, metavar=("FOLDER", "HOW"), help=argparse.SUPPRESS)
    args = asked.parse_args()
    if args.one:
        read(Path(args.one[0]), args.one[1])
        return
    with tempfile.TemporaryDirectory(prefix="bench-decoding-") as made:
        prepare(Path(made), args.slices)
        print("| transfer syntax | then s | now s | ratio | decoded before s | ratio | before s |")
        print("|---|---|---|---|---|---|---|")
        for name in SYNTAXES:
            print(row(Path(made) / name, name, args.runs), flush=True)


def row(folder: Path, name: str, runs: int) -> str:
    """CPU seconds of one transfer syntax."""
    then, now = sides()
    took: defaultdict[str, list[float]] = defaultdict(list)
    seen = set()
    for run in range(runs):
        ways = [("then", then, "plain"), ("now", now, "plain"), ("kept", now, "kept")]
        for label, side, how in [("before", now, "before")][run:] + ways:
            cpu, _, *digest = side.run("benchmarks.decoding", "--one", folder, how).output.split()
            took[label].append(float(cpu))
            seen.update(digest)
    if len(seen) != 1:
        sys.exit(f"{name}: the sides do not give the same voxels")
    cpu_s = {label: statistics.median(times) for label, times in took.items()}
    ratios = (cpu_s["now"] / cpu_s["then"], cpu_s["kept"] / cpu_s["then"])
    return (
        f"| {name} | {cpu_s['then']:.2f} | {cpu_s['now']:.2f} | {ratios[0]:.2f} |"
        f" {cpu_s['kept']:.2f} | {ratios[1]:.2f} | {cpu_s['before']:.2f} |"
    )


if __name__ == "__main__":
    main()
