"""Pictures of the pages for the documents: light, dark, and as a phone shows them.

    python -m tests.node.web.pictures docs/pages

Asks for chromium, and OHIF for those of the viewer; the studies in them are made up.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL.Image import Image
from PIL.Image import open as open_image

from node.demo.phantom import ChestPhantom
from storage.files.blobs import Files
from tests.node.web import browser, conftest
from tests.node.web.browser import Page
from tests.node.web.everywhere import STUDIES, fill, key_of
from tests.node.web.sites import PARTS, Site
from tests.node.web.viewer import pictures as viewed

WIDE, NARROW = (1280, 800), (360, 740)
SHOWN = (("studies", "/"), ("study", "/studies/1"), ("alarms", "/alarms"))
COLOURS = (256, 160, 96)
"""Of a picture: the most with which it is small enough."""
LARGEST_BYTES = 150_000
"""Of a picture: whoever clones the project fetches them all."""
UNFOLD = "document.querySelectorAll('#s1-more, .group').forEach((one) => { one.open = true; })"
LOADED = """Promise.all([...document.images].filter((one) => one.src).map((one) => {
  one.loading = "eager";
  return one.decode().catch(() => 0);
})).then(() => true)"""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, _opened(Path(place)) as (site, page):
        for name, path in SHOWN:
            for scheme, size in (("light", WIDE), ("dark", WIDE), ("phone", NARROW)):
                page.resize(*size)
                page.dress("dark" if scheme == "dark" else "light")
                page.open(f"http://127.0.0.1:{site.server.port}{path}")
                page.run(UNFOLD)
                page.run(LOADED)
                _save(folder / f"{name}-{scheme}.png", _seen(page))
    viewed.take(lambda name, image: _save(folder / f"{name}.png", image))


@contextmanager
def _opened(place: Path) -> Iterator[tuple[Site, Page]]:
    (place / "ct").mkdir()
    with conftest.served(place) as site:
        ChestPhantom.small().write(place / "ct")
        files = sorted((place / "ct").iterdir())
        fill(site, files[0])
        _store(site, files[len(files) // 2])
        for part in PARTS:
            site.parts[part].beat()
        with browser.opened(place / "profile") as page:
            yield site, page


def _store(site: Site, file: Path) -> None:
    """An image of each study, where the index looks for it: the list shows it in small."""
    store = site.archive.instances
    assert isinstance(store, Files)
    store.root.mkdir(exist_ok=True)
    for number in range(STUDIES):
        shutil.copyfile(file, store.root / key_of(number))


def _seen(page: Page) -> Image:
    taken = base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])
    with open_image(io.BytesIO(taken)) as image:
        return image.convert("RGB")


def _save(path: Path, image: Image) -> None:
    for colours in COLOURS:
        image.quantize(colours).save(path, optimize=True)
        if (size := path.stat().st_size) <= LARGEST_BYTES:
            return
    sys.exit(f"{path.name} has {size} bytes, more than {LARGEST_BYTES}: show less on it")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except pytest.skip.Exception as reason:
        sys.exit(str(reason))
