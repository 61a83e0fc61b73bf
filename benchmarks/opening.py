"""A study is opened in OHIF by headless Chromium: when the first slice is seen, when all are there,
when a segmentation lies on them, and how long the page stood still.

The browser has OHIF's files in its cache, as whoever reads daily has, and nothing of the study.
To look at the canvas waits for what the graphics still draw: that is no task of the page, and is
not counted as one. It is looked at when OHIF has drawn, and no more once all is seen: by software a
look may take a second, in which the page does nothing.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, Playwright

from benchmarks.scrolling import next_slices

OPTIONS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--disable-web-security",  # OHIF's files come from a server beside Orthanc
)
STILL_S = 30.0
"""For so long nothing at all happens in a page before its opening is given up."""
GIVEN_UP_S = 90.0
"""And so long it lasts at most, whatever happens."""
HANGING_MS = 180_000
"""And so long a page may not answer."""
WARMING = 3
_WATCH = """
(() => {
  const seen = (window.seen = { images: new Set(), longest: 0, last: performance.now() });
  const stir = () => { seen.last = performance.now(); };
  const mark = (name) => { seen[name] ??= performance.now(); stir(); };
  seen.isOver = (still, most) => {
    const names = seen.names.filter((name) => !seen[name]);
    if (!names.length) return true;
    const now = performance.now();
    const isStill = now - seen.last >= still * 1000;
    if (!isStill && now < most * 1000) return false;
    const why = isStill ? `nothing happens for ${still} s` : `not over in ${most} s`;
    const images = `${seen.images.size} of ${seen.wanted} slices loaded`;
    throw new Error(`${why}; missing: ${names}; ${images}`);
  };
  new PerformanceObserver(stir).observe({ type: 'resource' });
  new PerformanceObserver((list) => {
    for (const { element, renderTime } of list.getEntries())
      if (element?.matches('#first-picture img')) seen.picture ??= renderTime;
  }).observe({ type: 'largest-contentful-paint', buffered: true });
  const looked = [];
  const own = ({ startTime, duration }) =>
    looked.filter(({ at }) => at >= startTime && at <= startTime + duration)
      .reduce((sum, one) => sum + one.took, 0);
  new PerformanceObserver((list) => {
    stir();
    for (const task of list.getEntries())
      seen.longest = Math.max(seen.longest, task.duration - own(task));
  }).observe({ type: 'longtask', buffered: true });
  const [across, down] = [240, 160]; // OHIF may open a slice with a disc of 30 pixels on it
  const small = new OffscreenCanvas(across, down).getContext('2d', { willReadFrequently: true });
  const look = () => {
    const canvas = document.querySelector('.cornerstone-canvas');
    if (!canvas?.width) return;
    const at = performance.now();
    judge(canvas);
    looked.push({ at, took: performance.now() - at });
  };
  const judge = (canvas) => {
    small.drawImage(canvas, 0, 0, across, down);
    const { data } = small.getImageData(0, 0, across, down);
    let lit = 0, coloured = 0;
    for (let at = 0; at < data.length; at += 4) {
      const most = Math.max(data[at], data[at + 1], data[at + 2]);
      lit += most > 24;
      coloured += most - Math.min(data[at], data[at + 1], data[at + 2]) > 10;
    }
    if (lit > 1100) mark('first');
    if (coloured > 12) mark('overlay');
  };
  const load = (event) => {
    stir();
    const id = event.detail?.image?.imageId ?? '';
    if (id.startsWith('wadors:') && id.includes(seen.series ?? '')) seen.images.add(id);
    if (seen.images.size >= (seen.wanted ?? Infinity)) mark('all');
  };
  const start = setInterval(() => {
    if (!window.cornerstone?.eventTarget) return;
    clearInterval(start);
    window.cornerstone.eventTarget.addEventListener('CORNERSTONE_IMAGE_LOADED', load);
    let isDue = false;
    const due = () => {
      if (isDue || seen.names.every((name) => seen[name])) return;
      isDue = true;
      setTimeout(() => { isDue = false; look(); });
    };
    const drawn = () => { stir(); due(); };
    document.addEventListener('CORNERSTONE_IMAGE_RENDERED', drawn, true);
    setInterval(due, 5000); // whatever OHIF says
  }, 10);
})();
"""


@dataclass(frozen=True, slots=True)
class Study:
    """What is opened: a study with a series of so many slices, and a segmentation or none."""

    uid: str
    series: str
    slices: int
    segmentation: str = ""

    def address(self, page: str) -> str:
        query = {"StudyInstanceUIDs": self.uid}
        if self.segmentation:
            query["initialSeriesInstanceUID"] = self.segmentation
        return f"{page}/viewer?{urlencode(query)}"


@dataclass(frozen=True, slots=True)
class Opened:
    """Seconds from the click; ``overlay_s`` 0 without a segmentation."""

    first_s: float
    all_s: float
    overlay_s: float
    longest_s: float
    picture_s: float
    """Until the node's own picture of it stands in the page; 0 where none does."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever opens studies on one side: a browser's profile that knows OHIF's files."""

    playwright: Playwright
    page: str
    profile: Path

    def warm(self, study: Study, times: int = WARMING) -> None:
        """Opens a study as often as it takes until the browser has kept its compiled scripts."""
        with _browser(self.playwright, self.profile) as tab:
            for _ in range(times):
                _show(tab, study, self.page, ["first"])
                tab.wait_for_timeout(2000)
                tab.goto("about:blank")

    def open(self, study: Study) -> Opened:
        """A study that this browser has never shown."""
        with tempfile.TemporaryDirectory(prefix="wetread-profile-") as folder:
            fresh = Path(folder) / "profile"
            shutil.copytree(self.profile, fresh, ignore=shutil.ignore_patterns("Singleton*"))
            with _browser(self.playwright, fresh) as tab:
                wanted = ["overlay"] if study.segmentation else ["first", "all"]
                _show(tab, study, self.page, wanted)
                found = tab.evaluate("({ ...seen, images: seen.images.size })")
        times = (found.get(name) or 0 for name in ("first", "all", "overlay", "longest", "picture"))
        return Opened(*(one / 1000 for one in times))

    def scroll(self, slices: int, key: str) -> list[float]:
        """Seconds of each press of a key in the node's own view of a study of so many slices."""
        with (
            tempfile.TemporaryDirectory(prefix="wetread-profile-") as folder,
            _browser(self.playwright, Path(folder) / "profile") as tab,
        ):
            return next_slices(tab, self.page, slices, key)


@contextmanager
def _browser(playwright: Playwright, profile: Path) -> Iterator[Page]:
    """Debian's Chromium, headless, drawing in software."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not installed")
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=program,
        args=list(OPTIONS),
        viewport={"width": 1400, "height": 850},
        timeout=HANGING_MS,
    )
    try:
        context.add_init_script(_WATCH)
        yield context.new_page()
    finally:
        context.close()


def _show(tab: Page, study: Study, page: str, names: list[str]) -> None:
    """Until all that is named was seen.

    Raises
    ------
    playwright.sync_api.Error
        Nothing happens any more, or it lasts too long; and what is missing.
    """
    told = {"series": study.series, "wanted": study.slices, "names": names}
    tab.add_init_script(f"Object.assign(seen, {json.dumps(told)});")
    tab.goto(study.address(page), wait_until="commit", timeout=STILL_S * 1000)
    is_over = f"window.seen && seen.isOver({STILL_S}, {GIVEN_UP_S})"
    tab.wait_for_function(is_over, polling=100, timeout=HANGING_MS)
