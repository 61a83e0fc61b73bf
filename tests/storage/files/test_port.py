"""Instances and results are read and written through one port: keys, never places."""

from __future__ import annotations

import ast
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.files.blobs import Blob, Files, local_file, sha256_of
from storage.files.results import JobFolder, ResultStore

ROOT = Path(__file__).parents[3]
IMPLEMENTATIONS = {f"storage.{name}" for name in ("instances", "results", "incoming", "shelves")}
WHO_CHOOSES = (
    *("node/app.py", "node/parts.py"),
    *("node/dimse/receivers/process.py", "node/web/api_document.py"),
    *("node/demo/", "node/commands/"),
    *("node/actions.py", "node/results/releases.py"),
)
"""Those that put a node together, or work on its folders as a person wants: from the command line,
or letting out what lies in quarantine."""


def sources() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((ROOT / "node").rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def modules(node: ast.AST) -> set[str]:
    """What an import names."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()


def test_only_those_who_put_the_node_together_know_how_things_are_stored() -> None:
    knowing = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if modules(node) & IMPLEMENTATIONS and not name.startswith(WHO_CHOOSES)
    }
    assert knowing == set()


def test_nobody_asks_a_store_for_a_path() -> None:
    asking = [
        f"{name}:{node.lineno}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "path"
        and "os" not in ast.unparse(node.func.value)
    ]
    assert asking == []


def test_a_blob_can_be_opened_again_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"0123456789")
    blob = pickle.loads(pickle.dumps(Blob(Files(tmp_path), "a.dcm")))
    with blob.open("rb") as file:
        file.seek(4)
        assert file.read(3) == b"456"
    assert sha256_of(blob) == sha256_of(tmp_path / "a.dcm")
    with local_file(blob) as path, local_file(path) as itself:
        assert path == itself and path.samefile(tmp_path / "a.dcm")


def test_files_are_found_measured_and_missed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123")
    files = Files(tmp_path)
    assert (files.size("a"), files.exists("a"), files.exists("b")) == (4, True, False)
    with pytest.raises(FileNotFoundError):
        files.open("b")


def test_what_a_job_makes_is_synced_when_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    place = ResultStore(tmp_path).job("abc")
    monkeypatch.setattr(os, "fsync", fsync)
    with place.making() as folder:
        for name in ("seg.dcm", "sr.dcm"):
            (folder / name).write_bytes(b"x")
        assert synced == []
    assert synced[:2] == [folder / "seg.dcm", folder / "sr.dcm"], "the files before their names"
    assert sorted(synced[2:]) == [tmp_path, folder]


def test_what_a_job_puts_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    place = ResultStore(tmp_path).job("abc")
    place.put("results.json", b"one")
    place.put("results.json", b"two")
    with place.open("results.json") as file:
        assert file.read() == b"two"
    assert [path.name for path in (tmp_path / "abc").iterdir()] == ["results.json"]


def test_what_is_set_aside_leaves_the_results(tmp_path: Path) -> None:
    (tmp_path / "quarantine").mkdir()
    place = ResultStore(tmp_path / "results", tmp_path / "quarantine").job("abc")
    place.put("seg.dcm", b"refused")
    assert place.set_aside("job-1")
    assert (tmp_path / "quarantine" / "job-1" / "seg.dcm").read_bytes() == b"refused"
    assert not (tmp_path / "results" / "abc").exists()
    assert not JobFolder(tmp_path / "elsewhere").set_aside("job-2")
