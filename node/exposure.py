"""What others than this machine can reach, and what keeps them out.

There is no login yet: whoever reaches the status page sees studies and findings and can start
deliveries. So it listens on this machine alone, unless the settings say that this is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

from node.config.dimse import DimseSettings
from node.config.settings import Settings
from node.config.tables import HttpSettings
from node.errors import SettingsError
from node.web.wording import is_local


def check(settings: Settings) -> None:
    """Refuse a status page that the network reaches and that nobody has accepted.

    Raises
    ------
    SettingsError
    """
    http = settings.http
    if is_local(http.host) or http.without_login == "accepted":
        return
    raise SettingsError(
        f"http.host {_shown(http.host)} opens the status page and the API to the network, and there"
        " is no login yet: whoever reaches them sees studies and findings and can run and send them"
        ' again. Set http.host = "127.0.0.1" and put a proxy that authenticates before it, or write'
        ' without_login = "accepted" under [http]'
    )


def cautions(settings: Settings) -> Iterator[str]:
    """One sentence for each door that stands open."""
    http, dimse = settings.http, settings.dimse
    if not is_local(http.host):
        yield (
            f"the status page and the API on {_shown(http.host)} ask for no login: whoever reaches"
            f" port {http.port} sees studies and findings and can run and send them again"
        )
    if "*" in http.names:
        yield (
            f"{_who_opened(http)}: a page that a user opens elsewhere can ask this node under any"
            " name (DNS rebinding); list the names that browsers use for it"
        )
    if not is_local(dimse.host) and dimse.accept_any_peer and not _asks_who_it_is(dimse):
        yield (
            f"dimse.accept_any_peer on {_shown(dimse.host)}: whoever reaches port {dimse.port} may"
            " store images; set it to false and list [[peers]], or ask for certificates"
            " (dimse.tls.ca, only = true) or users (dimse.identity)"
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
