"""Checks that the parameters of analyzers make of their own values."""

from __future__ import annotations

from analyzers.contract.errors import InvalidParameters


def check_range(name: str, value: float, least: float, largest: float) -> None:
    """Raise InvalidParameters, naming the parameter, unless it lies in the closed range."""
    if not least <= value <= largest:
        raise InvalidParameters(f"{name} is {value:g}, {least:g} to {largest:g} is accepted")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise InvalidParameters, naming the parameter, unless the value is one of the choices."""
    if value not in choices:
        accepted = " or ".join(repr(choice) for choice in choices)
        raise InvalidParameters(f"{name} is {value!r}, {accepted} is accepted")
