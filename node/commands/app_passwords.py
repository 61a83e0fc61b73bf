"""``wetread user app-password NAME``: a password for a machine or a desktop viewer, shown once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from node.audit.events import Right
from node.commands.users import tell
from node.config.load import load
from node.errors import SettingsError
from node.web.access.app_passwords import Wanted
from node.web.access.app_passwords import make as made_of
from storage.database import visit_database
from storage.people import users
from storage.people.users import Role


def make(path: Path, name: str, role: str, label: str, host: str, days: int) -> int:
    """A new one of a user. Gives the command's exit status.

    Raises
    ------
    SettingsError, StorageError
        NotMade and NotFound among them.
    """
    if role not in set(Role):
        raise SettingsError(f"no role is called {role!r}: {', '.join(Role)}")
    wanted = Wanted(label, Role(role), host, days)
    settings = load(path)
    database = visit_database(settings.database_url(), read_only=False)
    try:
        with database.write() as tx:
            owner = users.get(tx, name)
            made = made_of(tx, owner, wanted, "the command line", datetime.now(UTC))
    finally:
        database.close()
    tell(settings, Right.USER, owner.name, f"a new app password {made.id} with the role {role}")
    print(made.secret)
    return 0
