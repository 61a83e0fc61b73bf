"""Reads ``config.toml`` once, at start, into frozen settings, or says what is wrong with it.

Every message names the key, the line where the file has it, and the nearest known name. Relative
paths are relative to the file. An environment variable ``WETREAD_<TABLE>__<KEY>`` overrides a key.
"""

from __future__ import annotations

import os
import re
import tomllib
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError as UnreadableVariable

from analyzers.devices import is_device_name
from node import config_environment, config_faults
from node.config_values import (
    AETitle,
    AllowedHost,
    Days,
    Finite,
    Gigabytes,
    Host,
    Name,
    Port,
    Seconds,
    SomeHost,
    SomeSeconds,
    check_plain,
)
from node.dimse import tls
from node.errors import SettingsError
from storage.records import Priority


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return check_plain(value)


class NodeSettings(_Table):
    ae_title: AETitle = "WETREAD"
    data_dir: Path = Path("var")
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class TlsSettings(_Table):
    certificate: Path
    key: Path | None = None
    key_password_file: Path | None = None
    ca: Path | None = None
    crl: Path | None = None
    host: Host | None = None
    port: Port = tls.PORT
    only: bool = False

    @model_validator(mode="after")
    def _revoked_by_somebody(self) -> TlsSettings:
        if self.crl and not self.ca:
            raise ValueError("crl needs ca: only then are certificates asked for")
        return self


class IdentitySettings(_Table):
    users_file: Path
    required: bool = True


class DimseSettings(_Table):
    host: Host = "127.0.0.1"
    port: Port = 11112
    accept_any_peer: bool = True
    require_called_ae_title: bool = False
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    max_associations: Annotated[int, Field(ge=1, le=10_000)] = 64
    max_associations_per_peer: Annotated[int, Field(ge=0, le=10_000)] = 32
    max_contexts: Annotated[int, Field(ge=1, le=128)] = 128
    max_instance_mb: Annotated[int, Field(ge=0)] = 8192
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=16_777_216)] = 131_072
    network_timeout_s: SomeSeconds = 60
    pdu_timeout_s: SomeSeconds = 30
    negotiation_timeout_s: SomeSeconds = 15
    drain_timeout_s: Seconds = 30
    tls: TlsSettings | None = None
    identity: IdentitySettings | None = None


