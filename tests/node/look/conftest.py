"""The web application's site."""

from tests.node.web.conftest import site

__all__ = ["site"]
