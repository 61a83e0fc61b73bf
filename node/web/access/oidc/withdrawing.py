"""Whoever has no role at the provider any more lends none to machines either."""

from __future__ import annotations

from datetime import datetime

import structlog

from node.audit.events import Actor, Right, RightsChanged
from node.audit.trail import Trail
from node.config.oidc import OidcSettings
from node.web.access.oidc.errors import NotAllowed
from node.web.access.oidc.exchange import host_of
from storage.database import Database
from storage.people import app_passwords, users

log = structlog.get_logger(__name__)


class Withdrawing:
    """Ends app passwords of accounts of one provider. May be called from any thread."""

    def __init__(self, settings: OidcSettings, database: Database, trail: Trail) -> None:
        self._issuer = settings.issuer
        self._provider = Actor(host_of(settings))
        self._database = database
        self._trail = trail

    def lend_no_more(self, refused: NotAllowed, at: datetime) -> None:
        """End those of the account that was refused for want of a role.

        Raises
        ------
        DatabaseUnavailable
        """
        if not refused.subject:
            return
        with self._database.write() as tx:
            user = users.find_of_provider(tx, self._issuer, refused.subject)
            ended = app_passwords.end_all(tx, user.id, at) if user else 0
        if user is None or not ended:
            return
        change = f"{ended} app passwords ended: {refused.detail}"
        self._trail.record(RightsChanged(self._provider, Right.USER, user.name, change))
        log.info("provider_app_passwords_ended", count=ended)
