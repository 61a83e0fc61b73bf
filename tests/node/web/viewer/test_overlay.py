"""OHIF before the real node: what was found lies on the organ, and nothing goes elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread

from node.demo.ct_files import CtSeries
from node.demo.phantom import CORONAL, FEET_FIRST, OBLIQUE, SAGITTAL, SUPINE, ChestPhantom
from node.look.place import place_of
from node.web.viewer import links
from storage.records import JobState
from tests.node.web.viewer import ohif
from tests.node.web.viewer.ohif import Shown
from tests.node_process import Node, rule, running_node
from tests.peers import dcmtk

if TYPE_CHECKING:
    from playwright.sync_api import Route

_PICTURED = "document.querySelector('#first-picture img')?.naturalWidth > 0"
TURNED = {"coronal": CORONAL, "sagittal": SAGITTAL, "oblique": OBLIQUE, "feet first": FEET_FIRST}
PLANES = {"axial": SUPINE, "at the start": SUPINE, **TURNED}


@dataclass(frozen=True)
class Known:
    """A phantom that the node has analyzed; its frames do not end with a byte.

    slices: the place in the stack by SOP Instance UID; files: the headers by it.
    """

    phantom: ChestPhantom
    slices: dict[str, int]
    files: dict[str, Dataset]
    job: int

    def mm(self, sop_instance_uid: str, *structures: str) -> NDArray[np.float64]:
        """The voxels of structures on a slice, in the patient."""
        at = self.slices[sop_instance_uid]
        masks = [self.phantom.truth.masks[one][at] for one in structures]
        rows, columns = np.nonzero(np.any(masks, axis=0))
        index = np.stack([np.full_like(rows, at), rows, columns, np.ones_like(rows)])
        return (self.phantom.affine @ index)[:3].T


def of(plane: str) -> ChestPhantom:
    series = CtSeries(patient_id=plane.upper(), study=plane, accession_number=plane.upper())
    return ChestPhantom(
        shape=(60, 126, 98), spacing_mm=(5.0, 3.0, 4.0), acquisition=PLANES[plane], series=series
    )


def analyzed(node: Node, folder: Path, plane: str, phantom: ChestPhantom | None = None) -> Known:
    """The phantom is sent, and its lungs are found; without one that :func:`of` the plane."""
    phantom = phantom or of(plane)
    files = phantom.write(folder / plane.replace(" ", "-"))
    before = len(node.state().jobs)
    dcmtk("dcmsend", "127.0.0.1", str(node.port), *files, timeout_s=120)
    state = node.wait_for_results(before + 1)
    job = max(state.jobs, key=lambda one: one.id)
    assert job.state is JobState.DONE, job.reason
    headers = headers_of(files)
    return Known(phantom, _slices(phantom, headers), headers, job.id)


def headers_of(files: list[Path]) -> dict[str, Dataset]:
    read = [dcmread(path, stop_before_pixels=True) for path in files]
    return {str(header.SOPInstanceUID): header for header in read}


def _slices(phantom: ChestPhantom, headers: dict[str, Dataset]) -> dict[str, int]:
    to_index = np.linalg.inv(phantom.affine)
    found = {}
    for uid, header in headers.items():
        at = to_index @ [*map(float, header.ImagePositionPatient), 1.0]
        found[uid] = round(at[0])
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("viewed")
    viewer = ohif.installed_ohif()
    (folder / "var").mkdir()
    (folder / "var" / "viewer").symlink_to(viewer)
    with running_node(folder, rule("lung_segmentation", to="")) as started:
        yield started


@pytest.fixture
def shown(node: Node) -> Iterator[Shown]:
    with ohif.browser(f"127.0.0.1:{node.http_port}") as tab:
        yield tab


def check(node: Node, shown: Shown, folder: Path, plane: str) -> None:
    known = analyzed(node, folder, plane)
    shown.page.goto(f"http://{shown.host}/")
    shown.follow(links.of_job(known.job))
    expected = shown.project(known.mm(shown.image(), "left_lung", "right_lung")).mean(0)
    rows, columns = np.nonzero(shown.overlay())
    distance = np.hypot(*(np.array([columns.mean(), rows.mean()]) - expected))
    assert distance < 8, f"the middle of the overlay is {distance:.1f} pixels off"
    assert shown.elsewhere == []
    assert shown.complaints == []
    assert_one_slice(node, shown, known)
    assert_the_outline_fits(shown, known)


def assert_one_slice(node: Node, shown: Shown, known: Known) -> None:
    """The report names and outlines the slice that both viewers open."""
    (study,) = {one.study_id for one in node.state().jobs if one.id == known.job}
    report = report_of(shown.host, known)
    own = httpx.get(f"http://{shown.host}/studies/{study}/look")
    found = re.search(r"slice (\d+) of \d+", own.text)
    assert found, own.text
    in_order = sorted(known.files, key=lambda uid: depth(known.files[uid]))
    assert in_order[int(found[1]) - 1] == report.outlined
    assert shown.image() == report.outlined
    assert f"image {known.files[report.outlined].InstanceNumber}" in report.said


def assert_the_outline_fits(shown: Shown, known: Known) -> None:
    """That of the report lies round the first lung, though pixels are no squares."""
    report = report_of(shown.host, known)
    shown.page.goto(f"http://{shown.host}{report.address}")
    boxes = shown.outlines()
    assert shown.image() == report.outlined
    points = shown.project(known.mm(report.outlined, "right_lung"))
    expected = np.array([*points.min(0), *points.max(0)])
    apart = min(float(np.abs(expected - box).max()) for box in boxes)
    assert apart < 12, f"the outline is {apart:.1f} pixels off"
    assert shown.complaints == []


@dataclass(frozen=True)
class Report:
    """said: its answer; outlined: the image of the first outline; address: where OHIF shows it."""

    said: str
    outlined: str
    address: str


def report_of(host: str, known: Known) -> Report:
    (header, *_) = known.files.values()
    study = str(header.StudyInstanceUID)
    root = f"http://{host}/dicom-web/studies/{study}"
    (found,) = httpx.get(f"{root}/series", params={"Modality": "SR"}).json()
    series = str(found["0020000E"]["Value"][0])
    (report,) = httpx.get(f"{root}/series/{series}/metadata").json()
    items = list(items_of(Dataset.from_json(report)))
    said = next(str(one.TextValue) for one in items if _name(one) == "Conclusion")
    region = next(one for one in items if one.ValueType == "SCOORD")
    image = str(region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    asked = {"StudyInstanceUIDs": study, "initialSeriesInstanceUID": series}
    return Report(said, image, f"/viewer?{urlencode(asked)}")


def items_of(item: Dataset) -> Iterator[Dataset]:
    """All content items below one, in the order of the document."""
    for one in item.get("ContentSequence", ()):
        yield one
        yield from items_of(one)


def _name(item: Dataset) -> str:
    concept = item.get("ConceptNameCodeSequence")
    return str(concept[0].CodeMeaning) if concept else ""


def depth(header: Dataset) -> float:
    """The place in the order in which a series is looked through."""
    orientation, position = header.ImageOrientationPatient, header.ImagePositionPatient
    place = place_of([*map(float, position)], [*map(float, orientation)], [1.0, 1.0])
    assert place is not None
    return place.depth


@pytest.mark.interop
@pytest.mark.timeout(300)
def test_the_list_leads_to_the_lungs_on_the_image_and_asks_no_other_host(
    node: Node, shown: Shown, tmp_path: Path
) -> None:
    check(node, shown, tmp_path, "axial")
    answer = httpx.get(f"http://{shown.host}/open", params={"accession": "AXIAL"})
    assert "/viewer?" in answer.headers["Location"]
    log = (node.var / "logs").rglob("*")
    study = answer.headers["Location"].partition("StudyInstanceUIDs=")[2].partition("&")[0]
    assert study
    assert not [one for one in log if one.is_file() and study in one.read_text()]


@pytest.mark.interop
@pytest.mark.timeout(300)
def test_the_finding_is_seen_before_ohif_has_started_and_makes_room_for_it(
    node: Node, shown: Shown, tmp_path: Path
) -> None:
    known = analyzed(node, tmp_path, "at the start")
    held: list[Route] = []
    shown.page.route("**/app.bundle.*.js", lambda one: held.append(one))
    shown.page.goto(f"http://{shown.host}{links.of_job(known.job)}", wait_until="commit")
    shown.page.wait_for_function(_PICTURED, timeout=ohif.PATIENCE_MS)
    assert held, "OHIF itself has not begun"
    assert shown.page.locator("#first-picture").screenshot(path=tmp_path / "first.png")
    assert_lungs_have_colour(tmp_path / "first.png")
    for one in held:
        one.continue_()
    shown.until_coloured()
    shown.page.wait_for_selector("#first-picture", state="detached", timeout=ohif.PATIENCE_MS)
    assert shown.complaints == []


def assert_lungs_have_colour(path: Path) -> None:
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    coloured = pixels.max(2) - pixels.min(2) > 25
    assert 0.01 < coloured.mean() < 0.5


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(300)
@pytest.mark.parametrize("plane", sorted(TURNED))
def test_the_overlay_lies_on_the_organ_whichever_way_the_images_run(
    node: Node, shown: Shown, tmp_path: Path, plane: str
) -> None:
    check(node, shown, tmp_path, plane)
