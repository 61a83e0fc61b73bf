"""The web application's site."""

from tests.node.web.conftest import empty_database, site

__all__ = ["empty_database", "site"]
