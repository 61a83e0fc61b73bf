"""What others than this machine can reach, and what keeps them out.

Beyond this machine the pages, the API and DICOMweb are encrypted and ask for a login.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from node.config.dimse import ALL_RIGHTS, DimseSettings
from node.config.settings import Settings
from node.config.tables import HttpSettings
from node.config.values import is_local
from node.errors import SettingsError

_DEEDS = {
    "store": "store images",
    "query": "ask which studies are here",
    "retrieve": "take images and results away",
}


def check(settings: Settings) -> None:
    """Refuse to be reached from the network by whoever comes, or in the clear.

    Raises
    ------
    SettingsError
    """
    http = settings.http
    if is_local(http.host):
        return
    if not http.asks_login:
        raise SettingsError(
            f"http.login is false, and http.host {_shown(http.host)} opens the pages, the API and"
            " DICOMweb to the network: whoever reaches them would be the administrator. Leave login"
            ' out, or set http.host = "127.0.0.1" and put a proxy that authenticates before it'
        )
    if http.tls is None and not http.trusted_proxy:
        raise SettingsError(
            f"http.host {_shown(http.host)} opens the pages, the API and DICOMweb to the network,"
            " and unencrypted: passwords and images could be read on the way. Name a certificate"
            " under [http.tls], or the proxy that encrypts in http.trusted_proxy, or set"
            ' http.host = "127.0.0.1"'
        )


def cautions(settings: Settings) -> Iterator[str]:
    """One sentence for each door that stands open."""
    http, dimse = settings.http, settings.dimse
    if http.trusted_proxy and not http.asks_login:
        yield (
            "http.login is false: whoever http.trusted_proxy lets through is the administrator,"
            " sees studies and findings, and can have everything done"
        )
    if "*" in http.names:
        yield (
            f"{_who_opened(http)}: a page that a user opens elsewhere can ask this node under any"
            " name (DNS rebinding); list the names that browsers use for it"
        )
    yield from _open_to_strangers(dimse)
    yield from _known_by_title_alone(settings)
    yield from _told_in_the_clear(settings)


def _open_to_strangers(dimse: DimseSettings) -> Iterator[str]:
    if is_local(dimse.host) or not dimse.accept_any_peer or _asks_who_it_is(dimse):
        return
    allowed = [_DEEDS[one] for one in ALL_RIGHTS if one in dimse.strangers_may]
    if allowed:
        yield (
            f"dimse.accept_any_peer on {_shown(dimse.host)}: whoever reaches port {dimse.port} may"
            f" {' and '.join(allowed)}; set it to false and list [[peers]], or ask for certificates"
            " (dimse.tls.ca, only = true) or users (dimse.identity)"
        )


def _known_by_title_alone(settings: Settings) -> Iterator[str]:
    """AE titles are no secret: whoever uses one has its rights."""
    if not settings.dimse.is_reached_by_others or _asks_who_it_is(settings.dimse):
        return
    bare = [
        one.ae_title
        for one in settings.peers
        if not one.host and not one.certificate and set(one.may) - set(settings.dimse.strangers_may)
    ]
    if bare:
        yield (
            f"[[peers]] {', '.join(bare)}: whoever uses such an AE title may what it may; give a"
            " host or a certificate, or less in may"
        )


def _who_opened(http: HttpSettings) -> str:
    if http.allowed_hosts:
        return 'http.allowed_hosts holds "*"'
    return f"http.allowed_hosts is left out on {_shown(http.host)}"


def _asks_who_it_is(dimse: DimseSettings) -> bool:
    by_certificate = dimse.tls is not None and dimse.tls.only and dimse.tls.ca is not None
    return by_certificate or (dimse.identity is not None and dimse.identity.required)


def _shown(host: str) -> str:
    return host or "all addresses"


def _told_in_the_clear(settings: Settings) -> Iterator[str]:
    """Passwords, tokens and names of patients that go over the network as they are."""
    for one in settings.web_services:
        shown = one.url if one.user or one.token_file or one.token_env or one.token_url else ""
        for address in (shown, one.token_url):
            found = urlsplit(address)
            if found.scheme == "http" and not is_local(found.hostname or ""):
                yield (
                    f"{one.name} is shown a password or token at an address that begins with"
                    f" http: – whoever is on the way to {found.hostname} reads it; use https"
                )
    for repository in settings.audit.syslog:
        if repository.transport == "udp" and not is_local(repository.host):
            yield (
                f"the audit trail goes to {repository.name} by UDP, with names of patients:"
                f" whoever is on the way to {repository.host} reads them, and what is lost there"
                ' is lost; use transport = "tls"'
            )
