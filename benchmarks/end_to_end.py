"""From the last image to the results in the PACS: an earlier commit and this checkout, in turn.

    python -m benchmarks.end_to_end [--runs 3] [--only DX] [--study FOLDER] [--film IMAGE]
        [--commit 5d2b375]

Both nodes run beside each other, each with workers that are warm; a study is sent to one of them,
then to the other. **SEG**, **SR**: seconds from the acknowledgement of the last image until the
PACS has the object. **CPU**: of the node and all its processes in that time. The quiet period is a
setting and no work, and part of all times.

Then what the CT costs this checkout without a node, in a process that is warm: decode, analysis,
encode and check, send. What the node takes beyond that, and the quiet period, is its own.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from analyzers import devices, registry
from benchmarks import arrivals, drawn, earlier
from benchmarks.arrivals import Pacs, Running
from node.demo.phantom import ChestPhantom
from node.dimse.scu.sender import Peer, send
from node.results.modules.source import Provenance
from node.results.write import load_tables, write_results
from node.series.read import read_series

QUIET_S = 1.0
_SEG, _SR = str(SegmentationStorage), str(Comprehensive3DSRStorage)


@dataclass(frozen=True, slots=True)
class Case:
    """Images of one kind, and what comes of them."""

    name: str
    modality: str
    analyzer: str
    results: tuple[str, ...]


CT = Case("CT, 400 slices", "CT", "lung_segmentation", (_SEG, _SR))
DX = Case("DX, 512 × 512", "DX", "quality", (_SR,))
CASES = (CT, DX)


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one study."""

    segmentation_s: float
    report_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Parts:
    """The bare work, in seconds."""

    decode: float
    analyze: float
    encode: float
    send: float


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="wetread-bench-") as made, ExitStack() as stack:
        folder = Path(made)
        pacs = Pacs(folder / "pacs")
        stack.callback(pacs.stop)
        config = _config(pacs.port, options.device)
        nodes = {
            side.name: stack.enter_context(arrivals.serving(side, folder / side.name, config))
            for side in earlier.sides(options.commit)
        }
        print("| study | side | SEG s | SR s | CPU s |\n|---|---|---|---|---|")
        for case in (one for one in CASES if options.only in one.name):
            images = _images(case, folder, options)
            _compare(case, images, nodes, pacs, options.runs)
        _print_bare(options, folder, pacs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="")
    parser.add_argument("--commit", default=earlier.EARLIER, help="the earlier side")
    parser.add_argument("--study", type=Path, help="a folder with one CT series, not the phantom")
    parser.add_argument("--film", type=Path, help="a PNG or JPEG for the DX, which is noise else")
    return parser.parse_args()


def _images(case: Case, folder: Path, options: argparse.Namespace) -> Path:
    """Where they lie; made once."""
    if case is CT and options.study:
        return Path(options.study)
    images = folder / f"images-{case.modality}"
    if images.exists():
        return images
    if case is CT:
        thickness_mm = 300 / options.slices
        ChestPhantom((options.slices, 512, 512), (thickness_mm, 0.75, 0.75)).write(images)
    else:
        images.mkdir()
        _radiograph(options.film).save_as(images / "0.dcm", enforce_file_format=True)
    return images


