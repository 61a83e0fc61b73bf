"""What a single value of the settings may be, where a type alone does not say it.

A value that could only fail later – when a socket is bound, an association is opened, a pause is
added to a date – is refused when the settings are read.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

LONGEST_S = 315_360_000
"""Ten years. A longer pause is a mistake, and may be more than a date can hold."""
LONGEST_DAYS = 36_500
_DELETE = "\x7f"


def check_ae_title(value: str) -> str:
    """PS3.5 6.2, VR AE: characters of the default repertoire but no backslash, no control ones."""
    odd = sorted({one for one in value if not " " <= one < _DELETE or one == "\\"})
    if odd:
        shown = " ".join(repr(one) if one.isprintable() else f"U+{ord(one):04X}" for one in odd)
        raise ValueError(
            f"an AE title is made of plain ASCII characters without backslash: {shown}"
        )
    return value


def check_host(value: str) -> str:
    """A name or an address, without port: what a socket can be bound or connected to."""
    if any(one.isspace() for one in value) or set(value) & set("/@\\"):
        raise ValueError("is no host name and no address")
    if value.startswith("[") or value.count(":") == 1:
        raise ValueError(
            "is given without port and without brackets: the port has a key of its own"
        )
    try:
        value.encode("idna")
    except UnicodeError as error:
        raise ValueError("is no host name and no address") from error
    return value


def is_local(host: str) -> bool:
    """Whether only programs on this machine reach the address; of names, localhost alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may mean any machine: 127.example.org
        return False


def check_allowed_host(value: str) -> str:
    """A name as browsers send it, ``*.example.org`` for all below a name, or ``*`` for any."""
    if not value or ("*" in value.removeprefix("*.") and value != "*"):
        raise ValueError('each is a name, "*.name" for all below it, or "*" for any')
    if value.startswith("[") and value.endswith("]"):
        check_host(value[1:-1])
    elif value != "*":
        check_host(value.removeprefix("*."))
    return value.lower()


def check_network(value: str) -> str:
    """An address, or a network in CIDR notation (RFC 4632)."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ValueError(
            'each is an address or a network, as "10.0.0.2" or "10.0.0.0/24"'
        ) from error
    return value


def check_plain(value: Any) -> Any:
    """Text and paths hold no control characters: no file and no host has them in its name."""
    members = value if isinstance(value, list | tuple) else [value]
    for one in members:
        if isinstance(one, str | Path) and any(not " " <= sign != _DELETE for sign in str(one)):
            raise ValueError("holds a control character")
    return value


def example(value: object) -> Any:
    """What a key might be set to; the list of all settings shows it."""
    return Field(examples=[value])


AETitle = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=16),
    AfterValidator(check_ae_title),
]
Host = Annotated[str, AfterValidator(check_host)]
SomeHost = Annotated[Host, StringConstraints(min_length=1)]
Network = Annotated[str, AfterValidator(check_network)]
AllowedHost = Annotated[str, AfterValidator(check_allowed_host)]
Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(gt=0, le=LONGEST_S, allow_inf_nan=False)]
Days = Annotated[float, Field(gt=0, le=LONGEST_DAYS, allow_inf_nan=False)] | None
"""None: without limit."""
Gigabytes = Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
"""None: without limit."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
