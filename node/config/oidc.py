"""Login at a provider of OpenID Connect, beside the node's own users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from node.config.table import Table
from node.config.values import example, is_local
from node.config.web_called import check_web_address, read_secret

RoleName = Literal["viewer", "operator", "administrator"]


def check_issuer(value: str) -> str:
    """OpenID Connect Discovery 1.0, 3: as the provider writes it, with or without a slash last."""
    check_web_address(value)
    found = urlsplit(value)
    if found.scheme != "https" and not is_local(found.hostname or ""):
        raise ValueError("has to begin with https: what comes from there says who somebody is")
    return value


class OidcSettings(Table):
    """Login with an account of the hospital (OpenID Connect, code flow with PKCE)."""

    issuer: Annotated[
        str, AfterValidator(check_issuer), example("https://login.example.org/realms/hospital")
    ]
    """The provider, as it calls itself."""
    client_id: Annotated[str, Field(min_length=1), example("wetread")]
    """As whom it knows the node. The address to come back to that it has to know is
    `…/login/oidc/back`."""
    client_secret_file: Annotated[Path | None, example(Path("oidc_secret"))] = None
    """The file that holds the node's secret there. Left out, and without `client_secret_env`: it
    has none (a public client)."""
    client_secret_env: Annotated[str, example("OIDC_SECRET")] = ""
    """The environment variable that holds it; goes before the file."""
    roles: Annotated[
        dict[str, RoleName],
        Field(min_length=1),
        example({"radiologists": "viewer"}),
    ]
    """The role of each group; of several the highest. Who is in none of them is not let in."""
    groups_claim: Annotated[str, Field(min_length=1), example("realm_access.roles")] = "groups"
    """Where the provider lists groups; full stops lead into objects."""
    name_claim: Annotated[str, Field(min_length=1), example("email")] = "preferred_username"
    """By what a person is named, on pages and in the audit trail; without it `sub` is."""
    scopes: Annotated[tuple[str, ...], example(["openid", "profile", "groups"])] = (
        "openid",
        "profile",
    )
    """What is asked for."""
    label: Annotated[str, Field(min_length=1, max_length=60), example("Log in as at the PC")] = (
        "Log in with the hospital's account"
    )
    """What the button says."""
    recheck_minutes: Annotated[int, Field(ge=0, le=720), example(5)] = 15
    """How often the provider is asked again what whoever is logged in may: who has no group with a
    role any more is logged out. It needs a refresh token (Entra ID gives one for the scope
    `offline_access`); a session without one ends after an hour. While the provider is away all stay
    logged in. 0: not asked again."""
    app_passwords_rest_days: Annotated[int, Field(ge=1, le=730), example(90)] = 30
    """So many days after the last login of an account its app passwords rest until the next: since
    then nobody has asked what it may. Programs that work for somebody who logs in seldom need
    more."""
    url: Annotated[str, example("https://wetread.example.org")] = ""
    """The node's own address, as browsers know it. Left out: as the browser asks for it."""
    ca: Annotated[Path | None, example(Path("tls/login.pem"))] = None
    """Who signed the provider's certificate. Left out: the system's authorities."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return check_web_address(value) if value else ""

    @model_validator(mode="after")
    def _asks_who_it_is(self) -> OidcSettings:
        if "openid" not in self.scopes:
            raise ValueError('scopes needs "openid": without it the provider does not say who')
        return self

    def client_secret(self) -> str:
        """The node's secret, read now; empty for none.

        Raises
        ------
        SettingsError
        """
        return read_secret("client_secret", self.client_secret_env, self.client_secret_file)
