"""The node is killed while others fetch from it: nothing is lost, nothing half seems whole."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pydicom
import pytest

from node.demo.ct_files import CtSeries
from node.demo.phantom import ChestPhantom
from tests.node_process import Node, running_node
from tests.peers import dcmtk, free_port
from tests.waiting import until

SLICES = 400
KILLS = 8
WHOLE = 'multipart/related; type="application/dicom"; transfer-syntax=*'

pytestmark = [pytest.mark.slow, pytest.mark.interop, pytest.mark.timeout(900)]


@dataclass(frozen=True, slots=True)
class Holding:
    """A node with one study, and where C-MOVE may send it."""

    node: Node
    study: str
    sources: dict[str, Path]
    receiver_port: int

    def is_complete(self) -> bool:
        return [study.state for study in self.node.state().studies] == ["complete"]


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Holding]:
    port = free_port()
    peer = f'[[peers]]\nae_title = "RECEIVER"\nhost = "127.0.0.1"\nport = {port}\n'
    phantom = ChestPhantom(
        shape=(SLICES, 128, 128),
        spacing_mm=(300 / SLICES, 3.0, 3.0),
        series=CtSeries(study="killed"),
    )
    files = phantom.write(tmp_path / "ct")
    sources = {
        str(pydicom.dcmread(one, stop_before_pixels=True).SOPInstanceUID): one for one in files
    }
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    with running_node(tmp_path / "node", peer) as node:
        dcmtk("dcmsend", "+sd", "-dn", "-aec", "WETREAD", "127.0.0.1", node.port, tmp_path / "ct")
        one = Holding(node, study, sources, port)
        until(one.is_complete, patience_s=60)
        yield one


def test_a_node_killed_amid_c_move_has_lost_nothing_and_sends_all_afterwards(
    holding: Holding, tmp_path: Path
) -> None:
    """What arrived before is whole: no receiver has a file that is less than an instance."""
    received = tmp_path / "received"
    received.mkdir()
    with _receiver(received, holding.receiver_port):
        for _ in range(KILLS):
            _empty(received)
            with _moving(holding) as mover:
                until(lambda: any(received.iterdir()) or mover.poll() is not None)
                holding.node.kill()
                mover.wait(60)
            _check_whole(received, holding)
            holding.node.start()
            assert holding.is_complete()
        _empty(received)
        with _moving(holding) as mover:
            assert mover.wait(120) == 0
        assert _check_whole(received, holding) == set(holding.sources)


def test_a_node_killed_amid_wado_ends_the_answer_so_that_no_client_takes_it_for_whole(
    holding: Holding,
) -> None:
    url = f"http://127.0.0.1:{holding.node.http_port}/dicom-web/studies/{holding.study}"
    for _ in range(KILLS):
        with (
            pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)),
            httpx.stream("GET", url, headers={"Accept": WHOLE}, timeout=60) as answer,
        ):
            for number, _piece in enumerate(answer.iter_raw(65_536)):
                if number == 3:
                    holding.node.kill()
        holding.node.start()
        assert holding.is_complete()
    answer = httpx.get(url, headers={"Accept": WHOLE}, timeout=120)
    assert answer.status_code == 200
    assert answer.content.count(b"Content-Type: application/dicom") == SLICES


def _receiver(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = ["/usr/bin/storescp", "-od", str(folder), "-aet", "RECEIVER", "--bit-preserving"]
    return _Ended([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class _Ended(subprocess.Popen[bytes]):
    """Killed where its block ends, if it has not ended."""

    def __exit__(self, *raised: object) -> None:
        self.kill()
        self.wait(20)


def _moving(holding: Holding) -> subprocess.Popen[bytes]:
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={holding.study}"]
    address = ["-aec", "WETREAD", "127.0.0.1", str(holding.node.port)]
    command = ["/usr/bin/movescu", "-S", "--no-port", "-aem", "RECEIVER", *keys, *address]
    return _Ended(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _check_whole(folder: Path, holding: Holding) -> set[str]:
    """Every file there is an image as it was sent; gives which."""
    found = set()
    for file in folder.iterdir():
        image = pydicom.dcmread(file)
        uid = str(image.SOPInstanceUID)
        assert image == pydicom.dcmread(holding.sources[uid])
        found.add(uid)
    return found


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
