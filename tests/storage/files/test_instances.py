"""The instance store: one file to a UID, whole and synced, whatever goes wrong."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info

import storage
from storage.errors import OutOfSpace, StoreUnavailable
from storage.files.instances import InstanceStore
from storage.files.seal import PREAMBLE, dataset_digest
from storage.quarantine import RefusalKind
from storage.records import Placement, PutOutcome
from tests.instances import incoming

REPOSITORY = Path(storage.__file__ or "").parents[1]


def header(size: int = 0) -> bytes:
    """Preamble and file meta information, longer with ``size``."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    if size:
        meta.PrivateInformationCreatorUID = "1.2"
        meta.PrivateInformation = b"x" * size
    buffer = io.BytesIO(b"\0" * 128 + b"DICM")
    buffer.seek(0, io.SEEK_END)
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()


def put(store: InstanceStore, uid: str, data: bytes, head: bytes = header()) -> Placement:
    with store.open_incoming() as file:
        file.write_header(head, uid)
        for begin in range(0, len(data) or 1, 100_000):
            file.write(memoryview(data)[begin : begin + 100_000])
        return file.place(uid)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- placing --------------------------------------------------------------------------------------


def test_a_placed_file_holds_every_byte(store: InstanceStore) -> None:
    head, data = header(), os.urandom(3_000_000)
    placement = put(store, "1.2.3", data)
    assert placement.outcome is PutOutcome.NEW
    assert store.path(placement.key).read_bytes()[PREAMBLE:] == (head + data)[PREAMBLE:]
    assert (placement.size_bytes, placement.sha256) == (len(head) + len(data), sha256(data))
    assert store.verify(placement.key, placement.sha256)
    assert list(store.iterate()) == [placement.key]


@pytest.mark.parametrize("uid", ["1.2.3", "../../etc/passwd", "/", "", "1." * 500])
def test_a_uid_never_becomes_a_path(store: InstanceStore, uid: str) -> None:
    placement = put(store, uid, b"data set")
    assert re.fullmatch(r"([0-9a-f]{2})/\1[0-9a-f]{30}\.dcm", placement.key)
    assert placement.key == store.key_of(uid)


def test_the_same_bytes_again_are_the_same_instance(store: InstanceStore) -> None:
    first = put(store, "1.2", b"data set")
    again = put(store, "1.2", b"data set", header(size=300))
    assert (again.outcome, again.key, again.sha256) == (PutOutcome.SAME, first.key, first.sha256)
    assert again.incoming == ""
    assert incoming(store) == [first.incoming] and names(store.quarantine) == []


def test_other_bytes_under_a_known_uid_go_to_quarantine(store: InstanceStore) -> None:
    first = put(store, "1.2", b"data set")
    other = put(store, "1.2", b"another data set")
    assert other.outcome is PutOutcome.CONFLICT
    assert names(store.quarantine) == [other.key]
    assert other.key == f"conflict-{other.sha256}.dcm"
    assert (store.quarantine / other.key).read_bytes() == header() + b"another data set"
    assert store.verify(first.key, first.sha256)
    assert incoming(store) == [first.incoming]


@pytest.mark.parametrize("sent", [b"data set", os.urandom(3_000_000)], ids=["small", "large"])
def test_what_had_the_name_may_be_taken_out_while_the_same_comes_again(
    store: InstanceStore, sent: bytes
) -> None:
    first = put(store, "1.2", sent)
    with store.open_incoming() as file:
        file.write_header(header())
        file.write(sent)
        file.begin_to_place("1.2")
        assert store.withdraw(first) == ""
        second = file.place("1.2")
    assert (second.outcome, second.sha256) == (PutOutcome.NEW, first.sha256)
    assert store.verify(second.key, second.sha256)
    assert incoming(store) == [second.incoming]


def test_what_is_taken_out_into_quarantine_leaves_nothing_behind(store: InstanceStore) -> None:
    placed = put(store, "1.2", b"data set")
    kept = store.withdraw(placed, RefusalKind.RETURNED)
    assert names(store.quarantine) == [kept] and kept.startswith("returned-")
    assert list(store.iterate()) == [] and incoming(store) == []
    assert store.withdraw(placed, RefusalKind.RETURNED) == kept, "what is gone is no fault"
    assert names(store.quarantine) == [kept]


