"""The application with login."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node.web.access.houses import House, open_house
from tests.node.web.sites import Site


@pytest.fixture
def house(site: Site) -> Iterator[House]:
    with open_house(site) as made:
        yield made
