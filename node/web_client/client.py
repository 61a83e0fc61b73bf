"""A client of a web service that the settings name; what can go wrong has one name.

Redirects are not followed: what was meant for one service is shown to no other. What stands in
URLs names patients' studies: no message says any of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from node.config.web_called import WebCalledSettings
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.tls import TlsFiles, client_context
from node.errors import SettingsError

TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""How long nothing may be heard."""
NOTHING_ASKED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    PeerUnavailable,
    SettingsError,
)
"""What is raised before a request has begun; the last two by who looks for its token."""


@contextmanager
def opened(
    settings: WebCalledSettings,
    authorization: httpx.Auth | None,
    timeout: httpx.Timeout = TIMEOUT,
) -> Iterator[httpx.Client]:
    """A client of the service, whose paths are below its ``url``.

    Raises
    ------
    PeerUnavailable
        For all that goes wrong between the two machines.
    """
    name = settings.name
    try:  # made anew for each client: certificates are renewed while the node runs
        context = client_context(TlsFiles(settings.certificate, settings.key, settings.ca))
        with httpx.Client(
            base_url=settings.url,
            auth=authorization,
            verify=context,
            timeout=timeout,
            trust_env=False,
            follow_redirects=False,
        ) as client:
            yield client
    except SettingsError as error:
        raise PeerUnavailable(name, PeerFault.UNREACHABLE, str(error)) from error
    except httpx.TimeoutException as error:
        was_asked = not isinstance(error, NOTHING_ASKED)
        raise PeerUnavailable(
            name, PeerFault.TIMED_OUT, "did not answer in time", was_asked
        ) from error
    except httpx.ConnectError as error:
        raise PeerUnavailable(name, PeerFault.UNREACHABLE, f"no connection: {error}") from error
    except httpx.HTTPError as error:  # its text may hold a URL
        reason = f"the connection was lost ({type(error).__name__})"
        raise PeerUnavailable(name, PeerFault.ABORTED, reason, was_established=True) from error