def test_a_file_that_is_not_placed_is_deleted(store: InstanceStore) -> None:
    with store.open_incoming() as file:
        file.write(b"x" * 5_000_000)
        assert incoming(store) == [file.name]
    with pytest.raises(ZeroDivisionError), store.open_incoming() as file:
        raise ZeroDivisionError
    assert incoming(store) == [] == list(store.iterate())


def test_a_refused_file_can_be_kept_aside(store: InstanceStore) -> None:
    with store.open_incoming() as file:
        file.write_header(header())
        file.write(b"rubbish")
        name = file.quarantine(RefusalKind.UNREADABLE)
    assert names(store.quarantine) == [name] == [f"unreadable-{sha256(b'rubbish')}.dcm"]
    assert (store.quarantine / name).read_bytes().endswith(b"rubbish")
    assert incoming(store) == []


def test_a_flushed_file_can_be_read_before_it_is_placed(store: InstanceStore) -> None:
    with store.open_incoming() as file:
        file.write_header(header())
        file.write(b"1234")
        file.flush()
        assert file.path.read_bytes() == header() + b"1234"


def test_what_is_refused_again_and_again_is_kept_once(store: InstanceStore) -> None:
    """By whoever sends it, and whatever the file says around the data set."""
    put(store, "1.2", b"data set")
    keys = {put(store, "1.2", b"changed", header(size)).key for size in (0, 0, 300, 0, 300)}
    keys |= {put(store, "1.2", b"changed twice").key}
    assert len(keys) == 2 == len(names(store.quarantine))
    for number in range(5):
        with store.open_incoming() as file:
            file.write_header(header())
            file.write(b"rubbish" * 100_000)
            assert file.quarantine(RefusalKind.UNREADABLE).startswith("unreadable-"), number
    assert len(names(store.quarantine)) == 3
    assert len(incoming(store)) == 1, "that of the first"


def test_of_eight_that_are_refused_with_the_same_bytes_at_once_one_is_kept(
    store: InstanceStore,
) -> None:
    put(store, "1.2.3", b"data set")
    outcomes = {one.outcome for one in race(store, [b"changed" * 1000] * 8)}
    assert outcomes == {PutOutcome.CONFLICT}
    [kept] = store.quarantine.iterdir()
    assert kept.read_bytes() == header() + b"changed" * 1000


# --- races ----------------------------------------------------------------------------------------


def race(store: InstanceStore, payloads: list[bytes]) -> list[Placement]:
    start = threading.Barrier(len(payloads))
    placements: list[Placement] = []

    def run(data: bytes) -> None:
        with store.open_incoming() as file:
            file.write_header(header())
            file.write(data)
            start.wait(10)
            placements.append(file.place("1.2.3"))

    threads = [threading.Thread(target=run, args=(data,)) for data in payloads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(placements) == len(payloads)
    return placements


def test_of_eight_that_bring_the_same_bytes_at_once_one_is_new(store: InstanceStore) -> None:
    outcomes = sorted(one.outcome for one in race(store, [b"data set" * 1000] * 8))
    assert outcomes == [PutOutcome.NEW] + [PutOutcome.SAME] * 7
    assert len(list(store.iterate())) == 1 and names(store.quarantine) == []


def test_of_eight_that_bring_other_bytes_at_once_one_wins_and_none_is_lost(
    store: InstanceStore,
) -> None:
    payloads = [bytes([number]) * 10_000 for number in range(8)]
    placements = race(store, payloads)
    outcomes = sorted(one.outcome for one in placements)
    assert outcomes == [PutOutcome.CONFLICT] * 7 + [PutOutcome.NEW]
    folder = {PutOutcome.NEW: store.root, PutOutcome.CONFLICT: store.quarantine}
    kept = {(folder[one.outcome] / one.key).read_bytes()[PREAMBLE:] for one in placements}
    assert kept == {header()[PREAMBLE:] + data for data in payloads}
    winner = next(one for one in placements if one.outcome is PutOutcome.NEW)
    assert store.verify(winner.key, winner.sha256)


# --- after an abrupt end --------------------------------------------------------------------------


def test_a_placed_file_is_remembered_until_the_index_has_it(store: InstanceStore) -> None:
    placement = put(store, "1.2", b"data set")
    again = InstanceStore(store.root, store.quarantine)
    assert again.unindexed() == [(placement.incoming, store.incoming / placement.incoming)]
    again.forget_incoming(placement.incoming)
    again.forget_incoming(placement.incoming)
    again.forget_incoming("")
    assert again.unindexed() == []
    assert again.verify(placement.key, placement.sha256)


def test_a_process_killed_between_file_and_index_loses_nothing(store: InstanceStore) -> None:
    """It has placed one instance and half received another when SIGKILL comes."""
    script = """
import os, signal, sys
from pathlib import Path
from storage.files.instances import InstanceStore
store = InstanceStore(Path(sys.argv[1]), Path(sys.argv[2]))
with store.open_incoming() as whole, store.open_incoming() as half:
    half.write(b"half of a data set")
    half.flush()
    whole.write(b"data set")
    whole.place("1.2.3")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    died = run_child(store, script)
    assert died.returncode == -signal.SIGKILL
    assert len(incoming(store)) == 2
    [(name, path)] = store.unindexed()
    assert path.read_bytes() == b"data set"
    assert path.samefile(store.path(store.key_of("1.2.3")))
    assert incoming(store) == [name]


SENT_AGAIN = """
import os, signal, sys
from pathlib import Path
from storage.files.instances import InstanceStore
store = InstanceStore(Path(sys.argv[1]), Path(sys.argv[2]))
def put():
    with store.open_incoming() as file:
        file.write_header(bytes(128) + b"DICM" + b"\\2\\0\\0\\0UL\\4\\0\\0\\0\\0\\0", "1.2.3")
        file.write(b"data set")
        return file.place("1.2.3")
first, again = put(), put()
print(again.outcome, again.sha256 == first.sha256, flush=True)
def die(name):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3:] == ["synced"]:
    store.forget_incoming = die
    store.settle([first])
