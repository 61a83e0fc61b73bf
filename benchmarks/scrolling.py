"""How soon the node's own view shows the next slice: from the key to its picture on the canvas."""

from __future__ import annotations

import httpx
from playwright.sync_api import Error, Page

NUMBER = 40
STILL_MS = 120_000
"""For so long one slice may take before it is given up."""
_IS_LAST = "(({ drawn, count }) => drawn === count)(document.getElementById('look').dataset)"
_WATCH = """
(() => {
  const look = document.getElementById('look');
  window.scrolled = [];
  addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
  new MutationObserver(() => {
    const seen = look.dataset.drawn;
    if (window.pressed === undefined || seen === window.before) return;
    const took = performance.now() - window.pressed;
    Object.assign(window, { before: seen, pressed: undefined });
    scrolled.push(took / 1000);
    look.dataset.scrolled = scrolled.length;
  }).observe(look, { attributeFilter: ['data-drawn'] });
  window.before = look.dataset.drawn;
})()
"""


def next_slices(tab: Page, page: str, slices: int, key: str) -> list[float]:
    """Seconds of each press of a key, one as soon as the slice of the last is seen.

    page: the node's address. slices: of the study, which has nothing else. key: one that goes
    forward, from the first slice.

    Raises
    ------
    playwright.sync_api.Error
        A slice was not shown: which, and what the page says of it.
    """
    number = _number_of(page, slices)
    tab.set_default_timeout(STILL_MS)
    tab.goto(f"{page}/studies/{number}/look?slice=1&object=none")
    tab.wait_for_selector("#look[data-preloaded]")
    tab.evaluate(_WATCH)
    for count in range(1, NUMBER + 1):
        tab.keyboard.press(key)
        try:
            tab.wait_for_selector(f"#look[data-scrolled='{count}']")
        except Error as error:
            said = tab.evaluate("document.getElementById('look-said').textContent")
            raise Error(f"press {count} of {key} shows nothing {said}: {error.message}") from error
        if tab.evaluate(_IS_LAST):
            break
    return [float(one) for one in tab.evaluate("scrolled")]


def _number_of(page: str, slices: int) -> int:
    """The node's own number of the study of one series with so many images: it tells no UIDs."""
    studies = httpx.get(f"{page}/api/studies", params={"limit": 200}, timeout=120).json()
    (number,) = (one["id"] for one in studies if (one["series"], one["instances"]) == (1, slices))
    return int(number)
