"""``wetread serve``: the node in the foreground, ended by a signal."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from node.config.load import load
from node.errors import SettingsError
from node.observe import logs


def serve(path: Path) -> None:
    """Run until SIGTERM or Ctrl-C; a second signal ends at once.

    Raises
    ------
    NodeError
        The settings cannot be used, a port is taken, another node works on the database.
    StorageError
        The database or a folder cannot be used.
    """
    settings = load(path)
    try:
        logs.configure(settings.logs_dir, settings.node.log_level)
    except OSError as error:
        raise SettingsError(f"node.data_dir: no log in {settings.logs_dir}: {error}") from error
    from node.app import Node

    ended = threading.Event()
    _on_signals(ended)
    node = Node(settings)
    node.start()
    gc.freeze()  # what is there now stays: collecting it again and again would halt the receiver
    http = settings.http.host
    print(
        f"{node.title} receives on {settings.dimse.host}:{node.server.port},"
        f" status page http://{http}:{node.web.port}/",
        flush=True,
    )
    ended.wait()
    node.stop()


def _on_signals(ended: threading.Event) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        if ended.is_set():
            sys.exit(1)
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