class HttpSettings(_Table):
    host: Host = "127.0.0.1"
    port: Port = 8080
    allowed_hosts: tuple[AllowedHost, ...] = ()
    without_login: Literal["refused", "accepted"] = "refused"

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which a browser may ask: all, where it listens on the whole network."""
        if self.allowed_hosts:
            return self.allowed_hosts
        if self.host in {"0.0.0.0", "::", ""}:
            return ("*",)
        return ("localhost", "127.0.0.1", "[::1]", self.host)


class StorageSettings(_Table):
    database: str = ""
    instances: Path = Path()
    min_free_mb: Annotated[int, Field(ge=0)] = 512
    sync: bool = True
    database_password_file: Path | None = None
    database_password_env: str = ""


class CompletionSettings(_Table):
    quiet_period_s: Seconds = 5
    open_association_quiet_s: Seconds = 120
    announced_wait_s: Seconds = 600
    gap_alarm_s: Seconds = 1800


class CommitmentSettings(_Table):
    missing_wait_s: Seconds = 10


class RetentionSettings(_Table):
    images_days: Days = None
    images_gb: Gigabytes = None
    results_days: Days = None
    results_gb: Gigabytes = None
    quarantine_days: Days = None
    quarantine_gb: Gigabytes = None
    events_days: Days = None
    logs_days: Days = None


class WorkerSettings(_Table):
    device: str = "auto"
    slots: Annotated[int, Field(ge=1, le=256)] = 1
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    retry_delay_s: Seconds = 10

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not is_device_name(value):
            raise ValueError("use auto, cpu, cuda or cuda:N")
        return value


class PeerSettings(_Table):
    ae_title: AETitle
    host: Host = ""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    certificate: str = ""
    tls: bool = False
    tls_name: Host = ""
    ca: Path | None = None

    @field_validator("certificate")
    @classmethod
    def _fingerprint_or_subject(cls, value: str) -> str:
        if value and not tls.fingerprint_of(value):
            tls.subject_of(value)
        return value

    @model_validator(mode="after")
    def _is_called_over_tls(self) -> PeerSettings:
        if self.tls and self.port is None:
            raise ValueError("tls is how reports are sent to it: give its port too")
        if not self.tls and (self.ca or self.tls_name):
            raise ValueError("ca and tls_name need tls = true")
        return self


class DestinationSettings(_Table):
    name: Name
    ae_title: AETitle
    host: SomeHost
    port: Annotated[int, Field(ge=1, le=65535)]
    calling_ae_title: AETitle | None = None
    commitment: bool = False
    tls: bool = False
    tls_name: Host = ""
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _files_are_used(self) -> DestinationSettings:
        if not self.tls and (self.ca or self.certificate or self.key or self.tls_name):
            raise ValueError("ca, certificate, key and tls_name need tls = true")
        return self


class RangeCondition(_Table):
    min: Finite | None = None
    max: Finite | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> RangeCondition:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is larger than max: no value fits")
        return self


class MatchesCondition(_Table):
    matches: str

    @field_validator("matches")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return value


class ExistsCondition(_Table):
    exists: bool


Scalar = str | int | float
Condition = Scalar | list[Scalar] | RangeCondition | MatchesCondition | ExistsCondition


Notice = Literal["failed", "not applicable"]


class RuleSettings(_Table):
    name: Name
    when: dict[str, Condition] = Field(default_factory=dict)
    analyzers: tuple[str, ...] = Field(min_length=1)
    destinations: tuple[str, ...] = ()
    priority: Priority = Priority.ROUTINE
    notices: tuple[Notice, ...] = ("failed",)
    """Of which verdicts a report goes to the destinations; the page shows all."""

    @property
    def tells_failed(self) -> bool:
        return "failed" in self.notices

    @property
    def tells_not_applicable(self) -> bool:
        return "not applicable" in self.notices

    @field_validator("notices", mode="before")
    @classmethod
    def _all_or_none(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return typing.get_args(Notice) if value else ()
        return value

    @field_validator("when", mode="before")
    @classmethod
    def _conditions(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for keyword, condition in value.items():
                config_faults.check_keyword(keyword)
                config_faults.check_condition(keyword, condition)
        return value


class Settings(BaseSettings):
    """All settings of a node. Paths are absolute once read by ``load``."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=config_environment.PREFIX,
        env_nested_delimiter=config_environment.DELIMITER,
    )

    node: NodeSettings = NodeSettings()
    dimse: DimseSettings = DimseSettings()
    http: HttpSettings = HttpSettings()
    storage: StorageSettings = StorageSettings()
    completion: CompletionSettings = CompletionSettings()
    commitment: CommitmentSettings = CommitmentSettings()
    retention: RetentionSettings = RetentionSettings()
    workers: WorkerSettings = WorkerSettings()
    peers: tuple[PeerSettings, ...] = ()
    destinations: tuple[DestinationSettings, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
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
    def results_dir(self) -> Path:
        return self.node.data_dir / "results"

    @property
    def quarantine_dir(self) -> Path:
        return self.node.data_dir / "quarantine"

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


def load(path: Path) -> Settings:
    """The settings in a file, checked against the installed analyzers.

    Raises
    ------
    SettingsError
        One line a fault, each naming the key, its line and the nearest known name.
    """
    text, raw = _read(path)
    try:
        settings = Settings(**raw)
    except UnreadableVariable as error:
        raise SettingsError(config_faults.explain_variable(str(error))) from error
    except ValidationError as error:
        raise SettingsError(config_faults.explain(error, Settings, path, text)) from error
    settings = _with_absolute_paths(settings, path.resolve().parent)
    faults = config_faults.cross_check(settings)
    lines = [config_faults.at(path, text, location) + message for location, message in faults]
    lines += config_environment.misspelt(Settings.model_fields)
    if lines:
        raise SettingsError("\n".join(lines))
    return settings


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: there is no such file; give one with --config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error


def _absolute(table: Any, base: Path) -> Any:
    """A table (or None) with its paths below ``base``."""
    if table is None:
        return None
    paths = {key: base / value for key, value in table if isinstance(value, Path)}
    return table.model_copy(update=paths)


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    data_dir = base / settings.node.data_dir
    storage = settings.storage
    database = storage.database or f"sqlite:///{data_dir / 'wetread.db'}"
    relative = re.fullmatch(r"sqlite:///(?!/)(.+)", database)
    if relative:
        database = f"sqlite:///{base / relative[1]}"
    unset = storage.instances == Path()
    instances = data_dir / "instances" if unset else base / storage.instances
    password_file = storage.database_password_file
    return settings.model_copy(
        update={
            "node": settings.node.model_copy(update={"data_dir": data_dir}),
            "dimse": settings.dimse.model_copy(
                update={
                    "tls": _absolute(settings.dimse.tls, base),
                    "identity": _absolute(settings.dimse.identity, base),
                }
            ),
            "destinations": tuple(_absolute(one, base) for one in settings.destinations),
            "peers": tuple(_absolute(one, base) for one in settings.peers),
            "storage": storage.model_copy(
                update={
                    "database": database,
                    "instances": instances,
                    "database_password_file": base / password_file if password_file else None,
                }
            ),
        }
    )
