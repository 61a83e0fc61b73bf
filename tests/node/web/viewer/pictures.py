"""Pictures of what the real node found, for the documents: job, own view, OHIF, report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL.Image import Image
from PIL.Image import open as open_image

from node.demo.phantom import ChestPhantom
from node.web.viewer import links
from tests.node.web.viewer import ohif
from tests.node.web.viewer.ohif import Shown
from tests.node.web.viewer.test_overlay import Known, analyzed, report_of
from tests.node_process import Node, rule, running_node

SMALL = {"width": 1100, "height": 680}
"""Grey noise does not get any smaller."""
Keep = Callable[[str, Image], None]
"""Takes a picture by its name."""


def take(keep: Keep) -> None:
    """Raises pytest's Skipped where OHIF, Playwright or Chromium cannot be had."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "var").mkdir()
        (Path(place) / "var" / "viewer").symlink_to(ohif.installed_ohif())
        with running_node(Path(place), rule("lung_segmentation", to="")) as node:
            known = analyzed(node, Path(place), "axial", ChestPhantom())
            with ohif.browser(f"127.0.0.1:{node.http_port}") as shown:
                _take(node, shown, known, keep)


def _take(node: Node, shown: Shown, known: Known, keep: Keep) -> None:
    (study,) = {one.study_id for one in node.state().jobs if one.id == known.job}
    for name, path in (("job", f"/jobs/{known.job}"), ("look", f"/studies/{study}/look")):
        shown.page.goto(f"http://{shown.host}{path}")
        shown.page.wait_for_load_state("networkidle")
        keep(name, _seen(shown))
    shown.page.goto(f"http://{shown.host}/")
    shown.page.set_viewport_size(SMALL)
    shown.follow(links.of_job(known.job))
    keep("ohif", _seen(shown))
    shown.page.goto(f"http://{shown.host}{report_of(shown.host, known).address}")
    shown.outlines()
    keep("report", _seen(shown))


def _seen(shown: Shown) -> Image:
    with open_image(BytesIO(shown.page.screenshot())) as image:
        return image.convert("RGB")
