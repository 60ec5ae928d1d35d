"""What a user is told about a chart: status conditions and event texts."""

from __future__ import annotations

from rke2.addons.helm.model import Chart
from rke2.addons.helm.names import WAITING
from rke2.addons.helm.releases import Release
from rke2.kube.objects import Object

_GAVE_UP = "Job has reached configured number of retries without succeeding"
"""Upstream's text, by which people look for it."""

_WORDS = ". The last try: "
"""Between what is the matter and what helm said."""


def unsupported_status() -> Object:
    return _status(
        created=False, reason="Unsupported version", message="Only Helm v3 charts are supported", failed=True
    )


def ungenerated_status(error: Exception) -> Object:
    return _status(
        created=False, reason="Job create failed", message=f"Failed to generate Job: {error}", failed=True
    )


def applying_status(chart: Chart) -> Object:
    return _with_job(chart, status="False")


def waiting_status(chart: Chart, awaited: str) -> Object:
    """Its job is made but not begun; upstream waits for no other chart."""
    return _with_job(chart, status="False", reason=WAITING, message=waiting_message(chart, awaited))


def queued_status(chart: Chart) -> Object:
    """It is installed, and will be upgraded; its job is the earlier one. Upstream waits for no other chart."""
    return _with_job(chart, status="False", reason=WAITING, message=QUEUED)


QUEUED = "Waiting for the upgrade of other charts"


def is_queued(obj: Object) -> bool:
    """Whether the status of a HelmChart says that its upgrade waits for others."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(each.get("message") == QUEUED for each in conditions)


def waiting_message(chart: Chart, awaited: str) -> str:
    return (
        f"Waiting for HelmChart {chart.namespace}/{awaited}, which installs the custom resource definitions"
    )


def repeating_status(chart: Chart, release: Release | None, why: str = "") -> Object:
    """The job has ended, and the release is not what is wanted; upstream says nothing."""
    found = f"at revision {release.revision}: {release.status}" if release else "not there"
    message = _with_words(f"The release is {found}. Helm runs again", why)
    return _with_job(chart, status="False", reason="Release not deployed", message=message)


def failed_status(chart: Chart, why: str = "") -> Object:
    return _with_job(chart, status="True", reason="Job failed", message=failed_message(why))


def failed_message(why: str = "") -> str:
    return _with_words(_GAVE_UP, why)


def _with_words(text: str, why: str) -> str:
    return f"{text}{_WORDS}{why}" if why else text


def kept_words(obj: Object) -> str:
    """What helm said last as the status of a HelmChart has kept it, after the pod that said it."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    failed: Object = next((each for each in conditions if each.get("type") == "Failed"), {})
    return str(failed.get("message") or "").partition(_WORDS)[2]


def switched(job: str, *, suspended: bool) -> tuple[str, str]:
    """Reason and text of the event after a job was suspended or resumed; upstream's."""
    if suspended:
        return "SuspendJob", f"Suspended Job {job} for delete"
    return "ResumeJob", f"Resumed synced Job {job}"


def source_of(chart: Chart) -> str:
    """Where the chart comes from, as part of a sentence."""
    spec = chart.spec
    version = f"version {spec.version}" if spec.version else "latest stable version"
    if spec.chart_content:
        return "inline spec.chartContent" + (f" from {chart.content_url}" if chart.content_url else "")
    if spec.chart.startswith("oci://"):
        return f"{version} from OCI registry {spec.chart}"
    if "://" in spec.chart:
        return spec.chart
    if spec.repo:
        text = f"{spec.chart} {version}" if spec.version else f"latest stable version of {spec.chart}"
        return f"{text} from chart repository {spec.repo}"
    return f"{spec.chart} {version}"


def _with_job(chart: Chart, **failed: str) -> Object:
    """The status with these fields of the condition Failed."""
    return {"jobName": chart.job_name, "conditions": [_created(chart), {"type": "Failed", **failed}]}


def _created(chart: Chart) -> Object:
    message = f"Applying HelmChart using Job {chart.namespace}/{chart.job_name}"
    return {"type": "JobCreated", "status": "True", "reason": "Job created", "message": message}


def _status(*, created: bool, failed: bool, reason: str, message: str) -> Object:
    return {
        "conditions": [
            {"type": "JobCreated", "status": str(created)},
            {"type": "Failed", "status": str(failed), "reason": reason, "message": message},
        ]
    }
