"""The tables of the node itself: where it keeps what, for how long, and when it works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from analyzers.devices import is_device_name
from node.config.oidc import OidcSettings, RoleName
from node.config.table import Table
from node.config.values import (
    AETitle,
    AllowedHost,
    Days,
    Gigabytes,
    Host,
    Network,
    Port,
    Seconds,
    SomeSeconds,
    example,
    is_local,
)


class NodeSettings(Table):
    """The node itself."""

    ae_title: Annotated[AETitle, example("CHESTREADER")] = "WETREAD"
    """What modalities and the PACS call this node."""
    data_dir: Annotated[Path, example(Path("/var/lib/wetread"))] = Path("var")
    """Database, instances, results, quarantine and logs lie below it."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], example("debug")] = "info"
    """What is not less important than this is logged."""


class HttpTlsSettings(Table):
    """HTTPS in place of HTTP: TLS ≥ 1.2. Changed files are used without a restart."""

    certificate: Annotated[Path, example(Path("tls/web.pem"))]
    """PEM: the node's own certificate with its intermediate ones."""
    key: Annotated[Path | None, example(Path("tls/web.key"))] = None
    """Left out: in the certificate's file."""
    key_password_file: Annotated[Path | None, example(Path("tls/web_password"))] = None
    """For an encrypted key."""


OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


class HttpSettings(Table):
    """The pages, `/health`, the API and DICOMweb."""

    host: Annotated[Host, example("0.0.0.0")] = "127.0.0.1"
    """Address to listen on; `"0.0.0.0"` for the network."""
    port: Annotated[Port, example(8443)] = 8080
    """0 takes a free one."""
    allowed_hosts: Annotated[tuple[AllowedHost, ...], example(["wetread.local"])] = ()
    """Names that browsers may use: a name, `"*.name"` for all below it, or `"*"` for any; localhost
    always. Left out: `host`, or any where it listens on the whole network."""
    login: Annotated[bool | None, example(True)] = None
    """Whether people log in. Left out: yes, unless only this machine reaches the page and no
    `trusted_proxy` is named. Beyond this machine it cannot be `false`."""
    trusted_proxy: Annotated[tuple[Network, ...], example(["10.0.0.2"])] = ()
    """Addresses or networks of proxies that encrypt: what they say in `X-Forwarded-For` and
    `X-Forwarded-Proto` is believed. Without `[http.tls]` nobody else beyond this machine is
    answered."""
    tls: HttpTlsSettings | None = None
    """Needed beyond this machine, unless a `trusted_proxy` encrypts."""
    max_connections: Annotated[int, Field(ge=10, le=10_000), example(2000)] = 1000
    """So many are open at once. Beyond it, whoever has been connected longest without having asked
    gives way; where all are being answered, who comes is answered 503."""
    names_for: Annotated[tuple[RoleName, ...], example(["operator"])] = ("viewer", "operator")
    """Who sees patients' names and IDs on pages; to others they are masked. Of viewers and
    operators only these have images (viewers, pictures of findings, DICOMweb), which may say
    them too."""
    oidc: OidcSettings | None = None

    @property
    def asks_login(self) -> bool:
        """Whether people have to log in."""
        if self.login is not None:
            return self.login
        return not is_local(self.host) or bool(self.trusted_proxy)

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which a browser may ask: all, where it listens on the whole network. This
        machine's own are always among them: no page elsewhere has them, and probes use them."""
        if self.allowed_hosts:
            return (*self.allowed_hosts, *OWN_NAMES)
        if self.host in {"0.0.0.0", "::", ""}:
            return ("*",)
        return (*OWN_NAMES, self.host)


class ViewerSettings(Table):
    """The viewer OHIF, once `wetread viewer install` has put it into `node.data_dir`."""

    segmentations_as: Annotated[Literal["bitmap", "labelmap"], example("labelmap")] = "bitmap"
    """How a segmentation that was edited in OHIF is stored: `"bitmap"`, which every PACS knows, or
    `"labelmap"`, OHIF's own default (Label Map Segmentation Storage, in RLE)."""


