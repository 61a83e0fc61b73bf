"""What a job is called: a digest of what goes in, what runs, and with which parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from storage.records import NewJob, StoredInstance


def job_key(
    inputs_digest: str, analyzer: str, version: str, parameters_digest: str, weights: str = ""
) -> str:
    """The name of a job: what went in, what ran, with which parameters and trained models.

    weights: their digest. Without any, jobs keep the names that they had before it was asked.
    """
    named = [inputs_digest, analyzer, version, parameters_digest, *([weights] if weights else [])]
    return _digest(json.dumps(named))


def key_of(job: NewJob) -> str:
    """The name that a job gets when it is entered."""
    return job_key(
        job.inputs_digest,
        job.analyzer,
        job.analyzer_version,
        job.parameters_digest,
        job.weights,
    )


def taught_digest(job: NewJob) -> str:
    """Digest of parameters and trained models together, by which rows tell jobs apart."""
    if not job.weights:
        return job.parameters_digest
    return _digest(json.dumps([job.parameters_digest, job.weights]))


def joined_digest(own: str, companions: Mapping[str, str], waits_for: Iterable[str]) -> str:
    """Digest of all that goes into a job: its series, other series by role, other jobs' findings.

    own, companions: digests of instances. waits_for: job keys. ``own`` itself where there is
    nothing else, so that jobs of one series keep their names.
    """
    others = sorted(waits_for)
    if not companions and not others:
        return own
    return _digest(json.dumps([own, dict(companions), others], sort_keys=True))


def inputs_digest(instances: Iterable[StoredInstance]) -> str:
    """Digest of a set of instances: their UIDs and bytes, whatever their order."""
    members = sorted((one.sop_instance_uid, one.sha256) for one in instances)
    return _digest(json.dumps(members))


def parameters_digest(parameters: Mapping[str, Any]) -> str:
    """Digest of parameters as canonical JSON."""
    return _digest(json.dumps(parameters, sort_keys=True, default=str))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
