"""OHIF as it is, fetched once, and a real browser before it."""

from __future__ import annotations

import base64
import fcntl
import importlib.util
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from node.ohif.install import CannotInstall, install
from node.ohif.installed import Viewer

if TYPE_CHECKING:
    from playwright.sync_api import Page

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wetread-ohif"
OPTIONS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--force-color-profile=srgb",
)
PATIENCE_MS = 90_000
NPM_S = 120.0
"""Less than a test that asks for OHIF may take."""
_COLOURED = """
() => { const canvas = document.querySelector('.cornerstone-canvas');
  if (!canvas?.width) return false;
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let coloured = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const [r, g, b] = pixels.subarray(at, at + 3);
    coloured += Math.max(r, g, b) - Math.min(r, g, b) > 25;
  }
  return coloured > 200; }
"""
_OUTLINES = """
() => { const pane = document.querySelector('.viewport-element')?.getBoundingClientRect();
  return [...document.querySelectorAll('svg.svg-layer :is(path, polyline, polygon)')]
    .map(shape => shape.getBoundingClientRect()).filter(box => box.width > 20)
    .map(box => [box.left - pane.left, box.top - pane.top,
                 box.right - pane.left, box.bottom - pane.top]); }
"""
PRESSES = 200
_DRAWN_AGAIN = """
() => new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))
"""
_DRAWN = "document.querySelector('.cornerstone-canvas').toDataURL('image/png')"
_IMAGE = "cornerstone.getRenderingEngines()[0].getViewports()[0].getCurrentImageId()"
_PROJECT = """
(points) => { const viewport = cornerstone.getRenderingEngines()[0].getViewports()[0];
  return points.map(point => [...viewport.worldToCanvas(point)]); }
"""


def installed_ohif() -> Path:
    """The folder with OHIF, fetched once for all runs; skips where it cannot be had."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not Viewer(CACHE).is_installed:
            try:
                install(CACHE, None, lambda step: None, npm_s=NPM_S)
            except CannotInstall as error:
                pytest.skip(f"OHIF cannot be had, and is not looked at: {error}")
    return CACHE


@dataclass
class Shown:
    """A tab, and all that is wrong with what it did."""

    page: Page
    host: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Addresses on other hosts that it asked for."""

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._listen)
        self.page.on("request", self._asked)

    def follow(self, link: str) -> None:
        """Unfold a study, click its link, and wait until the image has colour on it."""
        self.page.locator(f"details:has(a[href='{link}']) > summary").first.click()
        self.page.locator(f"a[href='{link}']").first.click()
        self.until_coloured()

    def until_coloured(self) -> None:
        """Returns once the image has colour on it."""
        self.page.wait_for_function(_COLOURED, polling=500, timeout=PATIENCE_MS)
        self.page.wait_for_load_state("networkidle")

    def pixels(self) -> NDArray[np.int_]:
        """Red, green and blue of the first viewport: ``(row, column, 3)``."""
        drawn = str(self.page.evaluate(_DRAWN)).partition(",")[2]
        picture = Image.open(io.BytesIO(base64.b64decode(drawn))).convert("RGB")
        return np.asarray(picture).astype(int)

    def overlay(self) -> NDArray[np.bool_]:
        """Which pixels of the first viewport have colour."""
        pixels = self.pixels()
        coloured: NDArray[np.bool_] = pixels.max(2) - pixels.min(2) > 25
        return coloured

    def outlines(self) -> list[NDArray[np.float64]]:
        """Left, top, right and bottom of the closed shapes of a report, once there are any."""
        self.page.wait_for_function(f"({_OUTLINES})().length > 0", timeout=PATIENCE_MS)
        self.page.wait_for_load_state("networkidle")
        return self.outlines_now()

    def outlines_now(self) -> list[NDArray[np.float64]]:
        """Those of the image that is shown; it may have none."""
        return [np.array(box) for box in self.page.evaluate(_OUTLINES)]

    def press_until(self, key: str, reached: Callable[[], bool]) -> None:
        """Presses a key again and again, each time once the page has drawn what came of it."""
        for _ in range(PRESSES):
            self.page.keyboard.press(key)
            self.page.evaluate(_DRAWN_AGAIN)
            if reached():
                return
        raise AssertionError(f"{PRESSES} times {key} led to {self.image()}")

    def image(self) -> str:
        """The SOP Instance UID of the image that is shown."""
        return str(self.page.evaluate(_IMAGE)).partition("/instances/")[2].partition("/")[0]

    def project(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points of the patient lie on the first viewport."""
        return np.array(self.page.evaluate(_PROJECT, points_mm.tolist()))

    def _listen(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.netloc != self.host:
            self.elsewhere.append(request.url)


@contextmanager
def browser(host: str) -> Iterator[Shown]:
    """Debian's Chromium with one tab; skips where it or Playwright is missing."""
    program = shutil.which("chromium")
    if program is None or importlib.util.find_spec("playwright") is None:
        pytest.skip("chromium or playwright is not installed: OHIF is not looked at")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        try:
            shown = Shown(made.new_page(viewport={"width": 1300, "height": 800}), host)
            shown.watch()
            yield shown
        finally:
            made.close()