class StorageSettings(Table):
    """Where images and the index lie. Left out: all of it in `node.data_dir`."""

    database: Annotated[str, example("postgresql+psycopg://wetread@db/wetread")] = ""
    """Its URL, without password. Left out: an SQLite file in `node.data_dir`."""
    instances: Annotated[Path, example(Path("/data/instances"))] = Path()
    """The folder of images. Left out: `instances` in `node.data_dir`."""
    min_free_mb: Annotated[int, Field(ge=0), example(2048)] = 512
    """With less room on the disk, instances are refused with 0xA700."""
    sync: Annotated[bool, example(False)] = True
    """`false`: faster, but a power cut may take what was acknowledged."""
    decoded_mb: Annotated[int, Field(ge=0), example(0)] = 2048
    """Room for pixels of compressed images, decoded while their study still comes, in
    `node.data_dir`; what was not used longest goes first. `0`: only jobs decode."""
    database_password_file: Annotated[Path | None, example(Path("database_password"))] = None
    """The file that holds the password of the database."""
    database_password_env: Annotated[str, example("PGPASSWORD")] = ""
    """The environment variable that holds it."""


class CompletionSettings(Table):
    """When a study counts as complete."""

    quiet_period_s: Annotated[Seconds, example(10)] = 5
    """Nothing came for so long."""
    open_association_quiet_s: Annotated[Seconds, example(60)] = 120
    """The same while the sender stays connected."""
    announced_wait_s: Annotated[Seconds, example(900)] = 600
    """How long images that a modality announced (MPPS, …) are waited for."""
    own_numbers: Annotated[bool, example(True)] = False
    """Whether the quiet period is not waited for when the sender has disconnected and as many
    images are there as they say themselves (Number of Study Related Instances, …)."""
    gap_alarm_s: Annotated[Seconds, example(3600)] = 1800
    """What stays behind on its way for longer is an alarm."""


class CommitmentSettings(Table):
    """Storage commitment that senders ask for."""

    missing_wait_s: Annotated[Seconds, example(30)] = 10
    """Images that are asked for and are not there are waited for so long."""


class RetentionSettings(Table):
    """What is deleted, and when. Left out: nothing, ever. What is not delivered, committed to or
    in work never goes."""

    images_days: Annotated[Days, example(90)] = None
    """Studies whose last image came earlier go, with their results."""
    images_gb: Annotated[Gigabytes, example(2000)] = None
    """Beyond that the oldest studies go."""
    results_days: Annotated[Days, example(365)] = None
    """Files of results; what was found stays in the ledger."""
    results_gb: Annotated[Gigabytes, example(200)] = None
    """Beyond that the oldest files of results go."""
    quarantine_days: Annotated[Days, example(30)] = None
    """Refused images and results."""
    quarantine_gb: Annotated[Gigabytes, example(50)] = None
    """Beyond that the oldest refused images go, then the oldest refused results."""
    events_days: Annotated[Days, example(365)] = None
    """History, announcements and requests that are over; open alarms stay."""
    logs_days: Annotated[Days, example(30)] = None
    """Rotated logs."""


class QuerySettings(Table):
    """What others may ask for, by C-FIND and over the web."""

    max_answers: Annotated[int, Field(ge=0), example(500)] = 2000
    """So many answers at most to one C-FIND, then 0xA700, and to one search of QIDO-RS, then a
    Warning; 0: any number."""
    strict_hierarchy: Annotated[bool, example(True)] = False
    """`true`: a C-FIND, C-GET or C-MOVE without the unique keys above its level is refused with
    0xA900."""
    max_headers: Annotated[int, Field(ge=0), example(200)] = 1000
    """So many files at most are read for one query, where it asks for what the index lacks."""
    max_search_s: Annotated[SomeSeconds, example(10)] = 30
    """So long it is looked for the next answer to a query that no index helps with."""


class WorkerSettings(Table):
    """The processes in which analyzers run."""

    device: Annotated[str, example("cuda:1")] = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    slots: Annotated[int, Field(ge=1, le=256), example(2)] = 1
    """Worker processes, each with its own models."""
    attempts: Annotated[int, Field(ge=1, le=100), example(5)] = 3
    """For transient failures; others are not repeated."""
    retry_delay_s: Annotated[Seconds, example(30)] = 10
    """Before the second attempt; doubles with each."""

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not is_device_name(value):
            raise ValueError("use auto, cpu, cuda or cuda:N")
        return value
