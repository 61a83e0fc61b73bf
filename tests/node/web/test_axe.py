"""No page has a serious fault for whoever reads with other means than his eyes (axe-core)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.web import browser
from tests.node.web.everywhere import PAGES, fill
from tests.node.web.sites import PARTS, Site

pytestmark = pytest.mark.interop

PEERS = Path(os.environ.get("WETREAD_PEERS", "~/.cache/wetread-peers")).expanduser()
"""Where ``make peers`` puts what npm has."""
AXE = PEERS / "node_modules" / "axe-core" / "axe.min.js"
RUN = """
axe.run({resultTypes: ["violations"]}).then((found) => found.violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => [one.id, ...one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))]))
"""


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (make peers): the pages are not looked at")
    return AXE.read_text()


@pytest.fixture
def page(site: Site, tmp_path: Path, phantom_paths: list[Path]) -> Iterator[browser.Page]:
    fill(site, phantom_paths[0])
    for part in PARTS:
        site.parts[part].beat()
    with browser.opened(tmp_path / "profile") as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault(site: Site, page: browser.Page, axe: str, scheme: str) -> None:
    page.dress(scheme)
    found = {}
    for path in PAGES:
        page.open(f"http://127.0.0.1:{site.server.port}{path}")
        page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        page.run(f"{axe};0")
        if faults := page.run(RUN):
            found[path] = faults
    assert found == {}


def test_no_page_sticks_out_of_a_narrow_phone(site: Site, page: browser.Page) -> None:
    page.resize(360, 800)
    wide = {}
    for path in PAGES:
        page.open(f"http://127.0.0.1:{site.server.port}{path}")
        page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        if (width := page.run("document.documentElement.scrollWidth")) > 360:
            wide[path] = width
    assert wide == {}
