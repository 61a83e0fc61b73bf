"""How fast segmentations are built, written and let through the gate, beside highdicom and dcmqi.

    python -m benchmarks.results [--slices 400] [--rounds 3] [--only "5 structures"] [--quick]

``--quick`` runs every case from end to end once, on 40 slices: whether all of it works, no figures.

One CT of 512 × 512 pixels, on which ellipsoids stand for structures. Ours is all that the node does
from labels to a file that may leave: build, write, digest, gate with dciodvfy. highdicom's is its
constructor and `save_as`; dcmqi's is `itkimage2segimage`, which reads the images and labels from
disk too. Each work is done in a process of its own, the sides in turn; given are medians, wall and
CPU with that of child processes. Memory is the most that the process held during the work above
what it held before, over the size of the labels.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import SimpleITK
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from analyzers.contract import Code, Findings, Segmentation
from benchmarks import drawn
from node.results import identity, write
from node.results.bench import Bench
from node.results.files import ResultFiles
from node.results.forms import label_maps
from node.results.gate import gate, validator
from node.results.gate.written import Written
from node.results.modules.source import Provenance
from node.results.objects import seg
from node.results.presence import present_segments
from node.results.series_numbers import Block
from node.series.read import read_series
from node.series.source import Source
from storage.kinds import ObjectKind

QUICK_SLICES = 40
HEADER = (
    "| case | frames | MB | side | wall s | CPU s | ours / its wall | ours / its CPU | memory |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Case:
    """So many structures, each through a share of the slices."""

    name: str
    structures: int
    share: float
    form: ObjectKind = ObjectKind.SEGMENTATION
    sides: tuple[str, ...] = ("ours", "highdicom", "dcmqi")


CASES = (
    Case("1 structure", 1, 1.0),
    Case("5 structures", 5, 1.0),
    Case("30 structures", 30, 0.4),
    Case("30 structures, a quarter of the frames", 30, 0.1),
    Case("117 structures", 117, 0.2, sides=("ours", "highdicom")),
    Case("117 structures as a label map", 117, 0.2, ObjectKind.LABEL_MAP, ("ours", "highdicom")),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one work took."""

    wall_s: float
    cpu_s: float
    memory: float
    megabytes: float
    frames: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true", help="40 slices, one round: no figures")
    parser.add_argument("--work", nargs=3, metavar=("FOLDER", "CASE", "SIDE"))
    given = parser.parse_args()
    if given.quick:
        given.slices, given.rounds = QUICK_SLICES, 1
    if given.work:
        folder, case, side = given.work
        print(json.dumps(asdict(work(Path(folder), CASES[int(case)], side))))
        return
    with tempfile.TemporaryDirectory(prefix="wetread-results-") as folder:
        drawn.write_ct(Path(folder) / "images", given.slices)
        print(HEADER)
        for number, case in enumerate(CASES):
            if given.only in case.name:
                for row in rows(Path(folder), number, given.rounds):
                    print(row, flush=True)


def rows(folder: Path, number: int, rounds: int) -> Iterator[str]:
    """The lines of a case: each side in turn, round by round."""
    case = CASES[number]
    found: dict[str, list[Figures]] = {side: [] for side in case.sides}
    for _ in range(rounds):
        for side in case.sides:
            found[side].append(_in_a_process(folder, number, side))
    middle = {side: _median(figures) for side, figures in found.items()}
    ours = middle["ours"]
    for side, one in middle.items():
        ratios = f"{ours.wall_s / one.wall_s:.2f} | {ours.cpu_s / one.cpu_s:.2f}"
        memory = f"{one.memory:.2f} ×" if side != "dcmqi" else ""
        yield (
            f"| {case.name} | {one.frames} | {one.megabytes:.1f} | {side} | {one.wall_s:.2f} "
            f"| {one.cpu_s:.2f} | {ratios if side != 'ours' else '|'} | {memory} |"
        )


def _in_a_process(folder: Path, number: int, side: str) -> Figures:
    command = [sys.executable, "-m", "benchmarks.results", "--work", str(folder), str(number), side]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def _median(figures: list[Figures]) -> Figures:
    wall, cpu, memory = (
        statistics.median(getattr(one, name) for one in figures)
        for name in ("wall_s", "cpu_s", "memory")
    )
    return replace(figures[0], wall_s=wall, cpu_s=cpu, memory=memory)


# --- one work -------------------------------------------------------------------------------------


