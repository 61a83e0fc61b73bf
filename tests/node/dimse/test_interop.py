"""The node against modalities and archives that others wrote."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    MPEG2MPHL,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
)

from node.dimse.scu.answers import SendOutcome, SendResult
from node.dimse.scu.sender import Peer, echo, send
from tests.instances import dataset_bytes, make_dataset, write_instance
from tests.node.dimse.receiving import Node
from tests.peers import Orthanc, dcmtk, running_storescp

pytestmark = pytest.mark.interop

DCMTK_SYNTAXES = {
    "-xe": "1.2.840.10008.1.2.1",
    "-xb": "1.2.840.10008.1.2.2",
    "-xi": "1.2.840.10008.1.2",
    "-xd": "1.2.840.10008.1.2.1.99",
    "-xy": "1.2.840.10008.1.2.4.50",
    "-xx": "1.2.840.10008.1.2.4.51",
    "-xs": "1.2.840.10008.1.2.4.70",
    "-xv": "1.2.840.10008.1.2.4.90",
    "-xw": "1.2.840.10008.1.2.4.91",
    "-xt": "1.2.840.10008.1.2.4.80",
    "-xu": "1.2.840.10008.1.2.4.81",
    "-xm": "1.2.840.10008.1.2.4.100",
    "-xh": "1.2.840.10008.1.2.4.101",
    "-xn": "1.2.840.10008.1.2.4.102",
    "-xr": "1.2.840.10008.1.2.5",
}
"""storescu's options and the transfer syntaxes that they propose."""


def test_echoscu_is_answered(node: Node) -> None:
    dcmtk("echoscu", "-aec", "WETREAD", "127.0.0.1", str(node.port))


def test_dcmsend_stores_every_image_byte_for_byte(node: Node, images: list[Path]) -> None:
    dcmtk("dcmsend", "-aec", "WETREAD", "127.0.0.1", str(node.port), *images)
    received = {record.attributes.sop_instance_uid: record for record in node.records}
    assert len(received) == len(images)
    for path in images:
        record = received[str(dcmread(path).SOPInstanceUID)]
        assert node.dataset_bytes(record) == dataset_bytes(path)


@pytest.mark.parametrize("option", DCMTK_SYNTAXES)
def test_storescu_stores_in_each_of_its_transfer_syntaxes(
    node: Node, tmp_path: Path, option: str
) -> None:
    syntax = DCMTK_SYNTAXES[option]
    path = written_in(tmp_path, syntax)
    dcmtk("storescu", option, "-aec", "WETREAD", "127.0.0.1", str(node.port), path)
    (record,) = node.records
    assert record.attributes.transfer_syntax_uid == syntax
    if syntax.startswith("1.2.840.10008.1.2.4") or syntax == "1.2.840.10008.1.2.5":
        stored = dcmread(node.store.path(record.placement.key))
        assert stored.PixelData == dcmread(path).PixelData
    else:
        assert record.attributes.sop_instance_uid == dcmread(path).SOPInstanceUID


DCMSEND_SYNTAXES = [
    *sorted(set(DCMTK_SYNTAXES.values())),
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.105",
    "1.2.840.10008.1.2.4.107",
]
"""dcmsend proposes what the files have; beside storescu's the rest of what DCMTK knows."""


@pytest.mark.parametrize("syntax", DCMSEND_SYNTAXES)
def test_dcmsend_stores_files_in_the_transfer_syntax_that_they_have(
    node: Node, tmp_path: Path, syntax: str
) -> None:
    path = written_in(tmp_path, syntax)
    dcmtk("dcmsend", "--decompress-never", "-aec", "WETREAD", "127.0.0.1", str(node.port), path)
    (record,) = node.records
    # It proposes all native syntaxes at once and encodes anew for the one that is accepted.
    native = syntax in {"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"}
    assert record.attributes.transfer_syntax_uid == (ExplicitVRLittleEndian if native else syntax)
    assert record.attributes.sop_instance_uid == dcmread(path).SOPInstanceUID


