"""A web service of another machine that the node calls: its address, and as whom it is asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from node.config.table import Table
from node.config.values import Name, example
from node.errors import SettingsError


def check_web_address(value: str) -> str:
    """An address without user and query, and without the slash at its end."""
    found = urlsplit(value)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise ValueError('is no address of a web service: "https://…/dicom-web"')
    if found.port == 0:  # raises by itself where there is no such port
        raise ValueError("names port 0: nobody can be called there")
    if found.username is not None or found.password is not None:
        raise ValueError("holds a user: name it in user, and its password in password_file")
    if found.query or found.fragment:
        raise ValueError("is given without query: what is asked for is added to it")
    return value.rstrip("/")


class WebCalledSettings(Table):
    """A web service that the node calls by a name of its own."""

    name: Annotated[Name, example("cloud")]
    """What the settings and commands call it."""
    url: Annotated[
        str, AfterValidator(check_web_address), example("https://pacs.example.org/dicom-web")
    ]
    """Where its services are."""
    ca: Annotated[Path | None, example(Path("tls/pacs.pem"))] = None
    """Who signed its certificate. Left out: the system's authorities."""
    certificate: Annotated[Path | None, example(Path("tls/node.pem"))] = None
    """Shown to it."""
    key: Annotated[Path | None, example(Path("tls/node.key"))] = None
    """Left out: in the certificate's file."""
    user: Annotated[str, example("wetread")] = ""
    """Whom it knows the node as (HTTP Basic)."""
    password_file: Annotated[Path | None, example(Path("cloud_password"))] = None
    """The file that holds the user's password."""
    password_env: Annotated[str, example("CLOUD_PASSWORD")] = ""
    """The environment variable that holds it; goes before the file."""
    token_file: Annotated[Path | None, example(Path("cloud_token"))] = None
    """The file that holds a bearer token; goes before a user. Read anew for each connection, and
    where the token is refused."""
    token_env: Annotated[str, example("CLOUD_TOKEN")] = ""
    """The environment variable that holds it; goes before the file."""
    token_url: Annotated[str, example("https://login.example.org/oauth2/token")] = ""
    """Where a bearer token is fetched from (OAuth2 client credentials); goes before all others."""
    client_id: Annotated[str, example("wetread")] = ""
    """Whom `token_url` knows the node as."""
    client_secret_file: Annotated[Path | None, example(Path("cloud_secret"))] = None
    """The file that holds its secret there."""
    client_secret_env: Annotated[str, example("CLOUD_SECRET")] = ""
    """The environment variable that holds it; goes before the file."""
    scope: Annotated[str, example("dicom.write")] = ""
    """What the token is asked for. Left out: what the service gives by itself."""
    token_ca: Annotated[Path | None, example(Path("tls/login.pem"))] = None
    """Who signed the certificate of `token_url`. Left out: the system's authorities."""

    @model_validator(mode="after")
    def _what_is_given_is_used(self) -> WebCalledSettings:
        if self.token_url:
            check_web_address(self.token_url.partition("?")[0])
        if bool(self.token_url) != bool(self.client_id):
            raise ValueError("token_url and client_id need each other")
        if (self.scope or self.token_ca or self._has_client_secret) and not self.token_url:
            raise ValueError("client_secret, scope and token_ca need token_url")
        if self.token_url and not self._has_client_secret:
            raise ValueError("token_url needs client_secret_file or client_secret_env")
        if self.key and not self.certificate:
            raise ValueError("key needs certificate")
        if (self.ca or self.certificate) and urlsplit(self.url).scheme != "https":
            raise ValueError("ca and certificate need a url that begins with https:")
        return self

    @property
    def where(self) -> str:
        """Its address in words."""
        return self.url

    @property
    def _has_client_secret(self) -> bool:
        return bool(self.client_secret_file or self.client_secret_env)

    def token(self) -> str:
        """The bearer token, read now; empty for none.

        Raises
        ------
        SettingsError
        """
        return read_secret("token", self.token_env, self.token_file)

    def password(self) -> str:
        """The user's password, read now; empty for none.

        Raises
        ------
        SettingsError
        """
        return read_secret("password", self.password_env, self.password_file)

    def client_secret(self) -> str:
        """What ``token_url`` is told, read now.

        Raises
        ------
        SettingsError
        """
        return read_secret("client_secret", self.client_secret_env, self.client_secret_file)


def read_secret(what: str, variable: str, file: Path | None) -> str:
    """A secret from where the settings name it, read now; empty where they name nothing.

    Raises
    ------
    SettingsError
    """
    if variable:
        if variable not in os.environ:
            raise SettingsError(f"{what}_env: {variable} is not set")
        return os.environ[variable]
    try:
        return file.read_text().strip() if file else ""
    except OSError as error:
        raise SettingsError(f"{what}_file: {error}") from error
    except UnicodeDecodeError as error:  # its text shows a part of the secret
        raise SettingsError(f"{what}_file: {file} is no text in UTF-8") from error
