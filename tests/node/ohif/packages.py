"""A package of OHIF in small: the same layout, a few bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from node.ohif.pinned import Package

DOCUMENT = (
    b"<!doctype html><html><head><script>window.PUBLIC_URL='/'</script>"
    b'<script src="/app-config.js"></script><script>let x = 1</script></head>'
    b'<body><div id="root"></div></body></html>'
)
BUNDLE = "app.bundle.0123456789abcdef.js"
FILES = {
    "package/package.json": b"{}",
    "package/dist/index.html": DOCUMENT,
    f"package/dist/{BUNDLE}": b"let long = 1;\n" * 500,
    "package/dist/app.bundle.css": b"a{color:red}",
    "package/dist/assets/icon.png": b"\x89PNG",
    "package/dist/app-config.js": b"window.config = {dataSources: ['elsewhere']}",
    "package/dist/sw.js": b"importScripts('https://elsewhere/')",
    "package/dist/ort/model.wasm": b"large",
    "package/dist/dicom-microscopy-viewer/viewer.js": b"large too",
}


def packed(
    folder: Path, files: Mapping[str, bytes] = FILES, links: Mapping[str, str] | None = None
) -> tuple[Path, Package]:
    """A tarball and what pins it. ``links``: symbolic links by their name."""
    path = folder / "ohif-app-0.0.1.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path, Package("@ohif/app", "0.0.1", hashlib.sha256(path.read_bytes()).hexdigest())
