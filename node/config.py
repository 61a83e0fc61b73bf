"""Reads ``config.toml`` once, at start, into frozen settings, or says what is wrong with it.

Every message names the key, the line where the file has it, and the nearest known name. Relative
paths are relative to the file. An environment variable ``WETREAD_<TABLE>__<KEY>`` overrides a key.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from analyzers.devices import is_device_name
from node.errors import SettingsError
from storage.records import Priority

AETitle = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16)]
Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Seconds = Annotated[float, Field(ge=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSettings(_Table):
    ae_title: AETitle = "WETREAD"
    data_dir: Path = Path("var")
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class DimseSettings(_Table):
    host: str = "127.0.0.1"
    port: Port = 11112
    accept_any_peer: bool = True
    require_called_ae_title: bool = False
    max_associations: Annotated[int, Field(ge=1, le=10_000)] = 64
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=16_777_216)] = 131_072
    network_timeout_s: Annotated[float, Field(gt=0)] = 60
    drain_timeout_s: Seconds = 30


class HttpSettings(_Table):
    host: str = "127.0.0.1"
    port: Port = 8080


class StorageSettings(_Table):
    database: str = ""
    instances: Path = Path()
    min_free_mb: Annotated[int, Field(ge=0)] = 512
    database_password_file: Path | None = None
    database_password_env: str = ""


class CompletionSettings(_Table):
    quiet_period_s: Seconds = 5
    open_association_quiet_s: Seconds = 120


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
    host: str = ""


class DestinationSettings(_Table):
    name: Name
    ae_title: AETitle
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    calling_ae_title: AETitle | None = None


class RangeCondition(_Table):
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> RangeCondition:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
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


class RuleSettings(_Table):
    name: Name
    when: dict[str, Condition] = Field(default_factory=dict)
    analyzers: tuple[str, ...] = Field(min_length=1)
    destinations: tuple[str, ...] = ()
    priority: Priority = Priority.ROUTINE
    notices: bool = True

    @field_validator("when", mode="before")
    @classmethod
    def _conditions(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for keyword, condition in value.items():
                _check_keyword(keyword)
                _check_condition(keyword, condition)
        return value


class Settings(BaseSettings):
    """All settings of a node. Paths are absolute once read by ``load``."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="WETREAD_", env_nested_delimiter="__"
    )

    node: NodeSettings = NodeSettings()
    dimse: DimseSettings = DimseSettings()
    http: HttpSettings = HttpSettings()
    storage: StorageSettings = StorageSettings()
    completion: CompletionSettings = CompletionSettings()
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
    except ValidationError as error:
        raise SettingsError(_explain(error, path, text)) from error
    settings = _with_absolute_paths(settings, path.resolve().parent)
    faults = _cross_check(settings)
    if faults:
        lines = [_at(path, text, location) + message for location, message in faults]
        raise SettingsError("\n".join(lines))
    return settings


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: there is no such file; give one with --config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error


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
            "storage": storage.model_copy(
                update={
                    "database": database,
                    "instances": instances,
                    "database_password_file": base / password_file if password_file else None,
                }
            ),
        }
    )


# --- faults, in words -----------------------------------------------------------------------------

Location = tuple[str | int, ...]


def _cross_check(settings: Settings) -> list[tuple[Location, str]]:
    return [
        *_unknown_names(settings),
        *_doubled(settings),
        *_bad_parameters(settings),
        *_bad_store(settings),
    ]


def _bad_store(settings: Settings) -> list[tuple[Location, str]]:
    scheme = settings.storage.database.partition(":")[0]
    if scheme in {"sqlite", "postgresql+psycopg"}:
        return []
    return [(("storage", "database"), 'use "sqlite:///…" or "postgresql+psycopg://…"')]


