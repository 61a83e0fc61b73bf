"""OHIF before the real node: what was found lies on the organ, and nothing goes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from node.demo.ct_files import CtSeries
from node.demo.phantom import CORONAL, FEET_FIRST, OBLIQUE, SAGITTAL, SUPINE, ChestPhantom
from node.web.viewer import links
from storage.records import JobState
from tests.node.web.viewer import ohif
from tests.node.web.viewer.ohif import Shown
from tests.node_process import Node, rule, running_node
from tests.peers import dcmtk

TURNED = {"coronal": CORONAL, "sagittal": SAGITTAL, "oblique": OBLIQUE, "feet first": FEET_FIRST}
PLANES = {"axial": SUPINE, **TURNED}


@dataclass(frozen=True)
class Known:
    """A phantom that the node has analyzed; its frames do not end with a byte.

    slices: the place in the stack by SOP Instance UID.
    """

    phantom: ChestPhantom
    slices: dict[str, int]
    job: int

    def lungs_mm(self, sop_instance_uid: str) -> NDArray[np.float64]:
        """The voxels of both lungs on a slice, in the patient."""
        at = self.slices[sop_instance_uid]
        masks = self.phantom.truth.masks
        rows, columns = np.nonzero((masks["left_lung"] | masks["right_lung"])[at])
        index = np.stack([np.full_like(rows, at), rows, columns, np.ones_like(rows)])
        return (self.phantom.affine @ index)[:3].T


def of(plane: str) -> ChestPhantom:
    series = CtSeries(patient_id=plane.upper(), study=plane, accession_number=plane.upper())
    return ChestPhantom(
        shape=(60, 126, 98), spacing_mm=(5.0, 3.0, 4.0), acquisition=PLANES[plane], series=series
    )


def analyzed(node: Node, folder: Path, plane: str) -> Known:
    """The phantom is sent, and its lungs are found."""
    phantom = of(plane)
    files = phantom.write(folder / plane.replace(" ", "-"))
    before = len(node.state().jobs)
    dcmtk("dcmsend", "127.0.0.1", str(node.port), *files, timeout_s=120)
    state = node.wait_for_results(before + 1)
    job = max(state.jobs, key=lambda one: one.id)
    assert job.state is JobState.DONE, job.reason
    return Known(phantom, _slices(phantom, files), job.id)


def _slices(phantom: ChestPhantom, files: list[Path]) -> dict[str, int]:
    to_index = np.linalg.inv(phantom.affine)
    found = {}
    for path in files:
        header = dcmread(path, stop_before_pixels=True)
        at = to_index @ [*map(float, header.ImagePositionPatient), 1.0]
        found[str(header.SOPInstanceUID)] = round(at[0])
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
    expected = shown.project(known.lungs_mm(shown.image())).mean(0)
    rows, columns = np.nonzero(shown.overlay())
    distance = np.hypot(*(np.array([columns.mean(), rows.mean()]) - expected))
    assert distance < 8, f"the middle of the overlay is {distance:.1f} pixels off"
    assert shown.elsewhere == []
    assert shown.complaints == []


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


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(300)
@pytest.mark.parametrize("plane", sorted(TURNED))
def test_the_overlay_lies_on_the_organ_whichever_way_the_images_run(
    node: Node, shown: Shown, tmp_path: Path, plane: str
) -> None:
    check(node, shown, tmp_path, plane)
