"""``wetread viewer``: the viewer OHIF is installed, removed, or told of."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from node.config.load import load
from node.ohif import install as installing
from node.ohif.installed import Viewer
from node.ohif.pinned import OHIF

console = Console()


def install(path: Path, tarball: Path | None) -> int:
    """Install it into the node's data folder; a running node serves it at once.

    Raises
    ------
    CannotInstall, SettingsError
    """
    folder = load(path).viewer_dir
    with console.status("") as status:
        where = installing.install(folder, tarball, lambda step: status.update(step))
    console.print(f"OHIF {OHIF.version} is installed in {where}", soft_wrap=True)
    return 0


def remove(path: Path) -> int:
    """Remove it.

    Raises
    ------
    CannotInstall, SettingsError
    """
    was_there = installing.remove(load(path).viewer_dir)
    console.print(f"OHIF {OHIF.version} is removed" if was_there else "no viewer was installed")
    return 0


def show(path: Path) -> int:
    """Say whether it is installed: 0, or 1."""
    viewer = Viewer(load(path).viewer_dir)
    if not viewer.is_installed:
        console.print(f"OHIF {OHIF.version} is not installed: wetread viewer install")
        return 1
    console.print(f"OHIF {OHIF.version} is installed in {viewer.folder}", soft_wrap=True)
    return 0
