"""Results by STOW-RS from one real node to another, which is killed in the middle; and as files."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from node.dimse.scu.folder import send_folder
from node.dimse.scu.sender import Peer
from storage.records import DeliveryState
from tests.node.delivery.web_pacs import running_web_pacs
from tests.node_process import Node, rule, running_node
from tests.waiting import until


def push(node: Node, folder: Path) -> None:
    peer = Peer("node", "WETREAD", "127.0.0.1", node.port, calling_ae="CT1")
    assert send_folder(folder, peer).is_complete


@pytest.mark.timeout(300)
def test_a_node_that_is_killed_before_the_answer_sends_nothing_twice_and_loses_nothing(
    tmp_path: Path, phantom_folder: Path
) -> None:
    export = tmp_path / "export"
    export.mkdir()
    with running_node(tmp_path / "archive") as archive, running_web_pacs() as between:
        between.upstream = f"http://127.0.0.1:{archive.http_port}/dicom-web"
        text = (
            f'[[destinations]]\nname = "pacs"\nkind = "stow"\nurl = "{between.url}"\n'
            f'[[destinations]]\nname = "export"\nkind = "folder"\npath = "{export}"\n'
            + rule("counting", to="pacs").replace('["pacs"]', '["pacs", "export"]')
        )
        with running_node(tmp_path / "node", text, plugins=True) as node:
            killed = threading.Event()

            def kill_once() -> None:
                between.on_stored = lambda: None
                node.kill()
                killed.set()

            between.on_stored = kill_once
            push(node, phantom_folder)
            process = node.process
            assert process is not None
            process.wait(120)
            assert killed.wait(60)
            node.start(plugins=True)
            state = node.wait_for_results()
            assert "pacs" in node.get("/deliveries").text
            until(lambda: node.get("/health").status_code == 200)
        sent = [one for one in state.deliveries if one.state is DeliveryState.SENT]
        uids = {one.object.sop_instance_uid for one in sent}
        assert {one.destination for one in sent} == {"pacs", "export"}
        assert {one.state for one in state.deliveries} <= {
            DeliveryState.SENT,
            DeliveryState.LEFT_OUT,
        }
        assert sorted(uid for request in between.requests for uid in request) == sorted(uids)
        assert between.queries
        for uid in uids:
            found = httpx.get(f"{between.upstream}/instances?SOPInstanceUID={uid}")
            assert len(found.json()) == 1
    files = [one for one in export.rglob("*") if one.is_file()]
    assert len(files) == len(uids)
    assert {one.suffix for one in files} == {".dcm"}
