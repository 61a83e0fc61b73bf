"""C-GET and C-MOVE asked by clients that nobody here wrote, and over TLS."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from node.config.dimse import PeerSettings, TlsSettings
from tests.certificates import authority
from tests.instances import make_dataset
from tests.node.dimse.holding import running_holder
from tests.node.dimse.retrieving import Requestor
from tests.node.retrieve.test_transcode import framed
from tests.peers import dcmtk, running_orthanc, running_storescp
from tests.waiting import until

pytestmark = pytest.mark.interop

STUDY = str(make_dataset(1).StudyInstanceUID)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where clients write what they get."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def uids(folder: Path) -> list[str]:
    return sorted(str(dcmread(path).SOPInstanceUID) for path in folder.rglob("*") if path.is_file())


def expected(*numbers: int) -> list[str]:
    return sorted(str(make_dataset(number).SOPInstanceUID) for number in numbers)


@pytest.mark.parametrize("model", ["-S", "-P"])
def test_getscu_gets_what_it_asks_for(
    tmp_path: Path, out: Path, images: list[Path], model: str
) -> None:
    with running_holder(tmp_path / "node") as holder:
        holder.put(images[:3])
        dcmtk(
            "getscu", model, "-aec", "WETREAD", "-od", out, "-k", "QueryRetrieveLevel=STUDY",
            "-k", f"StudyInstanceUID={STUDY}", "127.0.0.1", str(holder.port),
        )  # fmt: skip
    assert uids(out) == expected(1, 2, 3)


def test_getscu_gets_compressed_images_decompressed_or_as_they_are(
    tmp_path: Path, out: Path
) -> None:
    path, pixels = framed(tmp_path / "a.dcm", JPEG2000Lossless, frames=2, rows=32)
    for option, syntax in (("+x=", ExplicitVRLittleEndian), ("+xv", JPEG2000Lossless)):
        with running_holder(tmp_path / f"node{option}") as holder:
            holder.put([path])
            dcmtk(
                "getscu", "-S", option, "-aec", "WETREAD", "-od", out,
                "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}",
                "127.0.0.1", str(holder.port),
            )  # fmt: skip
        (got,) = out.iterdir()
        dataset = dcmread(got)
        assert (dataset.pixel_array == pixels).all()
        assert dataset.file_meta.TransferSyntaxUID in (syntax, ExplicitVRLittleEndian)
        got.unlink()


def test_pynetdicoms_programs_get_and_move(tmp_path: Path, out: Path, images: list[Path]) -> None:
    with (
        running_storescp(out) as port,
        running_holder(tmp_path / "node", {"DEST": port}) as holder,
    ):
        holder.put(images[:2])
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
        ask = (sys.executable, "-m", "pynetdicom")
        where = ("127.0.0.1", str(holder.port), "-aec", "WETREAD")
        run((*ask, "movescu", *where, "-aem", "DEST", "-S", *keys))
        assert uids(out) == expected(1, 2)
        got = tmp_path / "got"
        got.mkdir()
        run((*ask, "getscu", *where, "-S", *keys, "-od", str(got)))
        assert uids(got) == expected(1, 2)


def run(command: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    assert done.returncode == 0, done.stdout + done.stderr


def test_orthanc_retrieves_what_it_has_found(tmp_path: Path, images: list[Path]) -> None:
    """Orthanc 1.10 knows C-MOVE alone as requestor."""
    with (
        running_orthanc(tmp_path) as orthanc,
        running_holder(tmp_path / "node", {"ORTHANC": orthanc.port}) as holder,
    ):
        holder.put(images[:3])
        orthanc.name_modality("wetread", "WETREAD", holder.port)
        body = {"Level": "Series", "Query": {"StudyInstanceUID": STUDY}}
        query = ok(orthanc.rest.post("/modalities/wetread/query", json=body)).json()["ID"]
        assert len(ok(orthanc.rest.get(f"/queries/{query}/answers")).json()) == 1
        ok(orthanc.rest.post(f"/queries/{query}/retrieve", json={"TargetAet": "ORTHANC"}))
        until(lambda: orthanc.sop_instance_uids() == set(expected(1, 2, 3)))


def ok(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, answer.text
    return answer


def test_both_go_over_tls(tmp_path: Path, out: Path, images: list[Path]) -> None:
    hospital = authority(tmp_path)
    own, dest = hospital.issue("node"), hospital.issue("dest")
    with running_storescp(out, "+tls", dest.key, dest.certificate, "+cf", hospital.ca) as port:
        peers = (
            PeerSettings(ae_title="DEST", host="127.0.0.1", port=port, tls=True, ca=hospital.ca),
        )
        tls = TlsSettings(certificate=own.certificate, key=own.key, port=0)
        with running_holder(tmp_path / "node", peers=peers, tls=tls) as holder:
            holder.put(images[:3])
            context = ssl.create_default_context(cafile=str(hospital.ca))
            asker = Requestor(tls=context)
            given = asker.move(holder.server.tls_port, "DEST", StudyInstanceUID=STUDY)
            assert given[-1].completed == 3
            assert uids(out) == expected(1, 2, 3)
            given = asker.get(holder.server.tls_port, StudyInstanceUID=STUDY)
            assert given[-1].completed == len(asker.received) == 3
