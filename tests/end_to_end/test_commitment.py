"""Storage commitment, MPPS and the instance ledger in the real process, with Orthanc as peer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from node.dimse.scu.folder import send_folder
from node.dimse.scu.sender import Peer
from storage.files.instances import InstanceStore
from storage.records import StudyState
from tests.node.dimse.commitments import Requestor, ask
from tests.node.dimse.test_mpps import begun, create, ended, set_
from tests.node_process import Node, destination, rule, running_node
from tests.peers import Orthanc, free_port
from tests.waiting import until

TRANSACTION = "1.2.826.0.1.3680043.8.498.2"


def push(node: Node, folder: Path) -> None:
    peer = Peer("node", "WETREAD", "127.0.0.1", node.port, calling_ae="CT1")
    assert send_folder(folder, peer).is_complete


def headers(paths: list[Path]) -> list[Dataset]:
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]


def peer(port: int) -> str:
    return f'[[peers]]\nae_title = "CT1"\nport = {port}\n'


@pytest.mark.timeout(180)
def test_a_report_that_is_owed_survives_sigkill(
    tmp_path: Path, phantom_folder: Path, phantom_paths: list[Path]
) -> None:
    modality = Requestor(port=free_port())
    images = headers(phantom_paths)
    with running_node(tmp_path, peer(modality.port)) as node:
        push(node, phantom_folder)
        with modality.associated(node.port) as association:
            assert ask(association, TRANSACTION, images).Status == 0x0000
            node.kill()
        assert modality.reports == []
        with modality.listening():
            node.start()
            until(lambda: modality.reports)
    event_type, report = modality.reports[0]
    assert event_type == 1
    assert report.TransactionUID == TRANSACTION
    assert len(report.ReferencedSOPSequence) == len(images)


@pytest.mark.timeout(180)
def test_receiver_processes_report_over_the_association_that_asked(
    tmp_path: Path, phantom_folder: Path, phantom_paths: list[Path]
) -> None:
    modality = Requestor()
    images = headers(phantom_paths)
    with running_node(tmp_path, dimse="processes = 2") as node:
        push(node, phantom_folder)
        with modality.associated(node.port) as association:
            assert ask(association, TRANSACTION, images).Status == 0x0000
            until(lambda: modality.reports)
        event_type, report = modality.reports[0]
        assert event_type == 1
        assert len(report.ReferencedSOPSequence) == len(images)
        node.wait(lambda state: [one.instances for one in state.studies] == [len(images)])
        until(lambda: node.get("/health").is_success, told=lambda: node.get("/health").text)
        assert node.stop() == 0


@pytest.mark.timeout(180)
def test_a_completed_step_completes_the_study_without_the_quiet_period(
    tmp_path: Path, phantom_folder: Path, phantom_paths: list[Path]
) -> None:
    images = headers(phantom_paths)
    scheduled = Dataset()
    scheduled.StudyInstanceUID = images[0].StudyInstanceUID
    data = ended(*[one.SOPInstanceUID for one in images])
    del data.PerformedSeriesSequence[0].ReferencedNonImageCompositeSOPInstanceSequence
    with running_node(tmp_path, quiet_period_s=600) as node:
        with Requestor().associated(node.port) as association:
            step = begun(ScheduledStepAttributesSequence=[scheduled])
            assert create(association, step).Status == 0x0000
            push(node, phantom_folder)
            time.sleep(1)
            assert node.state().studies[0].state is StudyState.RECEIVING
            assert set_(association, data).Status == 0x0000
        state = node.wait(lambda now: now.studies[0].state is StudyState.COMPLETE, 20)
        way = node.get(f"/api/studies/{state.studies[0].id}").json()["way"]
        assert (way["announced"], way["received"], way["missing"]) == (len(images), len(images), 0)
        assert f"announced</span> {len(images)}" in node.get("/studies/1").text
        metrics = node.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert f'wetread_instances_total{{answer="stored"}} {len(images)}.0' in metrics.text
        assert 'wetread_announcements{state="arrived"} 1.0' in metrics.text


@pytest.mark.interop
@pytest.mark.timeout(240)
def test_orthanc_asks_the_node_to_commit_and_the_node_asks_orthanc(
    tmp_path: Path, orthanc: Orthanc, phantom_paths: list[Path]
) -> None:
    text = (
        destination(orthanc.port)
        + "commitment = true\n"
        + rule("counting")
        + "[commitment]\nmissing_wait_s = 1\n"
    )
    uploaded = [orthanc.upload(path.read_bytes()) for path in phantom_paths]
    with running_node(tmp_path / "node", text, plugins=True) as node:
        orthanc.name_modality("wetread", "WETREAD", node.port)
        orthanc.send(uploaded, "wetread")

        assert _commitment_of(orthanc, uploaded) == ("Success", 0)

        node.wait_for_results()
        study = node.state().studies[0].id

        def way() -> dict[str, Any]:
            return dict(node.get(f"/api/studies/{study}").json()["way"])

        until(lambda: way()["committed"]["done"] == way()["sent"]["total"] > 0)

        store = InstanceStore(node.var / "instances", node.var / "quarantine")
        lost, damaged = (one.SOPInstanceUID for one in headers(phantom_paths[:2]))
        store.path(store.key_of(lost)).unlink()
        path = store.path(store.key_of(damaged))
        path.write_bytes(path.read_bytes()[:-2] + b"\xff\xfe")
        assert _commitment_of(orthanc, uploaded) == ("Failure", 2)


def _commitment_of(orthanc: Orthanc, instances: list[str]) -> tuple[str, int]:
    """Orthanc's verdict after it has asked the node, and how many instances failed."""
    asked = orthanc.rest.post(
        "/modalities/wetread/storage-commitment", json={"Resources": instances}
    )
    asked.raise_for_status()
    place = asked.json()["Path"]

    def answer() -> dict[str, Any] | None:
        found = dict(orthanc.rest.get(place).json())
        return None if found["Status"] == "Pending" else found

    found = until(answer)
    return found["Status"], len(found["Failures"])
