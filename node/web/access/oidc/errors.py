"""Why a login at the provider did not come about; messages are sentences for a login page."""

from __future__ import annotations

from node.errors import NodeError


class LoginFailed(NodeError):
    """Nobody is logged in. ``detail`` says for the log which check failed, without values."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail or sentence


class ProviderAway(LoginFailed):
    """The provider does not answer, or not as it has to: local users can still log in."""


class NotBelieved(LoginFailed):
    """What came does not pass a check: nothing of it is used."""


class NotAllowed(LoginFailed):
    """The provider knows the person, and none of the person's groups has a role here.

    subject: what the provider calls the account, where it says that it has no role; else empty.
    """

    def __init__(self, sentence: str, detail: str = "", subject: str = "") -> None:
        super().__init__(sentence, detail)
        self.subject = subject


class LoginEnded(LoginFailed):
    """The provider does not know a login any more: the account was closed, or logged out there."""