def work(folder: Path, case: Case, side: str) -> Figures:
    """Do the work of a side once."""
    warnings.simplefilter("ignore")
    source = read_series(sorted((folder / "images").iterdir()))
    item = drawn.ellipsoids(source, case.structures, case.share)
    out = folder / side
    out.mkdir(exist_ok=True)
    write.load_tables()
    do = {"ours": ours, "highdicom": highdicom, "dcmqi": dcmqi}[side](source, item, case, out)
    before, cpu, start = _resident("VmRSS"), _cpu_s(), time.perf_counter()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of before
    path = do()
    wall = time.perf_counter() - start
    peak = (_resident("VmHWM") - before) / item.labels.nbytes
    frames = int(pydicom.dcmread(path, specific_tags=["NumberOfFrames"]).NumberOfFrames)
    return Figures(wall, _cpu_s() - cpu, peak, path.stat().st_size / 1e6, frames)


def ours(source: Source, item: Segmentation, case: Case, out: Path) -> Callable[[], Path]:
    """All that the node does from labels to a file that may leave."""
    run = Provenance(
        *("bench", "1", "Benchmark"),
        parameters={},
        device="cpu",
        node_version="0",
        key="ab" * 32,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    findings = Findings((item,))
    run = identity.of_run(source, findings, run)
    files = ResultFiles(out)

    def do() -> Path:
        bench = Bench.of(source, findings, run)
        if case.form is ObjectKind.LABEL_MAP:
            (dataset,) = label_maps.build(bench)
            path = files.write(dataset, "labelmap.dcm", case.form)
            label_maps.read_back(path, bench, 0)
            gate.check_required(path, source)
            return path
        encoded = seg.build(source, item, bench.provenance, bench.numbers.next(Block(10, 20)))
        path = files.write(encoded, "seg.dcm", case.form)
        with validator.Asked(path) as asked:
            written = Written(path)
            gate.check_segmentation(written, item, source)
            gate.check_required(written, source, asked=asked)
        return path

    return do


def highdicom(source: Source, item: Segmentation, case: Case, out: Path) -> Callable[[], Path]:
    """highdicom's constructor and pydicom's writer."""
    is_map = case.form is ObjectKind.LABEL_MAP
    kinds = hd.seg.SegmentationTypeValues
    algorithm = hd.AlgorithmIdentificationSequence(
        "bench", hd.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"), "1"
    )
    described = [
        hd.seg.SegmentDescription(
            *(segment.number, segment.label, _concept(segment.category), _concept(segment.kind)),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_id=segment.key,
            tracking_uid=generate_uid(),
        )
        for segment in present_segments(item)
    ]

    def do() -> Path:
        made = hd.seg.Segmentation(
            source_images=list(source.headers),
            pixel_array=item.labels,
            segmentation_type=kinds.LABELMAP if is_map else kinds.BINARY,
            segment_descriptions=described,
            series_instance_uid=generate_uid(),
            series_number=9,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="bench",
            manufacturer_model_name="bench",
            software_versions="1",
            device_serial_number="1",
            transfer_syntax_uid=RLELossless if is_map else ExplicitVRLittleEndian,
        )
        made.save_as(out / "highdicom.dcm")
        return out / "highdicom.dcm"

    return do


def dcmqi(source: Source, item: Segmentation, case: Case, out: Path) -> Callable[[], Path]:
    """dcmqi's command, on the same labels as an uncompressed NRRD."""
    volume = source.volume
    assert volume is not None
    image: Any = SimpleITK.GetImageFromArray(item.labels)
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetSpacing(volume.spacing_mm[::-1].tolist())
    directions = volume.affine[:3, :3] / volume.spacing_mm
    image.SetDirection(directions[:, ::-1].ravel().tolist())
    SimpleITK.WriteImage(image, str(out / "labels.nrrd"), useCompression=False)
    (out / "meta.json").write_text(json.dumps(_metadata(item)))
    command = [str(files("dcmqi") / "bin" / "itkimage2segimage")]  # not by way of Python
    command += ["--inputImageList", str(out / "labels.nrrd"), "--outputDICOM", str(out / "q.dcm")]
    command += ["--inputDICOMDirectory", str(out.parent / "images")]
    command += ["--inputMetadata", str(out / "meta.json")]

    def do() -> Path:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return out / "q.dcm"

    return do


def _metadata(item: Segmentation) -> dict[str, Any]:
    def coded(code: Code) -> dict[str, str]:
        names = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        return dict(zip(names, (code.value, code.scheme, code.meaning), strict=True))

    described = [
        {
            "labelID": segment.number,
            "SegmentDescription": segment.label,
            "SegmentAlgorithmType": "AUTOMATIC",
            "SegmentAlgorithmName": "bench",
            "SegmentedPropertyCategoryCodeSequence": coded(segment.category),
            "SegmentedPropertyTypeCodeSequence": coded(segment.kind),
        }
        for segment in present_segments(item)
    ]
    return {
        "ContentCreatorName": "bench",
        "SeriesNumber": "9",
        "InstanceNumber": "1",
        "segmentAttributes": [described],
    }


def _concept(code: Code) -> hd.sr.CodedConcept:
    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning)


def _cpu_s() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (one for one in lines if one.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
