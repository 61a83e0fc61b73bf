"""The node as a whole, in this process: how it starts, steps down and ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from node import config
from node.app import Node
from node.errors import AlreadyRunning
from node.web.server import CannotServe
from tests.peers import free_port


def node_in(folder: Path, http_port: int = 0) -> Node:
    path = folder / "config.toml"
    path.write_text(
        f'[dimse]\nport = 0\n[http]\nport = {http_port}\n[workers]\ndevice = "cpu"\n'
        f'[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "127.0.0.1"\n'
        f"port = {free_port()}\n"
    )
    return Node(config.load(path))


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in time; threads: {names()}"
        time.sleep(0.05)


@pytest.mark.timeout(100)
def test_a_node_that_another_has_replaced_leaves_jobs_and_deliveries_to_it(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    node.start()
    try:
        assert {"dispatcher", "completion", "courier-pacs"} <= names()
        node.database.unlock_dispatcher()
        with pytest.raises(AlreadyRunning):
            node._prove_dispatcher()
        until(lambda: not {"dispatcher", "completion", "courier-pacs"} & names())
    finally:
        node.stop()


@pytest.mark.timeout(100)
def test_a_start_that_fails_leaves_nothing_running_and_the_database_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotServe):
        node_in(tmp_path, taken.getsockname()[1]).start()
    until(lambda: not {"dispatcher", "completion", "courier-pacs", "indexer"} & names())
    node = node_in(tmp_path)
    node.start()
    node.stop()
