"""Behind the start: what was cut off between the database and the files of notes is made up for."""

from __future__ import annotations

import structlog

from storage.database import Database
from storage.errors import StoreUnavailable
from storage.people.kept_notes import NotesFolder

log: structlog.stdlib.BoundLogger = structlog.get_logger()

AT_ONCE = 100
"""Studies in one step: whoever writes a note meanwhile waits for no more."""


class Noted:
    """``step`` is for one thread."""

    def __init__(self, database: Database, folder: NotesFolder) -> None:
        self._database = database
        self._folder = folder
        self._after: int | None = 0

    def step(self) -> bool:
        """Renew the next files; true while there may be more. A folder that cannot be written is
        told once, and tried again at the next start.

        Raises
        ------
        DatabaseUnavailable
        """
        if self._after is None:
            return False
        try:
            self._after = self._folder.renew_some(self._database, self._after, AT_ONCE)
        except StoreUnavailable as error:  # a full disk, too: images are received without notes
            log.warning("notes_not_kept", reason=str(error))
            self._after = None
        return self._after is not None