die("")
"""


@pytest.mark.parametrize("moment", ["answered", "synced"])
def test_a_kill_between_the_answer_to_a_repeat_and_the_dropped_link_loses_nothing(
    store: InstanceStore, moment: str
) -> None:
    """Neither where the name that was confirmed is lost, as it may be until it is synced."""
    died = run_child(store, SENT_AGAIN, last=[moment])
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "same True\n"), died.stderr
    final = store.path(store.key_of("1.2.3"))
    if moment == "answered":
        final.unlink()  # what a power cut does to a name that was not synced
    [(_, path)] = store.unindexed()
    assert path.samefile(final) and path.read_bytes().endswith(b"data set")
    assert put(store, "1.2.3", b"data set").outcome is PutOutcome.SAME


def run_child(
    store: InstanceStore, script: str, *prefix: str, last: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    folders = (str(store.root), str(store.quarantine))
    command = [*prefix, sys.executable, "-c", script, *folders, *last]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


# --- faults of the disk ---------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount the small disk: a full one is not tested")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here: a full disk is not tested")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_store_works_again_when_there_is_room(
    small_disk: Path,
) -> None:
    store = InstanceStore(small_disk / "instances", small_disk / "quarantine")
    first = put(store, "1.1", b"x" * 500_000)
    for _ in range(3):
        with pytest.raises(OutOfSpace, match="No space left"):
            put(store, "1.2", b"y" * 2_000_000)
        assert list(store.iterate()) == [first.key]
        assert incoming(store) == [first.incoming]
    (small_disk / "filler").write_bytes(b"z" * (store.free_bytes() - 8192))
    (small_disk / "filler2").write_bytes(b"z" * store.free_bytes())
    with pytest.raises(OutOfSpace):
        store.probe()
    (small_disk / "filler").unlink()
    store.probe()
    assert put(store, "1.2", b"y" * 500_000).outcome is PutOutcome.NEW
    assert store.verify(first.key, first.sha256)


PLACE = """
import sys
from pathlib import Path
from storage.errors import StoreUnavailable
from storage.files.instances import InstanceStore
store = InstanceStore(Path(sys.argv[1]), Path(sys.argv[2]))
try:
    with store.open_incoming() as file:
        file.write(b"data set")
        print(file.place("1.2.3"))
except StoreUnavailable as error:
    print("refused:", error)
