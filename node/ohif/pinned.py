"""Which build of OHIF the node serves: one version, known by the hash of its package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """A package as npm serves it. ``sha256``: of its tarball."""

    name: str
    version: str
    sha256: str

    @property
    def specifier(self) -> str:
        return f"{self.name}@{self.version}"


OHIF = Package(
    "@ohif/app", "3.13.2", "b189d3963bfc58e9394a9db8c7be75d07beb029ec211dbb126d47b62969dd3f1"
)
FOLDER = f"ohif-{OHIF.version}"
"""Where it lies below the node's ``viewer`` folder."""
