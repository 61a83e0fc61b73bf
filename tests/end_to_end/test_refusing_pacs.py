"""A node and a real PACS that takes images alone: pictures and a sheet arrive, whole and alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from node.demo.ct_files import CtSeries
from node.demo.phantom import ChestPhantom
from storage.kinds import ObjectKind
from storage.records import DeliveryState, JobState
from tests.node.delivery.test_choice import CT, VERIFICATION, profile
from tests.node_process import destination, rule, running_node
from tests.peers import dcmtk, running_storescp

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.interop
@pytest.mark.timeout(300)
def test_a_pacs_of_images_alone_gets_the_findings_as_images(tmp_path: Path) -> None:
    (held := tmp_path / "held").mkdir()
    series = CtSeries(study="refusing")
    phantom = ChestPhantom(shape=(30, 96, 96), spacing_mm=(10.0, 4.0, 4.0), series=series)
    phantom.write(tmp_path / "study")
    options = profile(tmp_path, VERIFICATION, CT, SECONDARY_CAPTURE)
    with running_storescp(held, *options) as port:
        text = destination(port) + rule("lung_segmentation")
        with running_node(tmp_path / "node", text) as node:
            dcmtk(
                "dcmsend", "--scan-directories", "-aec", "WETREAD", "127.0.0.1",
                str(node.port), tmp_path / "study", timeout_s=120,
            )  # fmt: skip
            state = node.wait_for_results(timeout_s=200)
    assert {job.state for job in state.jobs} == {JobState.DONE}
    of_state = {
        state_: {one.object.kind for one in state.deliveries if one.state is state_}
        for state_ in DeliveryState
    }
    assert of_state[DeliveryState.SENT] == {ObjectKind.PICTURE, ObjectKind.SHEET}
    assert of_state[DeliveryState.LEFT_OUT] >= {ObjectKind.SEGMENTATION, ObjectKind.REPORT}
    assert not of_state[DeliveryState.FAILED]
    images = [dcmread(path) for path in held.iterdir()]
    sent = {
        one.object.sop_instance_uid for one in state.deliveries if one.state is DeliveryState.SENT
    }
    assert {str(one.SOPInstanceUID) for one in images} == sent
