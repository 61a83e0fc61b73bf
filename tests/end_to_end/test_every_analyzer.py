"""Every installed analyzer in one node: a study goes in, its results lie in a real PACS."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid

from analyzers import registry
from node.demo.ct_files import CtSeries
from node.demo.phantom import ChestPhantom
from node.dimse.scu.folder import send_folder
from node.dimse.scu.sender import Peer
from storage.kinds import ObjectKind
from storage.records import Delivery, DeliveryState, Job, JobState
from tests.node_process import Node, State, destination, running_node
from tests.peers import Orthanc

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

KINDS = {"segmentation": {"seg"}, "filters": {"image"}, "fusion": {"image", "reg", "pr"}}
"""What the analyzers of a package give besides the report."""
OF_ONE = {
    "hippocampus_fpn": {"seg", "map"},
    "hippocampus_unet": {"seg", "map"},
    "lung_nodule": {"seg"},
    "opacity_cnn": {"image"},
    "opacity_ensemble": {"image"},
    "opacity_faster_rcnn": {"image"},
    "opacity_random_forest": {"image"},
    "opacity_svm": {"image"},
    "calcium_score": set[str](),
    "window_presets": {"window"},
}
"""The phantom has no calcium: "looked for, not found" stands in the report alone."""
QUIET = {kind.value for kind in ObjectKind if kind.is_quiet}
SLOW = ("lung_nodule",)
ONE_IN = 25
"""Images of a derived series that are shown to dciodvfy."""


MEASURED = {"compression"}
"""Filters that say numbers: how much smaller images have become, and how alike they are."""


def promised(name: str) -> set[str]:
    package = registry.load(name).__module__.split(".")[1]
    report = "record" if package == "filters" and name not in MEASURED else "sr"
    return {report} | OF_ONE.get(name, KINDS.get(package, set()))


@dataclass(frozen=True)
class Study:
    """Images of one study and the analyzers that run on it."""

    folder: Path
    analyzers: tuple[str, ...]

    @property
    def uid(self) -> str:
        first = next(path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return str(pydicom.dcmread(first, stop_before_pixels=True).StudyInstanceUID)

    def rule(self) -> str:
        names = ", ".join(f'"{one}"' for one in self.analyzers)
        return (
            f'[[rules]]\nname = "{self.folder.name}"\nanalyzers = [{names}]\n'
            f'when = {{ StudyInstanceUID = "{self.uid}" }}\ndestinations = ["pacs"]\n'
        )


def as_one_study(paths: list[Path], folder: Path) -> Path:
    """Copies of images of several series under one study."""
    folder.mkdir()
    study, places = generate_uid(), {}
    for number, path in enumerate(paths):
        with warnings.catch_warnings(action="ignore"):  # of values that break their VR
            dataset = pydicom.dcmread(path)
            dataset.StudyInstanceUID, dataset.StudyID = study, "1"
            space = places.setdefault("space", dataset.get("FrameOfReferenceUID"))
            if space is not None:
                dataset.FrameOfReferenceUID = space
            dataset.save_as(folder / f"{number:04d}.dcm")
    return folder


def written(folder: Path, study: str, slices: int, spacing_mm: float) -> Path:
    phantom = ChestPhantom(
        shape=(slices, 96, 96), spacing_mm=(spacing_mm, 4.0, 4.0), series=CtSeries(study=study)
    )
    folder.mkdir()
    phantom.write(folder)
    return folder


def where(name: str) -> str:
    """The study that suits an analyzer, by its input contract."""
    info = registry.info(name)
    if info.inputs.modalities <= {"CR", "DX"}:
        return "radiograph"
    if info.companions:
        return "several series"
    if name.startswith("hippocampus"):
        return "crop"
    if "CT" not in info.inputs.modalities:
        return "PET" if "PT" in info.inputs.modalities else "radiograph"
    return "few slices" if promised(name) == {"record", "image"} else "chest"


@pytest.fixture(scope="module")
def studies(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    root, real = tmp_path_factory.mktemp("studies"), test_data / "studies"
    sarcoma = real / "petctmr_STS_002"
    film = [real / "pydicom_data_store" / "RG1_J2KI.dcm"]
    several = [*(sarcoma / "PET/image").glob("*.dcm"), *(sarcoma / "CT/image").glob("*.dcm")]
    folders = {
        "chest": written(root / "chest", "every", 72, 2.5),
        "few slices": written(root / "few", "few", 12, 15.0),
        "crop": as_one_study(sorted((real / "mr_hippocrop/Study2").glob("*.dcm")), root / "crop"),
        "PET": as_one_study(
            sorted((real / "petctmr_STS_025/PET/image").glob("*.dcm")), root / "pet"
        ),
        "radiograph": as_one_study(film, root / "film"),
        "several series": as_one_study(sorted(several), root / "several"),
    }
    wanted: dict[str, list[str]] = {}
    for name in registry.names():
        if name not in SLOW:
            wanted.setdefault(where(name), []).append(name)
    return [Study(folders[key], tuple(names)) for key, names in wanted.items()]


@dataclass(frozen=True)
class Ended:
    """The state of the node once all is settled, and what the PACS then holds: UID → its id."""

    node: Node
    state: State
    held: dict[str, str]

    def job(self, name: str) -> Job:
        (found,) = [job for job in self.state.jobs if job.analyzer == name]
        return found

    def sent(self, name: str) -> list[Delivery]:
        return [one for one in self.state.deliveries if one.job_id == self.job(name).id]


def ran(studies: list[Study], orthanc: Orthanc, folder: Path) -> Iterator[Ended]:
    text = destination(orthanc.port) + "".join(study.rule() for study in studies)
    jobs = sum(len(study.analyzers) for study in studies)
    with running_node(folder, text, quiet_period_s=5) as node:
        peer = Peer("node", "WETREAD", "127.0.0.1", node.port, calling_ae="CT1")
        for study in studies:
            assert send_folder(study.folder, peer).is_complete
        state = node.wait_for_results(jobs, timeout_s=380)
        found = orthanc.rest.get("/instances?expand").json()
        held = {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in found}
        yield Ended(node, state, held)


@pytest.fixture(scope="module")
def ended(
    studies: list[Study], orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ended]:
    yield from ran(studies, orthanc, tmp_path_factory.mktemp("node"))


def errors(path: Path) -> list[str]:
    tool = Path(sys.executable).with_name("dciodvfy")
    done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def check(name: str, ended: Ended, orthanc: Orthanc, folder: Path) -> None:
    """The job is done, and all that it promised lies in the PACS and keeps to the standard; what is
    made for the page alone is left out."""
    job, owed = ended.job(name), ended.sent(name)
    assert job.state is JobState.DONE, job.reason
    assert {one.object.kind for one in owed} >= promised(name)
    sent = [one for one in owed if one.state is not DeliveryState.LEFT_OUT]
    assert {one.object.kind for one in sent} >= {one for one in promised(name) if one not in QUIET}
    assert all(one.state is DeliveryState.SENT for one in sent)
    assert {one.object.sop_instance_uid for one in sent} <= set(ended.held)
    images = [one for one in sent if one.object.kind == "image"]
    others = [one for one in sent if one.object.kind != "image"]
    for one in (*others, *images[::ONE_IN]):
        path = folder / "object.dcm"
        path.write_bytes(orthanc.file(ended.held[one.object.sop_instance_uid]))
        assert errors(path) == [], one.object.kind


@pytest.mark.parametrize("name", [one for one in registry.names() if one not in SLOW])
def test_results_of_an_analyzer_arrive_in_the_pacs_and_validate(
    name: str, ended: Ended, orthanc: Orthanc, tmp_path: Path
) -> None:
    check(name, ended, orthanc, tmp_path)


@pytest.mark.slow
def test_the_heavy_ones_do_so_on_a_whole_chest(
    orthanc: Orthanc, test_data: Path, tmp_path: Path
) -> None:
    names = (*SLOW, "lung_segmentation", "airway_segmentation")
    chest = Study(test_data / "studies/ct_lidc_idri_0314", names)
    for ended in ran([chest], orthanc, tmp_path / "node"):
        for name in names:
            check(name, ended, orthanc, tmp_path)