def _radiograph(film: Path | None) -> Dataset:
    image = drawn.radiograph((512, 512))
    if film is not None:
        pixels = cv2.imread(str(film), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            sys.exit(f"{film} is no image that can be read")
        pixels = cv2.resize(pixels, (512, 512), interpolation=cv2.INTER_AREA)
        image.PixelData = (pixels.astype(np.uint16) * 16).tobytes()
    return image


def _config(pacs_port: int, device: str) -> str:
    rules = "".join(
        f'[[rules]]\nname = "{one.modality}"\nwhen = {{ Modality = "{one.modality}" }}\n'
        f'analyzers = ["{one.analyzer}"]\ndestinations = ["pacs"]\n'
        for one in CASES
    )
    return f"""\
[node]
data_dir = "node"
[dimse]
port = 0
[http]
port = 0
[completion]
quiet_period_s = {QUIET_S}
[workers]
device = "{device}"
[[destinations]]
name = "pacs"
ae_title = "BENCHPACS"
host = "127.0.0.1"
port = {pacs_port}
{rules}"""


# --- then and now ---------------------------------------------------------------------------------


def _compare(case: Case, images: Path, nodes: dict[str, Running], pacs: Pacs, runs: int) -> None:
    """A first study on each side warms it, and is not counted."""
    took: dict[str, list[Took]] = {name: [] for name in nodes}
    for _ in range(runs + 1):
        for name, node in nodes.items():
            took[name].append(_once(case, images, node, pacs))
    middle = {name: _median(found[1:]) for name, found in took.items()}
    for name, one in middle.items():
        segmentation = f"{one.segmentation_s:.2f}" if _SEG in case.results else ""
        print(f"| {case.name} | {name} | {segmentation} | {one.report_s:.2f} | {one.cpu_s:.2f} |")
    then, now = middle.values()
    ratios = [mine / other for mine, other in zip(astuple(now), astuple(then), strict=True)]
    print("| {} | now / then | {:.2f} | {:.2f} | {:.2f} |".format(case.name, *ratios), flush=True)


def _once(case: Case, images: Path, node: Running, pacs: Pacs) -> Took:
    with tempfile.TemporaryDirectory(prefix="wetread-bench-") as folder:
        study = Path(folder) / "study"
        uid = arrivals.fresh_copy(images, study)
        acknowledged = node.receive(study)
        used = node.cpu_s()
        came = pacs.await_all(uid, case.results)
        report, segmentation = came[_SR], came.get(_SEG, came[_SR])
        return Took(segmentation - acknowledged, report - acknowledged, node.cpu_s() - used)


def _median(took: Iterable[Took]) -> Took:
    return Took(*map(statistics.median, zip(*map(astuple, took), strict=True)))


# --- without a node -------------------------------------------------------------------------------


def _print_bare(options: argparse.Namespace, folder: Path, pacs: Pacs) -> None:
    load_tables()
    images = _images(CT, folder, options)
    parts = [_bare(images, folder / f"bare-{run}", pacs.port, options) for run in range(3)][1:]
    one = Parts(*map(statistics.median, zip(*map(astuple, parts), strict=True)))
    print(
        f"without a node: {sum(astuple(one)):.2f} s = decode {one.decode:.2f}"
        f" + analyze {one.analyze:.2f} + encode {one.encode:.2f} + send {one.send:.2f}"
    )


def _bare(images: Path, work: Path, pacs_port: int, options: argparse.Namespace) -> Parts:
    study = work / "study"
    arrivals.fresh_copy(images, study)
    analyzer = registry.load(CT.analyzer)(devices.resolve(options.device))
    marks = [time.monotonic()]
    source = read_series(sorted(study.iterdir()))
    marks.append(time.monotonic())
    if source.volume is None:
        sys.exit("the study has no volume")
    findings = analyzer.analyze(source.volume, analyzer.parameters())
    marks.append(time.monotonic())
    results = write_results(source, findings, provenance(CT.analyzer, work.name), work / "out")
    marks.append(time.monotonic())
    peer = Peer("pacs", "BENCHPACS", "127.0.0.1", pacs_port, calling_ae="BENCH")
    send([work / one.key for one in results.objects], peer, lambda number, result: None)
    marks.append(time.monotonic())
    return Parts(*(after - before for before, after in itertools.pairwise(marks)))


def provenance(analyzer: str, key: str) -> Provenance:
    """Of results that a bench writes."""
    return Provenance(
        analyzer=analyzer,
        analyzer_version="bench",
        analyzer_title="Bench",
        parameters={},
        device="cpu",
        node_version="bench",
        key=key,
        started_at=datetime.now(UTC),
    )


if __name__ == "__main__":
    main()
