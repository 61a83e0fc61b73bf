"""``wetread serve``: the node in the foreground, ended by a signal."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from node.config.load import load
from node.config.settings import Settings
from node.errors import SettingsError
from node.observe import logs
from node.settling import settling

if TYPE_CHECKING:
    from node.app import Node


def serve(path: Path) -> None:
    """Run until SIGTERM or Ctrl-C; a second signal ends at once.

    Raises
    ------
    NodeError
        The settings cannot be used, a port is taken, another node works on the database.
    StorageError
        The database or a folder cannot be used.
    """
    ended = threading.Event()
    with settling():
        settings, node = _started(path, ended)
    page = f"{node.web.scheme}://{_named(settings)}:{node.web.port}/"
    print(
        f"{node.title} receives on {settings.dimse.host}:{node.server.port}, status page {page}",
        flush=True,
    )
    _show_code(node, page)
    ended.wait()
    node.stop()


def _started(path: Path, ended: threading.Event) -> tuple[Settings, Node]:
    settings = load(path)
    try:
        logs.configure(settings.logs_dir, settings.node.log_level)
    except OSError as error:
        raise SettingsError(f"node.data_dir: no log in {settings.logs_dir}: {error}") from error
    from node.app import Node

    _on_signals(ended)
    node = Node(settings)
    node.start()
    return settings, node


def _named(settings: Settings) -> str:
    """By what a browser may ask for the page."""
    host = settings.http.host
    named = next((one for one in settings.http.names if "*" not in one), "")
    return (named or host) if host in ("", "0.0.0.0", "::") else host


def _show_code(node: Node, page: str) -> None:
    """On the terminal alone: no log keeps it."""
    if node.logins is not None and node.logins.first is not None:
        print(
            f"nobody administers this node yet: open {page}login/first within an hour and enter"
            f" {node.logins.first.printed}, or use `wetread user add`",
            flush=True,
        )


def _on_signals(ended: threading.Event) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        if ended.is_set():
            sys.exit(1)
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
