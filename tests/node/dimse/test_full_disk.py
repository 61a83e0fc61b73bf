"""A disk that is really full: a small file system of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from node.dimse.scu.answers import SendOutcome, SendResult
from node.dimse.scu.sender import Peer, send
from tests.disks import mounted, resize
from tests.instances import dataset_bytes, incoming, make_dataset, write_instance
from tests.node.dimse.receiving import running_node


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """4 MiB; a database on another disk may well have room."""
    with mounted(tmp_path / "disk", megabytes=4) as folder:
        yield folder


def test_a_full_disk_is_out_of_resources_and_with_room_again_the_rest_is_taken(
    small_disk: Path, tmp_path: Path
) -> None:
    images = [
        write_instance(tmp_path / f"{n}.dcm", make_dataset(n, rows=512)) for n in range(1, 13)
    ]
    with running_node(small_disk) as node:
        peer = Peer("node", "WETREAD", "127.0.0.1", node.port, "CT1")
        first: dict[int, SendResult] = {}
        send(images, peer, first.__setitem__)
        stored = [index for index, one in first.items() if one.is_stored]
        full = [one for one in first.values() if one.outcome is SendOutcome.TRANSIENT]
        assert 4 <= len(stored) < len(images)
        assert len(stored) + len(full) == len(images)
        assert {one.status for one in full} == {0xA700}
        assert "disk space" in full[0].reason
        assert not incoming(node.store)
        for record in node.records:
            assert node.store.verify(record.placement.key, record.placement.sha256)

        resize(small_disk, megabytes=16)
        second: dict[int, SendResult] = {}
        send(images, peer, second.__setitem__)
        assert all(one.is_stored for one in second.values())
        by_uid = {record.attributes.sop_instance_uid: record for record in node.records}
        for path in images:
            record = by_uid[str(dcmread(path).SOPInstanceUID)]
            assert node.dataset_bytes(record) == dataset_bytes(path)
