"""The tables of the node itself: where it keeps what, for how long, and when it works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from analyzers.devices import is_device_name
from node.config.table import Table
from node.config.values import AETitle, AllowedHost, Days, Gigabytes, Host, Port, Seconds


class NodeSettings(Table):
    ae_title: AETitle = "WETREAD"
    data_dir: Path = Path("var")
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class HttpSettings(Table):
    host: Host = "127.0.0.1"
    port: Port = 8080
    allowed_hosts: tuple[AllowedHost, ...] = ()
    without_login: Literal["refused", "accepted"] = "refused"

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which a browser may ask: all, where it listens on the whole network."""
        if self.allowed_hosts:
            return self.allowed_hosts
        if self.host in {"0.0.0.0", "::", ""}:
            return ("*",)
        return ("localhost", "127.0.0.1", "[::1]", self.host)


class StorageSettings(Table):
    database: str = ""
    instances: Path = Path()
    min_free_mb: Annotated[int, Field(ge=0)] = 512
    sync: bool = True
    database_password_file: Path | None = None
    database_password_env: str = ""


class CompletionSettings(Table):
    quiet_period_s: Seconds = 5
    open_association_quiet_s: Seconds = 120
    announced_wait_s: Seconds = 600
    gap_alarm_s: Seconds = 1800


class CommitmentSettings(Table):
    missing_wait_s: Seconds = 10


class RetentionSettings(Table):
    images_days: Days = None
    images_gb: Gigabytes = None
    results_days: Days = None
    results_gb: Gigabytes = None
    quarantine_days: Days = None
    quarantine_gb: Gigabytes = None
    events_days: Days = None
    logs_days: Days = None


class WorkerSettings(Table):
    device: str = "auto"
    slots: Annotated[int, Field(ge=1, le=256)] = 1
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    retry_delay_s: Seconds = 10

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not is_device_name(value):
            raise ValueError("use auto, cpu, cuda or cuda:N")
        return value
