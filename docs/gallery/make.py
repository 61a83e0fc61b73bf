"""Draws what every installed analyzer says of a real case: one picture each, and their list.

``make gallery``, or ``python docs/gallery/make.py NAME …`` for some of them. Each analyzer runs as
the node runs it; the picture is the node's own preview with the findings below. Needs the studies
that ``CASES`` names.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from analyzers import registry
from analyzers.contract import AnalyzerInfo, Volume
from node.intake.companions import companions
from node.intake.folder import read_folder
from node.results.pictures.page import BACKGROUND, FAINT, INK
from node.results.pictures.preview import Patient
from node.results.words.numbers import on_screen
from node.series.facts import facts
from node.series.read import read_series
from node.work.executor import Outcome, Ticket, Verdict
from node.work.job import perform
from storage import ledger
from storage.files.results import JobFolder
from storage.records import FindingRow, StoredSeries

HERE = Path(__file__).parent
WIDTH, LINE, MOST_LINES = 860, 21, 9
LARGEST_BYTES = 150_000
SPOKEN = str.maketrans({"×": "x", "→": "to", "≥": ">=", "−": "-"})
"""Signs that the font lacks."""


@dataclass(frozen=True, slots=True)
class Case:
    """A study below the folder of studies, what is set, and who has to be heard before."""

    folder: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()


CHEST, ABDOMEN, SARCOMA = "ct_lidc_idri_0314", "ct_crlm_1004", "petctmr_STS_001"
HIPPOCAMPUS, KNEE_TO_HIP = "mr_hippocrop/Study1", "petctmr_STS_001/MR_T1"
RADIOGRAPH = "pydicom_data_store/RG1_J2KI.dcm"
NODULE = {"seed_mm": [-56.9, 131.3, -520.6], "reach_mm": 25.0}

CASES = {
    "lung_segmentation": Case(CHEST),
    "airway_segmentation": Case(CHEST),
    "lung_nodule": Case(CHEST),
    "calcium_score": Case(CHEST),
    "bone_segmentation": Case(ABDOMEN),
    "body_composition": Case(ABDOMEN),
    "series_classifier": Case(ABDOMEN),
    "quality": Case(ABDOMEN),
    "compression": Case(KNEE_TO_HIP, {"method": "jpeg_2000_lossy", "ratio": 20.0}),
    "rule_annotation": Case(CHEST, after=("lung_segmentation", "lung_nodule", "quality")),
    "pet_tumour": Case("petctmr_STS_001/PET"),
    **{
        name: Case(CHEST, NODULE)
        for name in ("chan_vese", "geodesic_contour", "watershed", "random_walker")
    },
    "gaussian_filter": Case(KNEE_TO_HIP, {"sigma_mm": 2.0}),
}
"""Who is not named here gets the first of ``OTHERS`` that its input contract accepts."""
OTHERS = (SARCOMA, KNEE_TO_HIP, RADIOGRAPH, ABDOMEN)
CROPS = ("hippocampus",)

ORIGINS = {
    CHEST: "LIDC-IDRI-0314, TCIA, 10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0",
    ABDOMEN: "Colorectal-Liver-Metastases, TCIA, 10.7937/QXK2-QG03, CC BY 4.0",
    SARCOMA: "Soft-tissue-Sarcoma STS_001, TCIA, 10.7937/K9/TCIA.2015.7GO2GSKS, CC BY 3.0",
    "mr_hippocrop": "Medical Segmentation Decathlon, Task 04 (crop), CC BY-SA 4.0",
    "pydicom_data_store": "pydicom-data, MIT",
}


def main() -> None:
    options = _options()
    for name in options.names or registry.names():
        picture(name, options.data / "studies", HERE / f"{name}.png")
    (HERE / "README.md").write_text(contents(), encoding="utf-8")


def _options() -> argparse.Namespace:
    given = os.environ.get("WETREAD_TEST_DATA")
    data = Path(given) if given else Path.home() / ".cache" / "wetread-data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="analyzers; all when left out")
    parser.add_argument("--data", type=Path, default=data, help="holds the folder studies/")
    return parser.parse_args()


def picture(name: str, studies: Path, path: Path) -> None:
    """Run an analyzer on its case and draw the result."""
    with tempfile.TemporaryDirectory() as folder:
        ran = run(name, studies, Path(folder))
        page = drawn(name, ran)
        save(page, path)
    print(
        f"{name}: {ran.outcome.verdict}, {ran.outcome.seconds:.1f} s, {path.stat().st_size} bytes"
    )


@dataclass(frozen=True, slots=True)
class Ran:
    """An outcome, the series it is of, and the folder that its files are named from."""

    outcome: Outcome
    instances: tuple[Path, ...]
    folder: Path


def case_of(name: str) -> Case:
    """The case of an analyzer; by name where it is one of a kind that needs another input."""
    if name in CASES:
        return CASES[name]
    if name.startswith(CROPS):
        return Case(HIPPOCAMPUS)
    info = registry.info(name)
    modalities = info.inputs.modalities
    if modalities <= {"CR", "DX"}:
        return Case(RADIOGRAPH)
    return Case(SARCOMA if info.companions else KNEE_TO_HIP if "MR" in modalities else ABDOMEN)


def run(name: str, studies: Path, out: Path) -> Ran:
    """What the node would make of the case of an analyzer.

    Raises
    ------
    LookupError
        No series of the case meets the input contract.
    """
    case = case_of(name)
    series = read_folder(studies / case.folder).series
    reported = []
    for earlier in case.after:
        ticket = _ticket(earlier, series, {}, out / earlier)
        if perform(ticket, "cpu").verdict is Verdict.DONE:
            reported.append((earlier, out / earlier / "reported.json"))
    ticket = _ticket(name, series, case.parameters, out / name)
    ticket = dataclasses.replace(ticket, reported=tuple(reported))
    return Ran(perform(ticket, "cpu"), ticket.instances, out)


def _ticket(
    name: str, series: tuple[StoredSeries, ...], given: Mapping[str, Any], folder: Path
) -> Ticket:
    info = registry.info(name)
    chosen = _best(series, info)
    parameters = dataclasses.asdict(registry.parameters(name, given))
    folder.mkdir(parents=True)
    return Ticket(
        job_id=0,
        key=ledger.job_key("", info.name, info.version, ledger.parameters_digest(parameters)),
        analyzer=name,
        analyzer_version=info.version,
        parameters=parameters,
        instances=_paths(chosen),
        place=JobFolder(folder),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        companions={role: _paths(one) for role, one in companions(series, chosen, info).items()},
    )


def _best(series: tuple[StoredSeries, ...], info: AnalyzerInfo) -> StoredSeries:
    accepted = [one for one in series if not info.inputs.refusals(facts(one))]
    if not accepted:
        raise LookupError(f"no series of the case fits {info.name}")
    return min(accepted, key=lambda one: info.inputs.preference(facts(one)))


def _paths(series: StoredSeries) -> tuple[Path, ...]:
    return tuple(Path(instance.key) for instance in series.instances)


# --- drawing --------------------------------------------------------------------------------------


def drawn(name: str, ran: Ran) -> Image.Image:
    """The node's previews of a result, or the images as they are, and the findings below."""
    previews = [Image.open(ran.folder / key).convert("RGB") for key in ran.outcome.results.previews]
    top = _beside(previews[:2]) if previews else plain(ran.instances)
    top = top.resize((WIDTH, round(top.height * WIDTH / top.width)), Image.Resampling.LANCZOS)
    top.thumbnail((WIDTH, 560), Image.Resampling.LANCZOS)
    lines = _lines(ran)
    page = Image.new("RGB", (WIDTH, top.height + LINE * (len(lines) + 1) + 20), BACKGROUND)
    page.paste(top, ((WIDTH - top.width) // 2, 0))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    pen.text((12, top.height + 8), f"{registry.info(name).title} ({name})", INK, font)
    for number, line in enumerate(lines, 1):
        pen.text((12, top.height + 8 + LINE * number), line, FAINT, font)
    return page


def plain(instances: tuple[Path, ...]) -> Image.Image:
    """The radiograph, or the middle axial slice, without any mark."""
    volume = read_series(instances).volume
    if volume is None:
        raise LookupError("the case has no pixels")
    return Image.fromarray(_shades(volume)).convert("RGB")


def _shades(volume: Volume) -> np.ndarray[Any, Any]:
    values = volume.values()
    if volume.projection:
        plane, spacing = values[0], volume.spacing_mm[1:]
    else:
        patient = Patient.of(volume)
        view = patient.view(values)
        plane, spacing = view[len(view) // 2], np.array(patient.spacing_mm[1:])
    low, high = (-160, 240) if volume.modality == "CT" else np.percentile(plane, (1, 99.5))
    grey = (np.clip((plane - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    size = np.array(grey.shape) * spacing / spacing.min()
    return np.asarray(cv2.resize(grey, (round(size[1]), round(size[0]))))


def _beside(pictures: list[Image.Image]) -> Image.Image:
    height = min(one.height for one in pictures)
    scaled = [one.resize((round(one.width * height / one.height), height)) for one in pictures]
    page = Image.new("RGB", (sum(one.width for one in scaled), height), BACKGROUND)
    left = 0
    for one in scaled:
        page.paste(one, (left, 0))
        left += one.width
    return page


def _lines(ran: Ran) -> list[str]:
    """Findings and remarks, as many as there is room for."""
    outcome = ran.outcome
    said = [f"{outcome.verdict}: {outcome.reason}"] if outcome.verdict is not Verdict.DONE else []
    said += [_line(row) for row in outcome.results.findings] + list(outcome.results.remarks)
    said = [one.translate(SPOKEN) for one in dict.fromkeys(said)]
    wrapped = [line for one in said for line in textwrap.wrap(one, 112, subsequent_indent="    ")]
    more = len(wrapped) - MOST_LINES
    return wrapped if more <= 0 else [*wrapped[:MOST_LINES], f"… and {more} more lines"]


def _line(row: FindingRow) -> str:
    value = row.text if row.value is None else f"{row.value:.4g} {on_screen(row.unit)}".rstrip()
    return ": ".join(part for part in (row.structure, row.name, value) if part)


def save(page: Image.Image, path: Path) -> None:
    """As PNG of at most ``LARGEST_BYTES``: fewer shades of grey, then fewer pixels."""
    greys = 96
    while True:
        few_colours(page, greys).save(path, "PNG", optimize=True)
        if path.stat().st_size <= LARGEST_BYTES:
            return
        if greys > 48:
            greys //= 2
        else:
            page = page.resize((page.width * 9 // 10, page.height * 9 // 10))


def few_colours(page: Image.Image, greys: int) -> Image.Image:
    """So many shades of grey, and 96 colours chosen among what is coloured."""
    pixels = np.asarray(page)
    vivid = pixels[np.ptp(pixels, axis=2) > 24]
    palette = [shade for shade in np.linspace(0, 255, greys, dtype=np.uint8) for _ in range(3)]
    if len(vivid):
        found = Image.fromarray(vivid[None]).quantize(96, dither=Image.Dither.NONE).getpalette()
        palette += (found or [])[: 3 * 96]
    chosen = Image.new("P", (1, 1))
    chosen.putpalette([int(value) for value in palette])
    return page.quantize(palette=chosen, dither=Image.Dither.NONE)


# --- the list -------------------------------------------------------------------------------------


def contents() -> str:
    """The README of the gallery: every picture that is there, and whose images it shows."""
    parts = [
        "# Gallery",
        "What the analyzers say of real cases: the node's own previews, the findings below. Made by"
        " `make gallery`.\nImages and results are shown to check them, not to prove"
        " accuracy: for that see the model cards and the tests.",
    ]
    for path in sorted(HERE.glob("*.png")):
        case = case_of(path.stem)
        origin = next((text for key, text in ORIGINS.items() if case.folder.startswith(key)), "")
        given = f" Parameters: `{json.dumps(dict(case.parameters))}`." if case.parameters else ""
        parts.append(
            f"## {path.stem}\n![{registry.info(path.stem).title}]({path.name})\n\n{origin}.{given}"
        )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
