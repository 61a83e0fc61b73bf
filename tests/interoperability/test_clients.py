"""Clients that were written elsewhere find and fetch all that the node holds, results as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interoperability.clients import CLIENTS, Client
from tests.interoperability.judge import judged
from tests.interoperability.make import ALL, LIMITS
from tests.interoperability.target import Target, running_target

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, of what clients write
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with running_target(tmp_path_factory.mktemp("target")) as there:
        yield there


@pytest.mark.parametrize("client", ALL, ids=lambda client: client.name)
def test_a_client_finds_and_fetches_images_and_results(
    client: Client, target: Target, tmp_path: Path
) -> None:
    if not client.is_installed():
        pytest.skip(f"{client.name} is not installed")
    told = client.run(target, tmp_path / "client")
    wrong = {
        service: verdict.text
        for service, one in told.items()
        if not (verdict := judged(service, one, target)).is_right
        and (client.name, service) not in LIMITS
    }
    assert not wrong


def test_what_a_client_cannot_do_is_named_only_for_clients_that_there_are() -> None:
    assert {name for name, _ in LIMITS} <= {client.name for client in ALL}
    assert len({client.name for client in CLIENTS}) == len(CLIENTS)
