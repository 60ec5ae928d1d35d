"""What to do about a chart, decided from its job, its release and the wanted configuration. Pure.

::

                    no job ────────────────────────────► RUN ◄──────────────┐
    job suspended, seen by the Job controller,                              │
        made from the wanted configuration ────────────► RESUME             │
    job works on the wanted configuration ─────────────► WAIT               │
    job works on another configuration ─── busy ───────► STOP (suspend it)  │
                                       └── idle ────────────────────────────┤
    job complete ── release deployed with wanted hash ─► WAIT               │
                 └─ anything else (failed, rolled back, changed) ───────────┘
"""

from __future__ import annotations

from enum import Enum, auto

from rke2.addons.helm.jobs import label_hash
from rke2.addons.helm.names import CONFIG_HASH
from rke2.addons.helm.releases import Release
from rke2.kube.objects import Object, annotations_of, condition_is_true, metadata


class Action(Enum):
    """What the reconciler does next."""

    WAIT = auto()
    RESUME = auto()
    STOP = auto()
    RUN = auto()


def decide(job: Object | None, config_hash: str, *, achieved: bool) -> Action:
    """The next step.

    Args:
        job: the chart's Job as it is, None if there is none.
        config_hash: of the wanted configuration.
        achieved: whether the release is as wanted; only matters when the job is complete.
    """
    if job is None:
        return Action.RUN
    if condition_is_true(job, "Complete"):
        return Action.WAIT if achieved else Action.RUN
    if hash_of_job(job) != config_hash:
        return Action.RUN if is_replaceable(job) else Action.STOP
    return Action.RESUME if awaits_resume(job) else Action.WAIT


def is_installed(release: Release | None, config_hash: str) -> bool:
    """Whether helm brought the release to the wanted configuration."""
    return (
        release is not None
        and release.status == "deployed"
        and release.config_hash == label_hash(config_hash)
    )


def hash_of_job(job: Object) -> str:
    """The configuration hash a Job was made from (its template is immutable, so this tells all)."""
    text = annotations_of(job["spec"]["template"]).get(CONFIG_HASH, "")
    return text.removeprefix("SHA256=")


def awaits_resume(job: Object) -> bool:
    """Whether the Job is as created, and the Job controller has seen that it is suspended."""
    return bool(
        metadata(job).get("generation") == 1
        and job["spec"].get("suspend")
        and condition_is_true(job, "Suspended")
    )


def is_replaceable(job: Object) -> bool:
    """Whether a Job may be deleted and made again: it ended, or it is suspended and its pods are gone.

    Stricter than upstream, which also replaces a job that was just resumed: its pod may exist already.
    """
    status = job.get("status") or {}
    pods = int(status.get("active") or 0) + int(status.get("terminating") or 0)
    stopped = job["spec"].get("suspend") and condition_is_true(job, "Suspended")
    return pods == 0 and bool(stopped or condition_is_true(job, "Failed"))
