"""Reads ``config.toml`` once, at start, into frozen settings, or says what is wrong with it.

Every message names the key, the line where the file has it, and the nearest known name. Relative
paths are relative to the file. An environment variable ``WETREAD_<TABLE>__<KEY>`` overrides a key.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings.exceptions import SettingsError as UnreadableVariable

from node.config import checks, environment, faults
from node.config.audit import AuditSettings
from node.config.settings import Settings
from node.errors import SettingsError


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
        raise SettingsError(faults.explain_variable(str(error))) from error
    except ValidationError as error:
        raise SettingsError(faults.explain(error, Settings, path, text)) from error
    settings = _with_absolute_paths(settings, path.resolve().parent)
    found = checks.cross_check(settings)
    lines = [faults.at(path, text, location) + message for location, message in found]
    lines += environment.misspelt(Settings.model_fields)
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
            "http": settings.http.model_copy(
                update={
                    "oidc": _absolute(settings.http.oidc, base),
                    "tls": _absolute(settings.http.tls, base),
                }
            ),
            "audit": _with_absolute_audit_paths(settings.audit, base),
            "destinations": tuple(_absolute(one, base) for one in settings.destinations),
            "archives": tuple(_absolute(one, base) for one in settings.archives),
            "web_archives": tuple(_absolute(one, base) for one in settings.web_archives),
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


def _with_absolute_audit_paths(audit: AuditSettings, base: Path) -> AuditSettings:
    syslog = tuple(_absolute(one, base) for one in audit.syslog)
    return audit.model_copy(update={"file": _absolute(audit.file, base), "syslog": syslog})
