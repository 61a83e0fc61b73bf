"""``wetread serve``: the node in the foreground, ended by a signal."""

from __future__ import annotations

import os
import signal
import sys
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
    with settling():
        settings, signals, node = _listening(path)
        page = f"{node.web.scheme}://{_named(settings)}:{node.web.port}/"
        where = f"{settings.dimse.host}:{node.server.port}"
        print(f"{node.title} receives on {where}, status page {page}", flush=True)
        node.answer()
    _show_code(node, page)
    signals.wait()
    node.stop()


def _listening(path: Path) -> tuple[Settings, Signals, Node]:
    settings = load(path)
    try:
        logs.configure(settings.logs_dir, settings.node.log_level)
    except OSError as error:
        raise SettingsError(f"node.data_dir: no log in {settings.logs_dir}: {error}") from error
    from node.app import Node

    signals = Signals()
    node = Node(settings)
    node.listen()
    return settings, signals, node


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


class Signals:
    """SIGTERM and SIGINT: the first ends the wait, the second the process.

    The interpreter writes a byte the moment one comes, and that is waited for. A wait for a lock or
    a queue is only interrupted: a signal in the moment before it would be noted, and the wait go on
    until the next. A handler sets no Event either, for it runs amid whatever the main thread does.
    """

    def __init__(self) -> None:
        self._is_told = False
        self._heard, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._tell)
        signal.signal(signal.SIGINT, self._tell)

    def wait(self) -> None:
        """Until the first has come."""
        while not self._is_told:
            os.read(self._heard, 1)

    def _tell(self, number: int, frame: FrameType | None) -> None:
        if self._is_told:
            sys.exit(1)
        self._is_told = True
