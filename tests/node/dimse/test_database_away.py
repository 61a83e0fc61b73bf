"""A real database that another process holds locked."""

from __future__ import annotations

from pathlib import Path

from node.dimse.scu.answers import SendOutcome, SendResult
from node.dimse.scu.sender import Peer, send
from storage import index
from storage.database import open_database
from storage.records import InstanceRecord
from tests.node.dimse.receiving import running_node


def test_a_locked_database_is_out_of_resources_and_a_repeat_is_indexed(
    tmp_path: Path, images: list[Path]
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'wetread.db'}", busy_s=0.2)

    def commit(record: InstanceRecord) -> None:
        with database.write() as tx:
            index.add(tx, [record])

    with running_node(tmp_path / "node") as node:
        node.sink.append(commit)
        peer = Peer("node", "WETREAD", "127.0.0.1", node.port, "CT1")
        with database.write():
            locked: dict[int, SendResult] = {}
            send(images, peer, locked.__setitem__)
        assert {one.status for one in locked.values()} == {0xA700}
        assert {one.outcome for one in locked.values()} == {SendOutcome.TRANSIENT}
        again: dict[int, SendResult] = {}
        send(images, peer, again.__setitem__)
        assert {one.status for one in again.values()} == {0x0000}
        with database.read() as tx:
            assert index.list_studies(tx)[0].instances == len(images)
    database.close()
