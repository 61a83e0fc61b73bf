"""All settings of a node: the tables of ``config.toml``, in its order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from node.config import environment
from node.config.archives import ArchiveSettings, WebArchiveSettings
from node.config.audit import AuditSettings, TracingSettings
from node.config.destinations import (
    AnyDestination,
    DimseDestinationSettings,
    StowDestinationSettings,
)
from node.config.dimse import CalledSettings, DimseSettings, PeerSettings
from node.config.restrictions import RestrictionSettings
from node.config.results import ResultSettings
from node.config.rules import RuleSettings
from node.config.tables import (
    CommitmentSettings,
    CompletionSettings,
    HttpSettings,
    NodeSettings,
    QuerySettings,
    RetentionSettings,
    StorageSettings,
    ViewerSettings,
    WorkerSettings,
)
from node.config.web_called import WebCalledSettings
from node.errors import SettingsError


class Settings(BaseSettings):
    """All settings of a node. Paths are absolute once read by ``load``."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=environment.PREFIX,
        env_nested_delimiter=environment.DELIMITER,
    )

    node: NodeSettings = NodeSettings()
    dimse: DimseSettings = DimseSettings()
    http: HttpSettings = HttpSettings()
    viewer: ViewerSettings = ViewerSettings()
    storage: StorageSettings = StorageSettings()
    completion: CompletionSettings = CompletionSettings()
    commitment: CommitmentSettings = CommitmentSettings()
    query: QuerySettings = QuerySettings()
    retention: RetentionSettings = RetentionSettings()
    workers: WorkerSettings = WorkerSettings()
    results: ResultSettings = ResultSettings()
    audit: AuditSettings = AuditSettings()
    tracing: TracingSettings = TracingSettings()
    peers: tuple[PeerSettings, ...] = ()
    destinations: tuple[AnyDestination, ...] = ()
    archives: tuple[ArchiveSettings, ...] = ()
    web_archives: tuple[WebArchiveSettings, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
    restrictions: tuple[RestrictionSettings, ...] = ()
    analyzers: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def dimse_destinations(self) -> tuple[DimseDestinationSettings, ...]:
        """Those that results go to by C-STORE."""
        return tuple(one for one in self.destinations if isinstance(one, DimseDestinationSettings))

    @property
    def stow_destinations(self) -> tuple[StowDestinationSettings, ...]:
        """Those that results go to by STOW-RS."""
        return tuple(one for one in self.destinations if isinstance(one, StowDestinationSettings))

    @property
    def entities(self) -> tuple[CalledSettings, ...]:
        """The application entities that are called by a name of their own, and fetched from."""
        return (*self.archives, *self.dimse_destinations)

    @property
    def web_services(self) -> tuple[WebCalledSettings, ...]:
        """The same over the web."""
        return (*self.web_archives, *self.stow_destinations)

    @property
    def results_dir(self) -> Path:
        return self.node.data_dir / "results"

    @property
    def quarantine_dir(self) -> Path:
        return self.node.data_dir / "quarantine"

    @property
    def metadata_dir(self) -> Path:
        return self.node.data_dir / "metadata"

    @property
    def notes_dir(self) -> Path:
        return self.node.data_dir / "notes"

    @property
    def viewer_dir(self) -> Path:
        return self.node.data_dir / "viewer"

    @property
    def audit_dir(self) -> Path:
        """Of events that are not in the database yet."""
        return self.node.data_dir / "audit"

    @property
    def logs_dir(self) -> Path:
        return self.node.data_dir / "logs"

    def database_url(self) -> str:
        """The database's URL with its password, read now from where the settings name it.

        Raises
        ------
        SettingsError
            The named file or variable is not there.
        """
        password = self._database_password()
        if not password:
            return self.storage.database
        from urllib.parse import quote

        scheme, _, rest = self.storage.database.partition("://")
        user, at, host = rest.rpartition("@")
        if not at:
            raise SettingsError("storage.database: names no user to go with the password")
        return f"{scheme}://{user}:{quote(password, safe='')}@{host}"

    def _database_password(self) -> str:
        name, file = self.storage.database_password_env, self.storage.database_password_file
        if name:
            if name not in os.environ:
                raise SettingsError(f"storage.database_password_env: {name} is not set")
            return os.environ[name]
        if file:
            try:
                return file.read_text().strip()
            except OSError as error:
                raise SettingsError(f"storage.database_password_file: {error}") from error
        return ""
