"""Certificates for tests, made by openssl: an authority, and what it signs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path

    @property
    def sha256(self) -> str:
        text = openssl("x509", "-in", str(self.certificate), "-noout", "-fingerprint", "-sha256")
        return text.strip().partition("=")[2]


@dataclass(frozen=True)
class Authority:
    folder: Path
    own: Certificate

    @property
    def ca(self) -> Path:
        return self.own.certificate

    def issue(self, name: str, subject: str = "", host: str = "127.0.0.1") -> Certificate:
        """A certificate for a server and a client in one. ``subject`` as "/CN=ct1/O=Hospital"."""
        made = Certificate(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(
            f"subjectAltName = IP:{host}, DNS:{name}\nextendedKeyUsage = serverAuth, clientAuth\n"
            "basicConstraints = CA:FALSE\n"
        )
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", subject or f"/CN={name}", "-keyout", str(made.key), "-out", str(request),
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self.own.key),
            "-CAcreateserial", "-days", "2", "-extfile", str(extensions),
            "-out", str(made.certificate),
        )  # fmt: skip
        return made

    def revoke(self, *revoked: Certificate, valid_s: int = 172_800) -> Path:
        """A revocation list of the authority."""
        settings, database = self.folder / "ca.cnf", self.folder / "index.txt"
        database.write_text("")
        settings.write_text(
            "[ca]\ndefault_ca = one\n[one]\n"
            f"database = {database}\ncertificate = {self.ca}\nprivate_key = {self.own.key}\n"
            "default_md = sha256\n"
        )
        for one in revoked:
            openssl("ca", "-config", str(settings), "-revoke", str(one.certificate))
        made = self.folder / f"revoked-{len(revoked)}.pem"
        openssl(
            "ca", "-config", str(settings), "-gencrl", "-crlsec", str(valid_s), "-out", str(made)
        )
        return made


def authority(folder: Path, name: str = "authority") -> Authority:
    """A new authority; skips the test where openssl is not installed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    own = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", f"/CN={name}", "-keyout", str(own.key),
        "-out", str(own.certificate),
    )  # fmt: skip
    return Authority(folder, own)


def openssl(*arguments: str) -> str:
    done = subprocess.run(
        ["openssl", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
