"""The folder of result files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.errors import StoreUnavailable
from storage.files.results import ResultStore, seal


def test_a_job_has_a_folder_of_its_own(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "deep" / "results")
    folder = store.folder("abc")
    assert folder.is_dir() and store.folder("abc") == folder
    (folder / "seg.dcm").write_bytes(b"seg")
    assert store.path("abc/seg.dcm").read_bytes() == b"seg"


def test_deleting_a_job_leaves_the_others(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    for key in ("abc", "def"):
        (store.folder(key) / "seg.dcm").write_bytes(b"seg")
    store.delete("abc")
    store.delete("abc")
    assert [path.name for path in tmp_path.iterdir()] == ["def"]


def test_sealing_syncs_each_file_its_folder_and_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ResultStore(tmp_path)
    files = [store.folder("abc") / "seg.dcm", store.folder("abc") / "sr.dcm"]
    for path in files:
        path.write_bytes(b"x")
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    seal(iter(files))
    assert sorted(synced) == sorted(map(str, [*files, tmp_path / "abc", tmp_path]))
    assert synced[:2] == [str(path) for path in files], "the files before their names"


def test_what_is_not_there_cannot_be_sealed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        seal([tmp_path / "abc" / "seg.dcm"])


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        ResultStore(tmp_path / "file" / "results")
    store = ResultStore(tmp_path / "results")
    (tmp_path / "results" / "abc").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="File exists"):
        store.folder("abc")
