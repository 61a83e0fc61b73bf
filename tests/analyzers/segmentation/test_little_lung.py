"""Images that show next to no lung are doubted before anything is said of lungs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzers import registry
from analyzers.contract import NotApplicable, Volume
from node.demo.phantom import ChestPhantom
from node.results.words import phrases
from node.series.read import read_series


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """The planes of an abdomen that still show the lowest ends of the lungs."""
    phantom = ChestPhantom(shape=(60, 128, 128), spacing_mm=(5.0, 3.0, 3.0))
    volume = read_series(phantom.write(tmp_path_factory.mktemp("chest"))).volume
    assert volume is not None
    planes = slice(0, 16)
    stored = volume.stored[planes]
    stored.flags.writeable = False
    return replace(
        volume, stored=stored, slope=volume.slope[planes], intercept=volume.intercept[planes]
    )


@pytest.mark.parametrize("name", ["lung_segmentation", "lung_nodule"])
def test_little_lung_is_said_first(bases: Volume, name: str) -> None:
    findings = registry.load(name)("cpu").analyze(bases, registry.parameters(name, {}))
    first = findings.cautions[0]
    assert first.startswith("In doubt: only ")
    assert phrases.shown(first, "de").startswith("Zweifelhaft: Nur ")


def test_no_calcium_is_scored_where_little_lung_is_shown(bases: Volume) -> None:
    analyzer = registry.load("calcium_score")("cpu")
    with pytest.raises(NotApplicable, match="two aerated lungs"):
        analyzer.analyze(bases, registry.parameters("calcium_score", {}))