def _unknown_names(settings: Settings) -> list[tuple[Location, str]]:
    from analyzers import registry

    faults: list[tuple[Location, str]] = []
    destinations = [destination.name for destination in settings.destinations]
    for index, rule in enumerate(settings.rules):
        for name in rule.analyzers:
            if name not in registry.names():
                message = f"no analyzer is called {name!r}{_nearest(name, registry.names())}"
                faults.append((("rules", index, "analyzers"), message))
        for name in rule.destinations:
            if name not in destinations:
                message = f"no destination is called {name!r}{_nearest(name, destinations)}"
                faults.append((("rules", index, "destinations"), message))
    return faults


def _doubled(settings: Settings) -> list[tuple[Location, str]]:
    faults: list[tuple[Location, str]] = []
    named: dict[str, list[str]] = {
        "rules": [rule.name for rule in settings.rules],
        "destinations": [destination.name for destination in settings.destinations],
    }
    for table, names in named.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                faults.append(((table, index, "name"), f"{name!r} stands there twice"))
    return faults


def _bad_parameters(settings: Settings) -> list[tuple[Location, str]]:
    from analyzers import registry
    from analyzers.contract import AnalyzerError

    faults: list[tuple[Location, str]] = []
    used = {name for rule in settings.rules for name in rule.analyzers}
    for name in sorted(used.intersection(registry.names()) | settings.analyzers.keys()):
        try:
            registry.parameters(name, settings.analyzers.get(name, {}))
        except AnalyzerError as error:
            message = str(error)
            if name not in registry.names():
                message += _nearest(name, registry.names())
            faults.append((("analyzers", name), message))
    return faults


def _check_keyword(keyword: str) -> None:
    from pydicom._dicom_dict import DicomDictionary
    from pydicom.datadict import tag_for_keyword

    if tag_for_keyword(keyword) is None:
        known = [entry[4] for entry in DicomDictionary.values()]
        raise ValueError(f"{keyword} is no DICOM keyword{_nearest(keyword, known)}")


_CONDITION_KEYS = ("min", "max", "matches", "exists")


def _check_condition(keyword: str, condition: object) -> None:
    if not isinstance(condition, dict):
        return
    for key in condition:
        if key not in _CONDITION_KEYS:
            raise ValueError(
                f"{keyword}: unknown condition {key!r}{_nearest(key, _CONDITION_KEYS)}"
            )


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    few = sorted(known)[:12]
    return f"; known: {', '.join(few)}" if 0 < len(list(known)) <= 12 else ""


def _explain(error: ValidationError, path: Path, text: str) -> str:
    """One line a fault. Values are left out: they may be secrets."""
    lines: dict[str, None] = {}
    for fault in error.errors(include_input=False, include_url=False):
        location = tuple(fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = f"unknown key{_nearest(str(location[-1]), _known_keys(location[:-1]))}"
        lines[_at(path, text, _without_union_tags(location)) + message] = None
    return "\n".join(lines)


def _without_union_tags(location: Location) -> Location:
    """pydantic adds the tried type's name to the path of a union; a reader does not want it."""
    if len(location) > 4 and location[0] == "rules" and location[2] == "when":
        return location[:4]
    return location


def _known_keys(table: Location) -> list[str]:
    model: Any = Settings
    for part in table:
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        annotation = field.annotation if field else None
        inner = getattr(annotation, "__args__", ())
        model = inner[0] if inner else annotation
    return list(getattr(model, "model_fields", {}))


def _at(path: Path, text: str, location: Location) -> str:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    line = line_of(text, location)
    where = f"{path}:{line}: " if line else f"{path}: "
    return f"{where}{key.lstrip('.')}: " if key else where


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


def line_of(text: str, location: Location) -> int | None:
    """The line (from 1) where the file has a key, or its table; None where it has neither."""
    wanted = list(location)
    best: int | None = None
    table: list[str | int] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.fullmatch(line)
        if header:
            table = list(header[2].split("."))
            if header[1] == "[[":
                index = counts.get(header[2], -1) + 1
                counts[header[2]] = index
                table.append(index)
            if table == wanted[: len(table)]:
                best = number
            continue
        key = _KEY.match(line)
        if key:
            full = [*table, *key[1].replace('"', "").split(".")]
            if full == wanted[: len(full)]:
                return number
    return best
