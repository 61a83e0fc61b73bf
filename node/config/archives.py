"""The tables of archives that studies are fetched from, beside the destinations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from node.config.dimse import CalledSettings
from node.config.table import Table
from node.config.values import Name, example
from node.errors import SettingsError


def check_web_address(value: str) -> str:
    """The address of DICOMweb's services, without user, query and the slash at its end."""
    found = urlsplit(value)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise ValueError('is no address of a web archive: "https://…/dicom-web"')
    if found.username is not None or found.password is not None:
        raise ValueError("holds a user: name it in user, and its password in password_file")
    if found.query or found.fragment:
        raise ValueError("is given without query: what is asked for is added to it")
    return value.rstrip("/")


class ArchiveSettings(CalledSettings):
    """An archive that studies are fetched from: by C-FIND and C-GET, or C-MOVE to this node."""

    name: Annotated[Name, example("archive")]
    """What `wetread fetch --from` calls it."""


class WebArchiveSettings(Table):
    """An archive that studies are fetched from by DICOMweb: QIDO-RS and WADO-RS."""

    name: Annotated[Name, example("cloud")]
    """What `wetread fetch --from` calls it."""
    url: Annotated[
        str, AfterValidator(check_web_address), example("https://pacs.example.org/dicom-web")
    ]
    """Where its services are."""
    ca: Annotated[Path | None, example(Path("tls/pacs.pem"))] = None
    """Who signed its certificate. Left out: the system's authorities."""
    user: Annotated[str, example("wetread")] = ""
    """Whom it knows the node as (HTTP Basic)."""
    password_file: Annotated[Path | None, example(Path("cloud_password"))] = None
    """The file that holds the user's password."""
    password_env: Annotated[str, example("CLOUD_PASSWORD")] = ""
    """The environment variable that holds it; goes before the file."""
    token_file: Annotated[Path | None, example(Path("cloud_token"))] = None
    """The file that holds a bearer token; goes before a user."""
    token_env: Annotated[str, example("CLOUD_TOKEN")] = ""
    """The environment variable that holds it; goes before the file."""

    def token(self) -> str:
        """The bearer token, read now; empty for none.

        Raises
        ------
        SettingsError
        """
        return _secret(f"web_archives {self.name}: token", self.token_env, self.token_file)

    def password(self) -> str:
        """The user's password, read now; empty for none.

        Raises
        ------
        SettingsError
        """
        return _secret(f"web_archives {self.name}: password", self.password_env, self.password_file)


def _secret(what: str, variable: str, file: Path | None) -> str:
    if variable:
        if variable not in os.environ:
            raise SettingsError(f"{what}_env: {variable} is not set")
        return os.environ[variable]
    try:
        return file.read_text().strip() if file else ""
    except OSError as error:
        raise SettingsError(f"{what}_file: {error}") from error
