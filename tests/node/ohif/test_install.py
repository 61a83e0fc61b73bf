"""Installing the viewer: verified before it is unpacked, in place as a whole, or not at all."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from node.ohif.install import CannotInstall, install, remove
from node.ohif.installed import Viewer
from node.ohif.pinned import FOLDER
from tests.node.ohif.packages import BUNDLE, FILES, packed


def quiet(step: str) -> None:
    pass


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_the_viewer_is_unpacked_without_what_nothing_asks_for(tmp_path: Path) -> None:
    tarball, package = packed(tmp_path)
    steps: list[str] = []
    where = install(tmp_path / "viewer", tarball, steps.append, package)
    found = {one.relative_to(where).as_posix() for one in where.rglob("*") if one.is_file()}
    assert found == {"index.html", BUNDLE, f"{BUNDLE}.gz", "app.bundle.css", "assets/icon.png"}
    assert steps == ["verifying", "unpacking", "compressing"]
    assert names(tmp_path / "viewer") == [FOLDER], "nothing else is left"


def test_a_package_with_another_hash_is_not_unpacked_and_the_old_one_stays(tmp_path: Path) -> None:
    tarball, package = packed(tmp_path)
    folder = tmp_path / "viewer"
    install(folder, tarball, quiet, package)
    with pytest.raises(CannotInstall, match=r"SHA-256 is .* nothing was unpacked"):
        install(folder, tarball, quiet, replace(package, sha256="0" * 64))
    assert Viewer(folder).is_installed
    assert names(folder) == [FOLDER]


def test_what_would_lie_outside_its_folder_or_is_a_link_is_never_written(tmp_path: Path) -> None:
    evil = {**FILES, "package/dist/../../../evil.js": b"x", "/package/dist/evil.js": b"x"}
    tarball, package = packed(tmp_path, evil, links={"package/dist/link.js": "/etc/passwd"})
    with pytest.raises(CannotInstall, match="cannot be unpacked"):
        install(tmp_path / "viewer", tarball, quiet, package)
    assert not list(tmp_path.rglob("evil.js"))
    assert not Viewer(tmp_path / "viewer").is_installed
    tarball, package = packed(tmp_path, links={"package/dist/link.js": "/etc/passwd"})
    where = install(tmp_path / "viewer", tarball, quiet, package)
    assert not (where / "link.js").exists()


@pytest.mark.parametrize("content", [b"", b"no tarball"])
def test_a_file_that_is_no_tarball_is_named(tmp_path: Path, content: bytes) -> None:
    path, package = packed(tmp_path)
    path.write_bytes(content)
    fitting = replace(package, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(CannotInstall, match=r"ohif-app-0\.0\.1\.tgz"):
        install(tmp_path / "viewer", path, quiet, fitting)


def test_a_package_without_a_document_is_not_installed(tmp_path: Path) -> None:
    tarball, package = packed(tmp_path, {"package/dist/app.js": b"x"})
    with pytest.raises(CannotInstall, match=r"holds no package/dist/index\.html"):
        install(tmp_path / "viewer", tarball, quiet, package)


def test_installing_again_replaces_and_removing_leaves_nothing(tmp_path: Path) -> None:
    tarball, package = packed(tmp_path)
    folder = tmp_path / "viewer"
    (folder / ".installing-cut-off").mkdir(parents=True)
    install(folder, tarball, quiet, package)
    viewer = Viewer(folder)
    first = viewer.installation()
    install(folder, tarball, quiet, package)
    assert viewer.installation() is not first, "it is looked at again"
    assert names(folder) == [FOLDER], "what was cut off is gone"
    assert remove(folder)
    assert not viewer.is_installed
    assert not remove(folder)
    assert names(folder) == []


def test_without_npm_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotInstall, match=r"npm is not installed.*--from FILE"):
        install(tmp_path / "viewer", None, quiet)


def test_what_npm_says_when_it_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(CannotInstall, match="ENOTFOUND; without a network use --from FILE"):
        install(tmp_path / "viewer", None, quiet)
    assert names(tmp_path / "viewer") == []
