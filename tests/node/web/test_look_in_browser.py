"""The viewer in a real browser: wheel, keys, hands, and what the pointer reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.node.look.studies import Chest, chest, hold_found
from tests.node.web import browser
from tests.node.web.sites import Site

pytestmark = pytest.mark.interop

RED = """(() => {
  const canvas = document.getElementById("look-canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  copy.getContext("2d").drawImage(canvas, 0, 0);
  const { data } = copy.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let red = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] > data[i + 1] + 50 && data[i] > data[i + 2] + 50) red += 1;
  }
  return red;
})()"""
SHOWN = "document.getElementById('look').dataset.drawn"
OVER = "document.getElementById('look').dataset.over"


@pytest.fixture
def one(site: Site, tmp_path: Path) -> Chest:
    made = chest(site, tmp_path / "ct")
    hold_found(site, tmp_path)
    return made


@pytest.fixture
def page(site: Site, one: Chest, tmp_path: Path) -> Iterator[browser.Page]:
    with browser.opened(tmp_path / "profile") as opened:
        opened.resize(1300, 850)
        opened.open(f"http://127.0.0.1:{site.server.port}/studies/1/look?slice=15")
        opened.wait(f"{SHOWN} === '15' && {OVER} !== ''")
        yield opened


def strike(page: browser.Page, key: str, code: int, text: str = "") -> None:
    """A key that the browser itself acts on."""
    more = {"text": text} if text else {}
    for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
        page.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            code=key,
            windowsVirtualKeyCode=code,
            **more,
        )


def tab_to(page: browser.Page, selector: str) -> None:
    """By the key alone, as often as it takes, once round the page at most."""
    page.run("document.activeElement.blur()")
    for _ in range(200):
        strike(page, "Tab", 9)
        if page.run(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def mouse(page: browser.Page, kind: str, x: float, y: float, **more: object) -> None:
    page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)


def middle(page: browser.Page) -> tuple[float, float]:
    script = (
        "(() => { const box = document.getElementById('look-canvas').getBoundingClientRect();"
        " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
    )
    x, y = page.run(script)
    return float(x), float(y)


def test_wheel_and_keys_go_through_the_slices_and_the_address_follows(page: browser.Page) -> None:
    mouse(page, "mouseWheel", *middle(page), deltaX=0, deltaY=100)
    page.wait(f"{SHOWN} === '16'")
    for key, slice_ in (
        ("ArrowUp", 15), ("PageDown", 25), ("End", 30), ("ArrowDown", 30), ("Home", 1),
    ):  # fmt: skip
        page.press(key)
        page.wait(f"{SHOWN} === '{slice_}'")
    page.wait("location.search.includes('slice=1&')")
    assert "slice 1 of 30" in page.run("document.querySelector('h1').textContent")
    assert page.complaints == []


def test_by_keys_alone_one_comes_from_the_list_to_the_next_slice_of_the_finding(
    page: browser.Page, site: Site
) -> None:
    page.open(f"http://127.0.0.1:{site.server.port}/")
    tab_to(page, "details > summary")
    strike(page, "Enter", 13, "\r")
    page.wait("document.querySelector('details').open")
    tab_to(page, "a[href^='/open/studies/']")
    strike(page, "Enter", 13, "\r")
    drawn = "document.getElementById('look')?.dataset"
    page.wait(f"{drawn}?.drawn && {drawn}?.over")
    opened = int(page.run(SHOWN))
    page.press("ArrowDown")
    page.wait(f"{SHOWN} === '{opened + 1}'")
    assert page.complaints == []


def test_the_overlay_is_shown_hidden_and_outlined_by_keys(page: browser.Page) -> None:
    filled = page.run(RED)
    assert filled > 500
    page.press("o")
    page.wait(f"{OVER} === ''")
    assert page.run(RED) == 0
    page.press("o")
    page.wait(f"{OVER} !== ''")
    page.press("f")
    page.wait(f"{OVER}.includes('outlined')")
    assert page.run(RED) > 0
    page.run("document.querySelector('[data-entry$=\".1\"]').click()")
    page.wait(f"{OVER}.includes('without')")
    page.wait(f"{RED} === 0")
    assert page.complaints == []


def test_dragging_sets_the_window_and_a_number_chooses_one(page: browser.Page) -> None:
    said = "document.getElementById('look-window').textContent"
    before = page.run(said)
    x, y = middle(page)
    mouse(page, "mousePressed", x, y, button="left", buttons=1, clickCount=1)
    mouse(page, "mouseMoved", x + 60, y + 30, button="left", buttons=1)
    mouse(page, "mouseReleased", x + 60, y + 30, button="left", clickCount=1)
    page.wait(f"{said} !== {before!r}")
    page.press("1")
    page.wait(f"{said} === '−160 to 240 HU'")
    page.press("+")
    page.press("0")
    assert page.complaints == []


def test_the_pointer_reads_what_the_file_holds(page: browser.Page, one: Chest) -> None:
    page.wait("document.getElementById('look-place').textContent !== ''")
    x, y = middle(page)
    mouse(page, "mouseMoved", x + 1, y + 1)
    page.wait("!document.getElementById('look-at').hidden")
    said = page.run("document.getElementById('look-at').textContent").split("\n")
    volume = one.source.volume
    assert volume is not None
    plane = volume.values()[len(volume.stored) - 15]  # from the head down
    rows, columns = plane.shape
    wanted = float(plane[rows // 2, columns // 2])
    assert float(said[0].removesuffix(" HU").replace("−", "-")) == pytest.approx(wanted, abs=0.5)
    at = volume.affine @ (len(volume.stored) - 15, rows // 2, columns // 2, 1)
    millimetres = [float(part.replace("−", "-")) for part in said[1][:-3].split(" · ")]
    assert np.allclose(millimetres, at[:3], atol=0.6)


def test_on_a_phone_nothing_is_wider_than_the_screen(page: browser.Page) -> None:
    page.resize(360, 740)
    page.wait("document.documentElement.scrollWidth <= 360")
    assert page.run("document.getElementById('look-canvas').getBoundingClientRect().width") > 300
    assert page.complaints == []