def test_pynetdicoms_storescu_sends_a_folder(node: Node, images: list[Path]) -> None:
    command = [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", str(node.port)]
    command += [str(images[0].parent), "-r", "-cx", "-aec", "WETREAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    got = {node.dataset_bytes(record) for record in node.records}
    assert got == {dataset_bytes(path) for path in images}


def test_pynetdicoms_echoscu_is_answered(node: Node) -> None:
    command = [sys.executable, "-m", "pynetdicom", "echoscu", "127.0.0.1", str(node.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_gdcms_gdcmscu_stores(node: Node, tmp_path: Path, syntax: str) -> None:
    if shutil.which("gdcmscu") is None:
        pytest.skip("gdcmscu is not installed")
    path = written_in(tmp_path, syntax)
    command = ["gdcmscu", "--store", "--call", "WETREAD", "--aetitle", "GDCM"]
    command += ["127.0.0.1", str(node.port), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # GDCM 3.0.21 ends with an exception of its own when all is released, with any SCP.
    assert done.returncode == 0 or "ProtocolStream as nullptr" in done.stderr, done.stderr
    (record,) = node.records
    assert record.calling_ae == "GDCM"
    stored = dcmread(node.store.path(record.placement.key))
    assert stored.PixelData == dcmread(path).PixelData


def written_in(folder: Path, syntax: str) -> Path:
    """An image in a transfer syntax. Encapsulated pixels are opaque here: nothing decodes them."""
    dataset = make_dataset()
    if UID(syntax).is_encapsulated:
        from pydicom.encaps import encapsulate

        dataset.PixelData = encapsulate([b"\xff\xd8 not really an image \xff\xd9" * 40])
        dataset["PixelData"].VR = "OB"
        return write_instance(folder / "one.dcm", dataset, syntax)
    plain = write_instance(folder / "plain.dcm", dataset, ExplicitVRLittleEndian)
    option = {
        "1.2.840.10008.1.2": "+ti",
        "1.2.840.10008.1.2.1": "+te",
        "1.2.840.10008.1.2.2": "+tb",
        "1.2.840.10008.1.2.1.99": "+td",
    }[syntax]
    dcmtk("dcmconv", option, plain, folder / "one.dcm")
    return folder / "one.dcm"


@pytest.mark.parametrize(
    "syntax", [HTJ2KLossless, MPEG2MPHL, "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.108"]
)
def test_htj2k_jpeg_xl_and_video_go_through_byte_for_byte(
    node: Node, tmp_path: Path, syntax: str
) -> None:
    path = written_in(tmp_path, syntax)
    results: list[SendResult] = []
    send([path], to(node), lambda _, result: results.append(result))
    assert [result.outcome for result in results] == [SendOutcome.STORED]
    assert node.dataset_bytes(node.records[0]) == dataset_bytes(path)


def to(node: Node) -> Peer:
    return Peer("node", "WETREAD", "127.0.0.1", node.port, "TEST")


def test_orthanc_sends_what_it_holds_and_we_hold_the_same(
    node: Node, orthanc: Orthanc, images: list[Path]
) -> None:
    orthanc.clear()
    orthanc.name_modality("wetread", "WETREAD", node.port)
    ids = [orthanc.upload(path.read_bytes()) for path in images]
    assert orthanc.send(ids, "wetread")["FailedInstancesCount"] == 0
    sent = {str(dcmread(path).SOPInstanceUID): dataset_bytes(path) for path in images}
    got = {one.attributes.sop_instance_uid: node.dataset_bytes(one) for one in node.records}
    assert got == sent


def test_we_send_to_orthanc_and_it_holds_the_very_bytes(
    orthanc: Orthanc, images: list[Path], tmp_path: Path
) -> None:
    orthanc.clear()
    peer = Peer("pacs", orthanc.ae_title, "127.0.0.1", orthanc.port, "WETREAD")
    assert echo(peer) < 10
    results: dict[int, SendResult] = {}
    send(images, peer, results.__setitem__)
    assert [results[index].outcome for index in range(5)] == [SendOutcome.STORED] * 5
    held = set()
    for number, instance in enumerate(orthanc.instances()):
        copy = tmp_path / f"{number}.dcm"
        copy.write_bytes(orthanc.file(instance))
        held.add(dataset_bytes(copy))
    assert held == {dataset_bytes(path) for path in images}


def test_dcmtks_storescp_gets_the_very_bytes_from_us(images: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "scp"
    folder.mkdir()
    with running_storescp(folder, "+B", "+xa") as port:
        peer = Peer("scp", "ANY", "127.0.0.1", port, "WETREAD")
        echo(peer)
        send(images, peer, lambda index, result: None)
    got = {dataset_bytes(path) for path in folder.iterdir()}
    assert got == {dataset_bytes(path) for path in images}


def test_real_files_of_all_kinds_are_stored_as_they_are(node: Node, test_data: Path) -> None:
    folder = test_data / "studies" / "pydicom_data_store"
    sendable = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size < 3_000_000:
            try:
                dataset = dcmread(path, stop_before_pixels=True)
            except Exception:  # noqa: BLE001 - the folder has odd files on purpose
                continue
            wanted = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
            meta_uid = dataset.file_meta.get("MediaStorageSOPInstanceUID")
            if meta_uid == dataset.get("SOPInstanceUID") and all(map(dataset.get, wanted)):
                sendable.append(path)
    results: dict[int, SendResult] = {}
    send(sendable, to(node), results.__setitem__)
    assert len(sendable) > 20
    by_uid = {one.attributes.sop_instance_uid: one for one in node.records}
    for index, path in enumerate(sendable):
        if results[index].outcome is SendOutcome.STORED:
            record = by_uid[str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)]
            assert node.dataset_bytes(record) == dataset_bytes(path), path.name
    problems = {sendable[i].name: one.reason for i, one in results.items() if not one.is_stored}
    assert not {name for name, why in problems.items() if "0x0111" not in why}, problems
