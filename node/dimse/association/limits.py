"""How many connections there may be, for the machine and before anything is known of who asks.

Associations are counted where they are admitted; these are the limits before it (``entrance``).
"""

from __future__ import annotations

import resource

from node.dimse.errors import CannotListen

SPARE_CONNECTIONS = 64
"""Requests that may be negotiated at one time, beside the associations that there are."""
SPARE_PER_HOST = 16
"""The same for one host; its further requests wait for their turn."""
MOST_WAITING = 128
"""Connections to one port that have not asked yet, or wait for their turn."""
MOST_WAITING_PER_HOST = 64
"""The same for one host: beyond it the one that has been silent longest is closed."""
FILES_PER_CONNECTION = 4
"""Open at once for one: its socket, its bell, its instance's file, the folder that is synced."""
FILES_BESIDE = 256
"""Open for everything else: files made ready, database, logs, HTTP, senders, libraries."""

TOO_MANY = "too many connections that have not asked for an association"
TOO_MANY_FROM_HOST = "too many connections from one host that have not asked for an association"


def provide_files(max_associations: int) -> None:
    """Let this process open as many files as so many associations need.

    Most systems let a process have 1024 until it asks for more.

    Raises
    ------
    CannotListen
        The system's limit is lower: the last of so many associations could not be accepted.
    """
    needed = FILES_BESIDE + FILES_PER_CONNECTION * (max_associations + SPARE_CONNECTIONS)
    needed += 2 * MOST_WAITING  # plain and TLS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return
    if hard != unlimited and hard < needed:
        raise CannotListen(
            f"dimse.max_associations = {max_associations} needs {needed} open files, and "
            f"the system grants {hard}; raise that (ulimit -Hn, LimitNOFILE=) or lower the setting"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
