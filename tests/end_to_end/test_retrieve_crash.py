"""The node is killed while it sends what a C-MOVE asked for: nothing is lost, it starts clean."""

from __future__ import annotations

from pathlib import Path

from node.dimse.scu.sender import Peer, send
from tests.instances import make_dataset, write_instance
from tests.node.dimse.retrieving import STUDY_MOVE, Requestor, answers, identifier
from tests.node_process import Node
from tests.peers import running_pacs

STUDY = str(make_dataset(1).StudyInstanceUID)


def test_a_node_killed_during_a_move_has_all_it_had_and_moves_all_of_it_again(
    tmp_path: Path,
) -> None:
    files = [write_instance(tmp_path / f"{n}.dcm", make_dataset(n)) for n in range(1, 21)]
    with running_pacs() as pacs:
        settings = f'[[peers]]\nae_title = "DEST"\nhost = "127.0.0.1"\nport = {pacs.port}\n'
        node = Node(tmp_path / "node", settings, quiet_period_s=600)
        try:
            node.start()
            send(files, Peer("n", "WETREAD", "127.0.0.1", node.port, "CT"), lambda _, result: None)
            node.wait(lambda seen: sum(one.instances for one in seen.studies) == len(files))

            asker = Requestor().associate(node.port)
            pacs.on_stored = lambda: node.process and node.process.kill()
            given = answers(
                asker.send_c_move(identifier(StudyInstanceUID=STUDY), "DEST", STUDY_MOVE)
            )
            assert given[-1].status != 0x0000
            asker.abort()
            node.kill()
            pacs.on_stored = lambda: None

            node.start()
            assert Requestor().move(node.port, "DEST", StudyInstanceUID=STUDY)[-1].completed == 20
            assert set(pacs.uids()) == {str(make_dataset(n).SOPInstanceUID) for n in range(1, 21)}
            assert "Traceback" not in node.log()
        finally:
            node.kill()
