"""What the viewer's page loads before it is looked at, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.look.studies import chest
from tests.node.web import browser
from tests.node.web.sites import Site

pytestmark = pytest.mark.interop

# The slices for which `isHeld` holds come when they are released, or are called off before.
HELD = """
window.asked = []; window.held = new Map(); window.off = []; window.isHeld = () => false;
const real = window.fetch;
window.fetch = (path, options) => {
  const found = /\\/(\\d+)\\/values/.exec(path);
  const slice = found && Number(found[1]);
  if (found) asked.push(slice);
  if (!found || !isHeld(slice)) return real(path, options);
  return new Promise((resolve, reject) => {
    held.set(slice, () => { held.delete(slice); resolve(real(path, options)); });
    options.signal.addEventListener("abort", () => {
      held.delete(slice); off.push(slice); reject(new DOMException("", "AbortError"));
    });
  });
};
"""
ALL_BUT_THE_FIRST = "window.isHeld = (slice) => slice !== 15;"
LOOK = "document.getElementById('look').dataset"
DRAWN = f"{LOOK}.drawn"
INSTEAD = "document.getElementById('look-instead')"


@pytest.fixture
def address(site: Site, tmp_path: Path) -> str:
    chest(site, tmp_path / "ct")
    return f"http://127.0.0.1:{site.server.port}/studies/1/look?slice=15&object=none"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[browser.Page]:
    with browser.opened(tmp_path / "profile") as opened:
        opened.call("Page.addScriptToEvaluateOnNewDocument", source=HELD)
        yield opened


@pytest.fixture
def waiting(page: browser.Page, address: str) -> browser.Page:
    """Slice 15 of 30 is shown, no other comes before it is released."""
    page.call("Page.addScriptToEvaluateOnNewDocument", source=ALL_BUT_THE_FIRST)
    page.open(address)
    page.wait(f"{DRAWN} === '15' && held.size === 4")
    return page


def told(page: browser.Page, script: str) -> Any:
    return json.loads(page.run(f"JSON.stringify({script})"))


def test_where_a_page_leads_to_is_there_before_one_goes_there(
    page: browser.Page, address: str
) -> None:
    page.open(address)
    page.wait(f"{LOOK}.preloaded === '15'")
    page.run("window.isHeld = () => true")
    page.press("PageDown")
    assert page.run(DRAWN) == "25"
    assert page.complaints == []


def test_until_a_slice_is_there_the_nearest_is_shown_and_said(waiting: browser.Page) -> None:
    for _ in range(3):
        waiting.press("ArrowDown")
    waiting.wait(f"{INSTEAD}.textContent === 'slice 15 · 18 is loading'")
    assert waiting.run(DRAWN) == "15"
    waiting.run("held.get(16)()")
    waiting.wait(f"{INSTEAD}.textContent === 'slice 16 · 18 is loading'")
    waiting.wait("held.has(18)")
    waiting.run("held.get(18)()")
    waiting.wait(f"{DRAWN} === '18' && {INSTEAD}.hidden")
    assert waiting.complaints == []


def test_what_is_passed_by_is_called_off_and_what_lies_ahead_comes_first(
    waiting: browser.Page,
) -> None:
    before = told(waiting, "[...held.keys()]")
    waiting.press("End")
    waiting.wait("held.has(30)")
    assert sorted(told(waiting, "off")) == sorted(before)
    assert told(waiting, "asked.slice(5)")[0] == 30
    waiting.run("held.get(30)()")
    waiting.wait(f"{DRAWN} === '30'")
    assert waiting.complaints == []


def test_steps_of_the_wheel_between_two_pictures_of_the_screen_are_one(
    waiting: browser.Page,
) -> None:
    seen = """(async () => {
      const seen = [];
      const note = () => seen.push(number.textContent);
      new MutationObserver(note).observe(number, { childList: true });
      const turn = { deltaY: 100, bubbles: true, cancelable: true };
      for (let step = 0; step < 8; step += 1) {
        view.dispatchEvent(new WheelEvent("wheel", turn));
        await null;
      }
      while (number.textContent !== "23") await new Promise(requestAnimationFrame);
      return seen.join();
    })()"""
    number = "document.getElementById('look-number')"
    view = "document.getElementById('look-view')"
    assert waiting.run(f"(number => view => {seen})({number})({view})") == "16,23"
    assert not {18, 19, 20, 21, 22} & set(told(waiting, "asked.slice(5)"))


def test_a_fast_hand_has_more_ahead_loaded_the_farther_in_steps(
    page: browser.Page, address: str
) -> None:
    page.open(address)
    slow, fast = told(
        page,
        """(() => {
          const ahead = (ms) => {
            const travel = Object.assign(new Travel(400), { takes: 0.08 });
            for (let slice = 80; slice < 100; slice += 1) travel.move(slice, slice + 1, slice * ms);
            return travel.near(100).filter((one) => one > 100 && one < 140);
          };
          return [ahead(200), ahead(20)];
        })()""",
    )
    assert max(slow) == 130 and set(range(101, 109)) <= set(slow) and 115 not in slow
    assert set(range(101, 130)) <= set(fast)
    assert fast[:3] == [104, 108, 112]


def test_what_is_kept_has_a_limit_and_what_was_called_off_is_asked_for_anew(
    page: browser.Page, address: str
) -> None:
    page.open(address)
    kept = page.run(
        """(async () => {
          const closed = [];
          const load = async (key) => ({ size: 40, close: () => closed.push(key) });
          const loads = new Loads(load, (one) => one.size, 100);
          for (const key of [1, 2, 1, 3]) await loads.ask(key);
          return [[...loads.there.keys()], loads.bytes, closed, loads.fits()].join("; ");
        })()"""
    )
    assert kept == "1,3; 80; 2; 1"
    again = page.run(
        """(async () => {
          let asked = 0;
          const load = (key, signal) => {
            asked += 1;
            return new Promise((resolve, reject) => {
              if (asked > 1) resolve({});
              signal.addEventListener("abort", () => reject(new Error("called off")));
            });
          };
          const loads = new Loads(load, () => 1, 10);
          loads.ask(1);
          loads.only(new Set());
          await loads.ask(1);
          return asked;
        })()"""
    )
    assert again == 2
