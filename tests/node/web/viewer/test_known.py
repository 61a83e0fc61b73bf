"""OHIF before the real node: a map and a box lie where they are known to be; keys alone scroll."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from node.demo.phantom import ChestPhantom
from node.web.viewer import links
from tests.node.web.viewer import ohif
from tests.node.web.viewer.ohif import Shown
from tests.node.web.viewer.test_overlay import Known, analyzed
from tests.node_process import Node, rule, running_node
from tests.plugins.known import Place, place_in

ODD = ChestPhantom(shape=(30, 63, 49), spacing_mm=(10.0, 6.0, 8.0))
"""The pixels of a slice are no multiple of 4, and no squares."""
CLEAR = 60
"""By how much one colour of a pixel is more than another where it is seen at a glance."""


@dataclass(frozen=True)
class Found:
    """A node that has run both analyzers on a phantom whose pixels are no squares."""

    node: Node
    study: Known
    jobs: dict[str, int]
    """By the name of the analyzer."""

    @property
    def place(self) -> Place:
        return place_in(self.study.phantom.grid_shape)

    @property
    def slices(self) -> range:
        return range(self.place[0].start, self.place[0].stop)

    def box(self, shown: Shown) -> NDArray[np.float64]:
        """Left, top, right and bottom of the outer edges of the place on the viewport."""
        _, rows, columns = self.place
        corners = np.array(
            [
                [self.slices.start, rows.start - 0.5, columns.start - 0.5, 1],
                [self.slices.start, rows.stop - 0.5, columns.stop - 0.5, 1],
            ]
        )
        points = shown.project((corners @ self.study.phantom.affine.T)[:, :3])
        return np.array([*points.min(0), *points.max(0)])

    def slice_of(self, shown: Shown) -> int:
        return self.study.slices[shown.image()]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    folder = tmp_path_factory.mktemp("known")
    viewer = ohif.installed_ohif()
    (folder / "var").mkdir()
    (folder / "var" / "viewer").symlink_to(viewer)
    with running_node(folder, rule("mapped", "boxed", to=""), plugins=True) as node:
        study = analyzed(node, folder, "axial", ODD)
        yield Found(node, study, {job.analyzer: job.id for job in node.wait_for_results(2).jobs})


@pytest.fixture
def shown(found: Found) -> Iterator[Shown]:
    with ohif.browser(f"127.0.0.1:{found.node.http_port}") as tab:
        yield tab


@pytest.mark.interop
@pytest.mark.timeout(600)
def test_a_map_opens_where_its_values_are_in_the_colours_of_its_window(
    found: Found, shown: Shown
) -> None:
    shown.page.goto(f"http://{shown.host}{links.of_job(found.jobs['mapped'])}")
    shown.until_coloured()
    assert found.slice_of(shown) == found.slices.start  # of equal ones the first
    rows, columns = np.nonzero(shown.overlay())
    seen = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    expected = found.box(shown)
    voxel = (expected[2] - expected[0]) / (found.place[2].stop - found.place[2].start)
    assert np.abs(seen - expected).max() < voxel, f"colour in {seen}, the map in {expected}"
    high, low = colours_of_halves(shown, expected)
    assert high[0] - max(high[1:]) > CLEAR, f"the highest value is {high}, and not red"
    assert low[1] - low[0] > CLEAR / 2, f"half of it is {low}, and not green"
    assert (shown.elsewhere, shown.complaints) == ([], [])


def colours_of_halves(shown: Shown, box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median red, green and blue of what is left and right in a box, off its edges."""
    left, top, right, bottom = (int(one) for one in box)
    middle, edge = (left + right) // 2, (right - left) // 8
    inside = shown.pixels()[top + edge : bottom - edge]
    halves = (inside[:, left + edge : middle - edge], inside[:, middle + edge : right - edge])
    return np.array([np.median(half, axis=(0, 1)) for half in halves])


@pytest.mark.interop
@pytest.mark.timeout(600)
def test_a_box_is_drawn_on_the_middle_of_its_slices_and_keys_alone_lead_to_it(
    found: Found, shown: Shown
) -> None:
    shown.page.goto(f"http://{shown.host}{links.of_job(found.jobs['boxed'])}")
    assert_the_box_is_drawn(found, shown, shown.outlines())
    middle = found.slice_of(shown)
    assert middle in found.slices[1:-1]
    shown.press_until("ArrowDown", lambda: found.slice_of(shown) != middle)
    assert shown.outlines_now() == []
    shown.press_until("ArrowUp", lambda: found.slice_of(shown) == middle)
    assert_the_box_is_drawn(found, shown, shown.outlines())
    ends = {0, len(found.study.slices) - 1}
    shown.press_until("End", lambda: found.slice_of(shown) in ends)
    last = found.slice_of(shown)
    shown.press_until("Home", lambda: {found.slice_of(shown)} == ends - {last})
    assert (shown.elsewhere, shown.complaints) == ([], [])


def assert_the_box_is_drawn(found: Found, shown: Shown, boxes: list[NDArray[np.float64]]) -> None:
    expected = found.box(shown)
    apart = min(float(np.abs(expected - box).max()) for box in boxes)
    assert apart < 12, f"the box is {apart:.1f} pixels off"
