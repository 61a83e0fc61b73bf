"""A node that holds a CT study with its results, and what a client has to find there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pydicom
from pydicom.uid import generate_uid

from node.demo.ct_files import CtSeries
from node.demo.phantom import SUPINE, ChestPhantom
from tests.node_process import Node, rule, running_node
from tests.peers import dcmtk, free_port

OWN = "CLIENT"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"


@dataclass(frozen=True, slots=True)
class Report:
    """Where a structured report stands."""

    series: str
    instance: str


@dataclass(frozen=True, slots=True)
class Target:
    """All that a driver is told. ``files`` are for STOW-RS: a study that the node has not."""

    host: str
    port: int
    ae_title: str
    web: str
    wado_uri: str
    own_ae_title: str
    own_port: int
    patient_id: str
    study: str
    series: tuple[str, ...]
    image_series: str
    image: str
    images: tuple[str, ...]
    instances: tuple[str, ...]
    reports: tuple[Report, ...]
    sop_classes: tuple[str, ...]
    frame_sha256: str
    files: tuple[str, ...]
    sources: dict[str, str] = field(default_factory=dict)
    """File of each image by its UID, as it was sent."""

    def told(self) -> str:
        return json.dumps(asdict(self))


@contextmanager
def running_target(folder: Path) -> Iterator[Target]:
    """The real node, the phantom's CT, and the SEG and SR that it made of it."""
    own_port = free_port()
    text = rule("lung_segmentation", to="") + (
        f'[[peers]]\nae_title = "{OWN}"\nhost = "127.0.0.1"\nport = {own_port}\n'
    )
    dimse = "accept_any_peer = true"
    with running_node(folder / "node", text, dimse=dimse) as node:
        phantom = ChestPhantom(
            shape=(60, 128, 128),
            spacing_mm=(5.0, 3.0, 3.0),
            acquisition=SUPINE,
            series=CtSeries(study="interoperability"),
        )
        phantom.write(folder / "ct")
        dcmtk(
            "dcmsend", "+sd", "+r", "-dn", "-aec", "WETREAD", "127.0.0.1", node.port, folder / "ct"
        )
        node.wait_for_results()
        yield _target(node, folder, own_port)


def _target(node: Node, folder: Path, own_port: int) -> Target:
    sources = {
        str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID): file
        for file in sorted((folder / "ct").rglob("*.dcm"))
    }
    image = pydicom.dcmread(next(iter(sources.values())))
    results = [
        pydicom.dcmread(file, stop_before_pixels=True)
        for file in (node.var / "results").rglob("*.dcm")
    ]
    page = f"http://127.0.0.1:{node.http_port}"
    return Target(
        host="127.0.0.1",
        port=node.port,
        ae_title="WETREAD",
        web=f"{page}/dicom-web",
        wado_uri=f"{page}/dicom-web/wado",
        own_ae_title=OWN,
        own_port=own_port,
        patient_id=str(image.PatientID),
        study=str(image.StudyInstanceUID),
        series=tuple({str(one.SeriesInstanceUID): 0 for one in [image, *results]}),
        image_series=str(image.SeriesInstanceUID),
        image=str(image.SOPInstanceUID),
        images=tuple(sources),
        instances=(*sources, *(str(one.SOPInstanceUID) for one in results)),
        reports=tuple(
            Report(str(one.SeriesInstanceUID), str(one.SOPInstanceUID))
            for one in results
            if one.SOPClassUID == REPORT
        ),
        sop_classes=tuple({str(one.SOPClassUID): 0 for one in [image, *results]}),
        frame_sha256=hashlib.sha256(image.PixelData).hexdigest(),
        files=tuple(map(str, _strangers(list(sources.values())[:2], folder / "new"))),
        sources={uid: str(file) for uid, file in sources.items()},
    )


def _strangers(files: list[Path], folder: Path) -> list[Path]:
    """Two images of a study that nobody has."""
    folder.mkdir()
    study, series = generate_uid(), generate_uid()
    made = []
    for file in files:
        image = pydicom.dcmread(file)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.PatientID = "STRANGER"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        made.append(folder / file.name)
        image.save_as(made[-1])
    return made


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
