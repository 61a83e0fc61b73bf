"""Whoever may not see a study sees nothing of it, though somebody else has just looked at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.look.looker import Looker
from storage.errors import NotFound
from storage.restriction import EVERYTHING, NOTHING, Restriction
from tests.node.look.studies import chest
from tests.node.web.sites import Site


def test_a_study_is_not_there_for_who_may_not_see_it(site: Site, tmp_path: Path) -> None:
    one = chest(site, tmp_path / "ct")
    seen: list[Restriction] = [EVERYTHING]
    looked = Looker(site.database.seen_by(lambda: seen[0]), site.archive)
    study = looked.study(one.study_id)
    assert looked.stack(study, one.series_id).slices
    seen[0] = NOTHING
    with pytest.raises(NotFound):
        looked.study(one.study_id)
