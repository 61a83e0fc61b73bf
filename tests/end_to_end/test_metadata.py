"""A real node makes the metadata of what was sent to it beforehand, and deletes them with it."""

from __future__ import annotations

from pathlib import Path

import httpx

from node.retrieve.series_metadata import WORTH_INSTANCES
from tests.instances import make_dataset
from tests.node.web.dicomweb.bodies import MULTIPART, file_of, multipart
from tests.node_process import Node, running_node
from tests.waiting import until

STUDIES = "/dicom-web/studies"


def shelved(node: Node) -> list[Path]:
    return list((node.var / "metadata").glob("??/*/*.json.gz"))


def test_metadata_are_there_when_the_study_is_complete_and_go_with_it(tmp_path: Path) -> None:
    datasets = [make_dataset(seed, rows=8) for seed in range(WORTH_INSTANCES)]
    study = f"{STUDIES}/{datasets[0].StudyInstanceUID}"
    with running_node(tmp_path / "node") as node:
        root = f"http://127.0.0.1:{node.http_port}"
        with httpx.Client(base_url=root, timeout=60) as client:
            body = multipart(*map(file_of, datasets))
            sent = client.post(STUDIES, content=body, headers={"Content-Type": MULTIPART})
            assert sent.status_code == 200
            until(lambda: shelved(node))
            (found,) = client.get(STUDIES).json()
            assert found["00201208"]["Value"] == [WORTH_INSTANCES]
            metadata = client.get(f"{study}/metadata").json()
            assert len(metadata) == WORTH_INSTANCES
            uri = metadata[0]["7FE00010"]["BulkDataURI"]
            assert uri.startswith(f"{root}{study}/") and client.get(uri).status_code == 200
            path = "/api/studies/1/delete"
            client.post(path, params={"reason": "a test"}, headers={"X-Wetread": "1"})
            until(lambda: not shelved(node))
            until(lambda: client.get(f"{study}/metadata").status_code == 404)
            until(lambda: client.get(STUDIES).json() == [])
