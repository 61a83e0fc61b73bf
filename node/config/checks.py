"""What no table can see alone: names that must exist, places that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator

from node.config.environment import Location
from node.config.nearest import nearest
from node.config.settings import Settings


def cross_check(settings: Settings) -> list[tuple[Location, str]]:
    return [
        *_unknown_names(settings),
        *_doubled(settings),
        *_bad_structures(settings),
        *_bad_parameters(settings),
        *_bad_store(settings),
        *_unbindable(settings),
        *_nowhere_to_retrieve_to(settings),
        *_same_port(settings),
        *_without_login(settings),
    ]


def _without_login(settings: Settings) -> list[tuple[Location, str]]:
    """What is said of people is in force only where they log in."""
    if settings.http.asks_login:
        return []
    sentence = "needs http.login = true: without it whoever asks is the administrator"
    said: list[tuple[Location, object]] = [
        (("restrictions",), settings.restrictions),
        (("http", "oidc"), settings.http.oidc),
    ]
    return [(where, sentence) for where, what in said if what]


def _same_port(settings: Settings) -> list[tuple[Location, str]]:
    """Two listeners at one place: the second would not start."""
    dimse, http = settings.dimse, settings.http
    places: list[tuple[Location, str, int]] = [
        (("dimse", "port"), dimse.host, dimse.port),
        (("http", "port"), http.host, http.port),
    ]
    if dimse.tls is not None:
        places.append((("dimse", "tls", "port"), dimse.tls_host, dimse.tls.port))
    faults: list[tuple[Location, str]] = []
    for number, (location, host, port) in enumerate(places):
        for other, at_host, taken in places[:number]:
            everywhere = {host, at_host} & {"", "0.0.0.0", "::"}
            if port and port == taken and (host == at_host or everywhere):
                faults.append((location, f"{port} is {'.'.join(map(str, other))} too"))
    return faults


def _unbindable(settings: Settings) -> list[tuple[Location, str]]:
    if settings.dimse.tls is not None and settings.dimse.tls.ca is not None:
        return []
    message = "needs dimse.tls.ca: only then are certificates asked for"
    return [
        (("peers", index, "certificate"), message)
        for index, peer in enumerate(settings.peers)
        if peer.certificate
    ]


def _nowhere_to_retrieve_to(settings: Settings) -> list[tuple[Location, str]]:
    """AE titles that nobody with an address has."""
    reachable = [one.ae_title for one in settings.peers if one.host and one.port]
    reachable += [one.ae_title for one in settings.dimse_destinations]
    return [
        (
            ("peers", index, "retrieve_to"),
            f"{title!r} has no address: [[peers]] with host and port, or [[destinations]]"
            f"{nearest(title, reachable)}",
        )
        for index, peer in enumerate(settings.peers)
        for title in peer.retrieve_to or ()
        if title not in reachable
    ]


def _bad_store(settings: Settings) -> list[tuple[Location, str]]:
    from storage.database import is_url

    scheme, _, rest = settings.storage.database.partition("://")
    if scheme not in {"sqlite", "postgresql+psycopg"}:
        return [(("storage", "database"), 'use "sqlite:///…" or "postgresql+psycopg://…"')]
    if not is_url(settings.storage.database):
        return [(("storage", "database"), "is no URL of a database")]
    if ":" in rest.rpartition("@")[0]:
        message = "holds a password: name it in database_password_file or database_password_env"
        return [(("storage", "database"), message)]
    return []


def _unknown_names(settings: Settings) -> list[tuple[Location, str]]:
    from analyzers import registry

    faults: list[tuple[Location, str]] = []
    destinations = [destination.name for destination in settings.destinations]
    for index, rule in enumerate(settings.rules):
        for name in rule.analyzers:
            if name not in registry.names():
                message = f"no analyzer is called {name!r}{nearest(name, registry.names())}"
                faults.append((("rules", index, "analyzers"), message))
        for name in rule.destinations:
            if name not in destinations:
                message = f"no destination is called {name!r}{nearest(name, destinations)}"
                faults.append((("rules", index, "destinations"), message))
    return faults


def _doubled(settings: Settings) -> list[tuple[Location, str]]:
    faults: list[tuple[Location, str]] = []
    named: dict[str, list[str]] = {
        "rules": [rule.name for rule in settings.rules],
        "destinations": [destination.name for destination in settings.destinations],
        "archives": [archive.name for archive in settings.archives],
        "web_archives": [archive.name for archive in settings.web_archives],
    }
    faults += _doubled_repositories(settings)
    sources: set[str] = set()
    for table, names in named.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                faults.append(((table, index, "name"), f"{name!r} stands there twice"))
            elif name in sources:
                message = f"{name!r} is another source's name: [[destinations]] are sources too"
                faults.append(((table, index, "name"), message))
        if table != "rules":
            sources |= set(names)
    return faults


def _bad_structures(_: Settings) -> list[tuple[Location, str]]:
    from analyzers import structures
    from analyzers.contract import AnalyzerError

    try:
        structures.table()
    except AnalyzerError as error:
        return [(("analyzers",), f"table of structures: {error}")]
    return []


def _doubled_repositories(settings: Settings) -> list[tuple[Location, str]]:
    """How far each has the trail is kept under its name; "file" is the file's."""
    names = ["file", *(one.name for one in settings.audit.syslog)]
    return [
        (("audit", "syslog", index, "name"), f"{names[index + 1]!r} is another's name")
        for index in range(len(names) - 1)
        if names[index + 1] in names[: index + 1]
    ]


def _bad_parameters(settings: Settings) -> list[tuple[Location, str]]:
    from analyzers import registry
    from analyzers.contract import AnalyzerError

    faults: list[tuple[Location, str]] = []
    used = {name for rule in settings.rules for name in rule.analyzers}
    for name in sorted(used.intersection(registry.names()) | settings.analyzers.keys()):
        try:
            registry.parameters(name, settings.analyzers.get(name, {}))
        except AnalyzerError as error:
            message = str(error)
            if name not in registry.names():
                message += nearest(name, registry.names())
            faults.append((("analyzers", name), message))
    return [*faults, *_bad_parameters_of_rules(settings)]


def _bad_parameters_of_rules(settings: Settings) -> Iterator[tuple[Location, str]]:
    from analyzers import registry
    from analyzers.contract import AnalyzerError

    for index, rule in enumerate(settings.rules):
        for name in sorted(rule.parameters.keys() & set(registry.names())):
            try:
                registry.parameters(name, rule.parameters_of(name, settings.analyzers))
            except AnalyzerError as error:
                yield ("rules", index, "parameters", name), str(error)
