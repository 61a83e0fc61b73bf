"""What the web application is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from node.audit.trail import NO_TRAIL, Trail
from node.config.settings import Settings
from node.observe.durations import Timings
from node.observe.health import Health
from node.observe.shared import Shared
from node.ohif.installed import Viewer
from node.query.search import LIMITS, Limits
from node.receive.uploads import Uploads
from node.retrieve.series_metadata import SeriesMetadata
from node.web.access.logins import Logins
from node.web.access.no_login import NoLogin
from node.web.access.roles import Access
from node.web.acting import NO_ACTIONS
from node.web.prospects import Expected, nothing_expected
from node.wishes import Actions
from node.work.executor import Progress
from storage.database import Database
from storage.files.archive import Archive
from storage.files.port import Results
from storage.people.kept_notes import NotesFolder


@dataclass(frozen=True, slots=True)
class Away:
    """A destination that does not answer."""

    since: datetime
    next_try: datetime | None


@dataclass(frozen=True, slots=True)
class WebContext:
    """What the application shows and may touch. ``wake`` is called when something is due again."""

    database: Database
    results: Results
    archive: Archive
    """Whatever the node holds, to be read."""
    health: Health
    title: str
    version: str
    dimse_host: str
    dimse_port: Callable[[], int]
    destinations: tuple[str, ...]
    wake: Callable[[], None]
    expected: Expected = nothing_expected
    metrics: Callable[[], bytes] = bytes
    """All metrics in Prometheus' text format."""
    is_rushed: Callable[[], bool] = lambda: False
    """Whether images come so fast just now that what can wait should."""
    indexing: Callable[[str], int] = lambda study_instance_uid: 0
    """How many instances of a study are stored and not yet in the index."""
    catch_up: Callable[[str], None] = lambda study_instance_uid: None
    """Waits until what was stored of a study, or of any where empty, is in the index."""
    is_synced: bool = True
    """Whether what is acknowledged survives a power cut: the setting ``storage.sync``."""
    disk: Callable[[], str] = str
    """How the disk fills, in words; empty while that is not known."""
    away: Callable[[], Mapping[str, Away]] = dict
    """The destinations that do not answer at the moment, by name."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The kind of each destination, by name; of those that are left out: dimse."""
    uploads: Uploads | None = None
    """Takes what is stored over the web; without, nothing is."""
    metadata: SeriesMetadata | None = None
    """Metadata with their shelf."""
    max_answers: int = 2000
    """So many matches a search gives at once; 0: any number."""
    search_limits: Limits = LIMITS
    shared: Shared = field(default_factory=lambda: Shared(fresh_s=0))
    """What several ask for at once is computed once."""
    sources: tuple[str, ...] = ()
    """What studies can be fetched from."""
    allowed_hosts: tuple[str, ...] = ("*",)
    """Names by which a browser may ask for this node; others are refused (DNS rebinding)."""
    access: Access = field(default_factory=NoLogin)
    """Tells who asks; left out: everybody is the administrator."""
    logins: Logins | None = None
    """How people log in; left out: nobody does."""
    cautions: tuple[str, ...] = ()
    """What whoever runs the node should know of it, a sentence each."""
    actions: Actions = NO_ACTIONS
    """Carries out what a person wants."""
    progress: Callable[[], Mapping[int, Progress]] = dict
    """How far the jobs that run are, by number."""
    settings: Settings | None = None
    """As they are in force, to be shown; without, none are."""
    timings: Timings = field(default_factory=Timings)
    """How long answers take."""
    audit: Trail = NO_TRAIL
    """Where is told who saw and did what."""
    notes: NotesFolder | None = None
    """Where notes are kept beside the database; without, only there."""
    viewer: Viewer | None = None
    """The viewer OHIF, installed or not; without, it can never be."""

    @property
    def has_ohif(self) -> bool:
        """Whether the viewer OHIF is installed now."""
        return self.viewer is not None and self.viewer.is_installed