"""


@pytest.fixture(scope="module")
def strace() -> str:
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed: I/O errors of the disk are not tested")
    if subprocess.run([program, "-f", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace is not permitted here: I/O errors of the disk are not tested")
    return program


@pytest.mark.parametrize("fault", ["fsync:3", "fsync:4", "fsync:5", "link,linkat:1"])
def test_an_io_error_never_becomes_a_placement(
    store: InstanceStore, strace: str, fault: str
) -> None:
    """The first two syncs make the store; then come the file and two folders."""
    calls, _, which = fault.partition(":")
    inject = [f"--trace={calls}", f"--inject={calls}:error=EIO:when={which}+"]
    died = run_child(store, PLACE, strace, "-f", "-o", "/dev/null", *inject)
    assert died.stdout.startswith("refused: the instance store failed: Input/output error"), died
    if fault in ("fsync:3", "link,linkat:1"):
        assert list(store.iterate()) == [] == incoming(store)
        assert put(store, "1.2.3", b"data set").outcome is PutOutcome.NEW
        return
    # The name may be there, and others may have been told so: the next start must find it.
    assert [path.read_bytes() for _, path in store.unindexed()] == [b"data set"]
    assert list(store.iterate()) == [store.key_of("1.2.3")]


def test_without_io_errors_the_same_child_does_place(store: InstanceStore, strace: str) -> None:
    ended = run_child(store, PLACE, strace, "-f", "-o", "/dev/null", "--trace=fsync")
    assert ended.stdout.startswith("Placement(outcome=<PutOutcome.NEW"), ended


def test_a_store_that_vanished_is_named(store: InstanceStore) -> None:
    shutil.rmtree(store.root)
    for act in (store.probe, store.open_incoming, store.free_bytes, store.unindexed):
        with pytest.raises(StoreUnavailable, match="No such file"):
            act()


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        InstanceStore(tmp_path / "file" / "instances", tmp_path / "quarantine")


# --- looking after it -----------------------------------------------------------------------------


def test_a_probe_leaves_nothing_behind(store: InstanceStore) -> None:
    store.probe()
    assert incoming(store) == []
    assert store.free_bytes() > 0


def test_damage_shows_when_a_file_is_verified(store: InstanceStore) -> None:
    placement = put(store, "1.2", b"data set")
    path = store.path(placement.key)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    assert not store.verify(placement.key, placement.sha256)
    path.write_bytes(b"?" + whole[1:])
    assert store.verify(placement.key, placement.sha256), "the preamble is not the data set's"
    path.unlink()
    assert not store.verify(placement.key, placement.sha256)


def test_a_deleted_instance_is_gone_and_may_come_again(store: InstanceStore) -> None:
    placement = put(store, "1.2", b"data set")
    store.forget_incoming(placement.incoming)
    store.discard(placement.key)
    store.purge(placement.key)
    store.purge(placement.key)
    assert list(store.iterate()) == []
    assert put(store, "1.2", b"other bytes").outcome is PutOutcome.NEW


def test_an_existing_store_is_taken_up(store: InstanceStore) -> None:
    keys = sorted(put(store, f"1.{number}", b"data set").key for number in range(30))
    assert sorted(InstanceStore(store.root, store.quarantine).iterate()) == keys


# --- digest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [0, 10, 5000, 100_000])
def test_the_digest_of_a_file_leaves_out_its_meta_information(tmp_path: Path, extra: int) -> None:
    data = os.urandom(50_000)
    (tmp_path / "a.dcm").write_bytes(header(extra) + data)
    assert dataset_digest(tmp_path / "a.dcm") == sha256(data)


@pytest.mark.parametrize(
    "whole", [b"", b"short", b"\x08\0\x05\0" * 100, b"\0" * 132 + header()[132:], header()[:139]]
)
def test_the_digest_of_a_file_without_meta_information_is_of_all_of_it(
    tmp_path: Path, whole: bytes
) -> None:
    (tmp_path / "a").write_bytes(whole)
    assert dataset_digest(tmp_path / "a") == sha256(whole)


def test_the_digest_is_that_of_the_data_set_that_pydicom_writes(tmp_path: Path) -> None:
    dataset = pydicom.Dataset()
    dataset.PatientID = "P1"
    bare, full = tmp_path / "bare", tmp_path / "full"
    dataset.save_as(bare, implicit_vr=False, little_endian=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3"
    dataset.save_as(full, enforce_file_format=True)
    del dataset.file_meta
    dataset.save_as(bare, implicit_vr=False, little_endian=True)
    assert dataset_digest(full) == sha256(bare.read_bytes()) == dataset_digest(bare)
